//! Writes `seeds/`: a folder for each target, with valid files and some odd ones.
//!
//! `cargo run --example seeds` in `fuzz/`.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use flate2::write::{DeflateEncoder, GzEncoder};
use flate2::{Compression, Crc};
use safetensors::SafeTensors;
use wgrad::data::{Dataset, Targets};
use wgrad::{
    Activation, CpuEngine, EarlyStopping, Loss, Mlp, ModelFile, Optimizer, ParameterGroup, Plan,
    TrainOptions, Trainer,
};

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let all: [(&str, Seeds); 10] = [
        ("csv", tables()),
        ("tables", choices()),
        ("npy", npy_files()),
        ("idx", idx_files()),
        ("npz", npz_files()),
        ("model_file", model_files()?),
        ("checkpoint", checkpoints()?),
        ("state_dict", state_dicts()?),
        ("schedule", schedules()),
        ("training", trainings()),
    ];
    for (target, seeds) in all {
        let folder = root.join(target);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

fn tables() -> Seeds {
    let plain = b"size,kind\n1.5,a\n-2e3,b\n,NA\n3,\"c, d\"\n";
    vec![
        ("plain", plain.to_vec()),
        ("gzipped", gzipped(plain)),
        ("semicolons", b"\xef\xbb\xbfx;y\r\n1,5;2\r\n3;4\r\n\r\n".to_vec()),
        ("no_header", b"1\t2\n3\t4\n".to_vec()),
        ("ragged", b"a,b\n1\n2,3,4\n".to_vec()),
        ("quote_without_end", b"a,b\n\"1,2\n3".to_vec()),
        ("not_utf8", b"a,b\n\xff\xfe,1\n".to_vec()),
        ("beyond_f32", b"a\n1e39\n-1e-50\nnan\n".to_vec()),
    ]
}

/// What a made table is made of: bytes of all sizes.
fn choices() -> Seeds {
    let byte = |i: u32| i.wrapping_mul(i).wrapping_mul(2_654_435_761).to_le_bytes()[3];
    vec![("mixed", (0..1024).map(byte).collect())]
}

fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    header.push_str(&" ".repeat((64 - (10 + header.len() + 1) % 64) % 64));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

fn floats(count: u8) -> Vec<u8> {
    (0..count).flat_map(|i| (f32::from(i) / 4.0).to_le_bytes()).collect()
}

fn npy_files() -> Seeds {
    let matrix = npy("<f4", "False", "(3, 2)", &floats(6));
    vec![
        ("gzipped", gzipped(&matrix)),
        ("cut", matrix[..matrix.len() - 5].to_vec()),
        ("floats", matrix),
        (
            "fortran",
            npy(">i2", "True", "(2, 2, 2)", &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]),
        ),
        ("bools", npy("|b1", "False", "(4,)", &[0, 1, 1, 0])),
        ("huge", npy("<f8", "False", "(1152921504606846976, 4)", &floats(6))),
        ("no_rows", npy("<u8", "False", "(0, 3)", &[])),
    ]
}

fn idx(kind: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes = shape.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, kind, shape.len() as u8].into_iter().chain(sizes).chain(data.iter().copied()).collect()
}

fn idx_files() -> Seeds {
    let images = idx(8, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255]);
    vec![
        ("gzipped", gzipped(&images)),
        ("images", images),
        ("labels", idx(8, &[3], &[7, 0, 9])),
        ("shorts", idx(11, &[2, 2], &[0, 1, 0, 2, 255, 255, 128, 0])),
        ("huge", idx(14, &[u32::MAX, u32::MAX, u32::MAX], &[1; 16])),
        ("many_sizes", idx(8, &[1; 8], &[5])),
    ]
}

/// A ZIP archive of these entries, deflated or stored.
fn zip(entries: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries {
        let mut crc = Crc::new();
        crc.update(bytes);
        let packed = if deflated {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).expect("in memory");
            encoder.finish().expect("in memory")
        } else {
            bytes.clone()
        };
        let mut shared = vec![20, 0, 0, 0, if deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
        for number in [crc.sum(), packed.len() as u32, bytes.len() as u32] {
            shared.extend(number.to_le_bytes());
        }
        shared.extend((name.len() as u32).to_le_bytes());
        let offset = (file.len() as u32).to_le_bytes();
        for part in [b"PK\x03\x04", &shared[..], name.as_bytes(), &packed] {
            file.extend(part);
        }
        for part in [b"PK\x01\x02\x14\x00", &shared[..], &[0; 10], &offset, name.as_bytes()] {
            directory.extend(part);
        }
    }
    let count = (entries.len() as u16).to_le_bytes();
    let (length, start) = (directory.len() as u32, file.len() as u32);
    let end = [&count[..], &count, &length.to_le_bytes(), &start.to_le_bytes(), &[0, 0]].concat();
    [&file[..], &directory, b"PK\x05\x06\x00\x00\x00\x00", &end].concat()
}

fn npz_files() -> Seeds {
    let x = npy("<f4", "False", "(3, 2)", &floats(6));
    let y = npy("|u1", "False", "(3,)", &[0, 1, 1]);
    let pair = [("x.npy", x.clone()), ("y.npy", y.clone())];
    let parts = [
        ("x_train.npy", x.clone()),
        ("y_train.npy", y.clone()),
        ("x_test.npy", x),
        ("y_test.npy", y),
    ];
    let whole = zip(&pair, false);
    vec![
        ("cut", whole[..whole.len() - 30].to_vec()),
        ("stored", whole),
        ("deflated", zip(&pair, true)),
        ("parts", zip(&parts, true)),
        ("no_arrays", zip(&[("a.txt", b"words".to_vec())], false)),
    ]
}

/// The text under a key of a safetensors file's metadata.
fn description(bytes: &[u8], key: &str) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    let entries = metadata.metadata().as_ref().ok_or("no metadata")?;
    Ok(entries.get(key).ok_or("no description")?.clone().into_bytes())
}

fn model_files() -> Result<Seeds, Box<dyn std::error::Error>> {
    let name = Path::new("seed");
    let mut options = TrainOptions::new(Loss::Mse, Optimizer::adamw(1e-3));
    options.groups = vec![ParameterGroup::without_decay()];
    options.schedule = "warmup:5%+cosine".parse()?;
    let file = |mlp: &Mlp| -> Result<Vec<u8>, wgrad::Error> {
        let plan = Plan::new(mlp, &options)?;
        ModelFile::new(&plan, plan.initial_parameters(), None)?.to_bytes(name)
    };
    let small = file(&Mlp::with_hidden(3, &[2], Activation::Tanh, 1))?;
    let norms = file(&Mlp::new(2).linear(3).batch_norm().activation(Activation::Gelu).linear(2))?;
    Ok(vec![
        ("description", description(&small, "wgrad")?),
        ("cut", small[..small.len() - 9].to_vec()),
        ("small", small),
        ("norms", norms),
    ])
}

fn checkpoints() -> Result<Seeds, Box<dyn std::error::Error>> {
    let values = vec![0.5; 5];
    let data = Dataset::new(vec![0.25; 10], 2, Targets::Values { values, width: 1 })?;
    let file = |options: TrainOptions| -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let plan = Plan::new(&Mlp::new(2).linear(1), &options)?;
        let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data))?;
        trainer.train_steps(4, |_| ControlFlow::Continue(()))?;
        wgrad_fuzz::with_file(&[], |path| {
            trainer.checkpoint()?.save(path)?;
            Ok(fs::read(path)?)
        })
    };
    let plain =
        TrainOptions { batch_size: 2, ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.1)) };
    let stopping = Some(EarlyStopping::default());
    let full = TrainOptions { ema: Some(0.5), early_stopping: stopping, ..plain.clone() };
    let plain = file(plain)?;
    Ok(vec![
        ("description", description(&plain, "wgrad_checkpoint")?),
        ("cut", plain[..plain.len() - 9].to_vec()),
        ("plain", plain),
        ("full", file(full)?),
    ])
}

fn state_dicts() -> Result<Seeds, Box<dyn std::error::Error>> {
    let tensors: [(&str, &[usize]); 8] = [
        ("0.weight", &[2, 3]),
        ("0.bias", &[2]),
        ("1.weight", &[2]),
        ("1.bias", &[2]),
        ("1.running_mean", &[2]),
        ("1.running_var", &[2]),
        ("2.weight", &[1, 2]),
        ("2.bias", &[1]),
    ];
    let prefixed: Vec<(String, &[usize])> =
        tensors.iter().map(|(name, shape)| (format!("net.{name}"), *shape)).collect();
    let prefixed: Vec<(&str, &[usize])> =
        prefixed.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    let file = |tensors: &[(&str, &[usize])]| wgrad_fuzz::safetensors(tensors, "format", "pt");
    Ok(vec![
        ("plain", file(&tensors)),
        ("prefixed", file(&prefixed)),
        ("missing", file(&tensors[..7])),
    ])
}

fn schedules() -> Seeds {
    let texts = [
        ("warmup", "warmup:5e+cosine:floor=0.01"),
        ("trapezoid", "warmup:10%+constant+linear:2e"),
        ("piecewise", "piecewise:30e=0.1,60e=0.01"),
        ("step", "step:30e,factor=0.1"),
        ("restarts", "cosine_restarts:10e,multiplier=2,floor=0.5"),
        ("one_cycle", "one_cycle:20%,peak=2,warmup=30%,anneal=linear"),
        ("others", "exponential:0.95,every=1e+polynomial:5,power=2+inverse_sqrt:4000"),
        ("misspelt", "warmup:5e+cosin"),
        ("huge", "linear:18446744073709551615,from=1e308"),
    ];
    texts.into_iter().map(|(name, text)| (name, text.as_bytes().to_vec())).collect()
}

/// Bytes of three kinds, for a generator to make of what it will.
fn trainings() -> Seeds {
    let counting = (0..=255).collect();
    let scattered = (0..512_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![("zeros", vec![0; 256]), ("counting", counting), ("scattered", scattered)]
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}
