//! Lines out of a body.

use bytes::Bytes;
use usher_event::delivery::{lines, split};

/// Lines are parts of the body, in its order; between them is nothing but white space.
pub(crate) fn loses_no_byte(body: &[u8], complete: bool, max_line_bytes: usize) {
    let body = Bytes::copy_from_slice(body);
    let found = split(&body, complete, max_line_bytes);
    let mut end = 0;
    for line in &found {
        let start = line.bytes.as_ptr() as usize - body.as_ptr() as usize;
        assert!(
            body[end..start].trim_ascii().is_empty(),
            "something is lost"
        );
        end = start + line.whole_bytes;
        let whole = &body[start..end];
        assert!(!whole.contains(&b'\n') && !whole.trim_ascii().is_empty());
        assert!(line.bytes.len() == line.whole_bytes.min(max_line_bytes));
        assert!(
            start == 0 || body[start - 1] == b'\n',
            "a line has its beginning"
        );
    }
    let rest = &body[end..];
    if complete {
        assert!(rest.trim_ascii().is_empty(), "something is lost");
        assert_eq!(found.len(), lines(&body).count());
    } else {
        // What follows the last line feed may be half an entry.
        let last = rest
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        assert!(rest[..last].trim_ascii().is_empty(), "something is lost");
        assert!(
            end == 0 || rest.contains(&b'\n'),
            "half a line is taken for a whole one"
        );
    }
}
