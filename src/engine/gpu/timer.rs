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

/// Two timestamps on their way to the host.
#[derive(Debug)]
struct Clock {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Seconds of a tick.
    tick: f64,
}

impl PassTimer {
    /// Takes the device's timestamps if it was opened with them.
    pub(crate) fn new(device: &wgpu::Device, queue: &wgpu::Queue) -> Result<Self> {
        let has_clock = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let clock = in_scope(device, "preparing to measure", || {
            has_clock.then(|| Clock {
                queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("wgrad.timer"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2,
                }),
                resolved: device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("wgrad.timer"),
                    size: 2 * wgpu::QUERY_SIZE as u64,
                    usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                }),
                tick: 1e-9 * f64::from(queue.get_timestamp_period()),
            })
        })?;
        Ok(Self { device: device.clone(), queue: queue.clone(), clock })
    }

    /// Seconds that a pass takes from its first dispatch's beginning to its last one's end; without
    /// timestamps, from its submission to the end. Waits for it.
    pub(crate) fn seconds(&self, record: impl FnOnce(&mut wgpu::ComputePass<'_>)) -> Result<f64> {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("wgrad.timer") };
        let mut encoder = self.device.create_command_encoder(&descriptor);
        let timestamp_writes = self.clock.as_ref().map(|clock| wgpu::ComputePassTimestampWrites {
            query_set: &clock.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
        record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("wgrad.timer"),
            timestamp_writes,
        }));
        if let Some(clock) = &self.clock {
            encoder.resolve_query_set(&clock.queries, 0..2, &clock.resolved, 0);
        }
        let start = Instant::now();
        let submission = self.queue.submit([encoder.finish()]);
        let until_done = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
        poll(&self.device, until_done)?;
        let waited = start.elapsed().as_secs_f64();
        let Some(clock) = &self.clock else { return Ok(waited) };
        let words = download(&self.device, &self.queue, &clock.resolved)?;
        let ticks =
            |at: usize| u64::from(words[at].to_bits()) | u64::from(words[at + 1].to_bits()) << 32;
        #[expect(clippy::cast_precision_loss, reason = "a pass has far fewer than 2⁵² ticks")]
        let seconds = ticks(2).wrapping_sub(ticks(0)) as f64 * clock.tick;
        // Some drivers leave timestamps at 0, and no pass takes longer than it was waited for.
        Ok(if seconds > 0.0 && seconds <= waited { seconds } else { waited })
    }
}
