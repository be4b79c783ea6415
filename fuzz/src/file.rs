//! Files of the spool.

use usher_event::delivery::read_file;
use uuid::Uuid;

/// Who wrote the seeds.
const ID: Uuid = Uuid::from_u128(7);

/// What reads as a request is written as it was read, and not one byte of it may be missing.
pub(crate) fn reads_what_was_written_and_nothing_else(bytes: &[u8]) {
    let Ok((header, body)) = read_file(ID, bytes.to_vec()) else {
        return;
    };
    assert!(header.id == ID && bytes.ends_with(&body));
    let written = [&header.to_line()[..], &body[..]].concat();
    let (again, kept) = read_file(ID, written.clone()).expect("it was written just now");
    assert_eq!((again, kept), (header, body.clone()));
    let longer = [&written[..], b"x"].concat();
    assert!(
        read_file(ID, longer).is_err(),
        "a damaged file is told from a whole one"
    );
    // Without a body, the last byte is the header's line feed, and tells nothing.
    let shorter = written[..written.len() - 1].to_vec();
    assert!(
        body.is_empty() || read_file(ID, shorter).is_err(),
        "a damaged file is told from a whole one"
    );
}
