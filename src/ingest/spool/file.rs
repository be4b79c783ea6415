//! One request as a file on disk, in the form of [`read_file`].
//!
//! Everything here blocks. Nothing here knows which files the spool has or how large it may be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::task::JoinError;
use uuid::Uuid;

use crate::event::delivery::{FileError, FileHeader, read_file};
use crate::ingest::Request;

/// Waits to be stored.
const WAITING: &str = "request";
/// Is being written; worth nothing after a crash.
const UNFINISHED: &str = "tmp";
/// Is damaged, and left to a person.
const ASIDE: &str = "bad";

/// What a file of the folder is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A request that waits.
    Waiting(Uuid),
    /// The beginning of one.
    Unfinished,
    /// A request that was moved aside.
    Aside,
    /// Not a file of the spool.
    Foreign,
}

impl Name {
    pub(super) fn of(path: &Path) -> Self {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let id = stem.and_then(|stem| Uuid::try_parse(stem).ok());
        match (path.extension().and_then(|end| end.to_str()), id) {
            (Some(WAITING), Some(id)) => Self::Waiting(id),
            (Some(UNFINISHED), _) => Self::Unfinished,
            (Some(ASIDE), _) => Self::Aside,
            _ => Self::Foreign,
        }
    }
}

/// Why a file does not read as a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The system refused.
    #[error("could not read the file")]
    Io(#[from] io::Error),
    /// The thread panicked.
    #[error("the thread at the spool ended early")]
    Thread(#[from] JoinError),
    /// It is damaged.
    #[error(transparent)]
    Damaged(#[from] FileError),
}

/// The header line of `request`, line feed included.
pub(super) fn header(request: &Request, body_bytes: usize) -> Vec<u8> {
    let header = FileHeader {
        id: request.id,
        received_at: request.received_at,
        peer: request.peer.clone(),
        encoding: request.encoding.clone(),
        body_bytes,
    };
    header.to_line()
}

/// Writes `header` and `body` so that either the whole file is there after a crash or none.
///
/// # Errors
/// Nothing is left behind then, as far as the system lets it be removed.
pub(super) fn write(folder: &Path, id: Uuid, header: &[u8], body: &[u8]) -> io::Result<()> {
    let unfinished = path(folder, id, UNFINISHED);
    let waiting = path(folder, id, WAITING);
    let written = write_synced(&unfinished, &[header, body])
        .and_then(|()| fs::rename(&unfinished, &waiting))
        .and_then(|()| sync(folder));
    if written.is_err() {
        remove_if_there(&unfinished);
        remove_if_there(&waiting);
    }
    written
}

/// Reads a request that waits.
pub(super) fn read(folder: &Path, id: Uuid) -> Result<(Request, Bytes), ReadError> {
    let mut bytes = Vec::new();
    File::open(path(folder, id, WAITING))?.read_to_end(&mut bytes)?;
    let (header, body) = read_file(id, bytes)?;
    let request = Request {
        id,
        received_at: header.received_at,
        peer: header.peer,
        encoding: header.encoding,
    };
    Ok((request, body))
}

/// Removes a request that is stored. One that is gone already is no error.
pub(super) fn remove(folder: &Path, id: Uuid) -> io::Result<()> {
    match fs::remove_file(path(folder, id, WAITING)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => sync(folder),
    }
}

/// Moves a request aside, under a name that is not read again.
pub(super) fn set_aside(folder: &Path, id: Uuid) -> io::Result<()> {
    fs::rename(path(folder, id, WAITING), path(folder, id, ASIDE))?;
    sync(folder)
}

/// Whether a file of so many bytes could be written now.
pub(super) fn probe(folder: &Path, bytes: usize) -> io::Result<()> {
    let unfinished = path(folder, Uuid::nil(), UNFINISHED);
    let written = write_synced(&unfinished, &[&vec![0; bytes]]).and_then(|()| sync(folder));
    remove_if_there(&unfinished);
    written
}

fn write_synced(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

/// A name is safe only once its folder is written too.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// After a failure that is reported already, and at start. The next start removes what stays.
pub(super) fn remove_if_there(path: &Path) {
    drop(fs::remove_file(path));
}

fn path(folder: &Path, id: Uuid, end: &str) -> PathBuf {
    folder.join(format!("{id}.{end}"))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn request() -> Request {
        Request {
            id: Uuid::from_u128(7),
            received_at: DateTime::from_timestamp_millis(1_782_224_927_556).expect("a time"),
            peer: "192.0.2.1".to_owned(),
            encoding: "application/gzip\n\"".to_owned(),
        }
    }

    fn names(folder: &Path) -> Vec<Name> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries
            .map(|entry| Name::of(&entry.expect("an entry").path()))
            .collect()
    }

    #[test]
    fn gives_back_what_it_was_given_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let request = request();
        for body in [&b""[..], b"one\ntwo", b"\n", &[0x1f, 0x8b, 0, b'\n', 0xff]] {
            let head = header(&request, body.len());
            write(folder.path(), request.id, &head, body).expect("written");
            assert_eq!(names(folder.path()), [Name::Waiting(request.id)]);
            let (read, kept) = read(folder.path(), request.id).expect("read");
            assert_eq!(kept, body);
            assert_eq!(
                (read.id, read.received_at, read.peer, read.encoding),
                (
                    request.id,
                    request.received_at,
                    request.peer.clone(),
                    request.encoding.clone()
                )
            );
            for _ in 0..2 {
                remove(folder.path(), request.id).expect("removed");
            }
        }
        assert_eq!(names(folder.path()), []);
    }

    #[test]
    fn tells_what_is_damaged_and_moves_it_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let request = request();
        let whole = [&header(&request, 3)[..], b"abc"].concat();
        let file = path(folder.path(), request.id, WAITING);
        let other = String::from_utf8(whole.clone()).expect("text");
        let other = other.replace("000000000007", "000000000008").into_bytes();
        for (bytes, expected) in [
            (&b""[..], "the header is damaged"),
            (b"\0\0\0\0", "the header is damaged"),
            (b"{}\nabc", "the header is damaged"),
            (&whole[..20], "the header is damaged"),
            (
                &whole[..whole.len() - 4],
                "the body has 0 bytes instead of 3",
            ),
            (
                &whole[..whole.len() - 1],
                "the body has 2 bytes instead of 3",
            ),
            (&other, "the header names another request"),
        ] {
            fs::write(&file, bytes).expect("written");
            let error = read(folder.path(), request.id).expect_err("damaged");
            assert_eq!(error.to_string(), expected);
        }
        set_aside(folder.path(), request.id).expect("moved");
        assert_eq!(names(folder.path()), [Name::Aside]);
        let error = read(folder.path(), request.id).expect_err("gone");
        assert_eq!(error.to_string(), "could not read the file");
    }

    #[test]
    fn leaves_nothing_behind_when_the_disk_refuses() {
        let folder = tempfile::tempdir().expect("a folder");
        let (gone, id) = (folder.path().join("gone"), request().id);
        assert!(write(&gone, id, b"{}\n", b"abc").is_err() && probe(&gone, 1).is_err());
        // A folder in the file's place makes only the last step fail.
        fs::create_dir(path(folder.path(), id, WAITING)).expect("a folder");
        assert!(write(folder.path(), id, b"{}\n", b"abc").is_err());
        assert_eq!(names(folder.path()), [Name::Waiting(id)]);
        probe(folder.path(), 9_000).expect("takes files");
        assert_eq!(names(folder.path()).len(), 1);
    }
}
