//! Output of a command, bounded while it arrives: the first and the last half are kept, the middle is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// What was kept of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// The bytes kept.
    pub bytes: Vec<u8>,
    /// How many bytes the command really wrote.
    pub total: u64,
}

impl Output {
    /// Whether bytes were dropped.
    pub fn truncated(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

/// Collects a stream of any length in at most `limit` bytes.
#[derive(Debug, Clone)]
pub struct Collector {
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Collector {
    /// Keeps at most `limit` bytes: all of a stream that fits, else its first and last halves.
    pub fn new(limit: usize) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), total: 0 }
    }

    /// Takes what has arrived.
    pub fn push(&mut self, data: &[u8]) {
        self.total += data.len() as u64;
        let head_room = (self.limit - self.limit / 2).saturating_sub(self.head.len());
        let (first, rest) = data.split_at(head_room.min(data.len()));
        self.head.extend_from_slice(first);
        let tail_limit = self.limit / 2;
        let rest = &rest[rest.len().saturating_sub(tail_limit)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(tail_limit);
        self.tail.drain(..over.min(self.tail.len()));
        self.tail.extend(rest);
    }

    /// Bytes from `offset` of the stream on, at most `most` of them: where they begin (later than asked for, if those
    /// before were dropped) and what they are; none if there is nothing from there on yet.
    fn from(&self, offset: u64, most: usize) -> Option<(u64, Vec<u8>)> {
        if offset >= self.total {
            return None;
        }
        if let Some(head) = usize::try_from(offset).ok().and_then(|at| self.head.get(at..)).filter(|it| !it.is_empty())
        {
            return Some((offset, head[..head.len().min(most)].to_vec()));
        }
        let tail_begins = self.total - self.tail.len() as u64;
        let begins = offset.max(tail_begins);
        let skip = usize::try_from(begins - tail_begins).unwrap_or(usize::MAX);
        Some((begins, self.tail.iter().skip(skip).take(most).copied().collect()))
    }

    /// What was kept; where the middle was dropped, both edges are cut at a character's edge if the text is UTF-8 there.
    pub fn finish(self) -> Output {
        let Self { mut head, tail, total, .. } = self;
        let mut tail: Vec<u8> = tail.into();
        if total > (head.len() + tail.len()) as u64 {
            head.truncate(head.len() - broken_end(&head));
            tail.drain(..broken_start(&tail));
        }
        head.append(&mut tail);
        Output { bytes: head, total }
    }
}

/// Which of a command's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The output of a run while it comes: the same bounded memory that becomes its Result is what live readers read, so
/// that a slow one costs nothing; what was dropped before it came is a gap for it.
pub struct LiveOutput {
    state: Mutex<Live>,
    changed: Notify,
    readers: AtomicUsize,
}

struct Live {
    streams: [Collector; 2],
    ended: bool,
    /// What was kept stands in the Result alone.
    taken: bool,
}

impl fmt::Debug for LiveOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiveOutput(…)")
    }
}

impl LiveOutput {
    /// Keeps at most `limit` bytes of each stream.
    pub fn new(limit: usize) -> Arc<Self> {
        let streams = [Collector::new(limit), Collector::new(limit)];
        let state = Mutex::new(Live { streams, ended: false, taken: false });
        Arc::new(Self { state, changed: Notify::new(), readers: AtomicUsize::new(0) })
    }

    fn state(&self) -> MutexGuard<'_, Live> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has arrived.
    pub fn push(&self, stream: Stream, data: &[u8]) {
        self.state().streams[stream as usize].push(data);
        self.changed.notify_waiters();
    }

    /// Nothing more comes: what was kept of standard output and standard error.
    pub fn finish(&self) -> [Output; 2] {
        let mut state = self.state();
        state.ended = true;
        // Live readers may still be behind.
        let reading = self.readers.load(Ordering::Relaxed) > 0;
        state.taken = !reading;
        let kept = state.streams.each_mut().map(|stream| {
            let left = Collector { limit: stream.limit, head: Vec::new(), tail: VecDeque::new(), total: stream.total };
            if reading { stream.clone() } else { std::mem::replace(stream, left) }
        });
        drop(state);
        self.changed.notify_waiters();
        kept.map(Collector::finish)
    }

    /// Reads along from these offsets of standard output and standard error on.
    pub fn read_from(self: &Arc<Self>, offsets: [u64; 2]) -> OutputReader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        OutputReader { live: Arc::clone(self), offsets }
    }
}

/// What a live reader is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of a stream.
    Data {
        /// Which.
        stream: Stream,
        /// Where they begin.
        offset: u64,
        /// What they are.
        bytes: Bytes,
    },
    /// Bytes of a stream were dropped before this reader came to them.
    Gap {
        /// Which.
        stream: Stream,
        /// The first that is missing.
        from: u64,
        /// The first that is not.
        to: u64,
    },
}

/// Bytes a live reader is given at once.
const PIECE: usize = 32 * 1024;

/// Reads a run's output while it comes.
pub struct OutputReader {
    live: Arc<LiveOutput>,
    offsets: [u64; 2],
}

impl OutputReader {
    /// What comes next, standard output first where both have something; none when the run's output has ended.
    pub async fn next(&mut self) -> Option<Piece> {
        let live = Arc::clone(&self.live);
        loop {
            let changed = live.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = live.state();
                if state.taken {
                    // Who comes now finds all of it in the Result: none of it was dropped.
                    return None;
                }
                for stream in [Stream::Stdout, Stream::Stderr] {
                    let at = &mut self.offsets[stream as usize];
                    let Some((begins, bytes)) = state.streams[stream as usize].from(*at, PIECE) else { continue };
                    if begins > *at || bytes.is_empty() {
                        let to = if bytes.is_empty() { state.streams[stream as usize].total } else { begins };
                        let from = std::mem::replace(at, to);
                        return Some(Piece::Gap { stream, from, to });
                    }
                    *at += bytes.len() as u64;
                    return Some(Piece::Data { stream, offset: begins, bytes: bytes.into() });
                }
                if state.ended {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// The offsets of standard output and standard error that come next.
    pub fn offsets(&self) -> [u64; 2] {
        self.offsets
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        self.live.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many bytes at the end belong to a UTF-8 character that was cut off.
fn broken_end(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let needs = match byte {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 1,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

/// How many bytes at the start are the rest of a UTF-8 character whose beginning was dropped.
fn broken_start(bytes: &[u8]) -> usize {
    let rest = bytes.iter().take(4).take_while(|byte| (0x80..=0xBF).contains(*byte)).count();
    if rest < 4 { rest } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(limit: usize, pieces: &[&[u8]]) -> Output {
        let mut collector = Collector::new(limit);
        for piece in pieces {
            collector.push(piece);
        }
        collector.finish()
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let output = collect(10, &[b"01234", b"", b"56789"]);
        assert_eq!(output.bytes, b"0123456789");
        assert!(!output.truncated());
    }

    #[test]
    fn the_middle_is_dropped_however_it_arrives() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for size in [1, 3, 7, 100, 1000] {
            let pieces: Vec<&[u8]> = all.chunks(size).collect();
            let output = collect(100, &pieces);
            assert_eq!(output.total, 1000);
            assert!(output.truncated());
            assert!(output.bytes.len() >= 94 && output.bytes.len() <= 100, "{}", output.bytes.len());
            assert_eq!(output.bytes[..40], all[..40]);
            assert_eq!(output.bytes[output.bytes.len() - 40..], all[960..]);
        }
    }

    #[test]
    fn a_cut_leaves_whole_characters() {
        let text = "ä€😀".repeat(100);
        for limit in 1..60 {
            let output = collect(limit, &[text.as_bytes()]);
            assert!(std::str::from_utf8(&output.bytes).is_ok(), "limit {limit}");
            assert!(output.truncated());
        }
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing_and_counts_all() {
        let output = collect(0, &[b"abc"]);
        assert_eq!((output.bytes.len(), output.total), (0, 3));
    }

    #[tokio::test]
    async fn who_comes_after_the_end_is_told_of_no_gap() {
        let live = LiveOutput::new(100);
        live.push(Stream::Stdout, b"all of it");
        assert_eq!(live.finish()[0].bytes, b"all of it");
        assert_eq!(live.read_from([0, 0]).next().await, None, "it is in the Result");
    }

    #[tokio::test]
    async fn a_live_reader_sees_everything_and_is_told_of_what_was_dropped() {
        let live = LiveOutput::new(10);
        live.push(Stream::Stdout, b"0123");
        let mut reader = live.read_from([2, 0]);
        let piece = |stream, offset, bytes: &'static [u8]| {
            Some(Piece::Data { stream, offset, bytes: Bytes::from_static(bytes) })
        };
        assert_eq!(reader.next().await, piece(Stream::Stdout, 2, b"23"));
        live.push(Stream::Stderr, b"oh");
        assert_eq!(reader.next().await, piece(Stream::Stderr, 0, b"oh"));
        live.push(Stream::Stdout, b"456789abcdef");
        assert_eq!(reader.next().await, piece(Stream::Stdout, 4, b"4"));
        assert_eq!(reader.next().await, Some(Piece::Gap { stream: Stream::Stdout, from: 5, to: 11 }));
        let [out, _] = live.finish();
        assert_eq!((out.total, &out.bytes[..]), (16, &b"01234bcdef"[..]));
        assert_eq!(reader.next().await, piece(Stream::Stdout, 11, b"bcdef"));
        assert_eq!((reader.next().await, reader.offsets()), (None, [16, 2]));
    }
}
