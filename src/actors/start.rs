//! Starting runs that somebody asks for: of a task or ad hoc, on one host or on many.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::error::AlfError;
use super::handle::{ANSWER, AlfHandle};
use super::host::RunTask;
use super::node::FindHost;
use super::once::Once;
use super::order::Order;
use crate::model::{
    Definition as _, Fault, Given, Name, Noun, Origin, Reference, ResultQuery, Rights, RunId, RunIds, Secrets,
    Selector, Task, TaskDocument,
};

/// How many hosts are asked at once.
const AT_ONCE: usize = 64;
/// How many Results are read at once.
const PAGE: usize = 1000;

/// What is to be run.
#[derive(Debug, Clone)]
pub enum What {
    /// A task of the catalog.
    Task(Name),
    /// What [`AlfHandle::ad_hoc`] gave.
    AdHoc(Arc<Task>),
}

/// Runs that were asked for together.
#[derive(Debug, Clone)]
pub struct Group {
    /// Stands in each of their Results.
    pub id: RunId,
    /// Those that are claimed, by host.
    pub runs: Vec<(Name, RunId)>,
    /// The hosts on which nothing was started, and why.
    pub refused: Vec<(Name, AlfError)>,
}

impl AlfHandle {
    /// Starts a run of a task on a host now; answers as soon as the run is claimed or refused.
    pub async fn run(&self, host: Name, task: Name, order: Order) -> Result<RunId, AlfError> {
        self.start(host, What::Task(task), order).await
    }

    /// Starts a run of a task or an ad-hoc run on a host now; answers as soon as it is claimed or refused.
    pub async fn start(&self, host: Name, what: What, mut order: Order) -> Result<RunId, AlfError> {
        order.origin = Some(Arc::clone(self.origin())).filter(|origin| **origin != Origin::default());
        let catalog = self.catalog();
        if !catalog.hosts.contains_key(&host) {
            return Err(AlfError::NotFound(Reference { noun: Noun::Host, name: host }));
        }
        let (task, ad_hoc) = match what {
            What::AdHoc(task) => (task, true),
            What::Task(name) => match catalog.tasks.get(&name) {
                Some(task) => (Arc::clone(task), false),
                None => return Err(AlfError::NotFound(Reference { noun: Noun::Task, name })),
            },
        };
        let actor = self.node().get().send(FindHost(host.clone())).timeout(ANSWER).await?;
        let actor = actor.ok_or(AlfError::Unavailable(format!("host \"{host}\" is being restarted")))?;
        actor.send(RunTask { task, ad_hoc, order }).timeout(ANSWER).await?
    }

    /// Starts the same on all hosts of a selector that may be touched. That it cannot be started on one of them does not keep it from the
    /// others; that there is no host is an error. A request that is to be done once is remembered as begun before the first
    /// of them starts: what it came to is to be told by [`AlfHandle::began`]. One that was cut off is gone on with: where a
    /// run of it was claimed none is started again.
    pub async fn start_on_many(
        &self,
        selector: &Selector,
        rights: &Rights,
        what: What,
        given: Arc<Given>,
        once: Option<&Once>,
    ) -> Result<Group, AlfError> {
        let catalog = self.catalog();
        if let What::Task(name) = &what
            && !catalog.tasks.contains_key(name)
        {
            return Err(AlfError::NotFound(Reference { noun: Noun::Task, name: name.clone() }));
        }
        let chosen =
            || catalog.hosts.values().filter(|host| selector.matches(host.meta.name.as_str(), &host.meta.labels));
        let nothing = || AlfError::Invalid(vec![Fault::new("/selector", "matches no host")]);
        let mut hosts: Vec<Name> =
            chosen().filter(|host| rights.cover(host)).map(|host| host.meta.name.clone()).collect();
        let begun = once.and_then(Once::begun);
        let mut there = match begun {
            Some(id) => self.runs_of_group(id).await?,
            None => BTreeMap::new(),
        };
        hosts.retain(|host| !there.contains_key(host));
        if hosts.is_empty() && there.is_empty() {
            return Err(match chosen().next() {
                Some(host) => rights.check(&host.meta.name, &catalog).map_or_else(AlfError::Denied, |()| nothing()),
                None => nothing(),
            });
        }
        hosts.sort();
        let id = begun.unwrap_or_else(|| RunIds::default().next(self.now()));
        let by = rights.key().map(|key| key.meta.name.clone());
        if let Some(once) = once.filter(|_| begun.is_none()) {
            once.begins(id, &self.writer).await?;
        }
        let order = Order { by, group: Some(id), given, origin: None, once: None, fired: None };
        let mut refused = Vec::new();
        let mut answers = futures_util::stream::iter(hosts)
            .map(|host| {
                let (what, order) = (what.clone(), order.clone());
                async move { (host.clone(), self.start(host, what, order).await) }
            })
            .buffered(AT_ONCE);
        while let Some((host, answer)) = answers.next().await {
            match answer {
                Ok(run) => drop(there.insert(host, run)),
                Err(error) => refused.push((host, error)),
            }
        }
        Ok(Group { id, runs: there.into_iter().collect(), refused })
    }

    /// The runs of a group, by host: those that go on, and those that have ended.
    async fn runs_of_group(&self, group: RunId) -> Result<BTreeMap<Name, RunId>, AlfError> {
        // In this order: a run leaves the board when it is stored.
        let (open, storing) = self.board.runs();
        let rows = open.into_iter().chain(storing).filter(|row| row.group == Some(group));
        let mut runs: BTreeMap<Name, RunId> = rows.map(|row| (row.host, row.id)).collect();
        let mut query = ResultQuery { group: Some(group), limit: PAGE, ..ResultQuery::default() };
        loop {
            let page = self.results(query.clone()).await?;
            runs.extend(page.items.into_iter().map(|result| (result.host, result.id)));
            match page.next {
                None => return Ok(runs),
                next => query.before = next,
            }
        }
    }

    /// Checks what is to be run ad hoc, finding all faults: it is a task without a name.
    pub fn ad_hoc(&self, mut document: TaskDocument) -> Result<Arc<Task>, Vec<Fault>> {
        // The common fields of a task are not its own; a name is never shown.
        document.name = Name::parse("ad-hoc").ok();
        let missing = self.catalog().missing(Task::named_in(&document));
        match Task::check(document, &Secrets::new(), self.defaults()) {
            Ok(task) if missing.is_empty() => Ok(Arc::new(task)),
            Ok(_) => Err(missing),
            Err(faults) => Err(faults.into_iter().chain(missing).collect()),
        }
    }
}
