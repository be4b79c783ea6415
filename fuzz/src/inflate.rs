//! Bodies, packed or not.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use usher_event::delivery::{Inflated, inflate, likely_bytes};

/// Whatever the bytes are, no more than `max` comes of them, and room is asked for no more.
pub(crate) fn inflates_no_further_than(body: &[u8], max: usize) {
    assert!(likely_bytes(body, max) <= max);
    let mut asked = 0;
    let inflated = inflate(
        &Bytes::copy_from_slice(body),
        "application/gzip",
        max,
        |bytes| {
            assert!(bytes >= asked, "room is asked for what is there");
            asked = bytes;
            true
        },
    );
    assert!(asked <= max, "{asked} of {max}");
    match inflated {
        Inflated::Whole(text) | Inflated::BrokenOff(text) => assert!(text.len() <= max),
        Inflated::TooLarge => {}
        Inflated::NoRoom => panic!("there was room"),
    }
}

/// A text packed in two parts is that text again; cut off, it is a start of it and says so.
pub(crate) fn reads_back_what_was_packed(text: &[u8], place: usize, max: usize) {
    let (one, other) = text.split_at(place.min(text.len()));
    let packed = Bytes::from([gzip(one), gzip(other)].concat());
    match inflate(&packed, "gzip", max, |_| true) {
        Inflated::Whole(read) => assert!(read == text && text.len() <= max),
        Inflated::TooLarge => assert!(text.len() > max),
        broken => panic!("{broken:?}"),
    }
    let cut = packed.slice(..packed.len() - 1 - place % 18);
    match inflate(&cut, "gzip", text.len(), |_| true) {
        Inflated::BrokenOff(start) => assert!(text.starts_with(&start)),
        // The second part is missing whole, or only zeros of it are left.
        Inflated::Whole(start) => panic!("cut off, and not noticed: {start:?}"),
        other => panic!("{other:?}"),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}
