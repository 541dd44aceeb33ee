//! `--precision`: whether a device has the numbers that are asked for, and computes right with them.

use std::time::Instant;

use wgrad::check::{Check, Finding};
use wgrad::wgpu::Features;
use wgrad::{Gpu, Precision};

use super::choices::PrecisionChoice;
use super::device::Device;
use super::failure::Failure;
use super::progress::bar;
use super::talk::{Talk, count, duration};

impl Device {
    /// Refuses a precision that the device hasn't. f16 is young in drivers, so some small trainings
    /// have to come out right first.
    pub(crate) fn check_precision(
        &self,
        choice: PrecisionChoice,
        talk: Talk,
    ) -> Result<(), Failure> {
        match (self, choice) {
            (_, PrecisionChoice::F32) => Ok(()),
            (Self::Cpu, PrecisionChoice::Mixed) => Err(Failure::input(
                "--precision mixed: the CPU computes in f32 (leave it out, or give --device gpu)",
            )),
            (Self::Gpu(gpu), PrecisionChoice::Mixed) => {
                if !gpu.device.features().contains(Features::SHADER_F16) {
                    return Err(Failure::input(format!(
                        "--precision mixed: {} has no f16 (leave it out)",
                        gpu.info.name
                    )));
                }
                test_halves(gpu, talk)
            }
        }
    }
}

/// Runs the checks of mixed precision.
fn test_halves(gpu: &Gpu, talk: Talk) -> Result<(), Failure> {
    let begun = Instant::now();
    let checks = Check::all().into_iter();
    let checks: Vec<_> = checks.filter(|check| check.precision() == Precision::Mixed).collect();
    let progress = bar(talk, checks.len() as u64);
    for check in &checks {
        progress.set_message(check.name().to_owned());
        let finding = check.run(gpu)?;
        if !finding.is_sound() {
            progress.finish_and_clear();
            let Finding { worst: (ratio, what), .. } = finding;
            return Err(Failure::run(format!(
                "--precision mixed: this driver computes {what} of the check \"{}\" wrong, {ratio:.1} times \
                 as far off as rounding explains, not the same twice, or hides NaN (leave it out, or try a \
                 newer driver; `wgrad check` tells more)",
                check.name()
            )));
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let (trainings, time) =
        (count(checks.len(), "small training"), duration(begun.elapsed().as_secs_f64()));
    talk.line(format_args!("f16 checked on this device: {trainings} in {time}"));
    Ok(())
}
