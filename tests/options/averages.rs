//! Averaged weights.

use wgrad::OnDivergence;

use super::*;

/// The average is what evaluation, prediction and `parameters` see, and training doesn't.
fn evaluated<E: Engine>(make: impl Fn(Plan) -> E) {
    let data = learnable(32, 3, 1, &Loss::Mse, 4);
    let mlp = Mlp::with_hidden(3, &[8], Activation::Tanh, 1);
    let train = |ema| {
        let options = TrainOptions { ema, ..options(Loss::Mse, Optimizer::adam(0.01)) };
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut trainer = Trainer::new(make(plan), &data, Some(&data)).unwrap();
        let report = trainer.train().unwrap();
        (trainer, report.validation.unwrap().loss)
    };
    let (mut plain, plain_loss) = train(None);
    let (mut averaged, averaged_loss) = train(Some(0.95));
    let raw = averaged.engine_mut().parameters().unwrap();
    assert_eq!(plain.parameters().unwrap(), raw, "averaging changes the training");
    assert_ne!(averaged.parameters().unwrap(), raw);
    assert!(averaged_loss > plain_loss, "the average lags behind");
    let evaluated = averaged.evaluate(&data).unwrap().loss;
    assert!((evaluated - averaged_loss).abs() <= 1e-6 * averaged_loss);
    // A net that was given the average predicts the same.
    let predicted = averaged.predict(data.inputs()).unwrap();
    let average = averaged.parameters().unwrap();
    plain.engine_mut().set_parameters(&average).unwrap();
    assert_eq!(plain.predict(data.inputs()).unwrap(), predicted);
}

#[test]
fn averaged_weights_are_what_is_evaluated_on_the_cpu() {
    evaluated(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn averaged_weights_are_what_is_evaluated_on_the_gpu() {
    evaluated(gpu_engine);
}

/// After each step the average is the mean of the parameters after each step so far, weighted by dᵃ for an age
/// of a steps, with the running statistics of a batch norm. The initial parameters have no part in it, unless a
/// step leaves them as they are: one that is left out counts as any other.
fn mean_by_age<E: Engine>(make: impl Fn(Plan) -> E) {
    let mut data = learnable(24, 3, 1, &Loss::Mse, 4);
    let Targets::Values { values, .. } = data.targets() else { unreachable!() };
    // Its square overflows, so the second and the last step of each epoch are left out.
    let mut values = values.clone();
    (values[5], values[22]) = (3e38, 3e38);
    data = Dataset::new(data.inputs().to_vec(), 3, Targets::Values { values, width: 1 }).unwrap();
    let mlp = Mlp::new(3).linear(5).batch_norm().activation(Activation::Tanh).linear(1);
    let decay = 0.97_f64;
    let options = TrainOptions {
        batch_size: 4,
        epochs: 4,
        ema: Some(decay),
        sampling: Sampling::Sequential,
        on_divergence: OnDivergence::Skip { most: 3 },
        ..TrainOptions::new(Loss::Mse, Optimizer::adam(0.05))
    };
    let mut trainer = Trainer::new(make(Plan::new(&mlp, &options).unwrap()), &data, None).unwrap();
    let initial = trainer.engine_mut().parameters().unwrap();
    let mut seen: Vec<Vec<f32>> = Vec::new();
    for step in 1..=24 {
        trainer.train_steps(1, |_| ControlFlow::Continue(())).unwrap();
        seen.push(trainer.engine_mut().parameters().unwrap());
        let mut want = vec![0.0; initial.len()];
        let (mut sum, mut weight) = (0.0, 1.0);
        for parameters in seen.iter().rev() {
            want.iter_mut().zip(parameters).for_each(|(m, &w)| *m += weight * f64::from(w));
            (sum, weight) = (sum + weight, weight * decay);
        }
        want.iter_mut().for_each(|m| *m /= sum);
        // Three roundings a step of numbers that are at most twice as large as the largest, and q's.
        let roundings = f64::from(4 * step) * f64::from(f32::EPSILON);
        let largest = seen.iter().flatten().fold(0.0_f64, |m, &w| m.max(f64::from(w).abs()));
        let averaged = widen(&trainer.parameters().unwrap());
        assert_close(&format!("step {step}"), &averaged, &want, roundings * largest);
    }
    let weights = trainer.engine().plan().tensors().next().unwrap().range();
    let unchanged = |step: usize| seen[step - 1][weights.clone()] == seen[step][weights.clone()];
    assert!(unchanged(1) && unchanged(5) && !unchanged(2), "other steps were left out");
    assert_ne!(seen[0][weights.clone()], initial[weights]);
}

#[test]
fn an_average_is_the_mean_by_age_on_the_cpu() {
    mean_by_age(CpuEngine::<f32>::new);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn an_average_is_the_mean_by_age_on_the_gpu() {
    mean_by_age(gpu_engine);
}
