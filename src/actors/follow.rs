//! Reading along what a run writes, from whenever to its end.

use std::sync::Arc;

use tokio::sync::watch;

use super::error::AlfError;
use super::handle::AlfHandle;
use crate::model::{RunId, RunResult};
use crate::ssh::output::{LiveOutput, OutputReader, Piece};

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
    ended: bool,
}

impl Follower {
    /// What comes next; none after the end. May be dropped while it waits, and asked again: nothing gets lost.
    pub async fn next(&mut self) -> Option<Followed> {
        while !self.ended {
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
                self.ended = true;
                return Some(Followed::Ended(result.map(Box::new)));
            }
            let output = self.output.borrow_and_update().clone();
            self.reader = output.map(|output| output.read_from(self.offsets));
        }
        None
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
        Ok(Follower { handle: self.clone(), run, output, reader: None, offsets, ended: false })
    }
}
