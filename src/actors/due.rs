//! When a pair is due: the next instant of all its lines, and those that were missed.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::{MissedRule, Name, PairLine, Timestamp};

/// A timer later than this was not late but asleep: what it missed is caught up with, not run one after the other.
pub(super) const ASLEEP: TimeDelta = TimeDelta::seconds(60);
/// How many missed instants of a pair leave a Result each; more of them are folded into one.
const MOST_TOLD: usize = 100;
/// Instants so far apart that one which executed nothing makes what a pair shows old.
pub(super) const SELDOM: TimeDelta = TimeDelta::hours(1);
const MILLISECOND: TimeDelta = TimeDelta::milliseconds(1);

/// The lines by which a pair is due, which it shares with the plan of its host, and since when they count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines<'a> {
    /// All of them.
    pub(super) all: &'a [PairLine],
    /// Since when they are those it is watched by; none where just their definitions tell.
    pub(super) since: Option<Timestamp>,
}

/// One instant at which a pair is due; several schedules due at the same instant are one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The line's instant.
    pub(super) at: DateTime<Utc>,
    /// When the pair is to start: by this instants are ordered, claimed and missed.
    pub(super) due_at: DateTime<Utc>,
    /// The first of the schedules that make it due.
    pub(super) schedule: Name,
    missed: MissedRule,
    max_age: Duration,
}

/// The first instant that is due after this moment.
pub(super) fn next(lines: Lines<'_>, after: DateTime<Utc>) -> Option<Due> {
    let next = |line| next_of(line, lines.since.or(line.since), after);
    lines.all.iter().filter_map(next).min_by_key(|due| (due.due_at, due.at))
}

fn next_of(line: &PairLine, since: Option<Timestamp>, after: DateTime<Utc>) -> Option<Due> {
    let rules = &line.rules;
    let not_before = rules.not_before.and_then(|first| first.get().checked_sub_signed(MILLISECOND));
    let since = since.map(Timestamp::get);
    let after = after.checked_sub_signed(line.offset)?.max(not_before.max(since).unwrap_or(DateTime::<Utc>::MIN_UTC));
    let at = line.cron.next_after(line.timezone, after)?;
    let due_at = at.checked_add_signed(line.offset)?;
    let (missed, max_age) = (rules.missed, rules.missed_max_age.get());
    let in_time = rules.not_after.is_none_or(|last| at <= last.get());
    in_time.then(|| Due { at, due_at, schedule: line.schedule.clone(), missed, max_age })
}

/// What becomes of the instants that passed while nobody looked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// The instant of the first, the last, and the number of those folded into one.
    pub(super) folded: Option<(DateTime<Utc>, Due, u64)>,
    /// Those that leave a Result each, oldest first, and whether they are run.
    pub(super) told: Vec<(Due, bool)>,
}

impl Missed {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.folded.as_ref().map_or(0, |(_, _, count)| *count) + self.told.len() as u64
    }

    /// When the newest was due.
    pub(super) fn last(&self) -> Option<DateTime<Utc>> {
        let folded = self.folded.as_ref().map(|(_, last, _)| last);
        self.told.last().map(|(due, _)| due).or(folded).map(|due| due.due_at)
    }
}

/// The instants that came due after `from`, up to now. Those older than what the pair's lines allow, and all but the
/// newest hundred (and the one that runs), are folded; those up to `not_run` are not run.
pub(super) fn missed(lines: Lines<'_>, from: DateTime<Utc>, now: DateTime<Utc>, not_run: Option<Timestamp>) -> Missed {
    let oldest = lines.all.iter().map(|line| line.rules.missed_max_age.get()).max().unwrap_or_default();
    let most = MOST_TOLD + usize::from(lines.all.iter().any(|line| line.rules.missed == MissedRule::Last));
    let mut missed = Missed { folded: old_of_line(lines, from, now, most), ..Missed::default() };
    let mut cursor = missed.last().unwrap_or(from);
    let mut young = VecDeque::new();
    let mut fold = |due: Due| match &mut missed.folded {
        Some((_, last, count)) => {
            *last = due;
            *count += 1;
        }
        folded @ None => *folded = Some((due.at, due, 1)),
    };
    while let Some(due) = next(lines, cursor).filter(|due| due.due_at <= now) {
        cursor = due.due_at;
        if is_older(now, &due, oldest) {
            fold(due);
            continue;
        }
        young.push_back(due);
        if young.len() > most
            && let Some(oldest) = young.pop_front()
        {
            fold(oldest);
        }
    }
    let may_run = |due: &Due| not_run.is_none_or(|last| last.get() < due.due_at);
    let runs = |due: &Due, rule: MissedRule| due.missed == rule && !is_older(now, due, due.max_age) && may_run(due);
    let newest = young.iter().rposition(|due| runs(due, MissedRule::Last));
    let fate = |(place, due): (usize, Due)| {
        let runs = Some(place) == newest || runs(&due, MissedRule::All);
        (due, runs)
    };
    missed.told = young.into_iter().enumerate().map(fate).collect();
    missed
}

fn is_older(now: DateTime<Utc>, due: &Due, age: Duration) -> bool {
    (now - due.due_at).to_std().is_ok_and(|passed| passed > age)
}

/// What is folded of a pair with one line: counted, not walked through, as a month of seconds is millions of them.
fn old_of_line(
    lines: Lines<'_>,
    from: DateTime<Utc>,
    now: DateTime<Utc>,
    most: usize,
) -> Option<(DateTime<Utc>, Due, u64)> {
    let [line] = lines.all else { return None };
    let first = next(lines, from)?;
    let max_age = TimeDelta::from_std(line.rules.missed_max_age.get()).ok()?;
    let too_old = now.checked_sub_signed(max_age)?.checked_sub_signed(MILLISECOND)?;
    // What is outside of not_after is not due at all: those before it may be fewer than `most`, so only age counts.
    let end = match line.rules.not_after {
        Some(last) => last.get().checked_add_signed(line.offset)?.min(too_old),
        None => enough(line, first.due_at, now, most).map_or(too_old, |enough| enough.max(too_old)),
    };
    if first.due_at > end {
        return None;
    }
    let (more, last) = line.cron.passed(line.timezone, first.at, end.checked_sub_signed(line.offset)?);
    let (from, at) = (first.at, last.unwrap_or(first.at));
    Some((from, Due { at, due_at: at.checked_add_signed(line.offset)?, ..first }, more + 1))
}

/// A moment after which a line was due so often, and not much more often, till now.
fn enough(line: &PairLine, first: DateTime<Utc>, now: DateTime<Utc>, most: usize) -> Option<DateTime<Utc>> {
    let end = now.checked_sub_signed(line.offset)?;
    let longer = |back: &TimeDelta| back.checked_mul(2).filter(|back| *back < now - first);
    std::iter::successors(Some(TimeDelta::minutes(1)), longer)
        .map(|back| (back, line.cron.passed(line.timezone, end - back, end).0))
        .find(|(_, count)| *count >= most as u64)
        .map(|(back, _)| now - back)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn missed(lines: Lines<'_>, from: DateTime<Utc>, now: DateTime<Utc>) -> Missed {
        super::missed(lines, from, now, None)
    }
    use crate::model::{DueRules, Span, Timezone};

    fn of(lines: &[PairLine]) -> Lines<'_> {
        Lines { all: lines, since: None }
    }

    fn ran(missed: &Missed) -> Vec<DateTime<Utc>> {
        missed.told.iter().filter(|(_, runs)| *runs).map(|(due, _)| due.at).collect()
    }

    fn skipped(missed: &Missed) -> usize {
        missed.told.iter().filter(|(_, runs)| !runs).count()
    }

    fn ruled(text: &str, missed: MissedRule, max_age: u64) -> Vec<PairLine> {
        let mut lines = lines(&[text]);
        lines[0].rules = Arc::new(DueRules { missed, missed_max_age: Span::seconds(max_age), ..DueRules::default() });
        lines
    }

    fn lines(texts: &[&str]) -> Vec<PairLine> {
        let line = |text: &&str| PairLine {
            schedule: Name::parse("s").unwrap(),
            cron: text.parse().unwrap(),
            timezone: Timezone::UTC,
            rules: Arc::default(),
            offset: TimeDelta::zero(),
            finish_by: None,
            since: None,
        };
        texts.iter().map(line).collect()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_earliest_line_is_next_and_the_same_instant_is_one() {
        let lines = lines(&["0 * * * *", "30 * * * *", "*/30 * * * *"]);
        let first = next(of(&lines), at("2026-11-23T10:10:00Z")).unwrap();
        assert_eq!(first.at, at("2026-11-23T10:30:00Z"));
        assert_eq!(next(of(&lines), first.at).unwrap().at, at("2026-11-23T11:00:00Z"));
        assert_eq!(next(of(&[]), first.at), None);
    }

    #[test]
    fn the_last_missed_instant_runs_the_others_are_told() {
        let lines = lines(&["* * * * *"]);
        let missed = missed(of(&lines), at("2026-11-23T08:00:00Z"), at("2026-11-23T10:00:30Z"));
        let (first, last, count) = missed.folded.clone().unwrap();
        assert_eq!((first, last.at, count), (at("2026-11-23T08:01:00Z"), at("2026-11-23T09:50:00Z"), 110));
        assert_eq!(skipped(&missed), 9);
        assert_eq!(ran(&missed), [at("2026-11-23T10:00:00Z")]);
        assert_eq!(missed.count(), 120);
        assert_eq!(missed.last(), Some(at("2026-11-23T10:00:00Z")));
    }

    #[test]
    fn more_than_a_hundred_are_folded_even_when_young() {
        let missed = missed(of(&lines(&["@every 1s"])), at("2026-11-23T10:00:00Z"), at("2026-11-23T10:05:00Z"));
        assert_eq!(skipped(&missed), 100);
        assert_eq!(missed.folded.as_ref().unwrap().2, 199);
        assert_eq!(missed.count(), 300);
    }

    #[test]
    fn a_year_of_seconds_is_counted_as_it_would_be_walked_through() {
        let (from, now) = (at("2026-11-23T10:00:00.250Z"), at("2027-11-23T10:00:00Z"));
        let year = missed(of(&lines(&["@every 1s"])), from, now);
        assert_eq!(year.count(), 365 * 86_400);
        assert_eq!((skipped(&year), ran(&year)), (100, vec![now]));
        // A line that is never due first keeps the walk from being cut short.
        for (line, seconds) in [
            ("@every 7s", 3600),
            ("@every 7s", 601),
            ("@every 5m", 5000),
            ("@every 1h", 700),
            ("* * * * *", 8 * 3600),
            ("*/7 9-17 * * mon-fri", 3 * 86_400),
            ("*/20 * * * * *", 1900),
            ("0 8 * * *", 86_400),
        ] {
            for begin in 0..20 {
                let from = from + TimeDelta::milliseconds(begin * 250);
                let now = from + TimeDelta::seconds(seconds);
                let walked = missed(of(&lines(&[line, "0 0 29 2 *"])), from, now);
                assert_eq!(missed(of(&lines(&[line])), from, now), walked, "{line} from {from} to {now}");
            }
        }
    }

    #[test]
    fn old_instants_are_not_run() {
        let missed = missed(of(&lines(&["0 8 * * *"])), at("2026-11-22T10:00:00Z"), at("2026-11-23T10:05:00Z"));
        assert_eq!((ran(&missed), missed.count()), (Vec::new(), 1));
        assert_eq!(missed.last(), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(
            super::missed(of(&lines(&["0 8 * * *"])), at("2026-11-23T08:00:00Z"), at("2026-11-23T09:00:00Z"), None)
                .count(),
            0
        );
    }

    #[test]
    fn missed_instants_are_run_as_the_schedule_says() {
        let (from, now) = (at("2026-11-23T09:00:30Z"), at("2026-11-23T10:00:30Z"));
        let minutes = |rule, max_age| missed(of(&ruled("* * * * *", rule, max_age)), from, now);
        let none = minutes(MissedRule::Skip, 600);
        assert_eq!((ran(&none).len(), skipped(&none), none.count()), (0, 10, 60));
        let all = minutes(MissedRule::All, 600);
        assert_eq!((ran(&all).len(), skipped(&all), all.count()), (10, 0, 60));
        assert!(ran(&all).is_sorted());
        assert_eq!(all.folded.unwrap().2, 50);
        let hour = minutes(MissedRule::All, 3600);
        assert_eq!((ran(&hour).len(), hour.folded), (60, None));
        let many = missed(of(&ruled("@every 1s", MissedRule::All, 86_400)), from, now);
        assert_eq!((ran(&many).len(), many.folded.clone().unwrap().2), (100, 3500));
        assert_eq!(many.folded.unwrap().1.at, at("2026-11-23T09:58:50Z"));
    }

    #[test]
    fn a_pair_is_due_at_its_place_after_the_instant() {
        let mut lines = lines(&["@every 1m", "*/5 * * * *"]);
        lines[0].offset = TimeDelta::seconds(50);
        let mut cursor = at("2026-11-23T09:59:55Z");
        let mut told = Vec::new();
        for _ in 0..3 {
            let due = next(of(&lines), cursor).unwrap();
            cursor = due.due_at;
            told.push((due.at, due.due_at));
        }
        let (ten, one) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:01:00Z"));
        let place = TimeDelta::seconds(50);
        assert_eq!(told, [(ten, ten), (ten, ten + place), (one, one + place)]);
        // What came before it was so defined came by another definition.
        lines[0].since = Some(ten.into());
        assert_eq!(next(of(&lines[..1]), ten).unwrap().at, one);
    }

    #[test]
    fn nothing_is_due_before_or_after_what_is_said() {
        let mut lines = lines(&["@every 1m"]);
        let (first, last) = (at("2026-11-23T10:00:00Z"), at("2026-11-23T10:02:00Z"));
        let rules = DueRules { not_before: Some(first.into()), not_after: Some(last.into()), ..DueRules::default() };
        lines[0].rules = Arc::new(rules);
        lines[0].offset = TimeDelta::seconds(30);
        let from = at("2026-11-23T08:00:00Z");
        assert_eq!(next(of(&lines), from).unwrap().at, first, "the bounds belong to it");
        assert_eq!(next(of(&lines), last).unwrap().at, last);
        assert_eq!(next(of(&lines), last + TimeDelta::seconds(30)), None);
        for now in ["2026-11-23T10:05:00Z", "2026-11-23T10:11:45Z", "2026-11-24T10:00:00Z"] {
            assert_eq!(missed(of(&lines), from, at(now)).count(), 3, "{now}");
        }
    }
}
