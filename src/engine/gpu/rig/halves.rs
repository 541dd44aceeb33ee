//! A kernel on buffers of f16, beside itself on f32.

use half::f16;

use super::{Arg, Checks, POISON, Rig, Run};
use crate::engine::kernel::Halves;

/// [`POISON`] in f16.
const HALF_POISON: u16 = 0x7E5A;
/// What fills the last word of a buffer with an odd number of elements: a NaN that must stay.
const FILLER: u16 = 0x7EFD;

/// Numbers as words of two f16 each, the bits of an f32.
pub(super) fn pack(numbers: &[f32]) -> Vec<f32> {
    let half =
        |x: &f32| if x.to_bits() == POISON { HALF_POISON } else { f16::from_f32(*x).to_bits() };
    let mut halves: Vec<u16> = numbers.iter().map(half).collect();
    if !halves.len().is_multiple_of(2) {
        halves.push(FILLER);
    }
    let word = |pair: &[u16]| f32::from_bits(u32::from(pair[0]) | u32::from(pair[1]) << 16);
    halves.chunks_exact(2).map(word).collect()
}

/// So many numbers of such words.
///
/// # Panics
/// If what fills the last word was overwritten.
pub(super) fn unpack(words: &[f32], len: usize) -> Vec<f32> {
    let mut halves = words.iter().flat_map(|word| bytemuck::cast::<f32, [u16; 2]>(*word));
    let number = |half| match half {
        HALF_POISON => f32::from_bits(POISON),
        half => f16::from_bits(half).to_f32(),
    };
    let numbers = halves.by_ref().take(len).map(number).collect();
    assert!(halves.all(|half| half == FILLER), "written behind the last of {len} f16");
    numbers
}

impl Rig {
    /// Runs a kernel on buffers of f16 wherever it can have such, and on buffers of f32 with the very
    /// same numbers: the results have to be the same but for being rounded.
    ///
    /// # Panics
    /// If they aren't.
    pub(super) fn compare_halves(&self, run: &Run<'_>, args: &[(&str, Arg<'_>)]) {
        let halves = Halves::all(run.kernel);
        // No kernel is made for f16 on devices without it.
        let has_halves = self.gpu.device.features().contains(wgpu::Features::SHADER_F16);
        if halves == Halves::NONE || !has_halves {
            return;
        }
        let name = run.kernel.name;
        let is_half = |name: &str| halves.contains(super::slot_of(run.kernel, name));
        let rounded: Vec<Vec<f32>> = args
            .iter()
            .map(|(name, arg)| match arg {
                Arg::Read(content) | Arg::Updated(content) if is_half(name) => {
                    content.iter().map(|&x| f16::from_f32(x).to_f32()).collect()
                }
                Arg::Read(content) | Arg::Updated(content) => content.to_vec(),
                Arg::Written(_) => Vec::new(),
            })
            .collect();
        let args: Vec<(&str, Arg<'_>)> = args
            .iter()
            .zip(&rounded)
            .map(|((name, arg), content)| match arg {
                Arg::Read(_) => (*name, Arg::Read(content)),
                Arg::Updated(_) => (*name, Arg::Updated(content)),
                Arg::Written(len) => (*name, Arg::Written(*len)),
            })
            .collect();
        let written: Vec<&str> = args
            .iter()
            .filter(|(_, arg)| !matches!(arg, Arg::Read(_)))
            .map(|(name, _)| *name)
            .collect();
        let single = self.run_as(Checks::Off, Halves::NONE, run, &args);
        for checks in [Checks::On, Checks::Off] {
            let half = self.run_as(checks, halves, run, &args);
            for ((binding, single), half) in written.iter().zip(&single).zip(&half) {
                for (i, (&x, &y)) in single.iter().zip(half).enumerate() {
                    let same = if is_half(binding) { is_rounded(y, x) } else { is_near(y, x) };
                    assert!(
                        same,
                        "{name}, {checks:?}: {binding}[{i}] is {x:e} in f32, {y:e} in f16"
                    );
                }
            }
        }
    }
}

/// Whether `y` is what f16 makes of x, which another compilation may have rounded otherwise.
fn is_rounded(y: f32, x: f32) -> bool {
    /// Half a ULP of 1, and of the smallest normal number.
    const U: f32 = 1.0 / 2048.0;
    const SMALL: f32 = 1.0 / 33_554_432.0;
    if !x.is_finite() || x.abs() > 65504.0 {
        return x.is_nan() && y.is_nan() || !x.is_nan() && y == x.signum() * f32::INFINITY;
    }
    (y - x).abs() <= (x.abs() * U).max(SMALL) * 1.001
}

/// Whether two numbers are the same but for the rounding of a few operations.
fn is_near(y: f32, x: f32) -> bool {
    x.to_bits() == y.to_bits() || (y - x).abs() <= 4.0 * f32::EPSILON * x.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_packing() {
        for numbers in [&[1.0, -0.5, f32::INFINITY][..], &[f32::from_bits(POISON), 65504.0]] {
            let words = pack(numbers);
            assert_eq!(words.len(), numbers.len().div_ceil(2));
            let back = unpack(&words, numbers.len());
            assert!(back.iter().zip(numbers).all(|(a, b)| a.to_bits() == b.to_bits()), "{back:?}");
        }
    }

    #[test]
    #[should_panic(expected = "behind the last of 1")]
    fn a_filler_that_is_overwritten_fails() {
        unpack(&pack(&[1.0, 2.0]), 1);
    }

    #[test]
    fn a_wrong_number_is_no_rounding() {
        assert!(is_rounded(1.0, 1.0003) && !is_rounded(1.0, 1.001) && !is_rounded(f32::NAN, 1.0));
        assert!(is_rounded(0.0, 2e-8) && !is_rounded(0.0, 1e-7));
        assert!(is_rounded(f32::INFINITY, 7e4) && !is_rounded(65504.0, 7e4));
        assert!(is_rounded(f32::NAN, f32::NAN) && !is_rounded(1.0, f32::NAN));
        assert!(is_near(1.0, 1.0) && !is_near(1.0, 1.00001) && !is_near(f32::NAN, 1.0));
    }
}
