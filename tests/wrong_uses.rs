//! Wrong uses.
