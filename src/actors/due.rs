//! When a pair is due: the next instant of all its lines, and those that were missed.

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{Name, PairLine};

/// A timer later than this was not late but asleep: what it missed is caught up with, not run one after the other.
pub(super) const ASLEEP: TimeDelta = TimeDelta::seconds(60);
/// `missed_max_age`: older instants are not run any more.
const MAX_AGE: TimeDelta = TimeDelta::minutes(10);
/// How many missed instants of a pair leave a Result each; more of them are folded into one.
const MOST_SKIPPED: usize = 100;

/// One instant at which a pair is due; several schedules due at the same instant are one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The instant.
    pub(super) at: DateTime<Utc>,
    /// The first of the schedules that make it due.
    pub(super) schedule: Name,
}

/// The first instant after this one.
pub(super) fn next(lines: &[PairLine], after: DateTime<Utc>) -> Option<Due> {
    lines
        .iter()
        .filter_map(|line| {
            let at = line.cron.next_after(line.timezone, after)?;
            Some(Due { at, schedule: line.schedule.clone() })
        })
        .min_by_key(|due| due.at)
}

/// What became of the instants that passed while nobody looked, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// The first, the last and the number of those folded into one.
    pub(super) folded: Option<(DateTime<Utc>, Due, u64)>,
    /// Those that leave a Result each.
    pub(super) skipped: Vec<Due>,
    /// The newest, if it is young enough to run.
    pub(super) run: Option<Due>,
}

impl Missed {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        let folded = self.folded.as_ref().map_or(0, |(_, _, count)| *count);
        folded + self.skipped.len() as u64 + u64::from(self.run.is_some())
    }

    /// The newest.
    pub(super) fn last(&self) -> Option<DateTime<Utc>> {
        let folded = self.folded.as_ref().map(|(_, last, _)| last);
        self.run.as_ref().or(self.skipped.last()).or(folded).map(|due| due.at)
    }
}

/// The instants after `from`, up to now.
pub(super) fn missed(lines: &[PairLine], from: DateTime<Utc>, now: DateTime<Utc>) -> Missed {
    let mut missed = Missed { folded: old_of_interval(lines, from, now), ..Missed::default() };
    let mut cursor = missed.last().unwrap_or(from);
    let mut young = std::collections::VecDeque::new();
    let mut fold = |due: Due| match &mut missed.folded {
        Some((_, last, count)) => {
            *last = due;
            *count += 1;
        }
        folded @ None => *folded = Some((due.at, due, 1)),
    };
    while let Some(due) = next(lines, cursor).filter(|due| due.at <= now) {
        cursor = due.at;
        if now - due.at > MAX_AGE {
            fold(due);
            continue;
        }
        young.push_back(due);
        // The newest one runs: it is not among those skipped.
        if young.len() > MOST_SKIPPED + 1
            && let Some(oldest) = young.pop_front()
        {
            fold(oldest);
        }
    }
    missed.run = young.pop_back();
    missed.skipped = young.into();
    missed
}

/// What is too old to run of a plain interval: counted, not walked through, as a month of seconds is millions of them.
fn old_of_interval(lines: &[PairLine], from: DateTime<Utc>, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Due, u64)> {
    let [line] = lines else { return None };
    let interval = TimeDelta::from_std(line.cron.interval()?).ok()?;
    let first = next(lines, from)?.at;
    let last_old = now - MAX_AGE - TimeDelta::milliseconds(1);
    let more = (last_old - first).num_milliseconds() / interval.num_milliseconds().max(1);
    let last = first + interval * i32::try_from(more).ok()?;
    let count = u64::try_from(more).ok()? + 1;
    (first <= last_old).then(|| (first, Due { at: last, schedule: line.schedule.clone() }, count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timezone;

    fn lines(texts: &[&str]) -> Vec<PairLine> {
        let line = |text: &&str| PairLine {
            schedule: Name::parse("s").unwrap(),
            cron: text.parse().unwrap(),
            timezone: Timezone::UTC,
        };
        texts.iter().map(line).collect()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_earliest_line_is_next_and_the_same_instant_is_one() {
        let lines = lines(&["0 * * * *", "30 * * * *", "*/30 * * * *"]);
        let first = next(&lines, at("2026-11-23T10:10:00Z")).unwrap();
        assert_eq!(first.at, at("2026-11-23T10:30:00Z"));
        assert_eq!(next(&lines, first.at).unwrap().at, at("2026-11-23T11:00:00Z"));
        assert_eq!(next(&[], first.at), None);
    }

    #[test]
    fn the_last_missed_instant_runs_the_others_are_told() {
        let lines = lines(&["* * * * *"]);
        let missed = missed(&lines, at("2026-11-23T08:00:00Z"), at("2026-11-23T10:00:30Z"));
        let (first, last, count) = missed.folded.clone().unwrap();
        assert_eq!((first, last.at, count), (at("2026-11-23T08:01:00Z"), at("2026-11-23T09:50:00Z"), 110));
        assert_eq!(missed.skipped.len(), 9);
        assert_eq!(missed.run.as_ref().unwrap().at, at("2026-11-23T10:00:00Z"));
        assert_eq!(missed.count(), 120);
        assert_eq!(missed.last(), Some(at("2026-11-23T10:00:00Z")));
    }

    #[test]
    fn more_than_a_hundred_are_folded_even_when_young() {
        let missed = missed(&lines(&["@every 1s"]), at("2026-11-23T10:00:00Z"), at("2026-11-23T10:05:00Z"));
        assert_eq!(missed.skipped.len(), 100);
        assert_eq!(missed.folded.as_ref().unwrap().2, 199);
        assert_eq!(missed.count(), 300);
    }

    #[test]
    fn a_year_of_seconds_is_counted_as_it_would_be_walked_through() {
        let (from, now) = (at("2026-11-23T10:00:00.250Z"), at("2027-11-23T10:00:00Z"));
        let year = missed(&lines(&["@every 1s"]), from, now);
        assert_eq!(year.count(), 365 * 86_400);
        assert_eq!((year.skipped.len(), year.run.as_ref().unwrap().at), (100, now));
        // A line that is never due first keeps the walk from being cut short.
        for (line, seconds) in [("@every 7s", 3600), ("@every 7s", 601), ("@every 5m", 5000), ("@every 1h", 700)] {
            for begin in 0..20 {
                let from = from + TimeDelta::milliseconds(begin * 250);
                let now = from + TimeDelta::seconds(seconds);
                let walked = missed(&lines(&[line, "0 0 29 2 *"]), from, now);
                assert_eq!(missed(&lines(&[line]), from, now), walked, "{line} from {from} to {now}");
            }
        }
    }

    #[test]
    fn old_instants_are_not_run() {
        let missed = missed(&lines(&["0 8 * * *"]), at("2026-11-22T10:00:00Z"), at("2026-11-23T10:05:00Z"));
        assert_eq!((missed.run.clone(), missed.count()), (None, 1));
        assert_eq!(missed.last(), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(
            super::missed(&lines(&["0 8 * * *"]), at("2026-11-23T08:00:00Z"), at("2026-11-23T09:00:00Z")).count(),
            0
        );
    }
}
