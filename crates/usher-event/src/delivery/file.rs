//! A delivery as the bytes of one file: a JSON header line, then the body as received.
//!
//! Knows nothing of the disk, nor of which files there are.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

/// The first line of a file: what is known of a delivery before its body is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHeader {
    /// The id of the delivery.
    pub id: Uuid,
    /// When its first byte arrived.
    pub received_at: DateTime<Utc>,
    /// Who sent it.
    pub peer: String,
    /// Content coding as declared.
    pub encoding: String,
    /// Bytes of the body, by which a cut file is recognised.
    pub body_bytes: usize,
}

/// Why the bytes of a file do not read as a delivery.
#[derive(Debug, Error)]
pub enum FileError {
    /// The first line is not a header.
    #[error("the header is damaged")]
    Header(#[from] serde_json::Error),
    /// The header belongs to another delivery.
    #[error("the header names another request")]
    Id,
    /// The body is shorter or longer than the header says.
    #[error("the body has {found} bytes instead of {expected}")]
    Length {
        /// Bytes that the header names.
        expected: usize,
        /// Bytes behind it.
        found: usize,
    },
}

impl FileHeader {
    /// The header as a line, line feed included.
    #[expect(clippy::missing_panics_doc, reason = "plain members are always JSON")]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a header of plain members is JSON");
        line.push(b'\n');
        line
    }
}

/// Splits the bytes of a file, which must be those of the delivery `id`.
pub fn read_file(id: Uuid, bytes: Vec<u8>) -> Result<(FileHeader, Bytes), FileError> {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    let end = end.map_or(bytes.len(), |end| end + 1);
    let mut body = Bytes::from(bytes);
    let header: FileHeader = serde_json::from_slice(&body.split_to(end))?;
    if header.id != id {
        return Err(FileError::Id);
    }
    if body.len() != header.body_bytes {
        return Err(FileError::Length {
            expected: header.body_bytes,
            found: body.len(),
        });
    }
    Ok((header, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(body_bytes: usize) -> FileHeader {
        FileHeader {
            id: Uuid::from_u128(7),
            received_at: DateTime::from_timestamp_millis(1_782_224_927_556).unwrap(),
            peer: "192.0.2.1".to_owned(),
            encoding: "application/gzip\n\"".to_owned(),
            body_bytes,
        }
    }

    #[test]
    fn reads_back_what_was_written() {
        for body in [&b""[..], b"one\ntwo", b"\n", &[0x1f, 0x8b, 0, b'\n', 0xff]] {
            let header = header(body.len());
            let bytes = [&header.to_line()[..], body].concat();
            let (read, kept) = read_file(header.id, bytes).unwrap();
            assert_eq!((read, &kept[..]), (header, body));
        }
    }

    #[test]
    fn reads_what_an_earlier_version_left_on_disk() {
        let bytes = b"{\"id\":\"00000000-0000-0000-0000-000000000007\",\
            \"received_at\":\"2026-06-23T14:28:47.556Z\",\"peer\":\"192.0.2.1\",\
            \"encoding\":\"gzip\",\"body_bytes\":3}\nabc";
        let (header, body) = read_file(Uuid::from_u128(7), bytes.to_vec()).expect("a delivery");
        assert_eq!(header.peer, "192.0.2.1");
        assert_eq!(header.encoding, "gzip");
        assert_eq!(&body[..], b"abc");
        // And an earlier version reads this one's, after a step back.
        assert_eq!(
            [header.to_line(), b"abc".to_vec()].concat(),
            bytes,
            "the form on disk is another"
        );
    }

    #[test]
    fn says_what_is_damaged() {
        let whole = [&header(3).to_line()[..], b"abc"].concat();
        let id = Uuid::from_u128(7);
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
        ] {
            let error = read_file(id, bytes.to_vec()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let error = read_file(Uuid::from_u128(8), whole).unwrap_err();
        assert_eq!(error.to_string(), "the header names another request");
    }
}
