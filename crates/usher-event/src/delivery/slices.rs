//! Entries of a stream of any length, plain or gzip, in slices of bounded size. The same stream is
//! cut at the same places however often it is read. Opens nothing: it reads what it is given.

use std::fmt;
use std::io::{self, BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::mem;
use std::ops::Range;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use thiserror::Error;

use crate::delivery::inflate::MAGIC;
use crate::delivery::split::Line;

/// Entries of one slice.
pub const SLICE_ENTRIES: usize = 5_000;
/// A slice ends with the line that brings its entries to so many bytes.
const SLICE_BYTES: usize = 4 * 1024 * 1024;
/// A slice also ends with the line that brings it so far, entries or not.
const SLICE_SPAN: u64 = 64 * 1024 * 1024;
/// Bytes that are read and inflated at once.
const BUFFER: usize = 64 * 1024;

/// The next entries of a stream.
#[derive(Debug)]
pub struct Slice {
    /// Where its first byte is in the inflated stream.
    pub start: u64,
    /// The same of the byte behind its last one.
    pub end: u64,
    /// Bytes of the stream as it is stored that were read until then.
    pub packed: u64,
    /// Its entries, without empty lines.
    pub lines: Vec<Line>,
}

/// Why a stream does not go on.
#[derive(Debug, Error)]
pub enum StreamError {
    /// It could not be read.
    #[error(transparent)]
    Read(io::Error),
    /// It is gzip that breaks off or is damaged.
    #[error("gzip breaks off at byte {at}")]
    BreaksOff {
        /// How many of its bytes could be used, as it is stored.
        at: u64,
    },
}

/// Reads slices one after the other.
pub struct Slices<R: Read> {
    stream: Inflating<R>,
    buffer: Box<[u8]>,
    /// What of the buffer was not used yet.
    open: Range<usize>,
    /// Where that begins in the inflated stream.
    offset: u64,
    max_line_bytes: usize,
    /// What ended the stream, until it was returned.
    failed: Option<StreamError>,
}

impl<R: Read> fmt::Debug for Slices<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slices(at byte {})", self.offset)
    }
}

impl<R: Read> Slices<R> {
    /// Reads from the start of `stream`. Its first bytes decide whether it is gzip.
    ///
    /// # Errors
    /// When these cannot be read.
    pub fn new(stream: R, max_line_bytes: usize) -> io::Result<Self> {
        Ok(Self {
            stream: Inflating::new(stream)?,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            open: 0..0,
            offset: 0,
            max_line_bytes,
            failed: None,
        })
    }

    /// Leaves out what comes before `offset` of the inflated stream; `false` where it ends before.
    ///
    /// # Errors
    /// As [`next_slice`](Self::next_slice).
    pub fn skip_to(&mut self, offset: u64) -> Result<bool, StreamError> {
        while self.offset < offset {
            if self.open.is_empty() && !self.fill()? {
                return Ok(false);
            }
            let wanted = usize::try_from(offset - self.offset).unwrap_or(usize::MAX);
            self.consume(wanted.min(self.open.len()));
        }
        Ok(true)
    }

    /// The next entries; none at the end. A last line without its end is an entry, unless the
    /// stream breaks off.
    ///
    /// # Errors
    /// When the stream does not go on. All complete lines before that were returned.
    pub fn next_slice(&mut self) -> Result<Option<Slice>, StreamError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let start = self.offset;
        let mut end = start;
        let mut entries = Entries::new(self.max_line_bytes);
        while !entries.are_enough() && end - start < SLICE_SPAN {
            if self.open.is_empty() {
                match self.fill() {
                    Ok(true) => {}
                    Ok(false) => {
                        entries.end_line();
                        end = self.offset;
                        break;
                    }
                    Err(error) if end == start => return Err(error),
                    Err(error) => {
                        self.failed = Some(error);
                        break;
                    }
                }
            }
            let open = &self.buffer[self.open.clone()];
            let feed = open.iter().position(|byte| *byte == b'\n');
            entries.add(&open[..feed.unwrap_or(open.len())]);
            self.consume(feed.map_or_else(|| self.open.len(), |feed| feed + 1));
            if feed.is_some() {
                entries.end_line();
                end = self.offset;
            }
        }
        Ok((end > start).then(|| Slice {
            start,
            end,
            packed: self.packed(),
            lines: entries.into_lines(),
        }))
    }

    /// Bytes of the stream as it is stored that were read so far.
    pub fn packed(&self) -> u64 {
        self.stream.packed()
    }

    /// Reads on; `false` at the end.
    fn fill(&mut self) -> Result<bool, StreamError> {
        let read = self.stream.read(&mut self.buffer)?;
        self.open = 0..read;
        Ok(read > 0)
    }

    fn consume(&mut self, bytes: usize) {
        self.open.start += bytes;
        self.offset += bytes as u64;
    }
}

/// The lines of a slice while it is read.
struct Entries {
    kept: Vec<u8>,
    /// Each line's place in `kept`, with its length in the stream.
    places: Vec<(Range<usize>, usize)>,
    max_line_bytes: usize,
    /// Where the last line begins, how long it is so far, and its last byte.
    from: usize,
    length: usize,
    last: u8,
}

impl Entries {
    fn new(max_line_bytes: usize) -> Self {
        Self {
            // The system gives memory when it is used.
            kept: Vec::with_capacity(SLICE_BYTES + BUFFER),
            places: Vec::new(),
            max_line_bytes,
            from: 0,
            length: 0,
            last: 0,
        }
    }

    fn are_enough(&self) -> bool {
        self.places.len() >= SLICE_ENTRIES || self.from >= SLICE_BYTES
    }

    /// Adds to the last line. One byte over the bound is kept, which may be a CR.
    fn add(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        let room = self.max_line_bytes.saturating_add(1) - (self.kept.len() - self.from);
        self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        self.length += bytes.len();
        self.last = *last;
    }

    fn end_line(&mut self) {
        let whole = self.length - usize::from(self.length > 0 && self.last == b'\r');
        self.kept
            .truncate(self.from + whole.min(self.max_line_bytes));
        let kept = &self.kept[self.from..];
        if kept.trim_ascii().is_empty() && whole == kept.len() {
            self.kept.truncate(self.from);
        } else {
            self.places.push((self.from..self.kept.len(), whole));
        }
        (self.from, self.length, self.last) = (self.kept.len(), 0, 0);
    }

    fn into_lines(self) -> Vec<Line> {
        let kept = Bytes::from(self.kept);
        let lines = self.places.into_iter();
        lines
            .map(|(place, whole_bytes)| Line {
                bytes: kept.slice(place),
                whole_bytes,
            })
            .collect()
    }
}

/// A stream as it is stored.
type Stored<R> = Counted<Chain<Cursor<Vec<u8>>, R>>;

/// A stream, inflated if it is gzip: all of its members.
enum Inflating<R: Read> {
    Plain(Stored<R>),
    Member(Box<GzDecoder<Stored<R>>>),
    /// All was read, or nothing more can be; so many bytes.
    Ended(u64),
}

impl<R: Read> Inflating<R> {
    fn new(mut stream: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(MAGIC.len());
        let mut first = stream.by_ref().take(MAGIC.len() as u64);
        first.read_to_end(&mut start)?;
        let is_gzip = start == MAGIC;
        let stored = Counted {
            inner: BufReader::with_capacity(BUFFER, Cursor::new(start).chain(stream)),
            at: 0,
            has_failed: false,
        };
        Ok(if is_gzip {
            Self::Member(Box::new(GzDecoder::new(stored)))
        } else {
            Self::Plain(stored)
        })
    }

    /// Bytes of the stream as it is stored that were used so far.
    fn packed(&self) -> u64 {
        match self {
            Self::Plain(stored) => stored.at,
            Self::Member(member) => member.get_ref().at,
            Self::Ended(at) => *at,
        }
    }

    /// Reads into `buffer`; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        loop {
            let read = match self {
                Self::Plain(stored) => stored.read(buffer),
                Self::Member(member) => member.read(buffer),
                Self::Ended(_) => return Ok(0),
            };
            match read {
                Ok(0) => self.end_member()?,
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fail(error)),
            }
        }
    }

    /// Goes on with the next member, if there is one.
    fn end_member(&mut self) -> Result<(), StreamError> {
        let at = self.packed();
        let Self::Member(member) = mem::replace(self, Self::Ended(at)) else {
            return Ok(());
        };
        let mut stored = member.into_inner();
        let padding = match stored.skip_zeros() {
            Ok(padding) => padding,
            Err(error) => return Err(StreamError::Read(error)),
        };
        let next = match stored.fill_buf() {
            Ok(next) => next.first().copied(),
            Err(error) => return Err(StreamError::Read(error)),
        };
        let at = stored.at;
        // Zeros behind the last member are padding. Anything else was meant to be read.
        *self = match next {
            None => Self::Ended(at),
            Some(byte) if byte == MAGIC[0] && padding == 0 => {
                Self::Member(Box::new(GzDecoder::new(stored)))
            }
            Some(_) => {
                *self = Self::Ended(at);
                return Err(StreamError::BreaksOff { at });
            }
        };
        Ok(())
    }

    fn fail(&mut self, error: io::Error) -> StreamError {
        let at = self.packed();
        let breaks_off = matches!(&*self, Self::Member(member) if !member.get_ref().has_failed);
        *self = Self::Ended(at);
        if breaks_off {
            StreamError::BreaksOff { at }
        } else {
            StreamError::Read(error)
        }
    }
}

/// Counts the bytes that are used, and remembers whether the stream itself failed.
struct Counted<R> {
    inner: BufReader<R>,
    at: u64,
    has_failed: bool,
}

impl<R: Read> Counted<R> {
    /// Uses up zeros; returns how many there were.
    fn skip_zeros(&mut self) -> io::Result<u64> {
        let before = self.at;
        loop {
            let open = self.fill_buf()?;
            let zeros = open.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(self.at - before);
            }
            self.consume(zeros);
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let open = self.fill_buf()?;
        let count = open.len().min(buffer.len());
        buffer[..count].copy_from_slice(&open[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.inner.fill_buf() {
                // Not asked a second time: whoever types at a terminal ends the stream once.
                Ok([]) => return Ok(&[]),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.has_failed = true;
                    return Err(error);
                }
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.inner.consume(bytes);
        self.at += bytes as u64;
    }
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

    /// Gives a byte at a time, and fails at the end if asked to.
    struct Trickle<'a>(&'a [u8], bool);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.split_first() {
                Some((first, rest)) => {
                    (buffer[0], self.0) = (*first, rest);
                    Ok(1)
                }
                None if self.1 => Err(io::Error::other("the disk is gone")),
                None => Ok(0),
            }
        }
    }

    /// The lines of all slices, and how the stream ended.
    fn lines(stream: impl Read, max: usize) -> (Vec<(Vec<u8>, usize)>, Option<StreamError>) {
        let mut slices = Slices::new(stream, max).expect("it starts");
        let mut all = Vec::new();
        let mut at = 0;
        loop {
            match slices.next_slice() {
                Ok(Some(slice)) => {
                    assert_eq!(slice.start, at);
                    at = slice.end;
                    let lines = slice.lines.into_iter();
                    all.extend(lines.map(|line| (line.bytes.to_vec(), line.whole_bytes)));
                }
                Ok(None) => return (all, None),
                Err(error) => {
                    assert!(slices.next_slice().is_ok_and(|next| next.is_none()));
                    return (all, Some(error));
                }
            }
        }
    }

    #[test]
    fn reads_what_a_split_of_the_whole_reads() {
        for text in [
            &b""[..],
            b"a\nb\n",
            b"a\nb",
            b"a\r\nb\r\n",
            b"\n\n a \n\t\n",
            b"abc\r\n",
            b"abcd\nab",
            b"abcdef\r\r\n",
            b"\r",
            b"   \nx",
        ] {
            let whole = Bytes::copy_from_slice(text);
            let split = crate::delivery::split(&whole, true, 3);
            let expected: Vec<_> = split
                .iter()
                .map(|line| (line.bytes.to_vec(), line.whole_bytes))
                .collect();
            let packed = gzip(text);
            let halves = text.split_at(text.len() / 2);
            let members = [gzip(halves.0), gzip(halves.1), vec![0; 600]].concat();
            for stored in [text, &packed, &members] {
                for found in [lines(stored, 3), lines(Trickle(stored, false), 3)] {
                    assert!(found.1.is_none(), "{text:?}: {found:?}");
                    assert_eq!(found.0, expected, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn cuts_at_the_same_places_wherever_it_begins() {
        let text: Vec<u8> = (0..SLICE_ENTRIES * 3 + 7)
            .flat_map(|number| format!("line {number}\n\n").into_bytes())
            .collect();
        let packed = gzip(&text);
        let mut slices = Slices::new(&packed[..], 100).unwrap();
        let mut all = Vec::new();
        while let Some(slice) = slices.next_slice().unwrap() {
            all.push((slice.start, slice.end, slice.lines.len()));
        }
        let counts: Vec<usize> = all.iter().map(|slice| slice.2).collect();
        assert_eq!(counts, [SLICE_ENTRIES, SLICE_ENTRIES, SLICE_ENTRIES, 7]);
        assert_eq!(all.last().unwrap().1, text.len() as u64);
        for (start, end, _) in all {
            let mut again = Slices::new(&packed[..], 100).unwrap();
            assert!(again.skip_to(start).unwrap());
            let slice = again.next_slice().unwrap().unwrap();
            assert_eq!((slice.start, slice.end), (start, end));
        }
        let mut slices = Slices::new(&packed[..], 100).unwrap();
        assert!(!slices.skip_to(text.len() as u64 + 1).unwrap());
    }

    #[test]
    fn a_slice_is_bounded_whatever_its_lines_are() {
        let long = io::repeat(b'x').take(50 << 20);
        let stream = Cursor::new(b"a\n").chain(long).chain(Cursor::new(b"\nb"));
        let (found, failed) = lines(stream, 1 << 10);
        assert!(failed.is_none());
        let lengths: Vec<_> = found.iter().map(|line| (line.0.len(), line.1)).collect();
        assert_eq!(lengths, [(1, 1), (1 << 10, 50 << 20), (1, 1)]);

        let wide: Vec<u8> = (0..12)
            .flat_map(|_| [vec![b'x'; 1 << 20], vec![b'\n']].concat())
            .collect();
        let mut slices = Slices::new(&wide[..], 1 << 20).unwrap();
        let mut counts = Vec::new();
        while let Some(slice) = slices.next_slice().unwrap() {
            counts.push(slice.lines.len());
        }
        assert_eq!(counts, [4, 4, 4]);

        let mut empty = Slices::new(io::repeat(b'\n').take((64 << 20) + 5), 9).unwrap();
        let first = empty.next_slice().unwrap().unwrap();
        assert_eq!((first.end, first.lines.len()), (SLICE_SPAN, 0));
        assert_eq!(empty.next_slice().unwrap().unwrap().end, SLICE_SPAN + 5);
        assert!(empty.next_slice().unwrap().is_none());
    }

    #[test]
    fn what_came_before_a_stream_breaks_off_is_read() {
        let text: Vec<u8> = (0..20_000_u32)
            .flat_map(|number| format!("line {number}\n").into_bytes())
            .collect();
        let whole = gzip(&text);
        let half = whole.len() / 2;
        let (found, failed) = lines(&whole[..half], 100);
        let Some(StreamError::BreaksOff { at }) = failed else {
            panic!("half a stream is not whole: {failed:?}");
        };
        assert_eq!(at, half as u64);
        let read: Vec<u8> = found
            .iter()
            .flat_map(|line| [&line.0[..], b"\n"].concat())
            .collect();
        assert!(found.len() > 5_000 && text.starts_with(&read));

        let two = [gzip(b"a\n"), b"what is this".to_vec()].concat();
        let (found, failed) = lines(&two[..], 100);
        assert_eq!(found, [(b"a".to_vec(), 1)]);
        let at = gzip(b"a\n").len() as u64;
        assert!(matches!(failed, Some(StreamError::BreaksOff { at: end }) if end == at));

        let mut damaged = whole.clone();
        let end = damaged.len();
        damaged[end - 6] ^= 0x55;
        let (_, failed) = lines(&damaged[..], 100);
        assert!(matches!(failed, Some(StreamError::BreaksOff { .. })));
        let (_, failed) = lines(&whole[..5], 100);
        assert!(matches!(failed, Some(StreamError::BreaksOff { at: 5 })));
    }

    #[test]
    fn a_disk_that_fails_is_no_damaged_gzip() {
        let packed = gzip(b"a\nb\n");
        for stored in [&packed[..packed.len() - 9], b"a\nb", &packed] {
            let (_, failed) = lines(Trickle(stored, true), 100);
            assert!(
                matches!(failed, Some(StreamError::Read(_))),
                "{stored:?}: {failed:?}"
            );
        }
    }
}
