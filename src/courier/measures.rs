//! The sinks of measurements: one for each Action that has one, started and ended as the definitions change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_rt::ArbiterHandle;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::model::action::{InfluxDatabase, Then};
use crate::model::{Action, Catalog, Name, SecretText, TextValue};
use crate::sinks::{MetricSink, Point, Receiver, SinkStats, Spooling, Trust};

/// Points that wait until their sink is started.
const MOST_WAITING: usize = 1000;

/// The sinks of measurements.
#[derive(Clone)]
pub(super) struct Measures {
    state: Arc<Mutex<State>>,
    changes: mpsc::UnboundedSender<Change>,
}

#[derive(Default)]
struct State {
    /// Of which the sinks are; none before the first.
    revision: Option<u64>,
    sinks: BTreeMap<Name, Sink>,
}

/// The sink of an Action.
struct Sink {
    /// Counts the sinks that it has had.
    life: u64,
    receiver: Receiver,
    runs: Runs,
}

enum Runs {
    /// The one before it is being ended; what comes meanwhile.
    NotYet(Vec<Point>),
    Yes(MetricSink),
}

/// What is to be done about a sink, one after the other: no two write into one spool.
enum Change {
    /// The old one of an Action ends, a new one begins, what it has on disk is deleted.
    Sink { action: Name, old: Option<MetricSink>, new: Option<u64>, forget: bool },
    /// What belongs to none of these is deleted.
    Sweep(BTreeSet<Name>),
    /// All end.
    Close(Vec<MetricSink>, oneshot::Sender<()>),
}

impl Measures {
    /// Without a sink yet.
    pub(super) fn start(arbiter: &ArbiterHandle, spool: PathBuf, limit: u64, trust: Trust, clock: Clock) -> Self {
        let (changes, mut wanted) = mpsc::unbounded_channel();
        let state = Arc::<Mutex<State>>::default();
        let of_state = Arc::clone(&state);
        arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                while let Some(change) = wanted.recv().await {
                    match change {
                        Change::Sink { action, old, new, forget } => {
                            if let Some(old) = old {
                                old.close().await;
                            }
                            let dir = spool.join(action.as_str());
                            if forget {
                                remove(dir.clone()).await;
                            }
                            let Some(life) = new else { continue };
                            let spooling = Spooling { dir, limit };
                            let begin = |receiver| MetricSink::start(&action, receiver, spooling, &trust, &clock);
                            if let Some(unwanted) = begin_with(&of_state, &action, life, begin) {
                                unwanted.close().await;
                            }
                        }
                        Change::Sweep(known) => sweep(spool.clone(), known).await,
                        Change::Close(all, done) => {
                            futures_util::future::join_all(all.into_iter().map(MetricSink::close)).await;
                            let _ = done.send(());
                        }
                    }
                }
            });
        });
        Self { state, changes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Sees to it that there is a sink for each Action that is to have one, and no other.
    pub(super) fn settle(&self, catalog: &Catalog) {
        let mut state = self.state();
        if state.revision == Some(catalog.revision) {
            return;
        }
        if state.revision.replace(catalog.revision).is_none() {
            let _ = self.changes.send(Change::Sweep(catalog.actions.keys().cloned().collect()));
        }
        let wanted: BTreeMap<Name, Receiver> = catalog
            .actions
            .values()
            .filter(|action| action.enabled)
            .filter_map(|action| Some((action.meta.name.clone(), receiver(action, catalog)?)))
            .collect();
        let is_over = |name: &&Name| !wanted.contains_key(*name);
        let over: Vec<Name> = state.sinks.keys().filter(is_over).cloned().collect();
        for action in over {
            let old = state.sinks.remove(&action).and_then(Sink::ended);
            // A disabled one keeps what it has: it may be enabled again.
            let forget = catalog.actions.get(&action).is_none_or(|action| receiver(action, catalog).is_none());
            let _ = self.changes.send(Change::Sink { action, old, new: None, forget });
        }
        for (action, receiver) in wanted {
            let before = state.sinks.remove(&action);
            let (life, old, waiting) = match before {
                Some(same) if same.receiver == receiver => {
                    state.sinks.insert(action, same);
                    continue;
                }
                Some(Sink { life, runs: Runs::NotYet(waiting), .. }) => (life + 1, None, waiting),
                Some(Sink { life, runs: Runs::Yes(sink), .. }) => (life + 1, Some(sink), Vec::new()),
                None => (0, None, Vec::new()),
            };
            state.sinks.insert(action.clone(), Sink { life, receiver, runs: Runs::NotYet(waiting) });
            let _ = self.changes.send(Change::Sink { action, old, new: Some(life), forget: false });
        }
    }

    /// Hands in what a Result has measured; never waits.
    pub(super) fn offer(&self, action: &Name, points: Vec<Point>) {
        match self.state().sinks.get_mut(action).map(|sink| &mut sink.runs) {
            Some(Runs::Yes(sink)) => {
                sink.offer(points);
            }
            Some(Runs::NotYet(waiting)) if waiting.len() < MOST_WAITING => waiting.extend(points),
            Some(Runs::NotYet(_)) | None => {
                log::warn!(action = action.as_str(); "{} measurements are lost: the sink is not there", points.len());
            }
        }
    }

    /// How each stands.
    pub(super) fn stats(&self) -> BTreeMap<Name, SinkStats> {
        let stats = |sink: &Sink| match &sink.runs {
            Runs::Yes(sink) => sink.stats(),
            Runs::NotYet(waiting) => SinkStats { queue: waiting.len() as u64, ..SinkStats::default() },
        };
        self.state().sinks.iter().map(|(name, sink)| (name.clone(), stats(sink))).collect()
    }

    /// Ends all: what they have not sent is on disk then.
    pub(super) fn close(&self) -> BoxFuture<'static, ()> {
        let sinks = std::mem::take(&mut self.state().sinks);
        let (done, is_done) = oneshot::channel();
        let _ = self.changes.send(Change::Close(sinks.into_values().filter_map(Sink::ended).collect(), done));
        is_done.map(|_| ()).boxed()
    }
}

impl Sink {
    fn ended(self) -> Option<MetricSink> {
        match self.runs {
            Runs::Yes(sink) => Some(sink),
            Runs::NotYet(_) => None,
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins a sink, if it is still the one that is wanted.
fn begin_with(
    state: &Mutex<State>,
    action: &Name,
    life: u64,
    begin: impl FnOnce(Receiver) -> MetricSink,
) -> Option<MetricSink> {
    let mut state = lock(state);
    let place = state.sinks.get_mut(action).filter(|sink| sink.life == life)?;
    let sink = begin(place.receiver.clone());
    match std::mem::replace(&mut place.runs, Runs::Yes(sink)) {
        Runs::NotYet(waiting) => {
            if let Runs::Yes(sink) = &place.runs {
                sink.offer(waiting);
            }
            None
        }
        Runs::Yes(other) => Some(other),
    }
}

/// Where the measurements of an Action go; none if it has none, or its secret is gone.
fn receiver(action: &Action, catalog: &Catalog) -> Option<Receiver> {
    Some(match &action.then {
        Then::Graphite(graphite) => Receiver::Graphite(graphite.clone()),
        Then::Ganglia(ganglia) => Receiver::Ganglia(ganglia.clone()),
        Then::Influx(influx) => {
            let secret: Option<&TextValue<SecretText>> = match &influx.database {
                InfluxDatabase::Bucket { token, .. } => token.as_ref(),
                InfluxDatabase::Database { password, .. } => password.as_ref(),
            };
            let secret = secret.map(|secret| secret.reveal(catalog)).transpose().ok()?;
            Receiver::Influx((**influx).clone(), secret)
        }
        Then::Run(_) | Then::Webhook(_) | Then::Email(_) => return None,
    })
}

/// Deletes a spool.
async fn remove(dir: PathBuf) {
    let removed = tokio::fs::remove_dir_all(&dir).await;
    if let Err(error) = removed
        && error.kind() != std::io::ErrorKind::NotFound
    {
        log::warn!(file:% = dir.display(); "cannot be deleted: {error}");
    }
}

/// Deletes what Actions have left that were deleted while Alf was away.
async fn sweep(spool: PathBuf, known: BTreeSet<Name>) {
    let Ok(mut found) = tokio::fs::read_dir(&spool).await else { return };
    while let Ok(Some(entry)) = found.next_entry().await {
        let path = entry.path();
        if !is_of(&path, &known) {
            remove(path).await;
        }
    }
}

fn is_of(dir: &Path, known: &BTreeSet<Name>) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()).and_then(|name| Name::parse(name).ok());
    name.is_some_and(|name| known.contains(&name))
}
