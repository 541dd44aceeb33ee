use super::*;
use crate::{Loss, Optimizer};

fn options(batch_size: usize) -> TrainOptions {
    TrainOptions { batch_size, ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3)) }
}

pub(super) fn plan(mlp: &Mlp, batch_size: usize) -> Result<Plan> {
    Plan::new(mlp, &options(batch_size))
}

#[test]
fn tensors_are_aligned_and_do_not_overlap() {
    let mlp = Mlp::with_hidden(3, &[65, 7], Activation::Gelu, 1);
    let plan = plan(&mlp, 16).unwrap();
    let mut end = 0;
    for tensor in plan.tensors() {
        assert_eq!(tensor.offset % TENSOR_ALIGN, 0, "{}", tensor.name);
        assert!(tensor.offset >= end, "{} overlaps", tensor.name);
        end = tensor.range().end;
    }
    assert!(plan.arena_len() >= end);
    assert_eq!(plan.parameters(), 3 * 65 + 65 + 65 * 7 + 7 + 7 + 1);
    let names: Vec<_> = plan.tensors().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]);
}

#[test]
fn the_first_linear_layer_need_not_be_the_first_layer() {
    use crate::{Encoding, Linear};
    let siren = Linear::new(8).weight_init(crate::Init::Siren { omega0: 1.0 });
    let linear = Layer::Linear(siren);
    let mlp = Mlp::new(2).encoding(Encoding::frequency(5)).layer(linear).layer(linear);
    let plan = plan(&mlp, 16).unwrap();
    let initial = plan.initial_parameters();
    let largest = |name: &str| {
        let tensor = plan.tensors().find(|tensor| tensor.name == name).unwrap();
        initial[tensor.range()].iter().fold(0.0_f32, |m, w| m.max(w.abs()))
    };
    // 1/20, and √(6/8).
    assert!((0.04..=0.05).contains(&largest("1.weight")), "{}", largest("1.weight"));
    assert!((0.7..=0.87).contains(&largest("2.weight")), "{}", largest("2.weight"));
}

#[test]
fn running_statistics_are_in_no_group() {
    use crate::{ParameterGroup, Parameters};
    let group =
        ParameterGroup { parameters: vec![Parameters::Layer(0)], lr: None, weight_decay: None };
    let options = TrainOptions { groups: vec![group], ..options(16) };
    let plan = Plan::new(&Mlp::new(3).batch_norm().linear(2), &options).unwrap();
    for tensor in plan.tensors() {
        let trained = tensor.offset < plan.trained_len();
        assert_eq!(trained, tensor.kind.is_trained(), "{}", tensor.name);
    }
    // The linear layer's tensors, then the norm's.
    assert_eq!(plan.group_ends(), [128, 256]);
}

#[test]
fn flops_count_three_products_but_for_the_first_layer() {
    let plan = plan(&Mlp::with_hidden(784, &[128], Activation::Relu, 10), 64).unwrap();
    assert_eq!(plan.flops_per_step(), 2 * 64 * (2 * 784 * 128 + 3 * 128 * 10));
}

#[test]
fn any_batch_in_parts_has_a_count_of_flops() {
    let parts = TrainOptions { micro_batch: Some(2), ..options(usize::MAX) };
    let plan = Plan::new(&Mlp::new(3).linear(2), &parts).unwrap();
    assert_eq!(plan.flops_per_step(), u64::MAX);
}

#[test]
fn sizes_that_overflow_are_errors() {
    for width in [10_000_000_usize, usize::MAX / 2, usize::MAX] {
        let mlp = Mlp::with_hidden(width, &[width], Activation::Relu, width);
        assert!(matches!(plan(&mlp, 64), Err(Error::Limit { .. })), "{width}");
    }
    let mlp = Mlp::new(1).linear(1);
    assert!(matches!(plan(&mlp, usize::MAX), Err(Error::Limit { .. })));
    assert!(matches!(plan(&mlp, 0), Err(Error::Option { name: "batch_size", .. })));
}
