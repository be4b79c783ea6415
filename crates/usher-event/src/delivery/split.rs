//! A body into its lines, without copying them.

use bytes::Bytes;

/// One entry's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The bytes, cut at the bound; they keep the body in memory.
    pub bytes: Bytes,
    /// How many there were.
    pub whole_bytes: usize,
}

/// The lines that are not empty, without their ends.
pub fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
}

/// Splits at LF, drops a CR before it, and leaves out empty lines. A last line of a body without
/// its end is not a whole entry and is left out too.
pub fn split(body: &Bytes, complete: bool, max_line_bytes: usize) -> Vec<Line> {
    let whole = if complete {
        &body[..]
    } else {
        let end = body
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        &body[..end]
    };
    lines(whole)
        .map(|line| Line {
            bytes: body.slice_ref(&line[..line.len().min(max_line_bytes)]),
            whole_bytes: line.len(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_whatever_the_line_ends_are() {
        for (body, complete, expected) in [
            (&b"a\nb\n"[..], true, vec!["a", "b"]),
            (b"a\nb", true, vec!["a", "b"]),
            (b"a\r\nb\r\n", true, vec!["a", "b"]),
            (b"\n\n a \n\t\n", true, vec![" a "]),
            (b"", true, vec![]),
            (b"a\nb", false, vec!["a"]),
            (b"b", false, vec![]),
        ] {
            let lines: Vec<Bytes> = split(&Bytes::from_static(body), complete, 100)
                .into_iter()
                .map(|line| line.bytes)
                .collect();
            assert_eq!(lines, expected, "{body:?}");
        }
    }

    #[test]
    fn cuts_a_long_line_and_remembers_its_length() {
        assert_eq!(
            split(&Bytes::from_static(b"abcdef\nab"), true, 3),
            [
                Line {
                    bytes: Bytes::from_static(b"abc"),
                    whole_bytes: 6
                },
                Line {
                    bytes: Bytes::from_static(b"ab"),
                    whole_bytes: 2
                }
            ]
        );
    }
}
