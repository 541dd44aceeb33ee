//! Universal approximation (Cybenko 1989): g(x) = A + Σ vᵢ σ(wᵢᵀx + bᵢ) comes as close as one likes
//! to a continuous function; and what of that gradient descent finds.

use wgrad::data::{Dataset, Targets};
use wgrad::rng::{Purpose, Stream};
use wgrad::{
    Activation, CpuEngine, Engine as _, Loss, Mlp, Optimizer, Plan, Schedule, TrainOptions, Trainer,
};

use super::study::{Study, Table};
use crate::cli::failure::Failure;
use crate::cli::figure::{Axis, Figure, Line, Panel};
use crate::cli::talk::significant;

const WIDTHS: [usize; 9] = [2, 4, 8, 16, 32, 64, 128, 256, 512];
/// Widths whose fitted curves are drawn.
const DRAWN: [usize; 3] = [4, 16, 128];
/// Points along each axis on which the largest error is sought.
const DENSE: [usize; 2] = [1001, 65];
/// Points along each axis that training sees.
const TRAINED: [usize; 2] = [256, 24];
const STEPS: u64 = 3000;
const BATCH: usize = 64;

/// A continuous function on [0, 1] or on [0, 1]².
struct Function {
    name: &'static str,
    dimensions: usize,
    f: fn(&[f32]) -> f32,
}

const FUNCTIONS: [Function; 4] = [
    Function { name: "wave", dimensions: 1, f: |x| (2.0 * std::f32::consts::PI * x[0]).sin() },
    Function { name: "kink", dimensions: 1, f: |x| (2.0 * (x[0] - 0.4)).abs() },
    Function { name: "steep", dimensions: 1, f: |x| (20.0 * (x[0] - 0.6)).tanh() },
    Function {
        name: "bump (2-D)",
        dimensions: 2,
        f: |x| (-8.0 * ((x[0] - 0.5).powi(2) + (x[1] - 0.5).powi(2))).exp(),
    },
];

/// The largest errors of nets with n hidden units on a dense grid.
struct Fit {
    function: &'static Function,
    /// By width: of weights that were written down.
    built: Vec<f64>,
    /// By width: of weights that Adam found.
    found: Vec<f64>,
    /// Curves of the drawn widths, on functions of one variable.
    curves: Vec<Vec<(f64, f64)>>,
}

/// Points of a grid on the unit interval or square, rows × dimensions.
#[expect(clippy::cast_precision_loss, reason = "small")]
fn grid(dimensions: usize, side: usize) -> Vec<f32> {
    let coordinate = |i: usize| i as f32 / (side - 1) as f32;
    let points = side.pow(u32::try_from(dimensions).unwrap_or(1));
    (0..points)
        .flat_map(|p| {
            (0..dimensions).map(move |d| coordinate(p / side.pow(u32::from(d == 1)) % side))
        })
        .collect()
}

impl Function {
    fn values(&self, points: &[f32]) -> Vec<f32> {
        points.chunks_exact(self.dimensions).map(self.f).collect()
    }

    fn dense(&self) -> Vec<f32> {
        grid(self.dimensions, DENSE[self.dimensions - 1])
    }

    /// sup |f − g| on the dense grid.
    fn error(&self, engine: &mut CpuEngine<f32>) -> Result<f64, Failure> {
        let points = self.dense();
        let predicted = engine.predict(&points)?;
        let errors = predicted.iter().zip(self.values(&points));
        Ok(errors.fold(0.0, |most, (p, f)| most.max(f64::from((p - f).abs()))))
    }

    /// A net whose weights are written down. In one dimension a staircase of n steep sigmoids, each
    /// adding what f gains from one knot to the next; its error is that of f between knots. In two,
    /// n random sigmoids with the outer weights of least squares.
    fn build(&self, n: usize) -> Result<CpuEngine<f32>, Failure> {
        let mlp = Mlp::with_hidden(self.dimensions, &[n], Activation::Sigmoid, 1);
        let plan = Plan::new(&mlp, &TrainOptions::new(Loss::Mse, Optimizer::sgd(1.0)))?;
        let (w, b, v, a) =
            if self.dimensions == 1 { self.staircase(n) } else { self.random_features(n) };
        let mut arena = vec![0.0; plan.arena_len()];
        for (tensor, values) in plan.tensors().zip([w, b, v, vec![a]]) {
            arena[tensor.range()].copy_from_slice(&values);
        }
        let mut engine = CpuEngine::<f32>::new(plan);
        engine.set_parameters(&arena)?;
        Ok(engine)
    }

    /// (w, b, v, A): f(x₀) + Σ (f(xᵢ) − f(xᵢ₋₁))·σ(k(x − mᵢ)) with knots xᵢ = i/n and mᵢ between them.
    #[expect(clippy::cast_precision_loss, reason = "small")]
    fn staircase(&self, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>, f32) {
        let f = |i: usize| (self.f)(&[i as f32 / n as f32]);
        // As steep as the knots are close: the steps blend into each other.
        let k = 4.0 * n as f32;
        let middle = |i: usize| (i as f32 - 0.5) / n as f32;
        let b = (1..=n).map(|i| -k * middle(i)).collect();
        let v = (1..=n).map(|i| f(i) - f(i - 1)).collect();
        (vec![k; n], b, v, f(0))
    }

    /// (w, b) of sigmoids that bend at random points of the domain, in random directions.
    #[expect(clippy::cast_possible_truncation, reason = "models are in f32")]
    fn random_sigmoids(&self, n: usize) -> (Vec<f32>, Vec<f32>) {
        let mut stream = Stream::new(1, Purpose::Synthetic, 0);
        let w: Vec<f32> =
            (0..n * self.dimensions).map(|_| (6.0 * stream.normal()) as f32).collect();
        let bias = |w: &[f32]| -w.iter().map(|w| w * stream.uniform() as f32).sum::<f32>();
        let b = w.chunks_exact(self.dimensions).map(bias).collect();
        (w, b)
    }

    /// (w, b, v, A): random w and b, and v and A by least squares on the training grid.
    #[expect(clippy::cast_possible_truncation, reason = "models are in f32")]
    fn random_features(&self, n: usize) -> (Vec<f32>, Vec<f32>, Vec<f32>, f32) {
        let (w, b) = self.random_sigmoids(n);
        let points = grid(2, TRAINED[1]);
        let features: Vec<Vec<f64>> = points
            .chunks_exact(2)
            .map(|x| {
                let sigmoid = |(w, b): (&[f32], &f32)| {
                    1.0 / (1.0 + (-f64::from(w[0] * x[0] + w[1] * x[1] + b)).exp())
                };
                w.chunks_exact(2).zip(&b).map(sigmoid).chain([1.0]).collect()
            })
            .collect();
        let targets: Vec<f64> = self.values(&points).iter().map(|&f| f64::from(f)).collect();
        let mut solution = least_squares(&features, &targets);
        let a = solution.pop().unwrap_or(0.0);
        (w, b, solution.iter().map(|&v| v as f32).collect(), a as f32)
    }

    /// A net whose weights Adam finds.
    fn find(&self, n: usize) -> Result<CpuEngine<f32>, Failure> {
        let points = grid(self.dimensions, TRAINED[self.dimensions - 1]);
        let targets = Targets::Values { values: self.values(&points), width: 1 };
        let data = Dataset::new(points, self.dimensions, targets)?;
        let mlp = Mlp::with_hidden(self.dimensions, &[n], Activation::Sigmoid, 1);
        let per_epoch = data.rows().div_ceil(BATCH) as u64;
        let options = TrainOptions {
            batch_size: BATCH,
            epochs: STEPS.div_ceil(per_epoch),
            schedule: Schedule::Cosine { floor: 0.0 },
            seed: 3,
            ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.02))
        };
        let plan = Plan::new(&mlp, &options)?;
        let mut start = plan.initial_parameters();
        // Bends all over the domain: PyTorch's first weights would leave them nearly straight.
        let (w, b) = self.random_sigmoids(n);
        for (tensor, values) in plan.tensors().zip([w, b]) {
            start[tensor.range()].copy_from_slice(&values);
        }
        let mut engine = CpuEngine::<f32>::new(plan);
        engine.set_parameters(&start)?;
        let mut trainer = Trainer::new(engine, &data, None)?;
        trainer.train()?;
        let parameters = trainer.parameters()?;
        let mut engine = CpuEngine::<f32>::new(trainer.engine().plan().clone());
        engine.set_parameters(&parameters)?;
        Ok(engine)
    }
}

/// The x that makes |F·x − t|² + ε|x|² least: `(FᵀF + εI) x = Fᵀt` by Cholesky's decomposition. The
/// little ε keeps nearly equal features apart.
fn least_squares(features: &[Vec<f64>], targets: &[f64]) -> Vec<f64> {
    let n = features[0].len();
    let mut matrix = vec![vec![0.0; n]; n];
    let mut right = vec![0.0; n];
    for (row, target) in features.iter().zip(targets) {
        for i in 0..n {
            right[i] += row[i] * target;
            for j in 0..=i {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    // L with L·Lᵀ = the matrix, in its place.
    for i in 0..n {
        matrix[i][i] += 1e-9;
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i][k] * matrix[j][k]).sum();
            let rest = matrix[i][j] - dot;
            matrix[i][j] = if i == j { rest.max(1e-12).sqrt() } else { rest / matrix[j][j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| matrix[i][k] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i][i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| matrix[k][i] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i][i];
    }
    right
}

fn measure(widths: &[usize]) -> Result<Vec<Fit>, Failure> {
    let fit = |function: &'static Function| {
        let mut fit = Fit { function, built: Vec::new(), found: Vec::new(), curves: Vec::new() };
        for &n in widths {
            fit.built.push(function.error(&mut function.build(n)?)?);
            let mut found = function.find(n)?;
            fit.found.push(function.error(&mut found)?);
            if function.dimensions == 1 && DRAWN.contains(&n) {
                let points = function.dense();
                let values = found.predict(&points)?;
                let pairs = points.iter().zip(values);
                fit.curves.push(pairs.map(|(&x, y)| (f64::from(x), f64::from(y))).collect());
            }
        }
        Ok(fit)
    };
    FUNCTIONS.iter().map(fit).collect()
}

pub(super) fn study() -> Result<Study, Failure> {
    let fits = measure(&WIDTHS)?;
    let mut table = Table::new(&["sup |f − g|, n ="]);
    // Every other width: the picture has all.
    table.head.extend(WIDTHS.iter().step_by(2).map(ToString::to_string));
    for Fit { function, built, found, .. } in &fits {
        let cells = |name: &str, errors: &[f64]| {
            let numbers = errors.iter().step_by(2).map(|&e| significant(e));
            std::iter::once(format!("{}, {name}", function.name)).chain(numbers).collect::<Vec<_>>()
        };
        table.row(cells("built", built));
        table.row(cells("found", found));
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let by_width = |errors: &[f64]| -> Vec<(f64, f64)> {
        WIDTHS.iter().map(|&n| n as f64).zip(errors.iter().copied()).collect()
    };
    let errors = |title: &str, of: fn(&Fit) -> &[f64]| Panel {
        title: title.to_owned(),
        x: Axis::log("hidden units n"),
        y: Axis::log("largest error"),
        lines: fits
            .iter()
            .enumerate()
            .map(|(color, fit)| Line::new(fit.function.name, color, by_width(of(fit))))
            .collect(),
    };
    let mut panels = vec![
        errors("weights written down: it exists", |fit| &fit.built),
        errors("weights found by Adam in 3,000 steps", |fit| &fit.found),
    ];
    for fit in fits.iter().filter(|fit| fit.function.dimensions == 1).take(2) {
        let points = fit.function.dense();
        let values = fit.function.values(&points);
        let truth = points.iter().zip(values).map(|(&x, y)| (f64::from(x), f64::from(y)));
        let mut lines = vec![Line::new("f", 6, truth).thin()];
        lines.extend(fit.curves.iter().zip(DRAWN).enumerate().map(|(color, (curve, n))| {
            Line::new(format!("n = {n}"), color, curve.iter().copied())
        }));
        panels.push(Panel {
            title: format!("{}, found", fit.function.name),
            x: Axis::linear("x"),
            y: Axis::linear("g(x)"),
            lines,
        });
    }
    let mean_gap: f64 = fits
        .iter()
        .map(|fit| (fit.found[WIDTHS.len() - 1] / fit.built[WIDTHS.len() - 1]).log10())
        .sum::<f64>()
        / FUNCTIONS.len() as f64;
    let note = format!(
        "The theorem holds: whatever the function, enough sigmoids bring the largest error down, \
         the staircase's in proportion to 1/n. That weights exist doesn't mean that gradient \
         descent finds them: from some width on Adam's error no longer falls as that of the \
         weights written down. At n = 512 it is {} times theirs in the geometric mean.",
        significant(10_f64.powf(mean_gap))
    );
    let title = "Universal approximation by A + Σ vᵢ σ(wᵢᵀx + bᵢ)".to_owned();
    Ok(Study { table, note, figure: Figure { title, panels } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_units_come_closer_and_descent_falls_behind() {
        let fits = measure(&[4, 32, 512]).unwrap();
        for Fit { function, built, found, .. } in &fits {
            let name = function.name;
            assert!(built[1] < 0.4 * built[0], "{name}: {built:?}");
            assert!(built[2] < 0.15 * built[1], "{name}: {built:?}");
            assert!(found[1] < 0.7 * found[0], "{name}: {found:?}");
        }
        let behind = fits.iter().filter(|fit| fit.found[2] > 2.0 * fit.built[2]).count();
        assert!(behind >= 2, "gradient descent found what was built");
    }

    #[test]
    fn least_squares_solves_what_can_be_solved() {
        let features = [vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, 2.0]];
        let solution = least_squares(&features, &[1.0, 3.0, 5.0]);
        assert!((solution[0] - 1.0).abs() < 1e-6 && (solution[1] - 2.0).abs() < 1e-6);
    }
}
