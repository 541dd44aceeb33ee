//! A net's parameters in a safetensors file, by PyTorch's names.

use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::error::{Error, Result};
use crate::plan::{Plan, Tensor};

/// What PyTorch's batch norms count besides; nothing depends on it.
const NOT_NEEDED: &str = "num_batches_tracked";

impl Plan {
    /// Reads a parameter arena from a safetensors file with a `state_dict` of the same net, whoever wrote
    /// it: for [`set_parameters`](crate::Engine::set_parameters).
    ///
    /// The names are those of [`tensors`](Self::tensors), which an `nn.Sequential` of the same layers has,
    /// perhaps all with one prefix as in `net.0.weight`. In Python:
    /// `safetensors.torch.save_file(net.state_dict(), path)`. Tensors may be f32, f16, bf16 or f64, which is
    /// rounded to the nearest f32.
    ///
    /// # Errors
    /// [`Error::Io`] if the file can't be read; [`Error::ModelFile`] if it isn't safetensors, a tensor is
    /// missing, has another shape or type, or holds a number that isn't finite or, in f64, too large for f32,
    /// or if there are tensors that the net doesn't have.
    pub fn load_state_dict(&self, path: &Path) -> Result<Vec<f32>> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let failed = |problem: String| Error::ModelFile { path: path.into(), problem };
        let tensors = read(&bytes).map_err(failed)?;
        // Every name has the prefix, if there is one; of names that end so, one may have none.
        let first = self.tensors().next().map_or("", |tensor| tensor.name.as_str());
        let prefixes = tensors.names().into_iter().filter_map(|name| name.strip_suffix(first));
        let prefix = prefixes.filter(|p| p.is_empty() || p.ends_with('.')).min().unwrap_or("");
        parameters(self, &tensors, prefix).map_err(failed)
    }
}

/// The tensors of a file.
pub(crate) fn read(bytes: &[u8]) -> Result<SafeTensors<'_>, String> {
    SafeTensors::deserialize(bytes).map_err(|e| {
        let remedy = match bytes {
            [b'P', b'K', ..] => {
                "PyTorch's torch.save writes such; take safetensors.torch.save_file"
            }
            _ => "it is of another format, or was cut short",
        };
        format!("not a whole safetensors file ({e}); {remedy}")
    })
}

/// The parameter arena of a plan from tensors whose names have a prefix.
///
/// # Errors
/// What keeps it from being used.
pub(crate) fn parameters(
    plan: &Plan,
    tensors: &SafeTensors<'_>,
    prefix: &str,
) -> Result<Vec<f32>, String> {
    let named = |tensor: &Tensor| format!("{prefix}{}", tensor.name);
    // All tensors are checked before memory is taken for them, so a wrong size in a description costs no
    // more than a message.
    for tensor in plan.tensors() {
        let name = named(tensor);
        let view = tensors.tensor(&name).map_err(|_| {
            let mut there: Vec<_> = tensors.names().into_iter().map(str::to_owned).collect();
            there.sort();
            format!("tensor {name} is missing (there: {})", crate::data::wording::listed(&there))
        })?;
        if decoder(view.dtype()).is_none() || view.shape() != tensor.shape {
            let (dtype, shape, needed) = (view.dtype(), view.shape(), &tensor.shape);
            return Err(format!(
                "tensor {name} is {dtype:?} {shape:?}, but the net {} needs {needed:?} of F32, F16, BF16 or F64",
                plan.mlp()
            ));
        }
    }
    let known: std::collections::HashSet<String> = plan.tensors().map(named).collect();
    let other = tensors
        .names()
        .into_iter()
        .find(|name| !known.contains(*name) && !name.ends_with(NOT_NEEDED));
    if let Some(name) = other {
        return Err(format!("tensor {name} is none of the net {}", plan.mlp()));
    }
    let mut arena = vec![0.0; plan.arena_len()];
    for tensor in plan.tensors() {
        let Ok(view) = tensors.tensor(&named(tensor)) else { continue };
        let Some((bytes, decode)) = decoder(view.dtype()) else { continue };
        let numbers = view.data().chunks_exact(bytes).map(decode);
        for (place, number) in arena[tensor.range()].iter_mut().zip(numbers) {
            *place = narrowed(number)
                .map_err(|what| format!("tensor {} holds {what}", named(tensor)))?;
        }
    }
    Ok(arena)
}

/// Makes a number of its bytes.
type Decode = fn(&[u8]) -> f64;

/// Bytes of a number of a type that parameters may have, and how they become an f64, which holds all of them
/// exactly.
fn decoder(dtype: Dtype) -> Option<(usize, Decode)> {
    Some(match dtype {
        Dtype::F16 => (2, |b| f16_to_f64(u16::from_le_bytes([b[0], b[1]]))),
        // The upper half of an f32.
        Dtype::BF16 => (2, |b| f32::from_le_bytes([0, 0, b[0], b[1]]).into()),
        Dtype::F32 => (4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into()),
        Dtype::F64 => (8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
        _ => return None,
    })
}

/// An f16: a sign, five bits of exponent with a bias of 15, ten of the fraction.
fn f16_to_f64(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    let size = match bits >> 10 & 0x1F {
        0 => fraction * 2.0_f64.powi(-14),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        exponent => (1.0 + fraction) * 2.0_f64.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The nearest f32 of a parameter.
///
/// # Errors
/// What it is, where it isn't finite or f32 would make it infinite.
#[expect(clippy::cast_possible_truncation, reason = "the nearest f32 is what is asked for")]
fn narrowed(number: f64) -> Result<f32, String> {
    let narrow = number as f32;
    match (number.is_finite(), narrow.is_finite()) {
        (true, true) => Ok(narrow),
        (true, false) => Err(format!("{number:e}, which is beyond f32 (at most {:e})", f32::MAX)),
        (false, _) => Err(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::{Activation, Loss, Mlp, Optimizer, TrainOptions};

    /// A file with these tensors of ones.
    fn file(tensors: &[(&str, Dtype, &[usize])]) -> tempfile::NamedTempFile {
        let bytes = |dtype: Dtype, shape: &[usize]| {
            let count: usize = shape.iter().product();
            match dtype {
                Dtype::F32 => 1.0_f32.to_le_bytes().repeat(count),
                Dtype::F16 => half::f16::ONE.to_le_bytes().repeat(count),
                Dtype::BF16 => half::bf16::ONE.to_le_bytes().repeat(count),
                Dtype::F64 => 1.0_f64.to_le_bytes().repeat(count),
                _ => vec![0; 8 * count],
            }
        };
        let content: Vec<_> =
            tensors.iter().map(|(_, dtype, shape)| bytes(*dtype, shape)).collect();
        let views = tensors.iter().zip(&content).map(|((name, dtype, shape), bytes)| {
            (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), safetensors::serialize(views, None).unwrap()).unwrap();
        file
    }

    fn plan(mlp: &Mlp) -> Plan {
        Plan::new(mlp, &TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))).unwrap()
    }

    #[test]
    fn a_prefix_and_what_norms_count_are_taken() {
        use Dtype::{F32, I64};
        let plan = plan(&Mlp::new(3).linear(2).batch_norm());
        for prefix in ["", "net."] {
            let names =
                ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"];
            let mut tensors: Vec<(String, Dtype, &[usize])> =
                names.iter().map(|name| (format!("{prefix}{name}"), F32, &[2][..])).collect();
            tensors[0].2 = &[2, 3];
            tensors.push((format!("{prefix}1.num_batches_tracked"), I64, &[]));
            let tensors: Vec<_> = tensors.iter().map(|(n, d, s)| (n.as_str(), *d, *s)).collect();
            let arena = plan.load_state_dict(file(&tensors).path()).unwrap();
            assert!(plan.tensors().all(|t| arena[t.range()].iter().all(|&x| x == 1.0)));
        }
    }

    #[test]
    fn tensors_of_every_float_type_are_taken() {
        use Dtype::{BF16, F16, F32, F64};
        let plan = plan(&Mlp::new(3).linear(2).layer_norm());
        let types = [("0.weight", F16), ("0.bias", BF16), ("1.weight", F64), ("1.bias", F32)];
        let tensors = types.map(|(name, dtype)| {
            let shape: &[usize] = if name == "0.weight" { &[2, 3] } else { &[2] };
            (name, dtype, shape)
        });
        let arena = plan.load_state_dict(file(&tensors).path()).unwrap();
        assert!(plan.tensors().all(|t| arena[t.range()].iter().all(|&x| x == 1.0)));
    }

    /// All f16 and bf16, beside the crate `half`.
    #[test]
    fn halves_are_decoded_exactly() {
        for bits in 0..=u16::MAX {
            let decoded = |dtype| decoder(dtype).unwrap().1(&bits.to_le_bytes());
            let pairs = [
                (decoded(Dtype::F16), half::f16::from_bits(bits).to_f64()),
                (decoded(Dtype::BF16), half::bf16::from_bits(bits).to_f64()),
            ];
            for (got, want) in pairs {
                let alike = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                assert!(alike, "{bits:#06x}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn what_f32_cannot_hold_is_refused_by_name() {
        let plan = plan(&Mlp::new(1).linear(1));
        let load = |dtype: Dtype, weight: &[u8]| {
            let bias = 0.5_f32.to_le_bytes();
            let views = [
                ("0.weight", TensorView::new(dtype, vec![1, 1], weight).unwrap()),
                ("0.bias", TensorView::new(Dtype::F32, vec![1], &bias).unwrap()),
            ];
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), safetensors::serialize(views, None).unwrap()).unwrap();
            plan.load_state_dict(file.path()).map(|arena| arena[0]).map_err(|e| e.to_string())
        };
        let double = |x: f64| load(Dtype::F64, &x.to_le_bytes());
        // Rounded to the nearest, down to 0.
        assert_eq!(double(0.1), Ok(0.1));
        assert_eq!(double(-1e-60), Ok(-0.0));
        assert_eq!(double(f64::from(f32::MAX)), Ok(f32::MAX));
        let refused = |result: Result<f32, String>, why: &str| {
            let message = result.unwrap_err();
            assert!(message.contains(&format!("tensor 0.weight holds {why}")), "{message}");
        };
        refused(double(-1e39), "-1e39, which is beyond f32 (at most 3.4028235e38)");
        refused(double(f64::NAN), "NaN");
        refused(double(f64::NEG_INFINITY), "-inf");
        refused(load(Dtype::F16, &half::f16::NAN.to_le_bytes()), "NaN");
        refused(load(Dtype::F16, &half::f16::INFINITY.to_le_bytes()), "inf");
        refused(load(Dtype::BF16, &half::bf16::NAN.to_le_bytes()), "NaN");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        use Dtype::{F32, I64};
        let plan = plan(&Mlp::with_hidden(3, &[2], Activation::Tanh, 1));
        let refused = |tensors: &[(&str, Dtype, &[usize])], why: &str| {
            let message = plan.load_state_dict(file(tensors).path()).unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        };
        let whole: [(&str, Dtype, &[usize]); 4] = [
            ("0.weight", F32, &[2, 3]),
            ("0.bias", F32, &[2]),
            ("2.weight", F32, &[1, 2]),
            ("2.bias", F32, &[1]),
        ];
        assert!(plan.load_state_dict(file(&whole).path()).is_ok());
        refused(&whole[..3], "tensor 2.bias is missing (there: 0.bias, 0.weight");
        refused(&[("fc1.weight", F32, &[2, 3])], "tensor 0.weight is missing (there: fc1.weight");
        let with = |index: usize, tensor: (&'static str, Dtype, &'static [usize])| {
            let mut tensors = whole;
            tensors[index] = tensor;
            tensors
        };
        refused(
            &with(0, ("0.weight", F32, &[3, 2])),
            "0.weight is F32 [3, 2], but the net 3-2-tanh-1",
        );
        refused(
            &with(1, ("0.bias", I64, &[2])),
            "0.bias is I64 [2], but the net 3-2-tanh-1 needs [2] of F32",
        );
        let more: Vec<_> = whole.into_iter().chain([("4.bias", F32, &[1][..])]).collect();
        refused(&more, "tensor 4.bias is none of the net");
    }
}
