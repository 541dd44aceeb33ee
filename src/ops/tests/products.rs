//! The linear layer's three products in every form, and the sum of a gradient's slices.

use std::ops::Range;

use super::activations::{activation_error, derivative_error, lipschitz, ordered};
use super::cooperative::with_loops;
use super::{SCALING, SHAPES, from_words, magnitudes, random, to_words, widen, word};
use crate::Activation;
use crate::engine::gpu::rig::{Arg, POISON, Rig};
use crate::engine::kernel::Kernel;
use crate::engine::{Part, Step};
use crate::layer::Dropout;
use crate::matmul::{Matrix, Panels, Right, TILE_COLUMNS, TILE_ROWS};
use crate::ops::epilogue::{Draw, Epilogue};
use crate::ops::gradient_sum::{GRADIENT_SUM, SliceShape, gradient_sum};
use crate::ops::linear::{
    LINEAR_BACKWARD_INPUT, LINEAR_BACKWARD_WEIGHT, LINEAR_FORWARD, LinearShape, WeightGradient,
    linear_backward_input, linear_backward_weight, linear_forward,
};
use crate::ops::product::{Family, Form};
use crate::ops::sample::{sample, sample_rows};
use crate::ops::step::StepUniform;
use crate::plan::TENSOR_ALIGN;
use crate::sampler::{Order, Sampling};
use crate::testing::{assert_within, assert_within_f64, gamma};

/// What lies where nothing may be written.
const PADDING: f32 = 0.25;

/// Every kernel of a family that the rig's device can run, for matrices whose rows are multiples of
/// four or not. Those for matrix units have loops in place of these.
fn kernels(family: &'static Family, quads: bool) -> impl Iterator<Item = (Form, &'static Kernel)> {
    let abilities = Rig::get().abilities();
    let runs = move |form: &Form| abilities.allow(*form) || form.is_cooperative();
    let cells = if quads { &[true, false][..] } else { &[false] };
    let kernel = move |form: Form, quads| match family.kernel(form, quads) {
        kernel if form.is_cooperative() => with_loops(kernel),
        kernel => kernel,
    };
    let forms = Form::ALL.into_iter().filter(runs);
    forms.flat_map(move |form| cells.iter().map(move |&quads| (form, kernel(form, quads))))
}

/// Part of a step in training over a data set that has more rows, in an order of its own.
struct Batch {
    step: StepUniform,
    draw: Draw,
    /// All rows of the data set.
    data: Vec<f32>,
    /// Which of them the part takes.
    rows: Vec<u32>,
    /// Copies of these.
    inputs: Vec<f32>,
}

impl Batch {
    fn new(rows: usize, columns: usize) -> Self {
        let (data_rows, first, row0) = (word(rows) + 7, 3, 2);
        let order = Order::new(Sampling::Shuffled, 5, 1, 9);
        let dropout_key = Step::dropout_key(5, 9);
        let step =
            Step { number: 9, order, dropout_key, ..Step::evaluation(first, row0 + word(rows)) };
        let part = Part { row0, rows: word(rows), is_first: true, is_last: true };
        let data = random(1, data_rows as usize * columns);
        let mut taken = vec![0; rows];
        sample_rows(&order, data_rows, first, row0, &mut taken);
        let mut inputs = vec![0.0; rows * columns];
        sample(&taken, columns, &data, &mut inputs);
        Self {
            step: StepUniform::new(&step, part, data_rows, false, 0),
            draw: Draw { key: dropout_key, row0 },
            data,
            rows: taken,
            inputs,
        }
    }
}

/// SiLU, whose derivative needs Z, with half of its results dropped and the others doubled.
const HALVED: Epilogue =
    Epilogue { activation: Activation::Silu, dropout: Some((4, Dropout { rate: 0.5 })) };
const PLAIN: Epilogue = Epilogue { activation: Activation::Identity, dropout: None };

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn linear_forward_matches_its_twin_in_every_form() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in SHAPES {
        let shape = LinearShape::new(inputs, outputs, [0; 2]);
        let batch = Batch::new(rows, inputs);
        let (w, b) = (random(2, outputs * inputs), random(3, outputs));
        let len = rows * outputs;
        let twin = |epilogue: &Epilogue, x: &[f64], w: &[f64], b: &[f64]| {
            let (mut y, mut z) = (vec![0.0; len], vec![0.0; len]);
            let w = ordered(w, outputs);
            linear_forward(epilogue, Some(&batch.draw), x, &w, b, &mut y, &mut z);
            [y, z]
        };
        let [want, z] = twin(&HALVED, &widen(&batch.inputs), &widen(&w), &widen(&b));
        // Fed magnitudes, the twin computes what rounding errors scale with (Higham, ch. 3).
        let [size, _] = twin(&PLAIN, &magnitudes(&batch.inputs), &magnitudes(&w), &magnitudes(&b));
        let z_error = |i: usize| gamma(inputs + 1) * size[i];
        let y_error = |i: usize| {
            let silu = HALVED.activation;
            2.0 * (lipschitz(silu) * z_error(i) + activation_error(silu, z[i]))
        };
        let offset = (len + 1).next_multiple_of(TENSOR_ALIGN);
        let mut y_and_z = vec![f32::from_bits(POISON); offset + len];
        y_and_z[len..offset].fill(PADDING);
        for (form, kernel) in kernels(&LINEAR_FORWARD, shape.in_quads()) {
            for gathered in [false, true] {
                // The gathering variant without an epilogue, which shows Z alone.
                let epilogue = if gathered { PLAIN } else { HALVED };
                let [activation, dropout] = epilogue.choices();
                let uniform = epilogue.uniform(offset);
                println!("{} of {rows} × {inputs} × {outputs}", kernel.name);
                let runs = rig.run(
                    kernel,
                    &[activation, dropout, f64::from(u8::from(gathered))],
                    shape.forward_grid(form),
                    &batch.step,
                    &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&uniform))],
                    &[
                        ("input", Arg::Read(if gathered { &batch.data } else { &batch.inputs })),
                        ("weight", Arg::Read(&w)),
                        ("bias", Arg::Read(&b)),
                        (
                            "output",
                            if gathered { Arg::Written(len) } else { Arg::Updated(&y_and_z) },
                        ),
                        (
                            "rows_of_data",
                            if gathered { Arg::Written(rows) } else { Arg::Updated(&[PADDING]) },
                        ),
                    ],
                );
                for [output, rows_of_data] in runs.each_ref().map(|run| [&run[0], &run[1]]) {
                    if gathered {
                        assert_within(output, &z, z_error);
                        assert_eq!(to_words(rows_of_data), batch.rows, "{}", kernel.name);
                    } else {
                        assert_within(&output[..len], &want, y_error);
                        assert!(output[len..offset].iter().all(|&x| x == PADDING), "padding");
                        assert_within(&output[offset..], &z, z_error);
                        assert_eq!(rows_of_data[..], [PADDING], "{}", kernel.name);
                    }
                }
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn linear_backward_input_matches_its_twin_in_every_form() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in SHAPES {
        let shape = LinearShape::new(inputs, outputs, [0; 2]);
        let Batch { step, draw, .. } = Batch::new(rows, inputs);
        let (dz, w) = (random(4, rows * outputs), random(5, outputs * inputs));
        let kept: Vec<f32> = random(6, rows * inputs).iter().map(|z| 3.0 * z).collect();
        let twin = |epilogue: &Epilogue, dz: &[f64], w: &[f64]| {
            let mut dx = vec![0.0; rows * inputs];
            let (w, kept) = (ordered(w, outputs), widen(&kept));
            linear_backward_input(epilogue, Some(&draw), dz, &w, &kept, &mut dx);
            dx
        };
        let want = twin(&HALVED, &widen(&dz), &widen(&w));
        let sum = twin(&PLAIN, &widen(&dz), &widen(&w));
        let size = twin(&PLAIN, &magnitudes(&dz), &magnitudes(&w));
        let bound = |i: usize| {
            let (silu, z) = (HALVED.activation, f64::from(kept[i]));
            let error = derivative_error(silu, z);
            let of_sum = gamma(outputs + 1) * size[i] * (silu.derivative(z).abs() + error);
            2.0 * (of_sum + sum[i].abs() * error)
        };
        for (form, kernel) in kernels(&LINEAR_BACKWARD_INPUT, shape.all_quads()) {
            println!("{} of {rows} × {inputs} × {outputs}", kernel.name);
            let runs = rig.run(
                kernel,
                &HALVED.choices(),
                shape.backward_input_grid(form),
                &step,
                &[("shape", rig.uniform(&shape)), ("epilogue", rig.uniform(&HALVED.uniform(0)))],
                &[
                    ("gradient_output", Arg::Read(&dz)),
                    ("weight", Arg::Read(&w)),
                    ("kept", Arg::Read(&kept)),
                    ("gradient_input", Arg::Written(rows * inputs)),
                ],
            );
            for run in runs {
                assert_within(&run[0], &want, bound);
            }
        }
    }
}

/// Where a weight's and a bias's gradient lie, in each slice.
fn places(shape: &LinearShape) -> Vec<[Range<usize>; 2]> {
    let place = |slice: u32| {
        let range = |at: u32, len: u32| {
            let start = (slice * shape.slice_stride + at) as usize;
            start..start + len as usize
        };
        let weight = range(shape.weight_at, shape.out_features * shape.in_features);
        [weight, range(shape.bias_at, shape.out_features)]
    };
    (0..shape.slices).map(place).collect()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn linear_backward_weight_matches_its_twin_in_every_form() {
    let rig = Rig::get();
    for (rows, inputs, outputs) in SHAPES {
        let batch = Batch::new(rows, inputs);
        let dz = random(7, rows * outputs);
        // Somewhere in an arena, and in slices, of which small batches leave some empty.
        let bias_at = (TENSOR_ALIGN + outputs * inputs).next_multiple_of(TENSOR_ALIGN);
        let whole = LinearShape::new(inputs, outputs, [TENSOR_ALIGN, bias_at]);
        let slices = whole.sliced(3, word(TENSOR_ALIGN));
        for (shape, accumulate) in [(whole, false), (whole, true), (slices, false), (slices, true)]
        {
            let places = places(&shape);
            let end = places.iter().flatten().map(|range| range.end).max().unwrap();
            // Numbers where the gradient is added to, poison where it is written.
            let mut before = vec![PADDING; end.next_multiple_of(TENSOR_ALIGN) + 4];
            for (range, stream) in places.iter().flatten().zip(10..) {
                let numbers = random(stream, range.len());
                let poison = || vec![f32::from_bits(POISON); range.len()];
                before[range.clone()].copy_from_slice(&if accumulate { numbers } else { poison() });
            }
            // The sum over the slices, of what an arena holds.
            let total = |arena: &[f64]| {
                [0, 1].map(|tensor| {
                    let mut sum = vec![0.0; places[0][tensor].len()];
                    for place in &places {
                        let slice = &arena[place[tensor].clone()];
                        sum.iter_mut().zip(slice).for_each(|(sum, x)| *sum += x);
                    }
                    sum
                })
            };
            let twin = |dz: &[f64], x: &[f64], before: &[f64]| {
                let [mut dw, mut db] = total(before);
                let mut storage = vec![[0.0; TILE_COLUMNS]; Right::<f64>::len(rows, inputs)];
                let input = Panels::pack(Matrix::new(x, inputs), &mut storage);
                let panels = &mut vec![[0.0; TILE_ROWS]; outputs.div_ceil(TILE_ROWS) * rows];
                let gradient = WeightGradient { first: 0, weight: &mut dw, bias: &mut db, panels };
                linear_backward_weight(accumulate, dz, outputs, input, gradient);
                [dw, db]
            };
            // Gradients aren't scaled, though dZ is: by a power of two, so without a rounding.
            let dz_is =
                |dz: Vec<f64>| dz.iter().map(|dz| dz * f64::from(SCALING[1])).collect::<Vec<_>>();
            let (signed, size) = (dz_is(widen(&dz)), dz_is(magnitudes(&dz)));
            let want = twin(&signed, &widen(&batch.inputs), &widen(&before));
            let size = twin(&size, &magnitudes(&batch.inputs), &magnitudes(&before));
            let step = StepUniform { accumulate: u32::from(accumulate), ..batch.step };
            for (form, kernel) in kernels(&LINEAR_BACKWARD_WEIGHT, shape.all_quads()) {
                for (gathered, adds) in [(false, true), (true, accumulate)] {
                    let rows_of_data = from_words(if gathered { &batch.rows } else { &[0] });
                    println!("{} of {rows} × {inputs} × {outputs}", kernel.name);
                    let runs = rig.run(
                        kernel,
                        &[gathered, adds].map(|choice| f64::from(u8::from(choice))),
                        shape.backward_weight_grid(form),
                        &step,
                        &[("shape", rig.uniform(&shape))],
                        &[
                            ("gradient_output", Arg::Read(&dz)),
                            (
                                "input",
                                Arg::Read(if gathered { &batch.data } else { &batch.inputs }),
                            ),
                            ("gradient", Arg::Updated(&before)),
                            ("rows_of_data", Arg::Read(&rows_of_data)),
                            ("scaling", Arg::Read(&SCALING)),
                        ],
                    );
                    for mut run in runs {
                        let got = total(&widen(&run[0]));
                        for tensor in [0, 1] {
                            // Each slice is off by γ of its own terms at most, and these add up.
                            assert_within_f64(&got[tensor], &want[tensor], |i| {
                                gamma(rows + 1) * size[tensor][i]
                            });
                        }
                        places.iter().flatten().for_each(|r| run[0][r.clone()].fill(PADDING));
                        let untouched = run[0].iter().all(|&x| x == PADDING);
                        assert!(untouched, "{} wrote beside the gradient", kernel.name);
                    }
                }
            }
        }
    }
}

/// To the bit: sums of two numbers are rounded as IEEE 754 says, and their order is the twin's.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn gradient_sum_is_its_twin() {
    let rig = Rig::get();
    for (slices, len) in [(1, 4), (2, 28), (3, 32), (5, 36), (17, 260), (256, 64)] {
        let partials = random(12, slices * len);
        let shape = SliceShape::new(word(slices), word(len));
        let runs = rig.run(
            &GRADIENT_SUM,
            &[],
            shape.grid(),
            &StepUniform::default(),
            &[("shape", rig.uniform(&shape))],
            &[("partials", Arg::Read(&partials)), ("gradients", Arg::Written(len))],
        );
        let mut want = vec![0.0; len];
        gradient_sum(&partials, &mut want);
        for run in runs {
            assert_eq!(run[0], want, "{slices} slices of {len}");
        }
    }
}
