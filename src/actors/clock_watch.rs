//! The wall clock is watched: that it was set, or stood still with the machine, is told once for all pairs.
//!
//! What a step means for instants follows from the ledger. Forward, those that were jumped over have been missed; back,
//! those that come again have been dealt with, and pairs wait until the clock is where it was.

use std::time::Duration;

use actix::{AsyncContext as _, Context};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::node::NodeActor;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// What is less than this is a clock that is put right little by little, or a busy machine.
const STEP: TimeDelta = TimeDelta::seconds(2);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy)]
struct Seen {
    wall: DateTime<Utc>,
    steady: Instant,
}

/// How far the wall clock has gone from where it should be.
fn step(before: Seen, after: Seen) -> Option<TimeDelta> {
    let passed = TimeDelta::from_std(after.steady - before.steady).ok()?;
    Some(after.wall - before.wall - passed).filter(|step| step.abs() >= STEP)
}

impl NodeActor {
    /// Looks at the clock now and then, for as long as the actor lives.
    pub(super) fn watch_clock(&self, ctx: &mut Context<Self>) {
        let seen = self.clocks();
        ctx.run_later(LOOK, move |actor, ctx| {
            if let Some(step) = step(seen, actor.clocks()) {
                let (seconds, what) =
                    (step.abs().num_seconds(), if step > TimeDelta::zero() { "forward" } else { "back" });
                let then = match what {
                    "forward" => "or the machine was suspended; instants that were jumped over are caught up with",
                    _ => "instants that come again have been dealt with: schedules wait until it is where it was",
                };
                log::warn!(seconds; "the clock was set {what} by {seconds} s, {then}");
            }
            actor.watch_clock(ctx);
        });
    }

    fn clocks(&self) -> Seen {
        Seen { wall: self.parts.clock.now(), steady: Instant::now() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_the_two_clocks_differ_by() {
        let seen = Seen { wall: DateTime::UNIX_EPOCH, steady: Instant::now() };
        let later = |wall: i64, steady: u64| Seen {
            wall: seen.wall + TimeDelta::milliseconds(wall),
            steady: seen.steady + Duration::from_millis(steady),
        };
        assert_eq!(step(seen, later(10_000, 10_000)), None);
        assert_eq!(step(seen, later(11_500, 10_000)), None, "put right little by little");
        assert_eq!(step(seen, later(3_610_000, 10_000)), Some(TimeDelta::hours(1)));
        assert_eq!(step(seen, later(-3_590_000, 10_000)), Some(TimeDelta::hours(-1)));
    }
}
