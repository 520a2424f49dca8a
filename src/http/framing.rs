//! Where each answer on a connection ends, seen from below HTTP: by that it is told whether what begins there is ours.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// The largest head of an answer: beyond it this is not followed any more.
const LARGEST_HEAD: usize = 64 * 1024;
/// So much is looked at at once for the end of a head: a body may come in one piece with it.
const STEP: usize = 2048;

/// The answers that are to come, oldest first: for each whether it is one to `HEAD`.
#[derive(Debug, Default)]
pub struct Due(RefCell<VecDeque<bool>>);

impl Due {
    /// A request has come.
    pub fn add(&self, is_head: bool) {
        self.0.borrow_mut().push_back(is_head);
    }

    fn next(&self) -> Option<bool> {
        self.0.borrow_mut().pop_front()
    }
}

/// What goes out, followed from answer to answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(Place);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Place {
    /// Between two answers.
    #[default]
    Between,
    /// In a head, of which this is there; whether nothing follows it.
    Head(Vec<u8>, bool),
    /// In a body or in a chunk of one, of which so much is to come; whether other chunks follow.
    Body(u64, bool),
    /// In the line that tells how long a chunk is, of which this is there.
    Chunk(Vec<u8>),
    /// In what ends with the connection, or in what is not understood.
    Rest,
}

impl Answers {
    /// Whether what begins with these bytes is none of the answers that are due: actix-http refuses something that it could
    /// not read as a request.
    pub fn is_bare_refusal(&mut self, bytes: &[u8], due: &Due) -> bool {
        let informs = bytes.starts_with(b"HTTP/1.1 1");
        if self.0 != Place::Between || bytes.is_empty() {
            return false;
        }
        self.0 = match if informs { Some(true) } else { due.next() } {
            Some(is_head) => Place::Head(Vec::new(), is_head),
            None if is_refusal(bytes) => return true,
            None => Place::Rest,
        };
        false
    }

    /// How many of these bytes are of the answer that is going out, and how it stands when they are out.
    pub fn of_this(&self, bytes: &[u8]) -> (usize, Self) {
        let mut after = self.clone();
        (after.take(bytes), after)
    }

    /// These bytes have gone out, up to where the answer ends.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() && self.step(&mut rest).is_continue() {}
        bytes.len() - rest.len()
    }

    /// Takes the bytes of one part; breaks where the answer ends.
    fn step(&mut self, rest: &mut &[u8]) -> ControlFlow<()> {
        match &mut self.0 {
            Place::Between => return ControlFlow::Break(()),
            Place::Head(head, ends) => {
                if let Some(head) = until(head, rest, b"\r\n\r\n") {
                    self.0 = behind(&head, *ends);
                }
            }
            Place::Body(left, chunked) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                *rest = rest.get(taken..).unwrap_or_default();
                *left -= taken as u64;
                if *left == 0 {
                    self.0 = if *chunked { Place::Chunk(Vec::new()) } else { Place::Between };
                }
            }
            Place::Chunk(line) => {
                if let Some(line) = until(line, rest, b"\r\n") {
                    let size = str::from_utf8(&line).ok().and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
                    // Its own end of line comes behind a chunk; actix-http sends no trailers behind the last one.
                    self.0 = match size {
                        Some(0) => Place::Body(2, false),
                        Some(size) => Place::Body(size.saturating_add(2), true),
                        None => Place::Rest,
                    };
                }
            }
            Place::Rest => *rest = &[],
        }
        if self.0 == Place::Between { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Takes bytes up to this end, itself included, or a step of them; all there is before the end when it has come.
fn until(so_far: &mut Vec<u8>, rest: &mut &[u8], end: &[u8]) -> Option<Vec<u8>> {
    // The end may have begun with the bytes before.
    let (before, from) = (so_far.len(), so_far.len().saturating_sub(end.len() - 1));
    so_far.extend(rest.iter().take(STEP));
    let found = so_far.get(from..)?.windows(end.len()).position(|window| window == end);
    if let Some(place) = found {
        so_far.truncate(from + place + end.len());
    }
    *rest = rest.get(so_far.len() - before..).unwrap_or_default();
    (found.is_some() || so_far.len() > LARGEST_HEAD).then(|| std::mem::take(so_far))
}

/// What comes behind a head; `ends`: nothing, whatever it says.
fn behind(head: &[u8], ends: bool) -> Place {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok());
    let Some(status) = status.filter(|_| head.ends_with("\r\n\r\n")) else { return Place::Rest };
    if ends || (100..200).contains(&status) || [204, 304].contains(&status) {
        return Place::Between;
    }
    let mut length = None;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Place::Chunk(Vec::new());
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    match length {
        Some(0) => Place::Between,
        Some(length) => Place::Body(length, false),
        None => Place::Rest,
    }
}

fn is_refusal(bytes: &[u8]) -> bool {
    bytes.starts_with(b"HTTP/1.1 ") && bytes.get(9).is_some_and(|digit| *digit >= b'4')
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

    /// Sends answers in pieces of this size; answers how much of it was sent before something bare.
    fn sent(all: &[u8], due: &[bool], piece: usize) -> Option<usize> {
        let (mut answers, waiting) = (Answers::default(), Due::default());
        due.iter().for_each(|is_head| waiting.add(*is_head));
        let mut at = 0;
        while at < all.len() {
            let bytes = &all[at..all.len().min(at + piece)];
            if answers.is_bare_refusal(&all[at..], &waiting) {
                return Some(at);
            }
            let (taken, after) = answers.of_this(bytes);
            assert!(taken > 0, "stuck at {at} of {:?}", String::from_utf8_lossy(all));
            // A socket takes what it likes.
            let some = if at % 3 == 0 { taken } else { taken.div_ceil(2) };
            assert_eq!(answers.take(&bytes[..some]), some);
            assert!(some < taken || answers == after);
            at += some;
        }
        None
    }

    #[test]
    fn what_comes_behind_the_answers_is_told_from_what_is_in_them_however_it_is_cut() {
        let ok = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{BARE}", BARE.len());
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n";
        let kept = "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n";
        let chunks = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:X}\r\n{BARE}\r\n3\r\nabc\r\n0\r\n\r\n",
            BARE.len()
        );
        let interim = "HTTP/1.1 100 Continue\r\n\r\n";
        let empty = "HTTP/1.1 422 Unprocessable Entity\r\nx-request-id: a\r\ncontent-length: 0\r\n\r\n";
        for (answers, due) in [
            (vec![ok.as_str()], vec![false]),
            (vec![head, &chunks, kept], vec![true, false, false]),
            (vec![interim, &ok, interim, empty, &chunks], vec![false, false, false]),
            (vec![], vec![]),
        ] {
            let ours: String = answers.concat();
            let all = format!("{ours}{BARE}");
            for piece in 1..=all.len() {
                assert_eq!(sent(all.as_bytes(), &due, piece), Some(ours.len()), "{piece}: {all}");
            }
        }
    }

    #[test]
    fn what_is_not_understood_is_let_through() {
        let endless = format!("HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n{BARE}{BARE}");
        let strange = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{BARE}");
        let long = format!("{}{BARE}", "x".repeat(LARGEST_HEAD * 2));
        for all in [endless, strange, long] {
            for piece in [100, all.len()] {
                assert_eq!(sent(all.as_bytes(), &[false], piece), None);
            }
        }
    }
}
