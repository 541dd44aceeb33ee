//! Batch and layer norms, twins and kernels, against PyTorch.

use serde::Deserialize;

use super::norms::{Outcome, Problem};
use crate::real::Real;
use crate::testing::{assert_tracked, assert_within};
use crate::tracked::Tracked;
use crate::{BatchNorm, Layer, LayerNorm};

/// What PyTorch computes, see `make_norms.py`.
#[derive(Deserialize)]
struct Fixture {
    shapes: Vec<Shape>,
}

#[derive(Deserialize)]
struct Shape {
    rows: usize,
    features: usize,
    indices: Vec<usize>,
    columns: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    mean: f64,
    output: Numbers,
    input_gradient: Numbers,
    weight_gradient: Numbers,
    bias_gradient: Numbers,
    running_mean: Option<Numbers>,
    running_var: Option<Numbers>,
    eval_output: Option<Numbers>,
}

#[derive(Deserialize)]
struct Numbers {
    values: Vec<f64>,
}

/// Calls `check` with every quantity: its name, PyTorch's numbers, and the same elements of an
/// outcome that `got` and `bound` hold.
fn compare<G: Real, B: Real>(
    shape: &Shape,
    case: &Case,
    got: &Outcome<G>,
    bound: &Outcome<B>,
    check: impl Fn(&str, &[f64], &[G], &[B]),
) {
    let quantity = |name: &str, want: &Numbers, at: &[usize], got: &[G], bound: &[B]| {
        let got: Vec<G> = at.iter().map(|&i| got[i]).collect();
        let bound: Vec<B> = at.iter().map(|&i| bound[i]).collect();
        let what = format!("{} {}×{} {} {name}", case.kind, shape.rows, shape.features, case.mean);
        check(&what, &want.values, &got, &bound);
    };
    let (indices, columns) = (&shape.indices, &shape.columns);
    quantity("output", &case.output, indices, &got.output, &bound.output);
    let (g, b) = (&got.input_gradient, &bound.input_gradient);
    quantity("input gradient", &case.input_gradient, indices, g, b);
    let (g, b) = (&got.weight_gradient, &bound.weight_gradient);
    quantity("weight gradient", &case.weight_gradient, columns, g, b);
    let (g, b) = (&got.bias_gradient, &bound.bias_gradient);
    quantity("bias gradient", &case.bias_gradient, columns, g, b);
    if let (Some(mean), Some(var), Some(output)) =
        (&case.running_mean, &case.running_var, &case.eval_output)
    {
        quantity("running mean", mean, columns, &got.running[0], &bound.running[0]);
        quantity("running var", var, columns, &got.running[1], &bound.running[1]);
        quantity("eval output", output, indices, &got.eval_output, &bound.eval_output);
    }
}

fn each_case(run: impl Fn(&Shape, &Case, &Problem)) {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../../tests/fixtures/norms.json")).unwrap();
    assert_eq!(fixture.shapes.len(), 16, "the fixture lost shapes");
    for shape in &fixture.shapes {
        assert_eq!(shape.cases.len(), 4, "the fixture lost cases");
        for case in &shape.cases {
            let layer = match case.kind.as_str() {
                "batch" => Layer::BatchNorm(BatchNorm::default()),
                _ => Layer::LayerNorm(LayerNorm::default()),
            };
            run(shape, case, &Problem::new(layer, shape.rows, shape.features, case.mean));
        }
    }
}

/// PyTorch takes no care of large means: with one of 10⁴ its own f64 is off by 1e-9 at most.
fn exactness(case: &Case) -> f64 {
    if case.mean == 0.0 { 1e-12 } else { 1e-8 }
}

#[test]
fn norms_in_f64_are_pytorchs() {
    each_case(|shape, case, problem| {
        let got = problem.twins::<f64>();
        compare(shape, case, &got, &got, |what, want, got, _| {
            let largest = want.iter().fold(1.0_f64, |m, x| m.max(x.abs()));
            for (got, want) in got.iter().zip(want) {
                let off = (got - want).abs();
                assert!(off <= exactness(case) * largest, "{what}: {got} against {want}");
            }
        });
    });
}

#[test]
fn norms_in_f32_are_pytorchs_within_the_tracked_error() {
    each_case(|shape, case, problem| {
        let (got, bound) = (problem.twins::<f32>(), problem.twins::<Tracked>());
        compare(shape, case, &got, &bound, |what, want, got, bound| {
            assert_tracked(got, bound);
            check_bounds(what, bound);
            assert_within(got, want, |i| bound[i].error + exactness(case) * (1.0 + want[i].abs()));
        });
    });
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn norms_on_the_gpu_are_pytorchs_within_the_tracked_error() {
    each_case(|shape, case, problem| {
        let bound = problem.twins::<Tracked>();
        for got in problem.kernels() {
            compare(shape, case, &got, &bound, |_, want, got, bound| {
                assert_within(got, want, |i| {
                    bound[i].error + exactness(case) * (1.0 + want[i].abs())
                });
            });
        }
    });
}

/// A bound says something if it is small beside what a wrong formula would change.
fn check_bounds(what: &str, bound: &[Tracked]) {
    let largest = bound.iter().fold(1.0_f64, |m, x| m.max(x.value.abs()));
    for number in bound {
        assert!(
            number.error <= 0.02 * largest,
            "{what}: a bound of {:e} says nothing",
            number.error
        );
    }
}
