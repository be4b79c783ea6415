//! Entries before they are parsed: a delivery inflated with bounds, split into lines, and as the
//! bytes of one file; and a stream of any length in slices. Opens no socket and no file.

mod file;
mod inflate;
mod slices;
mod split;

pub use file::{FileError, FileHeader, read_file};
pub use inflate::{Inflated, inflate, likely_bytes};
pub use slices::{SLICE_ENTRIES, Slice, Slices, StreamError};
pub use split::{Line, lines, split};
