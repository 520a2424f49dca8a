//! What goes wrong in a store in memory, by order of a test.

use std::collections::HashMap;
use std::time::Duration;

use super::MemoryStore;
use crate::model::Name;
use crate::store::{StoreError, Write};

/// What goes wrong, by order of a test.
#[derive(Default)]
pub(super) struct Faults {
    commits: Option<StoreError>,
    tasks: HashMap<String, StoreError>,
    definitions: Option<StoreError>,
    delays: Delays,
    panic: bool,
}

/// How long a commit takes.
#[derive(Clone, Copy, Default)]
pub(super) struct Delays {
    /// Until it is on disk.
    pub(super) before: Duration,
    /// From then on, until it is answered.
    pub(super) after: Duration,
}

impl Faults {
    /// What stands in the way of these writes.
    pub(super) fn of(&self, writes: &[Write]) -> Option<StoreError> {
        let of_task = || writes.iter().find_map(|write| self.tasks.get(task_of(write)?.as_str()));
        self.commits.as_ref().or_else(of_task).cloned()
    }

    /// What stands in the way of a change of definitions.
    pub(super) fn of_definitions(&self) -> Result<(), StoreError> {
        self.definitions.clone().map_or(Ok(()), Err)
    }

    pub(super) fn delays(&self) -> Delays {
        self.delays
    }

    pub(super) fn panic_if_told(&mut self) {
        #[expect(clippy::panic, reason = "a panic is what the test asked for")]
        if std::mem::take(&mut self.panic) {
            panic!("a commit that was told to panic");
        }
    }
}

fn task_of(write: &Write) -> Option<&Name> {
    match write {
        Write::Claim { task, .. } => task.as_ref(),
        Write::Watch { task, .. } | Write::ForgetPair { task, .. } | Write::SetStatus { task, .. } => Some(task),
        Write::Save { result, .. } => result.task.as_ref(),
        Write::NoteKill { .. }
        | Write::SetHost { .. }
        | Write::ForgetHost(_)
        | Write::MissUntil(_)
        | Write::SetPause(_)
        | Write::Audit(_)
        | Write::Due(_)
        | Write::Evaluated(_)
        | Write::Delivered(_)
        | Write::PinHostKey(_)
        | Write::ForgetHostKey(_)
        | Write::NoteKeyUse { .. }
        | Write::RemoveResults(_)
        | Write::ForgetNotifications { .. }
        | Write::Under(_)
        | Write::Remember(_)
        | Write::ForgetRequest(_)
        | Write::ForgetRequests { .. } => None,
    }
}

impl MemoryStore {
    /// From now on every commit fails with this; with none they go through again.
    pub fn fail_commits(&self, error: Option<StoreError>) {
        self.inner().faults.commits = error;
    }

    /// From now on every commit with a write of this task's pairs fails with this; with none they go through again.
    pub fn fail_task(&self, task: &str, error: Option<StoreError>) {
        let mut inner = self.inner();
        match error {
            Some(error) => inner.faults.tasks.insert(task.to_owned(), error),
            None => inner.faults.tasks.remove(task),
        };
    }

    /// From now on every change of definitions fails with this; with none they go through again.
    pub fn fail_definitions(&self, error: Option<StoreError>) {
        self.inner().faults.definitions = error;
    }

    /// From now on every commit takes this long; what it writes is there at its end.
    pub fn delay_commits(&self, delay: Duration) {
        self.inner().faults.delays = Delays { before: delay, after: Duration::ZERO };
    }

    /// From now on every commit writes at once, and is answered after this long.
    pub fn delay_answers(&self, delay: Duration) {
        self.inner().faults.delays = Delays { before: Duration::ZERO, after: delay };
    }

    /// The next commit panics after it has written: its answer gets lost.
    pub fn panic_next_commit(&self) {
        self.inner().faults.panic = true;
    }
}
