//! Output of a command, bounded while it arrives: the first and the last half are kept, the middle is dropped.

use std::collections::VecDeque;

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
#[derive(Debug)]
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
}
