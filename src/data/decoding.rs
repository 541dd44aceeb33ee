//! Decoders of other crates, which may panic where a damaged file contradicts itself.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a decoder whose panic will be caught and told as an error of the file: for
/// a program's panic hook, which may then stay silent. The library sets no hook.
#[must_use]
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// What a decoder gives; `None` if it panics. Programs built to abort on panics end there.
pub(super) fn decoded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    DECODING.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    decoded.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_caught_and_the_thread_goes_on() {
        assert_eq!(decoded(is_decoding), Some(true));
        assert_eq!(decoded(|| -> u8 { panic!("as a decoder does") }), None);
        assert!(!is_decoding());
    }
}
