//! A wall clock that somebody sets: no instant runs twice, none is without its Result.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::support::{Alf, instants, one, seconds, start, told};
use crate::model::{Outcome, Trigger};

const MINUTE: TimeDelta = TimeDelta::minutes(1);

#[actix_rt::test]
async fn instants_that_a_clock_jumps_over_are_caught_up_with() {
    let alf = Alf::with(&one("* * * * *")).await;
    tokio::time::sleep(seconds(150)).await;
    alf.world.clock.set_by(MINUTE * 45);
    tokio::time::sleep(seconds(31)).await;
    let results = alf.results("web1", "check");
    told(&results, MINUTE, alf.now());
    assert_eq!(results.iter().filter(|result| result.trigger == Trigger::CatchUp).count(), 1, "the newest runs");
    assert!(alf.hosts().execs("web1").len() <= 5);
    alf.end().await;
}

#[actix_rt::test]
async fn instants_that_come_again_when_a_clock_is_set_back_do_not_run_again() {
    let alf = Alf::with(&one("* * * * *")).await;
    tokio::time::sleep(seconds(600)).await;
    let before = alf.hosts().execs("web1").len();
    alf.world.clock.set_by(-MINUTE * 5);
    tokio::time::sleep(seconds(290)).await;
    assert_eq!(alf.hosts().execs("web1").len(), before, "they have been dealt with");
    // Nor does a restart change that.
    let alf = alf.crash().await.start().await;
    tokio::time::sleep(seconds(300)).await;
    let results = alf.results("web1", "check");
    told(&results, MINUTE, alf.now());
    let once: BTreeSet<_> = instants(&results, MINUTE).into_iter().collect();
    assert_eq!(once.len(), results.iter().filter(|result| result.outcome != Outcome::Skipped).count());
    assert!(alf.hosts().execs("web1").len() > before, "it goes on where it was");
    assert!(alf.now() > start() + TimeDelta::seconds(890));
    alf.end().await;
}
