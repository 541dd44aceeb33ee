//! A safetensors file as the parameters of a net: refused, or finite numbers in its arena.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wgrad::{Loss, Mlp, Optimizer, Plan, TrainOptions};

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let options = TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3));
    Plan::new(&Mlp::new(3).linear(2).batch_norm().linear(1), &options).expect("a small net")
});

fuzz_target!(|bytes: &[u8]| {
    wgrad_fuzz::with_file(bytes, |path| {
        let Ok(arena) = PLAN.load_state_dict(path) else { return };
        assert_eq!(arena.len(), PLAN.arena_len());
        assert!(arena.iter().all(|x| x.is_finite()));
    });
});
