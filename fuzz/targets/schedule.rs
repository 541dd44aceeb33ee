//! The text of a schedule: printed and read again it is the same, and its factors are numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgrad::Schedule;
use wgrad::schedule::{Plateau, Run};

fuzz_target!(|text: &str| {
    if let Ok(plateau) = text.parse::<Plateau>() {
        assert_eq!(plateau.to_string().parse::<Plateau>().ok(), Some(plateau));
    }
    let Ok(schedule) = text.parse::<Schedule>() else { return };
    let printed = schedule.to_string();
    assert_eq!(printed.parse::<Schedule>().ok().as_ref(), Some(&schedule), "{printed}");
    for run in [Run::new(1, 1), Run::new(7, 3), Run::new(1000, 100)] {
        for step in [0, 1, 2, 10, 20, 21, 99_999, 1 << 40, u64::MAX] {
            let factor = schedule.factor(step, &run);
            assert!(factor >= 0.0, "{printed}: {factor} in step {step}");
        }
    }
});
