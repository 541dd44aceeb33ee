//! What a study comes to: a table, what it says, and a picture.

use crate::cli::figure::Figure;
pub(super) use crate::cli::table::Table;

/// The answer to one question.
pub(super) struct Study {
    pub table: Table,
    /// What is seen, and why.
    pub note: String,
    pub figure: Figure,
}
