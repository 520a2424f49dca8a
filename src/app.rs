//! The composition root: puts all the rooms together, and takes them down in order.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use actix_web::dev::ServerHandle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::actors::action::ActionActor;
use crate::actors::board::{Board, Restored};
use crate::actors::catalog::{CatalogActor, CatalogParts, Draft, Precondition};
use crate::actors::definitions::read_rows;
use crate::actors::handle::{AlfHandle, HandleParts};
use crate::actors::heard::{Heard, PATIENCE};
use crate::actors::in_flight::InFlight;
use crate::actors::judge::Searches;
use crate::actors::key_uses::KeyUses;
use crate::actors::max_running::MaxRunning;
use crate::actors::news::Journal;
use crate::actors::node::{Everyone, NodeActor};
use crate::actors::once::Requests;
use crate::actors::parts::{LoginDefaults, NodeParts};
use crate::actors::published::Published;
use crate::actors::reactions::{Courier, Reactions};
use crate::actors::refused::Refusals;
use crate::actors::retention::Sweeper;
use crate::actors::store::{Queue, StoreActor, StoreWriter};
use crate::actors::supervision::keep;
use crate::clock::Clock;
use crate::http::{self, HttpConfig};
use crate::model::{
    Catalog, Defaults, FlapThresholds, KeyDocument, Name, Notification, NotificationQuery, Retention, Rights, Role,
    RunIds, SecretText, Timestamp, new_key,
};
use crate::ssh::Connector;
use crate::store::{Store, StoreError};
use crate::vault::Vault;

/// After the grace: how long killed runs may take beyond their `kill_grace` before they are left behind.
const KILL_TIME: Duration = Duration::from_secs(20);
/// How long the store may take to write what is left.
const FLUSH_TIME: Duration = Duration::from_secs(10);

/// Threads that may search what runs have written at once, however long one search takes.
const SEARCHES: usize = 2;

/// How long connections may take to be closed in good order.
const CLOSE_TIME: Duration = Duration::from_secs(2);

/// Of so many notifications of an Action it is looked up at a start how many count for its limit.
const MOST_TOLD: usize = 10_000;

/// What an App is built of; tests put fakes in.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Makes connections.
    pub connector: Arc<dyn Connector>,
    /// Takes things out of the house.
    pub courier: Arc<dyn Courier>,
    /// What seals secrets.
    pub vault: Vault,
    /// The time of day.
    pub clock: Clock,
}

/// How an App is set up: the settings that it needs itself.
pub struct Setup {
    /// This node's name.
    pub node: Name,
    /// What stands in for fields left out.
    pub defaults: Defaults,
    /// Who logs in where nothing says otherwise.
    pub login: LoginDefaults,
    /// Runs at once on this node.
    pub max_in_flight: usize,
    /// Writes that may wait for the store before instants wait too.
    pub queue: usize,
    /// Runs that may wait or run on one host.
    pub host_queue: usize,
    /// Handshakes at once.
    pub handshakes: usize,
    /// A connection that nobody uses for so long is closed; none for never.
    pub idle_timeout: Option<Duration>,
    /// From where on a pair flaps.
    pub flapping: FlapThresholds,
    /// Which Results are kept.
    pub retention: Retention,
    /// Threads for hosts; with none all actors live on the caller's own (tests with paused time).
    pub arbiters: usize,
    /// Where and how HTTP is served; none for an App without it.
    pub http: Option<HttpConfig>,
}

/// Why an App could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The address.
    #[error("cannot listen on {address}: {cause}{}", remedy(.cause))]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// The first key could not be stored.
    #[error("cannot store the first admin key: {0}")]
    FirstKey(String),
    /// The first key's file.
    #[error("cannot write the admin key to {path}: {cause}")]
    AdminKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "; another program listens there: end it, or choose another port with --listen",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need the right to use them",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// A running Alf.
pub struct App {
    /// The door to its inside.
    pub handle: AlfHandle,
    /// Where it listens; none without HTTP.
    pub address: Option<SocketAddr>,
    server: Option<(ServerHandle, JoinHandle<io::Result<()>>)>,
    /// What is done now and then: writing when keys were last used, forgetting old requests, removing old Results.
    chores: [JoinHandle<()>; 3],
    parts: Arc<NodeParts>,
    arbiters: Vec<Arbiter>,
    courier: Arc<dyn Courier>,
    store: Arc<dyn Store>,
}

/// How an App ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything is stored.
    Clean,
    /// So many Results could not be stored.
    Lost(usize),
}

/// When each Action that has a limit told something: as much as counts for the limit.
async fn told_lately(
    store: &dyn Store,
    catalog: &Catalog,
    now: Timestamp,
) -> Result<HashMap<Name, VecDeque<Timestamp>>, StoreError> {
    let mut sent = HashMap::new();
    for action in catalog.actions.values() {
        let Some(limit) = action.limit else { continue };
        let within = i64::try_from(limit.within().as_millis()).unwrap_or(i64::MAX);
        let query = NotificationQuery {
            action: Some(action.meta.name.clone()),
            since: Some(now.plus_millis(-within)),
            limit: MOST_TOLD,
            ..NotificationQuery::default()
        };
        let told = store.notifications(query).await?.items.into_iter().rev().filter(Notification::counts);
        sent.insert(action.meta.name.clone(), told.map(|one| one.at).collect());
    }
    Ok(sent)
}

/// Builds and starts everything: store first, HTTP last.
pub async fn build(setup: Setup, parts: Parts) -> Result<App, BuildError> {
    let loaded = parts.store.load().await?;
    let defaults = Arc::new(setup.defaults);
    let catalog = read_rows(loaded.revision, loaded.definitions, &parts.vault, &defaults)?;
    let published = Published::new(catalog);
    let (board, journal) = (Arc::new(Board::default()), Arc::<Journal>::default());
    board.restore(Restored {
        pairs: loaded.pairs,
        host_keys: loaded.host_keys,
        hosts: loaded.hosts,
        pause: loaded.pause,
    });

    let sent = told_lately(&*parts.store, &published.get(), parts.clock.now().into()).await?;
    let arbiters: Vec<Arbiter> = (0..setup.arbiters).map(|_| Arbiter::new()).collect();
    let pool: Vec<ArbiterHandle> = arbiters.iter().map(Arbiter::handle).collect();
    let own = Arbiter::current();
    let (store, queue) = (Arc::clone(&parts.store), Arc::new(Queue::new(setup.queue)));
    let of_store = Arc::clone(&queue);
    let store_actor = keep("store", own.clone(), move |obituary| {
        StoreActor::new(Arc::clone(&store), Arc::clone(&of_store), obituary)
    });
    let writer = StoreWriter::new(store_actor.clone(), queue);
    let node_parts = Arc::new(NodeParts {
        node: setup.node.clone(),
        clock: parts.clock.clone(),
        board: Arc::clone(&board),
        journal: Arc::clone(&journal),
        reactions: Arc::new(Reactions::restored(loaded.notices, loaded.parcels, sent)),
        published: published.clone(),
        store: Arc::clone(&parts.store),
        writer: writer.clone(),
        ids: RunIds::default(),
        connector: parts.connector,
        in_flight: InFlight::new(setup.max_in_flight),
        max_running: Arc::new(MaxRunning::new(published.clone())),
        catch_up: Arc::default(),
        queue: setup.host_queue,
        searches: Searches::new(SEARCHES),
        handshakes: Arc::new(Semaphore::new(setup.handshakes)),
        idle_timeout: setup.idle_timeout,
        flapping: setup.flapping,
        login: setup.login,
        missed_until: loaded.missed_until,
        stopping: AtomicBool::new(false),
    });
    let (of_node, of_published) = (Arc::clone(&node_parts), published.clone());
    let node = keep("node", own.clone(), move |obituary| {
        NodeActor::new(Arc::clone(&of_node), of_published.clone(), pool.clone(), obituary)
    });
    let (of_action, action_node) = (Arc::clone(&node_parts), node.clone());
    let (courier, of_actor) = (Arc::clone(&parts.courier), parts.courier);
    let action = keep("action", own.clone(), move |obituary| {
        ActionActor::new(Arc::clone(&of_action), action_node.clone(), Arc::clone(&of_actor), obituary)
    });
    let audit_ids = Arc::new(RunIds::default());
    let catalog_parts = Arc::new(CatalogParts {
        published: published.clone(),
        store: Arc::clone(&parts.store),
        writer: writer.clone(),
        vault: Arc::new(parts.vault),
        defaults: Arc::clone(&defaults),
        clock: parts.clock.clone(),
        audit_ids: Arc::clone(&audit_ids),
        node: node.clone(),
    });
    let catalog = keep("catalog", own, move |obituary| CatalogActor::new(Arc::clone(&catalog_parts), obituary));
    let all = node.clone();
    let handle = AlfHandle::new(HandleParts {
        catalog,
        node,
        store_actor,
        action,
        courier: Arc::clone(&courier),
        reactions: Arc::clone(&node_parts.reactions),
        writer,
        store: Arc::clone(&parts.store),
        published,
        board,
        key_uses: KeyUses::restored(loaded.key_uses),
        journal,
        requests: Requests::default(),
        sweeper: Sweeper::new(setup.retention),
        started_at: parts.clock.now().into(),
        audit_ids,
        refusals: Refusals::default(),
        clock: parts.clock,
        defaults,
        node_name: setup.node,
    });
    let chores = [
        actix_rt::spawn(handle.clone().keep_key_uses()),
        actix_rt::spawn(handle.clone().keep_requests()),
        actix_rt::spawn(handle.clone().keep_results()),
    ];
    let store = parts.store;
    let mut app = App { handle, address: None, server: None, chores, parts: node_parts, arbiters, courier, store };
    if let Some(config) = setup.http {
        // Whoever asks at once is to find every pair where it stands.
        let _ = all.get().send(Heard).timeout(PATIENCE).await;
        let listen = config.listen;
        let (server, address) = match http::server(app.handle.clone(), &config) {
            Ok(served) => served,
            Err(cause) => {
                // Ended in order: an actor that is only let go of is taken for one that died.
                app.shutdown(Duration::ZERO).await;
                return Err(BuildError::Listen { address: listen, cause });
            }
        };
        let stop = server.handle();
        app.server = Some((stop, actix_rt::spawn(server)));
        app.address = Some(address);
    }
    Ok(app)
}

impl App {
    /// Makes the first admin key, if there is no key at all. It is kept (in a file, say) before it is stored: who crashes
    /// between the two makes another one at the next start. Answers what keeping it answered.
    pub async fn first_key<T>(
        &self,
        keep: impl FnOnce(&SecretText) -> Result<T, BuildError>,
    ) -> Result<Option<T>, BuildError> {
        if self.handle.catalog().keys.size() > 0 {
            return Ok(None);
        }
        let secret = new_key();
        let kept = keep(&secret)?;
        let name = Name::parse("admin").ok();
        let mut document = KeyDocument { name, role: Some(Role::Admin), ..KeyDocument::default() };
        document.set_key(&secret);
        let put = self.handle.put(Draft::Key(document), Precondition::Absent, Rights::all()).await;
        put.map(|_| Some(kept)).map_err(|error| BuildError::FirstKey(error.to_string()))
    }

    /// Ends in order: no more requests, no more instants; runs may end by themselves within the grace, the others are
    /// killed and recorded as aborted; what is left is stored; connections are closed.
    pub async fn shutdown(mut self, grace: Duration) -> Ended {
        // Before anything else, for lives of actors that begin from now on.
        self.parts.stopping.store(true, Ordering::Relaxed);
        let _ = self.handle.node().get().send(Everyone::StopFiring).await;
        self.parts.journal.close();
        let stop = self.server.as_ref().map(|(stop, _)| stop.clone());
        let requests = async {
            if let Some(stop) = stop {
                let _ = tokio::time::timeout(grace, stop.stop(true)).await;
            }
        };
        let ((), settled) = tokio::join!(requests, self.settled(grace));
        self.handle.tell_refusals();
        if !settled {
            log::info!(runs = self.handle.board().unsettled(); "the grace is over: runs are ended");
            let _ = self.handle.node().get().send(Everyone::EndRuns).await;
            let tasks = self.handle.catalog();
            let kill_grace = tasks.tasks.values().map(|task| task.kill_grace.get()).max().unwrap_or_default();
            self.settled(KILL_TIME + kill_grace).await;
        }
        self.chores.iter().for_each(JoinHandle::abort);
        let _ = tokio::join!(self.settled(FLUSH_TIME), tokio::time::timeout(FLUSH_TIME, self.handle.write_key_uses()));
        let lost =
            self.handle.board().unsettled() + usize::try_from(self.handle.board().counts.lost.get()).unwrap_or(0);
        let _ = self.handle.node().get().send(Everyone::Stop).await;
        self.handle.stop_actors().await;
        let _ = tokio::time::timeout(CLOSE_TIME, self.courier.close()).await;
        self.parts.writer.close();
        self.connections_closed().await;
        self.store.close().await;
        if let Some((stop, server)) = self.server.take() {
            drop(stop.stop(false));
            server.abort();
        }
        for arbiter in self.arbiters.drain(..) {
            arbiter.stop();
            let _ = arbiter.join();
        }
        if lost == 0 { Ended::Clean } else { Ended::Lost(lost) }
    }

    /// Waits until no run is open and every Result is stored; false when it takes longer than this.
    async fn settled(&self, at_most: Duration) -> bool {
        let board = self.handle.board();
        let all = async {
            while board.unsettled() > 0 || self.parts.writer.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(at_most, all).await.is_ok()
    }

    /// Waits until every host has been told goodbye, or is slow to hear it.
    async fn connections_closed(&self) {
        let all = async {
            while self.handle.board().counts.open_connections() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIME, all).await;
    }
}
