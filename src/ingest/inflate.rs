//! The gzip rule: which bodies are inflated, and how far.
//!
//! Konnect's documentation names the coding `application/gzip`, which is no registered token and
//! which stock decompression layers refuse. So a body is inflated when it starts with gzip's magic
//! bytes, whatever the header says, and a header alone makes nothing of a body that is plain text.

use std::io::Read;

use flate2::bufread::GzDecoder;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A body after inflating.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inflated {
    /// All of it.
    Whole(Vec<u8>),
    /// What came before the stream broke off or turned out to be damaged.
    BrokenOff(Vec<u8>),
    /// More than the bound.
    TooLarge,
}

/// Inflates `body` to at most `max` bytes; leaves it as it is when it is not gzip.
pub(super) fn inflate(body: &[u8], encoding: &str, max: usize) -> Inflated {
    if !body.starts_with(&MAGIC) {
        // One byte of gzip and no more: the sender said gzip, so it broke off.
        let cut = body.len() == 1 && body[0] == MAGIC[0] && names_gzip(encoding);
        return match () {
            () if cut => Inflated::BrokenOff(Vec::new()),
            () if body.len() > max => Inflated::TooLarge,
            () => Inflated::Whole(body.to_vec()),
        };
    }
    let mut inflated = Vec::with_capacity(body.len().saturating_mul(4).min(max));
    let mut rest = body;
    while rest.starts_with(&MAGIC) {
        let room = u64::try_from(max - inflated.len()).unwrap_or(u64::MAX);
        let mut member = GzDecoder::new(rest).take(room.saturating_add(1));
        let read = member.read_to_end(&mut inflated);
        if inflated.len() > max {
            return Inflated::TooLarge;
        }
        // A checksum that does not hold is an error too: what came before it is not to be trusted whole.
        if read.is_err() {
            return Inflated::BrokenOff(inflated);
        }
        rest = member.into_inner().into_inner();
    }
    // Zeros behind the last member are padding; anything else was meant to be read.
    if rest.iter().all(|byte| *byte == 0) {
        Inflated::Whole(inflated)
    } else {
        Inflated::BrokenOff(inflated)
    }
}

/// Whether a `Content-Encoding` speaks of gzip in any of its spellings.
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
                inflate(&gzip(b"a\nb"), encoding, 99),
                Inflated::Whole(b"a\nb".to_vec()),
                "{encoding}"
            );
            assert_eq!(
                inflate(b"a\nb", encoding, 99),
                Inflated::Whole(b"a\nb".to_vec()),
                "{encoding}"
            );
            assert_eq!(
                inflate(b"", encoding, 99),
                Inflated::Whole(Vec::new()),
                "{encoding}"
            );
        }
    }

    #[test]
    fn joins_the_members_of_a_stream() {
        let two = [gzip(b"a\n"), gzip(b"b\n")].concat();
        assert_eq!(
            inflate(&two, "gzip", 99),
            Inflated::Whole(b"a\nb\n".to_vec())
        );
    }

    #[test]
    fn keeps_what_came_before_a_stream_breaks_off() {
        let text: Vec<u8> = (0..2_000_u32)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let whole = gzip(&text);
        let Inflated::BrokenOff(start) = inflate(&whole[..whole.len() / 2], "gzip", 1 << 20) else {
            panic!("half a stream is not whole");
        };
        assert!(!start.is_empty() && text.starts_with(&start));
        assert_eq!(
            inflate(&whole[..1], "gzip", 99),
            Inflated::BrokenOff(Vec::new())
        );
    }

    #[test]
    fn takes_no_damaged_stream_for_a_whole_one() {
        let text: Vec<u8> = (0..400_u32)
            .flat_map(|n| format!("line {n}\n").into_bytes())
            .collect();
        let whole = gzip(&text);
        // From behind the header, which has bytes that nothing depends on.
        for at in (10..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x55;
            let inflated = inflate(&damaged, "gzip", 1 << 20);
            assert!(
                matches!(inflated, Inflated::BrokenOff(_)),
                "byte {at} of {}",
                whole.len()
            );
        }
        let padded = [whole.clone(), vec![0; 512]].concat();
        assert_eq!(
            inflate(&padded, "gzip", 1 << 20),
            Inflated::Whole(text.clone())
        );
        let followed = [whole, b"what is this".to_vec()].concat();
        assert_eq!(
            inflate(&followed, "gzip", 1 << 20),
            Inflated::BrokenOff(text)
        );
    }

    #[test]
    fn stops_at_the_bound() {
        let bomb = gzip(&vec![b'x'; 10 << 20]);
        assert!(bomb.len() < 20_000);
        assert_eq!(inflate(&bomb, "gzip", 1 << 20), Inflated::TooLarge);
        assert_eq!(inflate(&[b'x'; 11], "", 10), Inflated::TooLarge);
    }
}
