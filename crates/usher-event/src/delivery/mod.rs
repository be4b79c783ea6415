//! A delivery before its entries are parsed: inflated with bounds, split into lines, and as the
//! bytes of one file. Reads no socket and no disk.

mod file;
mod inflate;
mod split;

pub use file::{FileError, FileHeader, read_file};
pub use inflate::{Inflated, inflate, likely_bytes};
pub use split::{Line, lines, split};
