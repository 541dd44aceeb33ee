//! A checkpoint, or the description inside one (what begins with `{`) around the arenas of a net 2-1
//! with Adam: what is read is written and read the same again, and a training goes on from it or refuses.
#![no_main]

use std::borrow::Cow;
use std::fs;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use wgrad::data::{Dataset, Targets};
use wgrad::{Checkpoint, CpuEngine, Plan, Trainer};
use wgrad_fuzz::{safetensors, with_file};

const ARENAS: [(&str, &[usize]); 4] = [
    ("parameters", &[128]),
    ("moment1", &[128]),
    ("moment2", &[128]),
    ("last_good.parameters", &[128]),
];
/// Rows of the training that the seeds are of.
const ROWS: usize = 5;

fuzz_target!(|bytes: &[u8]| {
    let bytes = match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('{') => {
            Cow::Owned(safetensors(&ARENAS, "wgrad_checkpoint", text))
        }
        _ => Cow::Borrowed(bytes),
    };
    with_file(&bytes, |path| {
        let Ok(checkpoint) = Checkpoint::load(path) else { return };
        checkpoint.save(path).expect("what is read can be written");
        let written = fs::read(path).expect("written");
        let again = Checkpoint::load(path).expect("what is written can be read");
        // By their bytes, since NaN isn't equal to itself.
        again.save(path).expect("written before");
        assert_eq!(fs::read(path).expect("written"), written);
        go_on(&again);
    });
});

fn go_on(checkpoint: &Checkpoint) {
    let plan = Plan::new(checkpoint.mlp(), checkpoint.options()).expect("planned when it was read");
    let (inputs, outputs) = (plan.mlp().in_features(), plan.mlp().out_features());
    if plan.total_bytes() > 1 << 20 {
        return;
    }
    let values = vec![0.5; ROWS * outputs];
    let targets = Targets::Values { values, width: outputs };
    let data = Dataset::new(vec![0.25; ROWS * inputs], inputs, targets).expect("rows of numbers");
    let Ok(mut trainer) = Trainer::new(CpuEngine::<f32>::new(plan), &data, Some(&data)) else {
        return;
    };
    if trainer.resume(checkpoint).is_ok() {
        assert_eq!(trainer.steps(), checkpoint.steps());
        // Numbers of any size may overflow, which is an error.
        drop(trainer.train_steps(1, |_| ControlFlow::Continue(())));
        drop(trainer.checkpoint().expect("a training's state"));
    }
}
