//! Supervision of our own: actix's `Supervisor` does not survive a panic.
//!
//! An actor carries an [`Obituary`]; when it ends, for whatever reason, the obituary tells who keeps it, who counts the
//! cause and builds it anew after a capped backoff. [`keep`] does so for the actors there is one of; parents do it for
//! their children by [`ChildEnded`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use actix::{Actor, Addr, Context, Handler, Message};
use actix_rt::ArbiterHandle;
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

/// The first delay before an actor is built anew; doubles with each death in a row.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Who lived this long dies for a new reason.
const SETTLED: Duration = Duration::from_secs(60);

/// Why an actor is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It panicked.
    Panicked,
    /// It stopped, or its last address was dropped.
    Stopped,
}

/// Tells of an actor's end when it is dropped with the actor. Kept trivial: it may run while a panic unwinds.
pub struct Obituary(Option<Box<dyn FnOnce(Cause) + Send>>);

impl Obituary {
    /// Calls this at the end.
    pub fn new(tell: impl FnOnce(Cause) + Send + 'static) -> Self {
        Self(Some(Box::new(tell)))
    }

    /// Tells nobody.
    pub fn none() -> Self {
        Self(None)
    }
}

impl Drop for Obituary {
    fn drop(&mut self) {
        if let Some(tell) = self.0.take() {
            tell(if std::thread::panicking() { Cause::Panicked } else { Cause::Stopped });
        }
    }
}

/// To a parent: one of its children is no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct ChildEnded<K> {
    /// Which child.
    pub key: K,
    /// Which of its lives; an old one's end is no news.
    pub generation: u64,
    /// Why.
    pub cause: Cause,
}

/// To a parent: time to build a child anew.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Rebuild<K>(pub K);

/// Ends an actor in good order.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// For tests of supervision: panics.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Crash;

/// Lets actors hear [`Stop`] and [`Crash`].
macro_rules! supervised {
    ($($actor:ty),*) => {$(
        impl actix::Handler<$crate::actors::supervision::Stop> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::actors::supervision::Stop, ctx: &mut actix::Context<Self>) {
                actix::ActorContext::stop(ctx);
            }
        }

        impl actix::Handler<$crate::actors::supervision::Crash> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::actors::supervision::Crash, _: &mut actix::Context<Self>) {
                panic!("a test asked the {} to panic", stringify!($actor));
            }
        }
    )*};
}
pub(super) use supervised;

/// How often an actor died lately, and how long to wait before the next life.
#[derive(Debug, Clone, Default)]
pub struct Deaths {
    /// All of them.
    pub total: u32,
    /// Why the last one.
    last: Option<Cause>,
    in_row: u32,
    born: Option<Instant>,
}

impl Deaths {
    /// Notes a birth.
    pub fn born(&mut self) {
        self.born = Some(Instant::now());
    }

    /// Notes a death; answers how long to wait.
    pub fn died(&mut self, cause: Cause) -> Duration {
        let settled = self.born.is_some_and(|born| born.elapsed() >= SETTLED);
        self.in_row = if settled { 1 } else { self.in_row + 1 };
        self.total += 1;
        self.last = Some(cause);
        delay(self.in_row)
    }

    /// Why the last one, in words.
    pub fn last_error(&self) -> Option<String> {
        let words = match self.last? {
            Cause::Panicked => "it panicked; the log has the place",
            Cause::Stopped => "it stopped unasked",
        };
        Some(words.to_owned())
    }
}

/// The delay after so many deaths in a row.
fn delay(in_row: u32) -> Duration {
    FIRST_DELAY.saturating_mul(1 << in_row.saturating_sub(1).min(16)).min(LONGEST_DELAY)
}

/// Where the address of a kept actor stands, whichever of its lives it is in.
pub struct Slot<A: Actor>(Arc<SlotState<A>>);

struct SlotState<A: Actor> {
    addr: RwLock<Addr<A>>,
    deaths: RwLock<Deaths>,
    restarts: AtomicU32,
    closed: AtomicBool,
}

impl<A: Actor> Clone for Slot<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor> Slot<A> {
    /// The address of the present life. Between two lives messages to it fail as closed.
    pub fn get(&self) -> Addr<A> {
        self.0.addr.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is not to be built anew any more.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// Ends it for good; answers when it has heard so.
    pub async fn stop(&self)
    where
        A: Actor<Context = Context<A>> + Handler<Stop>,
    {
        self.close();
        // One that is no more has ended already.
        let _ = self.get().send(Stop).await;
    }

    /// How often it was built anew.
    pub fn restarts(&self) -> u64 {
        self.0.restarts.load(Ordering::Relaxed).into()
    }

    /// What is known of it from outside.
    pub fn health(&self, kind: &str) -> ActorHealth {
        let deaths = self.0.deaths.read().unwrap_or_else(PoisonError::into_inner);
        let state = if self.get().connected() { "up" } else { "restarting" };
        ActorHealth {
            state: state.to_owned(),
            restarts: self.0.restarts.load(Ordering::Relaxed),
            last_error: deaths.last_error(),
            ..ActorHealth::up(kind, kind)
        }
    }
}

/// Starts an actor on an arbiter and builds it anew whenever it dies, until its slot is closed.
pub fn keep<A, F>(kind: &'static str, arbiter: ArbiterHandle, build: F) -> Slot<A>
where
    A: Actor<Context = Context<A>> + Send,
    F: Fn(Obituary) -> A + Send + Sync + 'static,
{
    // The first life's obituary must know the slot, which can only be made with the first life's address.
    let place: Arc<RwLock<Option<Slot<A>>>> = Arc::default();
    let keeper = Arc::new(Keeper { kind, arbiter, build, place: Arc::clone(&place) });
    let slot = Slot(Arc::new(SlotState {
        addr: RwLock::new(keeper.start()),
        deaths: RwLock::default(),
        restarts: AtomicU32::new(0),
        closed: AtomicBool::new(false),
    }));
    slot.0.deaths.write().unwrap_or_else(PoisonError::into_inner).born();
    *place.write().unwrap_or_else(PoisonError::into_inner) = Some(slot.clone());
    slot
}

struct Keeper<A: Actor, F> {
    kind: &'static str,
    arbiter: ArbiterHandle,
    build: F,
    place: Arc<RwLock<Option<Slot<A>>>>,
}

impl<A, F> Keeper<A, F>
where
    A: Actor<Context = Context<A>> + Send,
    F: Fn(Obituary) -> A + Send + Sync + 'static,
{
    fn start(self: &Arc<Self>) -> Addr<A> {
        let keeper = Arc::clone(self);
        let actor = (self.build)(Obituary::new(move |cause| keeper.ended(cause)));
        A::start_in_arbiter(&self.arbiter, move |_| actor)
    }

    fn ended(self: Arc<Self>, cause: Cause) {
        let slot = self.place.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(slot) = slot.filter(|slot| !slot.0.closed.load(Ordering::Relaxed)) else { return };
        let wait = slot.0.deaths.write().unwrap_or_else(PoisonError::into_inner).died(cause);
        log::error!(actor = self.kind, restart_in_ms = wait.as_millis() as u64; "actor ended: {cause:?}");
        let arbiter = self.arbiter.clone();
        arbiter.spawn(async move {
            tokio::time::sleep(wait).await;
            if slot.0.closed.load(Ordering::Relaxed) {
                return;
            }
            let addr = self.start();
            slot.0.deaths.write().unwrap_or_else(PoisonError::into_inner).born();
            slot.0.restarts.fetch_add(1, Ordering::Relaxed);
            *slot.0.addr.write().unwrap_or_else(PoisonError::into_inner) = addr;
        });
    }
}

/// How an actor stands: read by `/health/actors`, by tests and by metrics alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ActorHealth {
    /// `node`, `host`, `task`, …
    pub kind: String,
    /// Which of them.
    pub name: String,
    /// `up`, `restarting`, or a word of its own.
    pub state: String,
    /// How often it was built anew.
    pub restarts: u32,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What waits for it.
    pub queue: u64,
    /// Figures of its own: connection, sessions in use, next run…
    pub details: BTreeMap<String, String>,
    /// Those it keeps.
    #[schema(no_recursion)]
    pub children: Vec<ActorHealth>,
}

impl ActorHealth {
    /// One that is well.
    pub fn up(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            state: "up".to_owned(),
            restarts: 0,
            last_error: None,
            queue: 0,
            details: BTreeMap::new(),
            children: Vec::new(),
        }
    }

    /// With a figure of its own.
    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.details.insert(key.to_owned(), value.to_string());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fragile {
        _obituary: Obituary,
    }

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Ask;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;

    impl Handler<Ask> for Fragile {
        type Result = u32;
        fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
            42
        }
    }

    impl Handler<Break> for Fragile {
        type Result = ();
        fn handle(&mut self, _: Break, _: &mut Context<Self>) {
            panic!("as the test asked");
        }
    }

    #[actix_rt::test]
    async fn who_panics_is_built_anew_and_counted() {
        tokio::time::pause();
        let slot = keep("fragile", actix_rt::Arbiter::current(), |obituary| Fragile { _obituary: obituary });
        assert_eq!(slot.get().send(Ask).await, Ok(42));
        for life in 1..=3 {
            assert!(slot.get().send(Break).await.is_err());
            assert_eq!(slot.health("fragile").state, "restarting");
            tokio::time::sleep(LONGEST_DELAY).await;
            assert_eq!(slot.get().send(Ask).await, Ok(42));
            assert_eq!(slot.health("fragile").restarts, life);
        }
        slot.close();
        assert!(slot.get().send(Break).await.is_err());
        tokio::time::sleep(LONGEST_DELAY).await;
        assert!(slot.get().send(Ask).await.is_err(), "a closed slot builds nothing");
    }

    #[test]
    fn delays_double_and_are_capped() {
        let delays: Vec<u128> = (1..12).map(|n| delay(n).as_millis()).collect();
        assert_eq!(delays[..4], [100, 200, 400, 800]);
        assert_eq!(delays[10], 30_000);
        assert_eq!(delay(u32::MAX), LONGEST_DELAY);
    }
}
