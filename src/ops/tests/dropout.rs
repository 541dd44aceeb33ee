//! Dropout masks: how many stay, and the same on both sides to the bit.

use super::{batch_of, random};
use crate::Activation;
use crate::engine::Step;
use crate::engine::gpu::rig::{Arg, Rig};
use crate::engine::kernel::{Grid, Kernel, read_write, step};
use crate::layer::Dropout;
use crate::ops::activation::{ACTIVATION_BACKWARD, ACTIVATION_FORWARD, ActivationShape};
use crate::ops::epilogue::{Draw, Epilogue};
use crate::ops::linear::{LINEAR_FORWARD, LinearShape};
use crate::ops::product::Form;
use crate::ops::step::StepUniform;
use crate::plan::TENSOR_ALIGN;
use crate::rng::philox4x32;

fn dropout(rate: f64) -> Epilogue {
    Epilogue { activation: Activation::Identity, dropout: Some((3, Dropout::new(rate))) }
}

/// What is left of ones.
fn mask(rate: f64, step: u64, row0: u32, rows: usize, columns: usize) -> Vec<f32> {
    let draw = Draw { key: Step::dropout_key(9, step), row0 };
    let mut ones = vec![1.0; rows * columns];
    dropout(rate).forward(Some(&draw), columns, &mut ones, &mut []);
    ones
}

#[test]
fn the_share_that_stays_is_within_four_deviations() {
    for rate in [0.1, 0.5, 0.9] {
        for step in 1..=5 {
            let mask = mask(rate, step, 0, 500, 203);
            let n = f64::from(u32::try_from(mask.len()).unwrap());
            let kept = mask.iter().filter(|&&x| x != 0.0).count();
            let share = f64::from(u32::try_from(kept).unwrap()) / n;
            let p = rate;
            let deviation = (p * (1.0 - p) / n).sqrt();
            assert!((share - (1.0 - p)).abs() <= 4.0 * deviation, "rate {rate}: {share} stay");
            let scale = 1.0 / (1.0 - p);
            let is_scale = |x: f32| (f64::from(x) / scale - 1.0).abs() <= 1e-7;
            assert!(mask.iter().all(|&x| x == 0.0 || is_scale(x)), "rate {rate}: not {scale}");
        }
    }
}

#[test]
fn rates_at_the_ends_behave() {
    assert!(mask(0.0, 1, 0, 20, 7).iter().all(|&x| x == 1.0));
    let almost = 1.0 - 2_f64.powi(-24);
    let mask = mask(almost, 1, 0, 1000, 64);
    // 64,000 draws at 6e-8 each: one survivor in 260 such masks.
    assert!(mask.iter().filter(|&&x| x != 0.0).count() <= 1);
    assert!(mask.iter().all(|x| x.is_finite()));
}

#[test]
fn masks_differ_by_step_layer_and_seed_and_not_by_part() {
    let first = mask(0.5, 1, 0, 16, 33);
    assert_eq!(first, mask(0.5, 1, 0, 16, 33));
    assert_ne!(first, mask(0.5, 2, 0, 16, 33));
    // Rows 8 to 15 of the batch are the same in a part of their own.
    assert_eq!(first[8 * 33..], mask(0.5, 1, 8, 8, 33));
    assert_ne!(Step::dropout_key(1, 1), Step::dropout_key(2, 1));
    let other_layer = Epilogue { dropout: Some((4, Dropout::new(0.5))), ..dropout(0.5) };
    let draw = Draw { key: Step::dropout_key(9, 1), row0: 0 };
    let mut ones = vec![1.0; first.len()];
    other_layer.forward(Some(&draw), 33, &mut ones, &mut []);
    assert_ne!(first, ones);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn masks_are_the_same_on_the_gpu_to_the_bit() {
    let rig = Rig::get();
    for rate in [0.1, 0.5, 0.9, 0.99999] {
        for (rows, columns, row0) in [(1, 1, 0), (7, 9, 3), (65, 66, 64)] {
            let want = mask(rate, 77, row0, rows, columns);
            let epilogue = dropout(rate);
            let step = StepUniform {
                training: 1,
                row0,
                dropout_key: Step::dropout_key(9, 77),
                ..batch_of(rows)
            };
            let ones = vec![1.0; rows * columns];
            let shape = ActivationShape::new(u32::try_from(columns).unwrap());
            let uniforms =
                [("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue.uniform(0)))];
            let run = |step: &StepUniform| {
                let args = [("input", Arg::Read(&ones)), ("output", Arg::Written(ones.len()))];
                let choices = epilogue.choices();
                rig.run(&ACTIVATION_FORWARD, &choices, shape.grid(), step, &uniforms, &args)
            };
            let backward = rig.run(
                &ACTIVATION_BACKWARD,
                &epilogue.choices(),
                shape.grid(),
                &step,
                &uniforms,
                &[("kept", Arg::Read(&ones)), ("gradient_input", Arg::Updated(&ones))],
            );
            for (forward, backward) in run(&step).iter().zip(&backward) {
                assert_eq!(forward[0], want, "rate {rate}, {rows} × {columns}");
                assert_eq!(backward[0], want, "rate {rate}, {rows} × {columns}, backward");
            }
            // Nothing is dropped outside of training.
            for run in run(&StepUniform { training: 0, ..step }) {
                assert_eq!(run[0], ones);
            }
        }
    }
}

/// The product's own epilogue draws the same mask, and keeps what stood before it.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_linear_layer_drops_what_its_twin_drops() {
    let rig = Rig::get();
    let (rows, inputs, outputs) = (33, 5, 34);
    let epilogue = Epilogue { activation: Activation::Relu, ..dropout(0.4) };
    let (x, w) = (random(50, rows * inputs), random(51, outputs * inputs));
    let bias = vec![0.1; outputs];
    let len = rows * outputs;
    let offset = len.next_multiple_of(TENSOR_ALIGN);
    let shape = LinearShape::new(inputs, outputs, [0; 2]);
    let zeros = vec![0.0; offset + len];
    let [activation, dropped] = epilogue.choices();
    let run = |training| {
        let step = StepUniform { training, dropout_key: Step::dropout_key(9, 5), ..batch_of(rows) };
        rig.run(
            LINEAR_FORWARD.kernel(Form::Tiled8, false),
            &[activation, dropped, 0.0],
            shape.forward_grid(Form::Tiled8),
            &step,
            &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&epilogue.uniform(offset)))],
            &[
                ("input", Arg::Read(&x)),
                ("weight", Arg::Read(&w)),
                ("bias", Arg::Read(&bias)),
                ("output", Arg::Updated(&zeros)),
                ("rows_of_data", Arg::Updated(&[0.0])),
            ],
        )
    };
    let mask = mask(0.4, 5, 0, rows, outputs);
    for (trained, evaluated) in run(1).iter().zip(&run(0)) {
        let relu = &evaluated[0][..len];
        assert!(relu.iter().any(|&y| y > 0.0) && relu.contains(&0.0));
        let dropped: Vec<f32> = relu.iter().zip(&mask).map(|(y, m)| y * m).collect();
        assert_eq!(trained[0][..len], dropped);
        assert_eq!(trained[0][offset..], *relu, "the ReLU's own output is kept");
    }
}

static PHILOX: Kernel = Kernel {
    name: "philox",
    wgsl: concat!(
        include_str!("../../../shaders/step.wgsl"),
        include_str!("../../../shaders/philox.wgsl"),
        "@group(0) @binding(1) var<storage, read_write> words: array<u32>;\n",
        "@compute @workgroup_size(1) fn main() {\n",
        "  let c = vec4<u32>(words[0], words[1], words[2], words[3]);\n",
        "  let bits = philox4x32(c, vec2<u32>(words[4], words[5]));\n",
        "  for (var i = 0u; i < 4u; i++) { words[6u + i] = bits[i]; }\n",
        "}"
    ),
    bindings: &[step::<StepUniform>("step"), read_write("words")],
    constants: &[],
    choices: &[],
};

/// The published vectors (Random123, `kat_vectors`), in WGSL.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn philox_in_wgsl_agrees_with_the_published_vectors() {
    let rig = Rig::get();
    for (counter, key, want) in [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ] {
        assert_eq!(philox4x32(counter, key), want);
        let words: Vec<f32> =
            counter.into_iter().chain(key).chain([0; 4]).map(f32::from_bits).collect();
        let runs = rig.run(
            &PHILOX,
            &[],
            Grid::fixed(1, 1),
            &StepUniform::default(),
            &[],
            &[("words", Arg::Updated(&words))],
        );
        for run in runs {
            let bits: Vec<u32> = run[0][6..].iter().map(|x| x.to_bits()).collect();
            assert_eq!(bits, want);
        }
    }
}
