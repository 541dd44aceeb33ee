//! What holds for any net and any batch: the arithmetic of plans, and schedules as text. The cases are
//! the same in every run.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, RngSeed};
use wgrad::schedule::{Anneal, Piece, Plateau, Span};
use wgrad::{
    Activation, Encoding, Error, Loss, Mlp, Optimizer, ParameterGroup, Parameters, Plan, Schedule,
    TENSOR_ALIGN, TrainOptions,
};

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    }
}

/// A layer that isn't an encoding.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Linear(usize),
    Activation(Activation),
    BatchNorm,
    LayerNorm,
    Dropout,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (1..300_usize).prop_map(Kind::Linear),
        1 => prop_oneof![Just(Activation::Relu), Just(Activation::Gelu)].prop_map(Kind::Activation),
        1 => Just(Kind::BatchNorm),
        1 => Just(Kind::LayerNorm),
        1 => Just(Kind::Dropout),
    ]
}

/// Widths, kinds and whether the inputs are encoded; the last layer is linear.
fn net() -> impl Strategy<Value = Mlp> {
    let inputs = (1..80_usize, any::<bool>());
    (inputs, prop::collection::vec(kind(), 0..7), 1..40_usize).prop_map(
        |((inputs, encoded), kinds, outputs)| {
            let mlp = Mlp::new(inputs);
            let mlp = if encoded { mlp.encoding(Encoding::frequency(4)) } else { mlp };
            kinds
                .into_iter()
                .fold(mlp, |mlp, kind| match kind {
                    Kind::Linear(width) => mlp.linear(width),
                    Kind::Activation(activation) => mlp.activation(activation),
                    Kind::BatchNorm => mlp.batch_norm(),
                    Kind::LayerNorm => mlp.layer_norm(),
                    Kind::Dropout => mlp.dropout(0.3),
                })
                .linear(outputs)
        },
    )
}

fn options(batch_size: usize) -> TrainOptions {
    TrainOptions { batch_size, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) }
}

fn plan(mlp: &Mlp, batch_size: usize) -> Plan {
    Plan::new(mlp, &options(batch_size)).expect("a net within bounds")
}

/// The batch size that a refusal names.
fn named_batch(error: &Error) -> Option<usize> {
    let text = error.to_string();
    let (_, after) = text.split_once("a batch_size of ")?;
    after.split_once(" would fit")?.0.parse().ok()
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn tensors_are_aligned_disjoint_and_inside_the_arena(mlp in net(), batch in 1..5000_usize, grouped: bool) {
        let mut options = options(batch);
        if grouped {
            let norms = ParameterGroup::without_decay();
            let last = Parameters::Layer(mlp.layers().len() - 1);
            let last = ParameterGroup { parameters: vec![last], ..norms.clone() };
            options.groups = vec![norms, last];
        }
        let plan = Plan::new(&mlp, &options).expect("a net within bounds");
        let mut tensors: Vec<_> = plan.tensors().collect();
        tensors.sort_by_key(|tensor| tensor.offset);
        let mut end = 0;
        for tensor in &tensors {
            prop_assert!(tensor.offset.is_multiple_of(TENSOR_ALIGN), "{}", tensor.name);
            prop_assert!(tensor.offset >= end, "{} overlaps", tensor.name);
            prop_assert!(!tensor.is_empty());
            prop_assert_eq!(tensor.range().len(), tensor.shape.iter().product::<usize>());
            end = tensor.range().end;
            prop_assert_eq!(end <= plan.trained_len(), tensor.kind.is_trained(), "{}", tensor.name);
        }
        prop_assert!(end <= plan.arena_len() && plan.trained_len() <= plan.arena_len());
        // Each tensor is padded by less than an alignment.
        let elements: usize = tensors.iter().map(|tensor| tensor.len()).sum();
        prop_assert!(plan.arena_len() < elements + tensors.len() * TENSOR_ALIGN);
        let trained = tensors.iter().filter(|tensor| tensor.kind.is_trained());
        prop_assert_eq!(plan.parameters(), trained.map(|tensor| tensor.len()).sum::<usize>());
        prop_assert_eq!(plan.initial_parameters().len(), plan.arena_len());
    }

    #[test]
    fn stages_follow_one_another_and_their_buffers_hold_what_is_kept(mlp in net(), batch in 1..5000_usize) {
        let plan = plan(&mlp, batch);
        let mut columns = mlp.in_features();
        for stage in plan.stages() {
            prop_assert_eq!(stage.in_features, columns);
            columns = stage.out_features;
            for rows in [1, batch, plan.capacity()] {
                let (length, kept) = (stage.activation_len(rows), stage.kept(rows));
                prop_assert!(length >= rows * columns && kept.end <= length);
                prop_assert_eq!(kept.len(), rows * columns);
                prop_assert!(kept.start.is_multiple_of(TENSOR_ALIGN));
                prop_assert!(kept.start == 0 || kept.start >= rows * columns);
            }
            prop_assert!(columns <= plan.widest_output() && columns <= plan.widest());
        }
        prop_assert_eq!(columns, mlp.out_features());
    }

    #[test]
    fn bytes_and_flops_grow_with_widths_and_batches(
        widths in prop::collection::vec(1..400_usize, 1..5),
        wider in prop::collection::vec(0..50_usize, 5),
        batch in 1..5000_usize,
        more in 0..500_usize,
    ) {
        let net = |widths: &[usize]| Mlp::with_hidden(7, widths, Activation::Tanh, 3);
        let wide: Vec<usize> = widths.iter().zip(&wider).map(|(a, b)| a + b).collect();
        let small = plan(&net(&widths), batch);
        for large in [plan(&net(&wide), batch), plan(&net(&widths), batch + more)] {
            prop_assert!(large.flops_per_step() >= small.flops_per_step());
            prop_assert!(large.flops_per_row() >= small.flops_per_row());
            prop_assert!(large.state_bytes() >= small.state_bytes());
            prop_assert!(large.activation_bytes() >= small.activation_bytes());
            prop_assert!(large.data_bytes(batch) >= small.data_bytes(batch));
            let (large, small) = (large.required_limits(), small.required_limits());
            prop_assert!(large.max_buffer_size >= small.max_buffer_size);
        }
    }

    #[test]
    fn micro_batches_take_no_more_rows_than_they_say(batch in 1..3000_usize, micro in 1..4000_usize, rows in 1..10_000_u32) {
        let options = TrainOptions { micro_batch: Some(micro), ..options(batch) };
        let plan = Plan::new(&Mlp::new(3).linear(2), &options).expect("a net within bounds");
        let whole = Plan::new(&Mlp::new(3).linear(2), &self::options(batch)).expect("the same net");
        prop_assert!(plan.capacity() >= micro.min(batch));
        prop_assert!(plan.total_bytes() <= whole.total_bytes());
        prop_assert_eq!(plan.flops_per_step(), whole.flops_per_step());
        // The batches of an epoch hold every row once; without the last, only full ones.
        let steps = usize::try_from(options.steps_per_epoch(rows)).expect("few");
        let rows = rows as usize;
        prop_assert!(steps * batch >= rows && (steps - 1) * batch < rows);
    }

    #[test]
    fn a_refusal_by_memory_names_a_batch_that_fits(mlp in net(), batch in 1..20_000_usize, share in 1..100_u64) {
        let plan = plan(&mlp, batch);
        let available = plan.total_bytes() / 100 * share;
        prop_assert!(plan.check_memory(Plan::total_bytes, plan.total_bytes(), "memory").is_ok());
        let Err(error) = plan.check_memory(Plan::total_bytes, available, "memory") else { return Ok(()) };
        if let Some(fits) = named_batch(&error) {
            prop_assert!(fits < batch.max(plan.capacity()), "{error}");
            let fitting = self::plan(&mlp, fits);
            prop_assert!(fitting.check_memory(Plan::total_bytes, available, "memory").is_ok(), "{error}");
        }
    }

    #[test]
    fn a_refusal_by_a_device_names_a_batch_that_fits(mlp in net(), batch in 1..2_000_000_usize, binding in 20..27_u32) {
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: 1 << binding,
            ..wgpu::Limits::default()
        };
        let Ok(plan) = Plan::new(&mlp, &options(batch)) else { return Ok(()) };
        let mut refused = plan.check_limits(&limits).err();
        // A buffer is named at a time, and the next refusal may name a smaller batch.
        let mut last = batch.max(plan.capacity()) + 1;
        while let Some(fits) = refused.as_ref().and_then(named_batch) {
            prop_assert!(fits < last, "{refused:?} after {last}");
            last = fits;
            refused = self::plan(&mlp, fits).check_limits(&limits).err();
        }
        prop_assert!(refused.is_none_or(|error| error.to_string().contains("make the layers narrower")));
    }

    #[test]
    fn schedules_are_read_as_they_are_written(schedule in schedule()) {
        let text = schedule.to_string();
        prop_assert_eq!(text.parse::<Schedule>().map_err(|error| error.to_string()), Ok(schedule), "{}", text);
    }

    #[test]
    fn plateaus_are_read_as_they_are_written(
        (patience, cooldown) in (0..1000_u64, 0..1000_u64),
        (factor, threshold, floor) in (0.001..0.999, 0.0..0.999, 0.0..=1.0),
    ) {
        let plateau = Plateau { patience, cooldown, factor, threshold, floor, ..Plateau::default() };
        prop_assert_eq!(plateau.to_string().parse::<Plateau>().ok(), Some(plateau));
    }
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![
        (1..1_000_000_u64).prop_map(Span::Steps),
        (0.01..1000.0).prop_map(Span::Epochs),
        (0.01..100.0).prop_map(Span::Percent),
    ]
}

/// A schedule, and whether a length may stand behind its name.
fn curve() -> impl Strategy<Value = Schedule> {
    let (share, positive) = (0.0..=1.0, 1e-6..1e6);
    prop_oneof![
        Just(Schedule::Constant),
        (span(), positive.clone()).prop_map(|(every, factor)| Schedule::Step { every, factor }),
        (span(), positive.clone())
            .prop_map(|(every, factor)| Schedule::Exponential { factor, every }),
        (0.0..10.0, 0.0..10.0).prop_map(|(from, to)| Schedule::Linear { from, to }),
        (positive.clone(), share.clone())
            .prop_map(|(power, floor)| Schedule::Polynomial { power, floor }),
        share.clone().prop_map(|floor| Schedule::Cosine { floor }),
        (span(), 1..9_u32, share).prop_map(|(period, multiplier, floor)| {
            Schedule::CosineRestarts { period, multiplier, floor }
        }),
        span().prop_map(|reference| Schedule::InverseSqrt { reference }),
        (positive, 1.0..100.0, 1.0..1e5, any::<bool>()).prop_map(
            |(peak, div_factor, final_div_factor, linear)| Schedule::OneCycle {
                peak,
                div_factor,
                final_div_factor,
                warmup: Span::Percent(30.0),
                anneal: if linear { Anneal::Linear } else { Anneal::Cos },
            }
        ),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let piece = (curve(), span()).prop_map(|(schedule, length)| Piece { schedule, length });
    prop_oneof![curve(), prop::collection::vec(piece, 2..5).prop_map(Schedule::Sequence),]
}
