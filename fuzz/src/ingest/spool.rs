//! Files of the spool.

#[path = "../../../src/ingest/spool/file.rs"]
mod file;

use uuid::Uuid;

use crate::ingest::spool::file::{header, parse};

/// Who wrote the seeds.
const ID: Uuid = Uuid::from_u128(7);

/// What reads as a request is written as it was read, and not one byte of it may be missing.
pub fn reads_what_was_written_and_nothing_else(bytes: &[u8]) {
    let Ok((request, body)) = parse(ID, bytes.to_vec()) else {
        return;
    };
    assert!(request.id == ID && bytes.ends_with(&body));
    let written = [&header(&request, body.len())[..], &body[..]].concat();
    let (again, kept) = parse(ID, written.clone()).expect("it was written just now");
    assert_eq!(kept, body);
    assert_eq!(
        (again.received_at, again.peer, again.encoding),
        (request.received_at, request.peer, request.encoding)
    );
    let longer = [&written[..], b"x"].concat();
    assert!(
        parse(ID, longer).is_err(),
        "a damaged file is told from a whole one"
    );
    // Without a body, the last byte is the header's line feed, and tells nothing.
    let shorter = written[..written.len() - 1].to_vec();
    assert!(
        body.is_empty() || parse(ID, shorter).is_err(),
        "a damaged file is told from a whole one"
    );
}
