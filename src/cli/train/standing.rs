//! How far a run has come, whatever becomes of its device: a device that goes away in the middle is
//! followed by another, which goes on from the newest snapshot with the same bits.

use std::time::{Duration, Instant};

use wgrad::{Checkpoint, Engine, Trainer};

use super::log::Log;
use crate::cli::device::Device;
use crate::cli::failure::Failure;
use crate::cli::run_folder::CHECKPOINT;

/// At most so much work is done again on another device. A snapshot is a wait for the device and a copy
/// of all arenas.
const SNAPSHOT_EVERY: Duration = Duration::from_secs(30);
/// Devices in a row that a run may lose without getting further.
const MOST_IN_VAIN: u32 = 3;

/// What outlives a device.
pub(super) struct Standing {
    /// Where the run goes on from: the file of `--resume`, then snapshots.
    pub checkpoint: Option<Checkpoint>,
    /// Whether the device may go away.
    snapshots: bool,
    /// From the moment on that the run has a folder.
    pub log: Option<Log>,
    /// When this process began the training.
    pub begun: Option<Instant>,
    /// When the newest snapshot was taken.
    taken: Instant,
    /// Devices lost since the snapshot moved on, and the steps of that.
    in_vain: (u32, u64),
    mishaps: Option<Mishaps>,
}

impl Standing {
    pub(super) fn new(checkpoint: Option<Checkpoint>, device: &Device) -> Self {
        Self {
            // The CPU doesn't go away without the program.
            snapshots: !matches!(device, Device::Cpu),
            checkpoint,
            log: None,
            begun: None,
            taken: Instant::now(),
            in_vain: (0, 0),
            mishaps: Mishaps::from_env(),
        }
    }

    /// Whether it is time for the next snapshot after so many steps.
    pub(super) fn is_due(&self, steps: u64) -> bool {
        if !self.snapshots {
            return false;
        }
        let often = self.mishaps.as_ref().is_some_and(|mishaps| steps >= mishaps.snapshot);
        often || self.taken.elapsed() >= SNAPSHOT_EVERY
    }

    /// Takes a checkpoint as the newest snapshot, where there are any.
    pub(super) fn set(&mut self, checkpoint: Checkpoint) {
        if !self.snapshots {
            return;
        }
        self.taken = Instant::now();
        if let Some(mishaps) = &mut self.mishaps {
            mishaps.snapshot = checkpoint.steps() + mishaps.every;
        }
        self.checkpoint = Some(checkpoint);
    }

    /// Takes a snapshot, where there are any.
    pub(super) fn snapshot<E: Engine>(&mut self, trainer: &mut Trainer<E>) -> Result<(), Failure> {
        if self.snapshots {
            self.set(trainer.checkpoint()?);
        }
        Ok(())
    }

    /// Takes note of a lost device; fails if that was one too many.
    pub(super) fn lost(&mut self, reason: &str) -> Result<u64, Failure> {
        let steps = self.checkpoint.as_ref().map_or(0, Checkpoint::steps);
        self.mishaps.iter_mut().for_each(|mishaps| mishaps.is_whole = true);
        let (count, at) = self.in_vain;
        self.in_vain = if at == steps { (count + 1, at) } else { (1, steps) };
        if self.in_vain.0 > MOST_IN_VAIN {
            return Err(Failure::run(format!(
                "{reason}; that was for the {}th time behind step {steps} (a smaller --batch-size or \
                 --micro-batch makes its work shorter, --device cpu does without it)",
                self.in_vain.0
            )));
        }
        Ok(steps)
    }

    /// Where there is no device to go on with: leaves the newest snapshot in the run's folder, and says so.
    pub(super) fn rescue(&self, failure: Failure) -> Failure {
        let problem = failure.message().unwrap_or_default().to_owned();
        let (Some(checkpoint), Some(log)) = (&self.checkpoint, &self.log) else {
            return Failure::run(problem);
        };
        let (steps, folder) = (checkpoint.steps(), log.folder.path().display());
        match checkpoint.save(&log.folder.file(CHECKPOINT)) {
            Ok(()) => Failure::run(format!(
                "{problem}; the training is kept up to step {steps} (to go on: wgrad train --resume \
                 {folder})"
            )),
            Err(error) => Failure::run(format!("{problem}; and {error}")),
        }
    }

    /// What a test wants to happen to the device after so many steps: never so often behind one snapshot
    /// that the run would give up.
    pub(super) fn suffer(&mut self, device: &Device, steps: u64) {
        let taken = self.checkpoint.as_ref().map_or(0, Checkpoint::steps);
        if self.in_vain == (MOST_IN_VAIN, taken) {
            return;
        }
        if let (Some(mishaps), Device::Gpu(gpu)) = (&mut self.mishaps, device) {
            if mishaps.left > 0 && mishaps.is_whole && steps >= mishaps.next {
                mishaps.next = steps + mishaps.every;
                mishaps.left -= 1;
                mishaps.is_whole = false;
                gpu.device.destroy();
            }
        }
    }
}

/// Devices that are destroyed on purpose: programs built for debugging take a number of steps from the
/// environment, destroy their device each so many steps, twenty times, and take snapshots as often.
struct Mishaps {
    every: u64,
    /// Steps from which on the next snapshot is due, and those of the next destruction.
    snapshot: u64,
    next: u64,
    left: u32,
    /// Whether the device still is.
    is_whole: bool,
}

impl Mishaps {
    fn from_env() -> Option<Self> {
        if !cfg!(debug_assertions) {
            return None;
        }
        let every = std::env::var("WGRAD_TEST_DESTROY_EVERY").ok()?.parse().ok()?;
        Some(Self { every, snapshot: every, next: every, left: 20, is_whole: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_lost_again_and_again_is_given_up() {
        let mut standing = Standing::new(None, &Device::Cpu);
        for _ in 0..3 {
            assert_eq!(standing.lost("it was lost").unwrap(), 0);
        }
        let failure = standing.lost("it was lost").unwrap_err();
        let told = failure.message().unwrap();
        assert!(told.contains("for the 4th time behind step 0 (a smaller --batch-size"), "{told}");
    }
}
