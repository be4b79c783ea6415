//! Entries of files and pipes: checked before anything is stored, then read in slices, a few of
//! which are on their way to the database at a time.
//!
//! A file is known by its content. How far its import is stands in the database, so that the next
//! one goes on there. What was stored and not noted is recognised by the slice's id.

mod input;
mod run;

pub use input::{Input, InputError};
pub use run::{Ended, ImportError, ImportProgress, Imported, Importer};
