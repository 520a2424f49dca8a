use std::sync::atomic::AtomicUsize;

use super::*;
use crate::clock::Clock;
use crate::model::RunIds;
use crate::ssh::fake::FakeConnector;
use crate::ssh::{Connector as _, Login, Target};

struct World {
    fake: FakeConnector,
    places: Arc<Places>,
    open: Arc<AtomicUsize>,
    ids: RunIds,
}

impl World {
    async fn new(most: u32) -> Self {
        let world = Self {
            fake: FakeConnector::new(Clock::Wall),
            places: Places::new(most),
            open: Arc::default(),
            ids: RunIds::default(),
        };
        world.connect(1).await;
        world
    }

    async fn connect(&self, generation: u64) {
        let target = Target {
            host: Name::parse("web1").unwrap(),
            address: "web1".to_owned(),
            port: 22,
            user: "deploy".to_owned(),
            login: Login::Agent,
            policy: crate::model::HostKeyPolicy::AcceptNew,
            keys: Vec::new(),
            via: None,
            leads_on: false,
        };
        let session = self.fake.connect(target).await.unwrap().session;
        self.places.add(Arc::new(OpenSession::new(session, generation, &self.open, None)));
    }

    fn wait(&self, task: &str) -> oneshot::Receiver<Place> {
        let now = Clock::Wall.now().into();
        self.places.wait(Some(Name::parse(task).unwrap()), self.ids.next(now))
    }

    fn limit(&self) -> usize {
        self.places.figures()[0].limit
    }
}

#[tokio::test(start_paused = true)]
async fn half_of_the_sessions_are_given_and_the_tasks_take_turns() {
    let world = World::new(4).await;
    let mut held: Vec<Place> = Vec::new();
    for mut first in [world.wait("a"), world.wait("a")] {
        held.push(first.try_recv().unwrap());
    }
    let mut greedy: Vec<_> = (0..10).map(|_| world.wait("a")).collect();
    let mut modest = world.wait("b");
    assert!(modest.try_recv().is_err() && greedy[0].try_recv().is_err());
    assert_eq!(world.places.next()[1].0, Some(Name::parse("b").unwrap()), "b is second, not eleventh");
    held.pop();
    held.push(greedy[0].try_recv().unwrap());
    held.pop();
    let place = modest.try_recv().unwrap();
    assert!(greedy[1].try_recv().is_err());
    drop(place);
    let _second = greedy[1].try_recv().unwrap();
    assert_eq!(world.places.waiting(), 8);
    drop(greedy);
    assert_eq!(world.places.waiting(), 0, "who has given up does not wait");
}

#[tokio::test(start_paused = true)]
async fn the_limit_grows_while_somebody_waits_and_shrinks_when_sessions_are_refused() {
    let world = World::new(10).await;
    let waiting: Vec<_> = (0..20).map(|_| world.wait("a")).collect();
    assert_eq!(world.limit(), 5);
    for expected in [6, 7, 8, 9, 9] {
        tokio::time::advance(CALM).await;
        world.places.look();
        assert_eq!(world.limit(), expected, "the tenth is for a kill");
    }
    world.fake.refuse("web1", 3);
    world.places.look();
    assert_eq!(world.limit(), 8);
    for _ in 0..20 {
        world.fake.refuse("web1", 1);
        world.places.look();
    }
    assert_eq!(world.limit(), 1, "never none");
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn long_runs_call_for_one_more_connection() {
    let world = World::new(2).await;
    let long = world.wait("a").try_recv().unwrap();
    let mut waiting = world.wait("c");
    assert!(!world.places.wants_more());
    tokio::time::advance(LONG + Duration::from_millis(1)).await;
    assert!(world.places.wants_more());
    world.connect(2).await;
    assert_eq!(waiting.try_recv().unwrap().session.generation, 2);
    assert!(!world.places.wants_more());
    // The second one goes when nobody has used it for a while, the first stays.
    assert_eq!(world.places.shed(Duration::from_secs(60), false), 2);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(world.places.shed(Duration::from_secs(60), false), 1);
    drop(long);
    assert_eq!(world.places.shed(Duration::from_secs(60), true), 1, "it was used just now");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(world.places.shed(Duration::from_secs(60), true), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_is_sent_to_a_lost_connection() {
    let world = World::new(10).await;
    let place = world.wait("a").try_recv().unwrap();
    place.condemn();
    drop(place);
    let mut waiting = world.wait("a");
    assert!(waiting.try_recv().is_err());
    assert_eq!((world.places.remove(1), world.places.remove(1)), (Some(0), None));
    world.connect(2).await;
    assert_eq!(waiting.try_recv().unwrap().session.generation, 2);
}
