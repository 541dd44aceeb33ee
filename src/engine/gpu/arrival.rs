//! Whether what was recorded into an encoder has been done.

use std::sync::{Arc, OnceLock};

/// What became of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was submitted and is done; a buffer that was to be mapped is.
    Done,
    /// The device failed on it.
    Failed,
    /// Its encoder was dropped, or never will be submitted.
    Dropped,
}

/// Tells the outcome, once it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrival(Arc<OnceLock<Outcome>>);

/// Lives in the callback that wgpu calls when a recording is done, or drops if that never happens.
#[derive(Debug)]
pub(crate) struct Ticket(Arc<OnceLock<Outcome>>);

impl Arrival {
    /// An arrival, and the ticket that decides on it.
    pub(crate) fn new() -> (Self, Ticket) {
        let outcome = Arc::new(OnceLock::new());
        (Self(Arc::clone(&outcome)), Ticket(outcome))
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.0.get().copied()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.outcome().is_some()
    }
}

impl Ticket {
    /// Decides on the outcome.
    pub(crate) fn arrive(self, outcome: Outcome) {
        // Decided here, or when it is dropped, but once.
        let _ = self.0.set(outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = self.0.set(Outcome::Dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_decides_once() {
        let (arrival, ticket) = Arrival::new();
        assert_eq!(arrival.outcome(), None);
        ticket.arrive(Outcome::Done);
        assert_eq!(arrival.outcome(), Some(Outcome::Done));
    }

    #[test]
    fn a_dropped_ticket_says_so() {
        let (arrival, ticket) = Arrival::new();
        let callback = move || ticket.arrive(Outcome::Done);
        drop(callback);
        assert_eq!(arrival.outcome(), Some(Outcome::Dropped));
    }
}
