//! How long a pass takes: by the device's own clock where it has one.

use std::time::Instant;

use super::flights::poll;
use super::readback::download;
use super::scope::in_scope;
use crate::error::Result;

/// Times passes of one device.
#[derive(Debug)]
pub(crate) struct PassTimer {
    device: wgpu::Device,
    queue: wgpu::Queue,
    clock: Option<Clock>,
}

/// The timestamps of passes, on their way to the host. They share a query set, of which Metal has few.
#[derive(Debug)]
pub(crate) struct Clock {
    queries: wgpu::QuerySet,
    /// The two timestamps of each pass from [`resolved_at`](Self::resolved_at) on, in ticks, as numbers of
    /// 64 bits.
    pub resolved: wgpu::Buffer,
    /// Seconds of a tick.
    tick: f64,
}

/// Bytes of the two timestamps of a pass.
pub(crate) const TIMESTAMPS: u64 = 2 * wgpu::QUERY_SIZE as u64;

impl Clock {
    /// The device's own clock for `passes` passes at the same time, if it was opened with timestamps.
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue, passes: u32) -> Option<Self> {
        device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| Self {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("wgrad.timer"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * passes,
            }),
            resolved: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgrad.timer"),
                size: Self::resolved_at(passes - 1) + TIMESTAMPS,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            tick: 1e-9 * f64::from(queue.get_timestamp_period()),
        })
    }

    /// Where in `resolved` the timestamps of a pass are, in bytes.
    pub(crate) const fn resolved_at(pass: u32) -> u64 {
        pass as u64 * wgpu::QUERY_RESOLVE_BUFFER_ALIGNMENT
    }

    /// Where a pass leaves its timestamps.
    pub(crate) fn writes(&self, pass: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * pass),
            end_of_pass_write_index: Some(2 * pass + 1),
        }
    }

    /// After the pass: brings its timestamps to `resolved`.
    pub(crate) fn resolve(&self, encoder: &mut wgpu::CommandEncoder, pass: u32) {
        let queries = 2 * pass..2 * pass + 2;
        encoder.resolve_query_set(&self.queries, queries, &self.resolved, Self::resolved_at(pass));
    }

    /// Seconds between two timestamps; some drivers leave both at 0.
    #[expect(clippy::cast_precision_loss, reason = "a pass has far fewer than 2⁵² ticks")]
    pub(crate) fn seconds(&self, [begin, end]: [u64; 2]) -> f64 {
        end.wrapping_sub(begin) as f64 * self.tick
    }
}

impl PassTimer {
    /// Takes the device's timestamps if it was opened with them.
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self> {
        let clock = in_scope(device, "preparing to measure", || Clock::new(device, queue, 1))?;
        Ok(Self { device: device.clone(), queue: queue.clone(), clock })
    }

    /// Seconds that a pass takes from its first dispatch's beginning to its last one's end; without
    /// timestamps, from its submission to the end. Waits for it.
    pub(crate) fn seconds(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> Result<f64> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("wgrad.timer") };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let timestamp_writes = self.clock.as_ref().map(|clock| clock.writes(0));
        record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("wgrad.timer"),
            timestamp_writes,
        }));
        if let Some(clock) = &self.clock {
            clock.resolve(&mut encoder, 0);
        }
        let start = Instant::now();
        let submission = self.queue.submit([encoder.finish()]);
        let until_done = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        poll(&self.device, until_done)?;
        let waited = start.elapsed().as_secs_f64();
        let Some(clock) = &self.clock else { return Ok(waited) };
        let words = download(&self.device, &self.queue, &clock.resolved)?;
        let ticks =
            |at: usize| u64::from(words[at + 1].to_bits()) << 32 | u64::from(words[at].to_bits());
        let seconds = clock.seconds([ticks(0), ticks(2)]);
        // Some drivers leave timestamps at 0, and no pass takes longer than it was waited for.
        Ok(if seconds > 0.0 && seconds <= waited { seconds } else { waited })
    }
}
