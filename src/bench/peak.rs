//! What a device can do at most, as measured, and what that leaves to a kernel: the roofline
//! (Williams, Waterman and Patterson 2009).

use super::Work;

/// Measured peaks of a device.
///
/// ```
/// use wgrad::bench::{Peak, Work};
/// let peak = Peak { flops_per_second: 8e12, bytes_per_second: 400e9, spread: 0.0 };
/// assert_eq!(peak.ridge(), 20.0);
/// // Below the ridge memory decides: 1 GB takes 2.5 ms, whatever is computed of it.
/// let work = Work { flops: 1_000_000_000, bytes: 1_000_000_000 };
/// assert_eq!(peak.seconds(work), 2.5e-3);
/// assert_eq!(peak.attainable(work.intensity()), 400e9);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// FLOPs a second, two for a fused multiply-add, in f32 and in registers.
    pub flops_per_second: f64,
    /// Bytes a second of a copy larger than the caches, read and written ones.
    pub bytes_per_second: f64,
    /// The slowest sample minus the fastest as a share of the median, of the one that scatters more.
    pub spread: f64,
}

impl Peak {
    /// The least time that work takes: that of its arithmetic or of its memory traffic.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    pub fn seconds(&self, work: Work) -> f64 {
        let arithmetic = work.flops as f64 / self.flops_per_second;
        arithmetic.max(work.bytes as f64 / self.bytes_per_second)
    }

    /// FLOPs a second that work of this intensity, in FLOPs a byte, can reach.
    #[must_use]
    pub fn attainable(&self, intensity: f64) -> f64 {
        self.flops_per_second.min(intensity * self.bytes_per_second)
    }

    /// The intensity from which on arithmetic decides, in FLOPs a byte.
    #[must_use]
    pub fn ridge(&self) -> f64 {
        self.flops_per_second / self.bytes_per_second
    }
}
