//! Sampling.

use super::{random, to_words, word};
use crate::engine::gpu::rig::{Arg, Rig};
use crate::engine::{Part, Step};
use crate::ops::sample::{SAMPLE, SampleShape, sample, sample_rows};
use crate::ops::step::StepUniform;
use crate::sampler::{Order, Sampling};
use crate::testing::assert_within;

/// The batch must be the twin's to the bit: rows are copied, never computed with.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sample_copies_the_very_rows_of_its_twin() {
    let rig = Rig::get();
    for sampling in [Sampling::Sequential, Sampling::Shuffled, Sampling::Replacement] {
        for (rows, columns, batch, first) in
            [(1, 1, 1, 0), (5, 3, 2, 3), (100, 65, 64, 36), (1797, 2, 33, 1000)]
        {
            let order = Order::new(sampling, 0xDEAD_BEEF_0123, 7, (1 << 33) + 5);
            let step = Step { number: 1, order, ..Step::evaluation(first, batch) };
            let inputs = random(30, rows * columns);
            let shape = SampleShape::new(word(columns), 0, word(columns));
            // The whole batch at once, and in parts.
            for part in step.parts(usize::MAX).chain(step.parts(7)) {
                let taken = part.rows as usize;
                let runs = rig.run(
                    &SAMPLE,
                    &[0.0],
                    SampleShape::grid(),
                    &StepUniform::new(&step, part, word(rows), false, 0),
                    &[("shape", rig.uniform(&shape))],
                    &[
                        ("source", Arg::Read(&inputs)),
                        ("batch", Arg::Written(taken * columns)),
                        ("rows", Arg::Written(taken)),
                    ],
                );
                let (mut x, mut places) = (vec![0.0; taken * columns], vec![0; taken]);
                sample_rows(&order, word(rows), first, part.row0, &mut places);
                sample(&places, columns, &inputs, &mut x);
                for run in runs {
                    assert_eq!(run[0], x, "{sampling:?} {rows} rows, {part:?}");
                    assert_eq!(to_words(&run[1]), places, "{sampling:?} {rows} rows, {part:?}");
                }
            }
        }
    }
}

/// Rows of any format, from any number on and at any distance.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn sample_reads_every_format() {
    let rig = Rig::get();
    // Bytes that are finite numbers in all formats: no exponent of f16 or f32 is all ones.
    let bytes: Vec<u8> = (0..4 * 200_u32).map(|i| (i * 37 % 120) as u8).collect();
    let source: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    let at = |format: u32, index: usize| -> f32 {
        let word = |i: usize| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap());
        match format {
            0 => f32::from_bits(word(index)),
            1 => half(u16::from_le_bytes(bytes[2 * index..2 * index + 2].try_into().unwrap())),
            2 => f32::from(bytes[index]) / 255.0,
            3 => f32::from(bytes[index]),
            // Rounded to the nearest, as the kernel does.
            _ => word(index) as f32,
        }
    };
    for format in 0..5 {
        for (rows, columns, offset, stride) in [(1, 1, 0, 1), (7, 3, 5, 4), (3, 2, 1, 65)] {
            let step = Step::evaluation(0, rows);
            let [part] = step.parts(usize::MAX).collect::<Vec<_>>()[..] else { unreachable!() };
            let shape = SampleShape::new(columns, offset, stride);
            let taken = (rows * columns) as usize;
            let runs = rig.run(
                &SAMPLE,
                &[f64::from(format)],
                SampleShape::grid(),
                &StepUniform::new(&step, part, rows, false, 0),
                &[("shape", rig.uniform(&shape))],
                &[
                    ("source", Arg::Read(&source)),
                    ("batch", Arg::Written(taken)),
                    ("rows", Arg::Written(rows as usize)),
                ],
            );
            let want: Vec<f64> = (0..taken)
                .map(|i| {
                    let (row, k) = (i / columns as usize, i % columns as usize);
                    f64::from(at(format, offset as usize + row * stride as usize + k))
                })
                .collect();
            for run in runs {
                // A division by 255, or a product with its inverse, within 2.5 ULP and one rounding.
                let ulps = if format == 2 { 4.0 } else { 0.0 };
                assert_within(&run[0], &want, |i| ulps * f64::from(f32::EPSILON) * want[i].abs());
            }
        }
    }
}

/// The value of a finite f16.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-14),
        _ => (1.0 + fraction) * 2_f32.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[test]
fn parts_cover_a_batch() {
    let step = Step::evaluation(0, 10);
    let parts: Vec<Part> = step.parts(4).collect();
    let rows: Vec<_> = parts.iter().map(|p| (p.row0, p.rows, p.is_first, p.is_last)).collect();
    assert_eq!(rows, [(0, 4, true, false), (4, 4, false, false), (8, 2, false, true)]);
    assert_eq!(step.parts(100).count(), 1);
}
