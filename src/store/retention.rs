//! Retention: what old Results go, by age, by count and by size, and the walk that removes them in small steps. A store
//! only says which there are; who removes them, and at what pace, is up to the caller.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::{Store, StoreError};
use crate::model::{Keep, Limit, Name, Outcome, Retention, RunId, RunResult, Timestamp};

/// So many ids are looked for at a time.
const PAGE: usize = 2000;

/// Of which tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OfTasks {
    /// Of these alone.
    Only(Vec<Name>),
    /// Of all others, ad-hoc runs included.
    AllBut(Vec<Name>),
}

impl OfTasks {
    /// Of all.
    pub const ALL: Self = Self::AllBut(Vec::new());

    /// Whether it is one of them; an ad-hoc run has none.
    pub fn has(&self, task: Option<&Name>) -> bool {
        match self {
            Self::Only(names) => task.is_some_and(|task| names.contains(task)),
            Self::AllBut(names) => task.is_none_or(|task| !names.contains(task)),
        }
    }
}

/// Of which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// Of any.
    All,
    /// PROBLEMs.
    Problems,
    /// All but PROBLEMs.
    Others,
}

impl Which {
    /// Whether it is one of them.
    pub fn has(self, outcome: Outcome) -> bool {
        match self {
            Self::All => true,
            Self::Problems => outcome == Outcome::Problem,
            Self::Others => outcome != Outcome::Problem,
        }
    }
}

/// Which old Results are looked for, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldQuery {
    /// Those whose id was made before this instant.
    pub before: Timestamp,
    /// Only those behind this id.
    pub after: Option<RunId>,
    /// Of this outcome.
    pub which: Which,
    /// Of these tasks.
    pub tasks: OfTasks,
    /// At most so many.
    pub limit: usize,
}

impl OldQuery {
    /// Whether a Result is one of them.
    pub fn has(&self, result: &RunResult) -> bool {
        result.id < RunId::earliest(self.before)
            && self.after.is_none_or(|after| after < result.id)
            && self.which.has(result.outcome)
            && self.tasks.has(result.task.as_ref())
    }
}

/// Some of the old Results that were looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OldPage {
    /// The oldest first.
    pub ids: Vec<RunId>,
    /// Behind which to look on, as a store looks through a part of what it has at a time; none when there are no more.
    pub next: Option<RunId>,
}

/// Results beyond the newest so many of their (host, task).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurplusQuery {
    /// Of these tasks.
    pub tasks: OfTasks,
    /// So many of each pair are no surplus; the ad-hoc runs of a host are those of one pair.
    pub keep: u64,
    /// About so many are enough.
    pub limit: usize,
}

/// Results that go at an age.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AgeRule {
    which: Which,
    tasks: OfTasks,
    age: Duration,
}

impl AgeRule {
    fn query(&self, now: Timestamp, after: Option<RunId>) -> OldQuery {
        OldQuery { before: before(now, self.age), after, which: self.which, tasks: self.tasks.clone(), limit: PAGE }
    }
}

/// So long ago.
fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    // Before all that there is.
    Timestamp::from_millis(now.millis().saturating_sub(age).max(0)).unwrap_or(now)
}

/// What goes, for all tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    ages: Vec<AgeRule>,
    counts: Vec<(OfTasks, u64)>,
    max_bytes: Option<u64>,
    /// Notifications go at this age: that of PROBLEMs, which they tell of.
    notifications: Option<Duration>,
}

impl Rules {
    /// What the settings say, and what tasks want otherwise.
    pub fn new(retention: &Retention, tasks: impl IntoIterator<Item = (Name, Keep)>) -> Self {
        let mut groups: Vec<(Keep, Vec<Name>)> = Vec::new();
        for (task, keep) in tasks.into_iter().filter(|(_, keep)| *keep != retention.keep) {
            match groups.iter_mut().find(|(other, _)| *other == keep) {
                Some((_, names)) => names.push(task),
                None => groups.push((keep, vec![task])),
            }
        }
        groups.iter_mut().for_each(|(_, names)| names.sort());
        let mut others: Vec<Name> = groups.iter().flat_map(|(_, names)| names.iter().cloned()).collect();
        others.sort();
        let mut rules = Self {
            ages: Vec::new(),
            counts: Vec::new(),
            max_bytes: retention.max_bytes,
            notifications: retention.keep.age_of_problems().get(),
        };
        rules.add(retention.keep, &OfTasks::AllBut(others));
        groups.into_iter().for_each(|(keep, names)| rules.add(keep, &OfTasks::Only(names)));
        rules
    }

    /// Notifications of before this go; none for never.
    pub fn notifications_before(&self, now: Timestamp) -> Option<Timestamp> {
        self.notifications.map(|age| before(now, age))
    }

    fn add(&mut self, keep: Keep, tasks: &OfTasks) {
        let mut add = |which, age: Limit| {
            self.ages.extend(age.get().map(|age| AgeRule { which, tasks: tasks.clone(), age }));
        };
        if keep.age_of_problems() == keep.max_age {
            add(Which::All, keep.max_age);
        } else {
            add(Which::Others, keep.max_age);
            add(Which::Problems, keep.age_of_problems());
        }
        self.counts.extend(keep.max_count.map(|most| (tasks.clone(), most)));
    }
}

/// Up to where the rules were followed, so that the next walk begins there. What is older and came later is found by a
/// walk that begins anew.
#[derive(Debug, Default)]
pub struct Progress(HashMap<(Which, OfTasks, Duration), RunId>);

/// How many Results went, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// They were too old.
    pub by_age: u64,
    /// They were too many of their pair.
    pub by_count: u64,
    /// The store was too large.
    pub by_bytes: u64,
}

impl Swept {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.by_age + self.by_count + self.by_bytes
    }
}

/// Finds what the rules do not keep and has it removed, a few thousand at a time; `remove` answers how many were there.
pub async fn sweep(
    store: &dyn Store,
    rules: &Rules,
    progress: &mut Progress,
    now: Timestamp,
    mut remove: impl AsyncFnMut(Vec<RunId>) -> Result<u64, StoreError>,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for rule in &rules.ages {
        let key = (rule.which, rule.tasks.clone(), rule.age);
        let mut query = rule.query(now, progress.0.get(&key).copied());
        loop {
            let page = store.old_results(query.clone()).await?;
            if !page.ids.is_empty() {
                swept.by_age += remove(page.ids).await?;
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        progress.0.insert(key, RunId::earliest(query.before));
    }
    for (tasks, keep) in &rules.counts {
        let query = SurplusQuery { tasks: tasks.clone(), keep: *keep, limit: 5 * PAGE };
        loop {
            let ids = store.surplus_results(query.clone()).await?;
            let removed = if ids.is_empty() { 0 } else { remove(ids).await? };
            if removed == 0 {
                break;
            }
            swept.by_count += removed;
        }
    }
    while let Some(excess) = excess(store, rules).await? {
        let limit = usize::try_from(excess).unwrap_or(PAGE).clamp(1, PAGE);
        let query = OldQuery { before: now, after: None, which: Which::All, tasks: OfTasks::ALL, limit };
        let ids = store.old_results(query).await?.ids;
        let removed = if ids.is_empty() { 0 } else { remove(ids).await? };
        if removed == 0 {
            break;
        }
        swept.by_bytes += removed;
    }
    Ok(swept)
}

/// What [`sweep`] would remove. Removes nothing; how many go by size is an estimate.
pub async fn foresee(store: &dyn Store, rules: &Rules, now: Timestamp) -> Result<Swept, StoreError> {
    let mut gone: HashSet<RunId> = HashSet::new();
    for rule in &rules.ages {
        let mut query = rule.query(now, None);
        loop {
            let page = store.old_results(query.clone()).await?;
            gone.extend(page.ids);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    let by_age = gone.len() as u64;
    for (tasks, keep) in &rules.counts {
        let query = SurplusQuery { tasks: tasks.clone(), keep: *keep, limit: usize::MAX };
        gone.extend(store.surplus_results(query).await?);
    }
    let all = gone.len() as u64;
    let by_bytes = excess(store, rules).await?.unwrap_or_default().saturating_sub(all);
    Ok(Swept { by_age, by_count: all - by_age, by_bytes })
}

/// About how many Results are too much by size; none where nothing is.
async fn excess(store: &dyn Store, rules: &Rules) -> Result<Option<u64>, StoreError> {
    let Some(most) = rules.max_bytes else { return Ok(None) };
    let counts = store.counts().await?;
    let Some(over) = counts.used.and_then(|used| used.checked_sub(most)).filter(|over| *over > 0) else {
        return Ok(None);
    };
    let each = counts.used.unwrap_or_default() / counts.results.max(1);
    Ok((counts.results > 0).then(|| (over / each.max(1) + 1).min(counts.results)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    fn days(days: u64) -> Limit {
        Limit::After(Span::seconds(days * 86_400))
    }

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn tasks_that_want_the_same_go_together() {
        let keep = Keep { max_age: days(90), max_count: None, keep_problems: days(365) };
        let retention = Retention { keep, max_bytes: None };
        let short = Keep { max_age: days(7), max_count: Some(5), keep_problems: days(7) };
        let rules = Rules::new(&retention, [(name("b"), short), (name("as-all"), keep), (name("a"), short)]);
        let own = OfTasks::Only(vec![name("a"), name("b")]);
        let others = OfTasks::AllBut(vec![name("a"), name("b")]);
        let rule =
            |which, tasks: &OfTasks, age: Limit| AgeRule { which, tasks: tasks.clone(), age: age.get().unwrap() };
        assert_eq!(
            rules.ages,
            [
                rule(Which::Others, &others, days(90)),
                rule(Which::Problems, &others, days(365)),
                rule(Which::All, &own, days(7)),
            ]
        );
        assert_eq!(rules.counts, [(own.clone(), 5)]);
        assert!(own.has(Some(&name("a"))) && !own.has(Some(&name("c"))) && !own.has(None));
        assert!(!others.has(Some(&name("a"))) && others.has(Some(&name("c"))) && others.has(None));
    }

    #[test]
    fn what_is_kept_for_ever_has_no_rule() {
        let rules = Rules::new(&Retention::ALL, [(name("a"), Keep { max_count: Some(1), ..Keep::ALL })]);
        assert_eq!((rules.ages.len(), rules.counts.len()), (0, 1));
        let keep = Keep { max_age: days(90), max_count: None, keep_problems: Limit::None };
        let rules = Rules::new(&Retention { keep, max_bytes: Some(1) }, []);
        assert_eq!(rules.ages.iter().map(|rule| rule.which).collect::<Vec<_>>(), [Which::Others]);
    }
}
