//! The peaks of the CPU, over all threads of the pool that the CPU engine computes in.

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;

use super::{Peak, Samples};
use crate::error::Result;

/// Independent chains of multiply-adds a thread: more than the latency of a unit times the units of
/// any core (4 · 2), few enough for the registers of every instruction set.
const CHAINS: usize = 12;
/// Rounds of the multiply-adds in one repetition: some 100 µs.
const ROUNDS: u64 = 20_000;
/// Elements of each of the two arrays that are copied, 128 MiB: beyond the caches.
const COPIED: usize = 1 << 25;

/// Measures for about `seconds` with vector instructions chosen as the matrix products choose
/// theirs.
///
/// # Errors
/// None; a measurement of a device has some.
pub fn cpu_peak(seconds: f64) -> Result<Peak> {
    let arch = pulp::Arch::new();
    let mut flops = 0;
    let fma = Samples::take(seconds / 2.0, f64::INFINITY, |repetitions| {
        let start = Instant::now();
        let rounds = repetitions * ROUNDS;
        let each = rayon::broadcast(|_| arch.dispatch(Fma { rounds: black_box(rounds) }));
        let took = start.elapsed().as_secs_f64();
        flops = each.into_iter().sum::<u64>() / repetitions;
        Ok(took)
    })?;
    let input = vec![1.0_f32; COPIED];
    let mut output = vec![0.0_f32; COPIED];
    let copy = Samples::take(seconds / 2.0, f64::INFINITY, |repetitions| {
        let start = Instant::now();
        for _ in 0..repetitions {
            copy_in_parallel(&input, black_box(&mut output));
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    Ok(Peak {
        flops_per_second: flops as f64 / fma.seconds,
        bytes_per_second: 2.0 * size_of_val(&*input) as f64 / copy.seconds,
        spread: fma.spread.max(copy.spread),
    })
}

fn copy_in_parallel(input: &[f32], output: &mut [f32]) {
    let part = input.len().div_ceil(rayon::current_num_threads());
    let parts = output.par_chunks_mut(part).zip(input.par_chunks(part));
    parts.for_each(|(output, input)| output.copy_from_slice(input));
}

/// y ← a·y + b on numbers that stay in registers; tells how many FLOPs that were.
struct Fma {
    rounds: u64,
}

impl pulp::WithSimd for Fma {
    type Output = u64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, simd: S) -> u64 {
        let [a, b] = [0.5, 1.0].map(|number| simd.splat_f32s(black_box(number)));
        let mut chains = [b; CHAINS];
        for _ in 0..self.rounds {
            for y in &mut chains {
                *y = simd.mul_add_e_f32s(a, *y, b);
            }
        }
        let sum = chains.into_iter().reduce(|x, y| simd.add_f32s(x, y));
        black_box(sum.map(|sum| simd.reduce_sum_f32s(sum)));
        2 * self.rounds * (CHAINS * S::F32_LANES) as u64
    }
}
