//! What is imported: a file, which may be read as often as needed, or a pipe. Says before anything
//! is stored whether it has entries in a format that usher reads. Its name decides nothing.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::event;
use crate::event::delivery::{Slice, Slices, StreamError};

/// The name of standard input.
const STDIN: &str = "-";
/// Bytes at either end of a file by which it is known.
const END_BYTES: u64 = 64 * 1024;
/// Characters of a first line that are shown, and of a name that are stored.
const SHOWN: usize = 80;
/// Other packings by their first bytes, with the command that unpacks them.
const PACKINGS: [(&[u8], &str); 4] = [
    (b"\x28\xb5\x2f\xfd", "zstd -dc"),
    (b"BZh", "bzip2 -dc"),
    (b"\xfd7zXZ\0", "xz -dc"),
    (b"PK\x03\x04", "unzip -p"),
];

/// A stream of entries.
pub(super) type Stream = Slices<Box<dyn Read + Send>>;

/// Why nothing can be imported from a file.
#[derive(Debug, Error)]
pub enum InputError {
    /// It is not there, or may not be read.
    #[error("{name} cannot be read: {reason}")]
    Unreadable {
        /// As it was named.
        name: String,
        /// Why.
        #[source]
        reason: io::Error,
    },
    /// It is a folder.
    #[error("{name} is a folder: name the files in it")]
    Folder {
        /// As it was named.
        name: String,
    },
    /// None of its first lines is an entry.
    #[error(
        "{name} is none of the formats that usher reads: it begins with \"{begins}\"; these are CEF, JSON and CPS, one entry a line, plain or gzip{hint}"
    )]
    NoFormat {
        /// As it was named.
        name: String,
        /// Its first line, cut, without characters that a terminal would act on.
        begins: String,
        /// What would help, where that is known.
        hint: String,
    },
}

/// Something to import.
#[derive(Debug)]
pub struct Input {
    path: PathBuf,
    name: String,
    max_line_bytes: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// It can be read again.
    File { bytes: u64 },
    /// It cannot. The slices that were read of it, and the rest.
    Pipe(VecDeque<Slice>, Box<Stream>),
}

impl Input {
    /// Opens `path`, or standard input as `-`, and reads the first entries. Blocks.
    ///
    /// # Errors
    /// When it cannot be read or none of its first entries can be parsed.
    pub fn open(path: &Path, max_line_bytes: usize) -> Result<Self, InputError> {
        let name = printable(&path.to_string_lossy());
        let unreadable = |reason| InputError::Unreadable {
            name: name.clone(),
            reason,
        };
        let (reader, bytes): (Box<dyn Read + Send>, _) = if path == Path::new(STDIN) {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(unreadable)?;
            let about = file.metadata().map_err(unreadable)?;
            if about.is_dir() {
                return Err(InputError::Folder { name });
            }
            (Box::new(file), about.is_file().then_some(about.len()))
        };
        let mut stream = Slices::new(reader, max_line_bytes).map_err(unreadable)?;
        let first = match first_entries(&mut stream) {
            Ok(first) => first,
            // What came before it is read. That it breaks off is said once that is stored.
            Err(StreamError::BreaksOff { .. }) => VecDeque::new(),
            Err(StreamError::Read(reason)) => return Err(unreadable(reason)),
        };
        let lines = || first.iter().flat_map(|slice| &slice.lines);
        if let Some(line) = lines().next()
            && !lines().any(|line| event::parse(&line.bytes).is_ok())
        {
            return Err(InputError::NoFormat {
                begins: beginning(&String::from_utf8_lossy(&line.bytes)),
                hint: hint(&line.bytes, &name),
                name,
            });
        }
        let kind = match bytes {
            Some(bytes) => Kind::File { bytes },
            None => Kind::Pipe(first, Box::new(stream)),
        };
        Ok(Self {
            path: path.to_owned(),
            name,
            max_line_bytes,
            kind,
        })
    }

    /// As it was named, without characters that a terminal would act on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last part of its name, by which deliveries name it.
    pub(super) fn file_name(&self) -> String {
        let last = self.path.file_name();
        last.map_or_else(
            || self.name.clone(),
            |last| beginning(&last.to_string_lossy()),
        )
    }

    /// Its bytes as they are stored; none of a pipe.
    pub fn bytes(&self) -> Option<u64> {
        match self.kind {
            Kind::File { bytes } => Some(bytes),
            Kind::Pipe(..) => None,
        }
    }

    /// By what a file is known, wherever it is; none of a pipe. Blocks.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub(super) fn digest(&self) -> io::Result<Option<[u8; 32]>> {
        if self.bytes().is_none() {
            return Ok(None);
        }
        let mut file = File::open(&self.path)?;
        let bytes = file.metadata()?.len();
        let mut digest = Sha256::new();
        digest.update(bytes.to_be_bytes());
        for from in [0, bytes.saturating_sub(END_BYTES)] {
            let mut end = Vec::new();
            file.seek(SeekFrom::Start(from))?;
            file.by_ref().take(END_BYTES).read_to_end(&mut end)?;
            digest.update(&end);
        }
        Ok(Some(digest.finalize().into()))
    }

    /// The slices from `offset` of the inflated stream on; none where it is shorter. A pipe is read
    /// once, from where it is. Blocks.
    ///
    /// # Errors
    /// When it cannot be read so far.
    pub(super) fn read_from(&mut self, offset: u64) -> Result<Option<Reading>, StreamError> {
        let (first, stream) = match &mut self.kind {
            Kind::File { .. } => {
                let file = File::open(&self.path).map_err(StreamError::Read)?;
                let file: Box<dyn Read + Send> = Box::new(file);
                let stream = Slices::new(file, self.max_line_bytes).map_err(StreamError::Read)?;
                (VecDeque::new(), Box::new(stream))
            }
            Kind::Pipe(first, stream) => {
                let nothing: Box<dyn Read + Send> = Box::new(io::empty());
                let nothing = Slices::new(nothing, 0).map_err(StreamError::Read)?;
                (
                    std::mem::take(first),
                    std::mem::replace(stream, Box::new(nothing)),
                )
            }
        };
        let mut reading = Reading { first, stream };
        let reaches = offset == 0 || reading.stream.skip_to(offset)?;
        Ok(reaches.then_some(reading))
    }
}

/// The slices of an input, one after the other.
#[derive(Debug)]
pub(super) struct Reading {
    first: VecDeque<Slice>,
    stream: Box<Stream>,
}

impl Reading {
    /// Bytes of the input, as it is stored, that were read so far.
    pub(super) fn packed(&self) -> u64 {
        self.stream.packed()
    }

    /// The next slice; none at the end. Blocks.
    pub(super) fn next_slice(&mut self) -> Result<Option<Slice>, StreamError> {
        match self.first.pop_front() {
            Some(slice) => Ok(Some(slice)),
            None => self.stream.next_slice(),
        }
    }
}

/// The first slices, up to the first with entries.
fn first_entries(stream: &mut Stream) -> Result<VecDeque<Slice>, StreamError> {
    let mut first = VecDeque::new();
    while let Some(slice) = stream.next_slice()? {
        let has_entries = !slice.lines.is_empty();
        first.push_back(slice);
        if has_entries {
            break;
        }
    }
    Ok(first)
}

/// The beginning of a text, safe to print.
fn beginning(text: &str) -> String {
    let mut start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    printable(&start)
}

/// A text without characters that a terminal would act on.
fn printable(text: &str) -> String {
    let escaped = |character: char| -> String {
        if character.is_control() {
            character.escape_default().collect()
        } else {
            character.into()
        }
    };
    text.chars().map(escaped).collect()
}

/// What would help with a file that begins like this.
fn hint(line: &[u8], name: &str) -> String {
    if let Some((_, unpack)) = PACKINGS.iter().find(|(first, _)| line.starts_with(first)) {
        return format!(". It is packed: {unpack} {name} | usher import -");
    }
    match line.first() {
        Some(b'[') => ". Entries of a list must stand one a line, without the list".to_owned(),
        Some(b'{') => ". An object over several lines must stand in one".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{beginning, hint};

    #[test]
    fn what_is_shown_is_short_and_safe() {
        assert_eq!(beginning("a\u{1b}[31m\tb"), "a\\u{1b}[31m\\tb");
        let long = "x".repeat(100);
        assert_eq!(beginning(&long), format!("{}…", "x".repeat(80)));
        assert!(hint(b"BZh91AY", "a.log").ends_with("bzip2 -dc a.log | usher import -"));
        assert_eq!(hint(b"time,name", "a.log"), "");
    }
}
