//! The ring of scalars: what a part of a step needs to know waits in a slot until the device reads
//! it.
//!
//! What the queue writes lands before the next submission, whenever the encoder that reads it was
//! begun. So a slot may be written again as soon as what reads it is submitted: for submissions of our
//! own at once, for what was recorded into the host app's encoder when that is known to be through.
//!
//! After its scalars a slot has a serial number, which no other gets. It comes back with the metrics, from
//! the device, and so shows that they are of these scalars.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::arrival::Arrival;
use super::buffers::{SLOT_STRIDE, SLOTS};
use super::flights::MAX_PARTS;
use super::program::word;
use super::scope::write;
use crate::engine::{Part, Step};
use crate::error::{Error, Result};
use crate::ops::step::StepUniform;
use crate::rng::words;

/// How long a host may find no room before that is an error. Devices reset what takes them as long.
const LONGEST_FULL: Duration = Duration::from_secs(10);

/// Slots of a recording that the host app may still submit.
#[derive(Debug)]
struct Held {
    first: u32,
    count: u32,
    arrival: Arrival,
}

impl Held {
    const fn end(&self) -> u32 {
        self.first + self.count
    }
}

/// Slots that were just written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// The first slot.
    pub first: u32,
    /// Its serial number; that of each further slot is larger by 1.
    pub serial: u64,
}

/// Words of a slot before its serial number: its scalars, and what they leave of it.
const SERIAL_AT: usize = SLOT_STRIDE as usize / 4 - 2;
const _: () =
    assert!(size_of::<StepUniform>() <= 4 * SERIAL_AT, "a serial number after the scalars");

/// Which slots are free, and how they are written.
#[derive(Debug)]
pub(crate) struct Slots {
    queue: wgpu::Queue,
    ring: wgpu::Buffer,
    /// Next slot.
    head: u32,
    /// Serial number of the slot written last.
    serial: u64,
    held: VecDeque<Held>,
    /// Since when there has been no room for a recording.
    full_since: Option<Instant>,
    /// Scalars on their way to the ring.
    scratch: Vec<u8>,
}

impl Slots {
    pub(crate) fn new(queue: &wgpu::Queue, ring: &wgpu::Buffer) -> Self {
        Self {
            queue: queue.clone(),
            ring: ring.clone(),
            head: 0,
            serial: 0,
            held: VecDeque::with_capacity(SLOTS as usize),
            full_since: None,
            scratch: vec![0; MAX_PARTS * SLOT_STRIDE as usize],
        }
    }

    /// The free slots for up to `wanted` parts: as many, or else the most in a row that there are.
    fn room(&mut self, wanted: u32) -> Range<u32> {
        self.held.retain(|held| !held.arrival.is_known());
        // Behind what was written last, at the beginning, or behind what is held.
        let starts = [self.head, 0].into_iter().chain(self.held.iter().map(Held::end));
        let gap = |first: u32| {
            let behind = self.held.iter().filter(|held| held.end() > first);
            let end = behind.map(|held| held.first.max(first)).fold(SLOTS, u32::min);
            first..end.min(first + wanted)
        };
        let mut best = 0..0;
        for gap in starts.map(gap) {
            if gap.len() > best.len() {
                best = gap;
            }
            if best.len() == wanted as usize {
                break;
            }
        }
        best
    }

    /// For how many parts at once there are free slots, up to [`MAX_PARTS`].
    pub(crate) fn free(&mut self) -> usize {
        self.room(word(MAX_PARTS)).len()
    }

    /// Slots of recordings that aren't known to be done.
    pub(crate) fn pending(&mut self) -> u32 {
        self.held.retain(|held| !held.arrival.is_known());
        self.held.iter().map(|held| held.count).sum()
    }

    /// Writes the scalars of at most [`MAX_PARTS`] parts over a data set of `rows` rows to slots in a row.
    ///
    /// # Errors
    /// [`Error::Pending`] if there are not as many free ones in a row, [`Error::Lost`] if the device is gone.
    pub(crate) fn write(
        &mut self,
        parts: &[(Step, Part)],
        rows: usize,
        weighted: bool,
    ) -> Result<Written> {
        let Range { start: first, end } = self.room(word(parts.len()));
        if ((end - first) as usize) < parts.len() {
            return Err(Error::Pending { slots: SLOTS });
        }
        let written = Written { first, serial: self.serial + 1 };
        let stride = SLOT_STRIDE as usize;
        for ((slot, (step, part)), bytes) in
            (first..).zip(parts).zip(self.scratch.chunks_exact_mut(stride))
        {
            let uniform = StepUniform::new(step, *part, word(rows), weighted, slot);
            bytes[..size_of::<StepUniform>()].copy_from_slice(bytemuck::bytes_of(&uniform));
            self.serial += 1;
            bytes[4 * SERIAL_AT..].copy_from_slice(bytemuck::cast_slice(&words(self.serial)));
        }
        let offset = u64::from(first * SLOT_STRIDE);
        let content = &self.scratch[..parts.len() * stride];
        write(&self.queue, &self.ring, offset, content, "writing the scalars of steps")?;
        self.head = end;
        Ok(written)
    }

    /// The serial number of a slot that has come back from the device.
    pub(crate) fn serial_of(slot: &[u32]) -> u64 {
        u64::from(slot[SERIAL_AT + 1]) << 32 | u64::from(slot[SERIAL_AT])
    }

    /// Takes note at the time `now` that there was no room for a recording.
    ///
    /// # Errors
    /// [`Error::Pending`] if that has been so for [`LONGEST_FULL`]: the host hasn't submitted what it
    /// recorded, doesn't poll, or records too much at once.
    pub(crate) fn note_full(&mut self, now: Instant) -> Result<()> {
        let since = *self.full_since.get_or_insert(now);
        if now.duration_since(since) < LONGEST_FULL {
            return Ok(());
        }
        Err(Error::Pending { slots: self.pending() })
    }

    /// Keeps slots just written until `arrival` is known.
    pub(crate) fn hold(&mut self, first: u32, count: usize, arrival: &Arrival) {
        self.full_since = None;
        self.held.push_back(Held { first, count: word(count), arrival: arrival.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::gpu::arrival::{Outcome, Ticket};

    /// Slots on wgpu's noop device.
    fn slots() -> Slots {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let ring = device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::from(SLOTS * SLOT_STRIDE),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: false,
        });
        Slots::new(&queue, &ring)
    }

    fn write(slots: &mut Slots, count: u32) -> Option<u32> {
        let step = Step::evaluation(0, count);
        let parts: Vec<_> = step.parts(1).map(|part| (step, part)).collect();
        let serial = slots.serial;
        let written = slots.write(&parts, 1, false).ok()?;
        assert_eq!((written.serial, slots.serial), (serial + 1, serial + u64::from(count)));
        Some(written.first)
    }

    /// Writes and holds; the ticket lets go.
    fn hold(slots: &mut Slots, count: u32) -> Option<(u32, Ticket)> {
        let first = write(slots, count)?;
        let (arrival, ticket) = Arrival::new();
        slots.hold(first, count as usize, &arrival);
        Some((first, ticket))
    }

    #[test]
    fn one_recording_that_stays_leaves_the_rest_free() {
        let mut slots = slots();
        let (first, ticket) = hold(&mut slots, 1).unwrap();
        assert_eq!(first, 0);
        // Many times around the ring, past the held slot.
        for turn in 0..50 {
            let first = write(&mut slots, 60).unwrap();
            assert!(first > 0, "turn {turn} writes over the held slot");
        }
        assert_eq!(slots.pending(), 1);
        ticket.arrive(Outcome::Done);
        assert_eq!(slots.pending(), 0);
    }

    #[test]
    fn every_slot_can_be_held_and_no_more() {
        let mut slots = slots();
        let held: Vec<_> = [64, 64, 64, 63].map(|count| hold(&mut slots, count).unwrap()).into();
        assert_eq!((slots.free(), write(&mut slots, 2)), (1, None));
        let last = hold(&mut slots, 1).unwrap();
        assert_eq!((last.0, slots.free(), slots.pending()), (255, 0, 256));
        let mut held: Vec<_> = held.into_iter().map(|(_, ticket)| ticket).collect();
        // A gap in the middle is found, whatever its size.
        drop(held.remove(1));
        assert_eq!((slots.free(), write(&mut slots, 65)), (64, None));
        assert_eq!(write(&mut slots, 64), Some(64));
    }
    #[test]
    fn recordings_that_are_never_submitted_are_an_error_in_the_end() {
        let mut slots = slots();
        let mut held: Vec<_> = (0..4).map(|_| hold(&mut slots, 64).unwrap().1).collect();
        let start = Instant::now();
        let after = |seconds: f64| start + Duration::from_secs_f64(seconds);
        slots.note_full(start).unwrap();
        slots.note_full(after(9.9)).unwrap();
        let refused = slots.note_full(after(10.0)).unwrap_err();
        assert!(matches!(refused, Error::Pending { slots: 256 }), "{refused}");
        assert!(refused.to_string().contains("submit their encoders and poll the device"));
        // A recording that comes back makes room, and the time begins anew.
        drop(held.remove(0));
        held.push(hold(&mut slots, 64).unwrap().1);
        slots.note_full(after(11.0)).unwrap();
        slots.note_full(after(20.9)).unwrap();
        assert!(slots.note_full(after(21.0)).is_err());
    }
}
