//! Reading along what a run writes, from whenever to its end.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::error::AlfError;
use super::handle::AlfHandle;
use crate::model::{RunId, RunResult};
use crate::ssh::output::{LiveOutput, OutputReader, Piece, Stream};

/// What comes of a run that is followed.
#[derive(Debug)]
pub enum Followed {
    /// It has written something, or what it wrote was dropped before it could be read here.
    Piece(Piece),
    /// It has ended; none where it left no Result, or none that can be had.
    Ended(Option<Box<RunResult>>),
}

/// Reads along what a run writes.
pub struct Follower {
    handle: AlfHandle,
    run: RunId,
    output: watch::Receiver<Option<Arc<LiveOutput>>>,
    reader: Option<OutputReader>,
    offsets: [u64; 2],
    /// What is still told, once it has ended.
    last: Option<VecDeque<Followed>>,
}

impl Follower {
    /// What comes next; none after the end. May be dropped while it waits, and asked again: nothing gets lost.
    pub async fn next(&mut self) -> Option<Followed> {
        while self.last.is_none() {
            if let Some(reader) = &mut self.reader {
                let piece = reader.next().await;
                self.offsets = reader.offsets();
                if let Some(piece) = piece {
                    return Some(Followed::Piece(piece));
                }
                self.reader = None;
            }
            // The run waits, is on its way to the store, or has to be started again.
            if self.output.changed().await.is_err() {
                let result = self.handle.result(self.run).await.unwrap_or_default();
                self.last = Some(self.last_of(result));
                break;
            }
            let output = self.output.borrow_and_update().clone();
            self.reader = output.map(|output| output.read_from(self.offsets));
        }
        self.last.as_mut()?.pop_front()
    }

    /// What is told at the end: what the Result has that was not read here before it was its, and the Result.
    fn last_of(&self, result: Option<RunResult>) -> VecDeque<Followed> {
        let mut last = VecDeque::new();
        for (stream, captured) in
            result.iter().flat_map(|result| [(Stream::Stdout, &result.stdout), (Stream::Stderr, &result.stderr)])
        {
            let offset = self.offsets[stream as usize];
            let missing = usize::try_from(offset).ok().and_then(|at| captured.bytes.get(at..));
            // Of what was cut nobody knows where it was.
            let whole = captured.bytes.len() as u64 == captured.total;
            if let Some(bytes) = missing.filter(|bytes| whole && !bytes.is_empty()) {
                let bytes = Bytes::copy_from_slice(bytes);
                last.push_back(Followed::Piece(Piece::Data { stream, offset, bytes }));
            }
        }
        last.push_back(Followed::Ended(result.map(Box::new)));
        last
    }
}

impl AlfHandle {
    /// Reads along what a run that has not ended writes, from these offsets of standard output and standard error on.
    /// A run that waits is waited for.
    pub async fn follow(&self, run: RunId, offsets: [u64; 2]) -> Result<Follower, AlfError> {
        self.open_run(run).await?;
        let mut output = self.board().output(run).ok_or(AlfError::NoRun(run))?;
        // What is there already has not been seen here.
        output.mark_changed();
        Ok(Follower { handle: self.clone(), run, output, reader: None, offsets, last: None })
    }
}
