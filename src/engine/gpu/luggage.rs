//! What a submission takes along: where its metrics arrive on the host, and what they are of.

use super::buffers::{Buffers, METRICS_BYTES, SLOT_STRIDE, bytes_of};
use super::flights::MAX_PARTS;
use super::slots::{Slots, Written};
use crate::divergence::Fault;
use crate::engine::{Metrics, Report};
use crate::error::{Error, Result};
use crate::insight::{assemble, measured_tensors};
use crate::ops::insight::{TENSOR_WORDS, parse};
use crate::ops::loss::METRICS_GROUPS;
use crate::optimizer::Update;
use crate::plan::Plan;

/// Words of the metrics in a staging buffer. After them come a fault for each part, and each part's slot
/// of the step ring.
const METRICS_WORDS: usize = MAX_PARTS * METRICS_GROUPS * 4;
const SLOT_WORDS: usize = SLOT_STRIDE as usize / 4;
/// Bytes of all these; what else is read back comes after them.
pub(crate) const METRICS_STAGED: u64 = bytes_of(METRICS_WORDS + MAX_PARTS * (1 + SLOT_WORDS));

/// A staging buffer and what is on its way to it.
#[derive(Debug)]
pub(crate) struct Luggage {
    /// Room for the metrics, faults and slots of [`MAX_PARTS`] parts, and after them for something more.
    pub staging: wgpu::Buffer,
    pub entries: Vec<Entry>,
    /// Serial number of the first entry's slot; that of each further entry is larger by 1.
    serial: u64,
    /// The step whose insights are there, if any.
    pub measured: Option<Measured>,
}

/// A part of a step whose metrics are on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Number of the step; `None` in an evaluation.
    pub step: Option<u64>,
    pub rows: u32,
    /// Workgroups that report on them.
    pub groups: u32,
    /// Whether it is the last part of its batch.
    pub ends: bool,
}

/// A step whose insights are on their way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub step: u64,
    pub update: Update<f64>,
}

impl Luggage {
    /// A staging buffer with so many bytes behind the metrics.
    pub(crate) fn new(device: &wgpu::Device, behind: u64) -> Self {
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad.metrics_staging"),
            size: METRICS_STAGED + behind,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { staging, entries: Vec::with_capacity(MAX_PARTS), serial: 0, measured: None }
    }

    /// Copies the metrics, faults and slots of its entries from the rings, where they begin as written.
    pub(crate) fn pack(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &Buffers,
        written: Written,
    ) {
        let Written { first, serial } = written;
        self.serial = serial;
        let from = u64::from(first) * METRICS_BYTES;
        let size = self.entries.len() as u64 * METRICS_BYTES;
        encoder.copy_buffer_to_buffer(&buffers.ring, from, &self.staging, 0, size);
        let (from, to) = (Buffers::faults_at(first), bytes_of(METRICS_WORDS));
        let size = bytes_of(self.entries.len());
        encoder.copy_buffer_to_buffer(&buffers.status, from, &self.staging, to, size);
        let stride = u64::from(SLOT_STRIDE);
        let (from, to) = (u64::from(first) * stride, bytes_of(METRICS_WORDS + MAX_PARTS));
        let size = self.entries.len() as u64 * stride;
        encoder.copy_buffer_to_buffer(&buffers.steps, from, &self.staging, to, size);
    }

    /// Whether the mapped buffer is what [`pack`](Self::pack) recorded, and not what was there before: wgpu
    /// maps it too if the encoder was invalid, so that nothing in it ran.
    ///
    /// # Errors
    /// [`Error::Device`] if the buffer can't be read.
    pub(crate) fn has_run(&self) -> Result<bool> {
        let view = self.view()?;
        let words: &[u32] = bytemuck::cast_slice(&view);
        let slots = words[METRICS_WORDS + MAX_PARTS..].chunks_exact(SLOT_WORDS);
        let mut serials = (self.serial..).zip(slots).take(self.entries.len());
        Ok(serials.all(|(serial, slot)| Slots::serial_of(slot) == serial))
    }

    /// Reads the mapped buffer: adds a report for each batch that ends in it, and to `unfinished` what
    /// belongs to one that goes on.
    ///
    /// # Errors
    /// [`Error::Device`] if the buffer can't be read.
    pub(crate) fn read(
        &self,
        plan: &Plan,
        unfinished: &mut Metrics,
        reports: &mut Vec<Report>,
    ) -> Result<()> {
        let view = self.view()?;
        let words: &[u32] = bytemuck::cast_slice(&view);
        let (metrics, rest) = words.split_at(METRICS_WORDS);
        let (faults, rest) = rest.split_at(MAX_PARTS);
        let (_, rest) = rest.split_at(MAX_PARTS * SLOT_WORDS);
        let sums: &[[f32; 4]] = bytemuck::cast_slice(metrics);
        let parts = sums.chunks_exact(METRICS_GROUPS).zip(faults);
        for (entry, (groups, &fault)) in self.entries.iter().zip(parts) {
            let sums = groups[..entry.groups as usize]
                .iter()
                .fold([0.0; 4], |sum, group| std::array::from_fn(|i| sum[i] + f64::from(group[i])));
            *unfinished += Metrics::new(entry.rows, sums);
            if entry.ends {
                let metrics = std::mem::take(unfinished);
                let fault = Fault::of_word(fault, plan);
                reports.push(Report { step: entry.step, metrics, fault, insight: None });
            }
        }
        if let (Some(measured), Some(report)) = (self.measured, reports.last_mut()) {
            let tensors = measured_tensors(plan).count();
            let (tensors, dead) = rest.split_at(tensors * TENSOR_WORDS);
            let raw: Vec<_> = tensors.chunks_exact(TENSOR_WORDS).map(parse).collect();
            let Measured { step, update } = measured;
            // A step that was left out did nothing.
            if !report.fault.is_some_and(|fault| fault.skipped) {
                report.insight = Some(Box::new(assemble(plan, step, &update, &raw, dead)));
            }
        }
        Ok(())
    }

    /// Two numbers of 64 bits that lie behind the metrics of the mapped buffer.
    ///
    /// # Errors
    /// [`Error::Device`] if the buffer can't be read.
    pub(crate) fn pair_behind(&self) -> Result<[u64; 2]> {
        let view = self.view()?;
        #[expect(clippy::cast_possible_truncation, reason = "256 KiB")]
        let behind = &view[METRICS_STAGED as usize..][..16];
        Ok([0, 8].map(|at| bytemuck::pod_read_unaligned(&behind[at..at + 8])))
    }

    fn view(&self) -> Result<wgpu::BufferView> {
        self.staging.get_mapped_range(..).map_err(|e| Error::Device {
            during: "reading the metrics back",
            reason: e.to_string(),
        })
    }

    /// Empties it for the next submission.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.measured = None;
    }
}
