//! The gzip rule: which bodies are inflated, and how far.
//!
//! Konnect's documentation names the coding `application/gzip`, which is no registered token and
//! which stock decompression layers refuse. So a body is inflated when it starts with gzip's magic
//! bytes, whatever the header says. A header alone does not change a body of plain text.

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::GzDecoder;

pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A body after inflating.
#[derive(Debug, PartialEq, Eq)]
pub enum Inflated {
    /// All of it.
    Whole(Bytes),
    /// What was inflated before the stream broke off or turned out to be damaged.
    BrokenOff(Bytes),
    /// More than the bound.
    TooLarge,
    /// The memory budget was used up.
    NoRoom,
}

/// How far a body is inflated before more budget is requested.
const STEP: u64 = 64 * 1024;

/// How many bytes `body` will likely have after inflating, at most `max`. A sender may lie about
/// it.
pub fn likely_bytes(body: &[u8], max: usize) -> usize {
    // The last four bytes of a gzip stream are its size (RFC 1952, ISIZE).
    match body.last_chunk::<4>() {
        Some(size) if body.starts_with(&MAGIC) => {
            usize::try_from(u32::from_le_bytes(*size)).map_or(max, |size| size.min(max))
        }
        _ => body.len().min(max),
    }
}

/// Inflates `body` to at most `max` bytes, and returns it unchanged when it is not gzip. `room`
/// reserves so many bytes in all and returns whether it could.
pub fn inflate(
    body: &Bytes,
    encoding: &str,
    max: usize,
    mut room: impl FnMut(usize) -> bool,
) -> Inflated {
    if !body.starts_with(&MAGIC) {
        // One byte of gzip and no more. The header says gzip, so it broke off.
        let cut = body.len() == 1 && body[0] == MAGIC[0] && names_gzip(encoding);
        return match () {
            () if cut => Inflated::BrokenOff(Bytes::new()),
            () if body.len() > max => Inflated::TooLarge,
            () if !room(body.len()) => Inflated::NoRoom,
            () => Inflated::Whole(body.clone()),
        };
    }
    let mut inflated = Vec::with_capacity(likely_bytes(body, max));
    let mut rest = &body[..];
    while rest.starts_with(&MAGIC) {
        let mut member = GzDecoder::new(rest);
        loop {
            let read = member.by_ref().take(STEP).read_to_end(&mut inflated);
            if inflated.len() > max {
                return Inflated::TooLarge;
            }
            match read {
                Ok(0) => break,
                Ok(_) if room(inflated.len()) => {}
                Ok(_) => return Inflated::NoRoom,
                // A wrong checksum is an error too: the bytes before it cannot be trusted to be
                // whole.
                Err(_) => return Inflated::BrokenOff(inflated.into()),
            }
        }
        rest = member.into_inner();
    }
    // Zeros behind the last member are padding. Anything else was meant to be read.
    if rest.iter().all(|byte| *byte == 0) {
        Inflated::Whole(inflated.into())
    } else {
        Inflated::BrokenOff(inflated.into())
    }
}

/// Whether a `Content-Encoding` names gzip in any of its spellings.
fn names_gzip(encoding: &str) -> bool {
    encoding.split(',').any(|coding| {
        let coding = coding.trim().to_ascii_lowercase();
        matches!(
            coding.as_str(),
            "gzip" | "x-gzip" | "application/gzip" | "application/x-gzip"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    fn all(body: &[u8], encoding: &str, max: usize) -> Inflated {
        inflate(&Bytes::copy_from_slice(body), encoding, max, |_| true)
    }

    #[test]
    fn goes_by_the_magic_bytes_and_not_by_the_header() {
        for encoding in [
            "gzip",
            "GZIP",
            "x-gzip",
            "application/gzip",
            "Application/X-Gzip",
            "",
            "identity",
        ] {
            assert_eq!(
                all(&gzip(b"a\nb"), encoding, 99),
                Inflated::Whole(Bytes::from_static(b"a\nb")),
                "{encoding}"
            );
            assert_eq!(
                all(b"a\nb", encoding, 99),
                Inflated::Whole(Bytes::from_static(b"a\nb")),
                "{encoding}"
            );
            assert_eq!(
                all(b"", encoding, 99),
                Inflated::Whole(Bytes::new()),
                "{encoding}"
            );
        }
    }

    #[test]
    fn joins_the_members_of_a_stream() {
        let two = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(
            all(&two, "gzip", 99),
            Inflated::Whole(Bytes::from_static(b"a\nb\n"))
        );
    }

    #[test]
    fn keeps_what_came_before_a_stream_breaks_off() {
        let text: Vec<u8> = (0..2_000_u32)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let whole = gzip(&text);
        let Inflated::BrokenOff(start) = all(&whole[..whole.len() / 2], "gzip", 1 << 20) else {
            panic!("half a stream is not whole");
        };
        assert!(!start.is_empty() && text.starts_with(&start));
        assert_eq!(
            all(&whole[..1], "gzip", 99),
            Inflated::BrokenOff(Bytes::new())
        );
    }

    #[test]
    fn takes_no_damaged_stream_for_a_whole_one() {
        let text: Vec<u8> = (0..400_u32)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let whole = gzip(&text);
        // Starts behind the header, which has bytes that nothing depends on.
        for at in (10..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let inflated = all(&damaged, "gzip", 1 << 20);
            assert!(
                matches!(inflated, Inflated::BrokenOff(_)),
                "byte {at} of {}",
                whole.len()
            );
        }
        let padded = [whole.clone(), vec![0; 512]].concat();
        assert_eq!(
            all(&padded, "gzip", 1 << 20),
            Inflated::Whole(text.clone().into())
        );
        let followed = [whole, b"what is this".to_vec()].concat();
        assert_eq!(
            all(&followed, "gzip", 1 << 20),
            Inflated::BrokenOff(text.into())
        );
    }

    #[test]
    fn stops_at_the_bound() {
        let bomb = gzip(&vec![b'x'; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(all(&bomb, "gzip", 1 << 20), Inflated::TooLarge);
        assert_eq!(all(&[b'x'; 11], "", 10), Inflated::TooLarge);
    }

    #[test]
    fn stops_where_the_room_ends() {
        let bomb = gzip(&vec![b'x'; 10 << 20]);
        let mut asked = 0;
        let inflated = inflate(&bomb.into(), "gzip", 64 << 20, |bytes| {
            asked = bytes;
            bytes < 1 << 20
        });
        assert_eq!(inflated, Inflated::NoRoom);
        assert!(asked < 2 << 20, "{asked}");
        assert_eq!(
            inflate(&Bytes::from_static(b"a"), "", 9, |_| false),
            Inflated::NoRoom
        );
    }

    #[test]
    fn believes_the_size_that_a_stream_tells_up_to_the_bound() {
        let mut told = gzip(b"a\nb");
        assert_eq!(likely_bytes(&told, 99), 3);
        let end = told.len();
        told[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(likely_bytes(&told, 99), 99);
        assert_eq!(likely_bytes(b"ab", 99), 2);
    }
}
