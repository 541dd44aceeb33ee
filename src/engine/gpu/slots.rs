//! The ring of scalars: what a part of a step needs to know waits in a slot until the device reads
//! it.
//!
//! What the queue writes lands before the next submission, whenever the encoder that reads it was
//! begun. So a slot may be written again as soon as what reads it is submitted: for submissions of our
//! own at once, for what was recorded into the host app's encoder when that is known to be through.

use std::collections::VecDeque;

use super::arrival::Arrival;
use super::buffers::{SLOT_STRIDE, SLOTS};
use super::flights::MAX_PARTS;
use super::program::word;
use crate::engine::{Part, Step};
use crate::ops::step::StepUniform;

/// Slots of a recording that the host app may still submit.
#[derive(Debug)]
struct Held {
    first: u32,
    count: u32,
    arrival: Arrival,
}

/// Which slots are free, and how they are written.
#[derive(Debug)]
pub(crate) struct Slots {
    queue: wgpu::Queue,
    ring: wgpu::Buffer,
    /// Next slot.
    head: u32,
    held: VecDeque<Held>,
    /// Scalars on their way to the ring.
    scratch: Vec<u8>,
}

impl Slots {
    pub(crate) fn new(queue: &wgpu::Queue, ring: &wgpu::Buffer) -> Self {
        Self {
            queue: queue.clone(),
            ring: ring.clone(),
            head: 0,
            held: VecDeque::with_capacity(SLOTS as usize),
            scratch: vec![0; MAX_PARTS * SLOT_STRIDE as usize],
        }
    }

    /// Writes the scalars of at most [`MAX_PARTS`] parts over a data set of `rows` rows to the slots
    /// from the returned one on; `None` if recordings hold those that are next.
    pub(crate) fn write(
        &mut self,
        parts: &[(Step, Part)],
        rows: usize,
        weighted: bool,
    ) -> Option<u32> {
        let count = word(parts.len());
        let first = if self.head + count > SLOTS { 0 } else { self.head };
        self.held.retain(|held| !held.arrival.is_known());
        let overlaps = |held: &Held| held.first < first + count && first < held.first + held.count;
        if self.held.iter().any(overlaps) {
            return None;
        }
        let stride = SLOT_STRIDE as usize;
        for ((slot, (step, part)), bytes) in
            (first..).zip(parts).zip(self.scratch.chunks_exact_mut(stride))
        {
            let uniform = StepUniform::new(step, *part, word(rows), weighted, slot);
            bytes[..size_of::<StepUniform>()].copy_from_slice(bytemuck::bytes_of(&uniform));
        }
        let offset = u64::from(first * SLOT_STRIDE);
        self.queue.write_buffer(&self.ring, offset, &self.scratch[..parts.len() * stride]);
        self.head = first + count;
        Some(first)
    }

    /// Keeps slots just written until `arrival` is known.
    pub(crate) fn hold(&mut self, first: u32, count: usize, arrival: &Arrival) {
        self.held.push_back(Held { first, count: word(count), arrival: arrival.clone() });
    }
}
