//! What the CPU engine allocates: everything at the start, nothing in a step.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and passes on")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use common::learnable;
use wgrad::{
    Activation, Clip, CpuEngine, Encoding, Loss, Mlp, Optimizer, Plan, TrainOptions, Trainer,
};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, since others would run beside it and be counted.
#[test]
fn a_step_allocates_nothing() {
    let lanes = Mlp::with_hidden(2, &[32, 32], Activation::Tanh, 3);
    let shared = Mlp::with_hidden(64, &[192, 128], Activation::Relu, 3);
    let normed = Mlp::new(32).linear(200).batch_norm().activation(Activation::Gelu).dropout(0.1);
    let encoded = Mlp::new(2).encoding(Encoding::frequency(6)).linear(32);
    let tiny = Mlp::new(2).linear(3);
    let nets = [
        (lanes, 1024),
        (shared, 100),
        (normed.linear(3), 200),
        (encoded.linear(3), 1024),
        (tiny, 4),
    ];
    // On a thread of the pool: coming in from outside costs the pool an allocation now and then.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for (mlp, batch_size) in nets {
        let options = TrainOptions {
            batch_size,
            clip: Some(Clip::Norm(1.0)),
            ema: Some(0.99),
            ..TrainOptions::new(Loss::CROSS_ENTROPY, Optimizer::adamw(1e-3))
        };
        let data = learnable(50 * batch_size, mlp.in_features(), 3, &options.loss, 1);
        let plan = Plan::new(&mlp, &options).unwrap();
        let mut trainer = Trainer::new(CpuEngine::<f32>::new(plan), &data, None).unwrap();
        let mut counts = Vec::with_capacity(64);
        pool.install(|| {
            trainer
                .train_epoch(|_| {
                    counts.push(ALLOCATIONS.load(Ordering::Relaxed));
                    ControlFlow::Continue(())
                })
                .unwrap();
        });
        assert_eq!(counts.len(), 50);
        assert_eq!(counts[49] - counts[16], 0, "{mlp}: {counts:?}");
    }
}
