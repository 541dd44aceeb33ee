//! What the engines allocate is what the plan says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "an allocator is unsafe by nature; this one counts and passes on")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{gpu, learnable};
use wgrad::wgpu;
use wgrad::{
    Activation, CpuEngine, EarlyStopping, Encoding, Engine, Fusion, Gpu, GpuEngine, GpuOptions,
    Loss, Mlp, Optimizer, Plan, Precision, TrainOptions, Trainer,
};

struct Counting;

/// Bytes that are allocated now, and the most that were since this was last set.
static BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = BYTES.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(bytes, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The tests would be counted together.
static ALONE: Mutex<()> = Mutex::new(());

/// What `make` makes, the bytes that it has then, and those that it had at the most.
fn counted<R>(make: impl FnOnce() -> R) -> (R, f64, f64) {
    let before = BYTES.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let made = make();
    let grown = |counter: &AtomicUsize| (counter.load(Ordering::Relaxed) - before) as f64;
    (made, grown(&BYTES), grown(&PEAK))
}

fn assert_close(what: &str, bytes: f64, planned: u64) {
    let planned = planned as f64;
    let off = (bytes / planned - 1.0).abs();
    assert!(off <= 0.05, "{what}: {bytes} bytes, and planned are {planned}");
}

fn name(plan: &Plan) -> String {
    let TrainOptions { batch_size, precision, .. } = plan.options();
    format!("{} in batches of {batch_size}, {precision:?}", plan.mlp())
}

/// Nets of every kind of stage, with batches small and large; one with all that can be kept.
fn plans() -> Vec<(Plan, TrainOptions)> {
    let fused = Mlp::with_hidden(2, &[64, 64, 64, 64], Activation::Relu, 3);
    let wide = Mlp::with_hidden(100, &[192, 128], Activation::Gelu, 10);
    let batch_norm =
        Mlp::new(32).linear(256).batch_norm().activation(Activation::Relu).dropout(0.1);
    let layer_norm = Mlp::new(40).layer_norm().linear(100).layer_norm().linear(3);
    let encoded = Mlp::new(2).encoding(Encoding::frequency(6)).linear(64).linear(3);
    let cases = [
        (fused.clone(), 64, false),
        (fused, 4096, false),
        (wide.clone(), 16, false),
        (wide, 2000, true),
        (batch_norm.linear(4), 1024, true),
        (layer_norm, 512, false),
        (encoded.clone(), 100, true),
        (encoded, 8192, false),
        (Mlp::new(300).linear(300), 64, false),
    ];
    cases
        .into_iter()
        .flat_map(|case| [(Precision::F32, case.clone()), (Precision::Mixed, case)])
        .map(|(precision, (mlp, batch_size, keeps_all))| {
            let options = TrainOptions {
                batch_size,
                precision,
                ema: keeps_all.then_some(0.99),
                early_stopping: keeps_all.then(EarlyStopping::default),
                insight_every: keeps_all.then_some(10),
                ..TrainOptions::new(Loss::Mse, Optimizer::adam(1e-3))
            };
            (Plan::new(&mlp, &options).unwrap(), options)
        })
        .collect()
}

#[test]
fn the_cpu_engine_allocates_what_it_says() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for (plan, options) in plans() {
        let what = name(&plan);
        let planned = CpuEngine::<f32>::bytes_of(&plan);
        let clone = plan.clone();
        let (engine, bytes, _) = counted(|| CpuEngine::<f32>::new(clone));
        assert_close(&what, bytes, planned);
        let (_, bytes, _) = counted(|| CpuEngine::<f64>::new(plan.clone()));
        assert_close(&what, bytes, CpuEngine::<f64>::bytes_of(&plan));

        let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
        let data = learnable(20_000, inputs, outputs, &options.loss, 1);
        let few = learnable(8, inputs, outputs, &options.loss, 2);
        // Neither then nor on the way: a data set may be as large as the memory lets it.
        let (_trainer, bytes, peak) = counted(|| Trainer::new(engine, &data, Some(&few)).unwrap());
        assert_close(&what, bytes, plan.data_bytes(20_000));
        assert_close(&what, peak, plan.data_bytes(20_000));
    }
}

/// Bytes of the buffers that the device has of wgrad's, as its allocator knows them.
fn device_bytes() -> f64 {
    let Gpu { device, queue, .. } = gpu();
    // What was to be written by the queue is freed once it has been.
    queue.submit([]);
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let report = device.generate_allocator_report().expect("a device that tells");
    let ours = report.allocations.iter().filter(|a| a.name.starts_with("wgrad."));
    ours.map(|allocation| allocation.size as f64).sum()
}

#[test]
fn the_gpu_engine_allocates_what_it_says() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for (plan, options) in plans() {
        for fusion in [Fusion::Never, Fusion::Always] {
            let what = format!("{}, {fusion:?}", name(&plan));
            let mut gpu_options = GpuOptions::default();
            gpu_options.fusion = fusion;
            let (device, queue) = (&gpu().device, &gpu().queue);
            let before = device_bytes();
            let engine = GpuEngine::with_options(device, queue, plan.clone(), &gpu_options);
            let Ok(mut engine) = engine else { continue };
            let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
            let data = learnable(3000, inputs, outputs, &options.loss, 1);
            let data = engine.upload(&data).unwrap();
            let planned = engine.bytes() + plan.data_bytes(3000);
            assert_close(&what, device_bytes() - before, planned);
            drop((data, engine));
            assert_eq!(device_bytes(), before, "{what}: something stays");
        }
    }
}

#[test]
fn predictions_take_no_buffers_of_fused_steps() {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let suits = |(_, options): &(Plan, TrainOptions)| options.batch_size == 4096;
    let (plan, _) = plans().into_iter().find(suits).unwrap();
    let mut options = GpuOptions::default();
    options.fusion = Fusion::Always;
    let before = device_bytes();
    let engine = GpuEngine::with_options(&gpu().device, &gpu().queue, plan.clone(), &options);
    let mut engine = engine.unwrap();
    engine.predict(&[0.5; 20]).unwrap();
    let predicting = device_bytes() - before;
    let data = learnable(3000, 2, 3, &Loss::Mse, 1);
    let _data = engine.upload(&data).unwrap();
    let training = device_bytes() - before - plan.data_bytes(3000) as f64;
    assert!(predicting < 0.9 * training, "{predicting} of {training} bytes");
}
