//! How long Results are kept.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Faults, Limit, Span};

/// The shortest age at which anything goes: less would take away what somebody has just asked for.
const SHORTEST: Span = Span::seconds(60);
/// Most Results of a pair that a rule speaks of.
const MOST: u64 = 1_000_000_000;

/// Which Results of a pair are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Keep {
    /// Older ones go.
    pub max_age: Limit,
    /// The newest so many of each (host, task) stay; none for all.
    pub max_count: Option<u64>,
    /// PROBLEMs stay so long, where that is longer than the others do.
    pub keep_problems: Limit,
}

impl Keep {
    /// Everything, for ever.
    pub const ALL: Self = Self { max_age: Limit::None, max_count: None, keep_problems: Limit::None };

    /// The age at which PROBLEMs go.
    pub fn age_of_problems(&self) -> Limit {
        match (self.max_age, self.keep_problems) {
            (Limit::After(age), Limit::After(problems)) => Limit::After(age.max(problems)),
            _ => Limit::None,
        }
    }

    /// The same but for what a task says itself.
    pub fn with(&self, own: &TaskRetention) -> Self {
        Self {
            max_age: own.max_age.unwrap_or(self.max_age),
            max_count: own.max_count.or(self.max_count),
            keep_problems: own.keep_problems.unwrap_or(self.keep_problems),
        }
    }
}

/// Which Results are kept where tasks say nothing else, and how much they may all take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Of each pair.
    pub keep: Keep,
    /// Beyond so many bytes in the store the oldest Results go, PROBLEMs or not; none for no limit.
    pub max_bytes: Option<u64>,
}

impl Retention {
    /// Everything, for ever.
    pub const ALL: Self = Self { keep: Keep::ALL, max_bytes: None };
}

/// How long the Results of a task are kept, where it is not as the settings `retention.*` say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskRetention {
    /// Older ones are removed; `none` keeps them for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Limit>,
    /// Of each host the newest so many stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(deserialize_with = "super::whole::within::<1, 1_000_000_000, u64, _>")]
    #[schema(minimum = 1, maximum = 1_000_000_000_u64)]
    pub max_count: Option<u64>,
    /// PROBLEMs stay so long, where that is longer than `max_age`; `none` keeps them for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_problems: Option<Limit>,
}

impl TaskRetention {
    /// Notes what is wrong with it.
    pub(super) fn check(&self, faults: &mut Faults) {
        for (pointer, age) in [("/retention/max_age", self.max_age), ("/retention/keep_problems", self.keep_problems)] {
            if matches!(age, Some(Limit::After(age)) if age < SHORTEST) {
                faults.add(pointer, "must be at least 1m, or none");
            }
        }
        if self.max_count.is_some_and(|most| !(1..=MOST).contains(&most)) {
            faults.add(
                "/retention/max_count",
                format!("must be from 1 to {MOST}; leave it out for what the settings say"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: u64) -> Limit {
        Limit::After(Span::seconds(days * 86_400))
    }

    #[test]
    fn problems_are_never_kept_for_less_than_the_others() {
        let age = |max_age, keep_problems| Keep { max_age, max_count: None, keep_problems }.age_of_problems();
        assert_eq!(age(days(90), days(365)), days(365));
        assert_eq!(age(days(90), days(30)), days(90));
        assert_eq!(age(Limit::None, days(30)), Limit::None);
        assert_eq!(age(days(90), Limit::None), Limit::None);
    }

    #[test]
    fn a_task_says_what_it_wants_otherwise() {
        let all = Keep { max_age: days(90), max_count: Some(10), keep_problems: days(365) };
        assert_eq!(all.with(&TaskRetention::default()), all);
        let own = TaskRetention { max_age: Some(Limit::None), ..TaskRetention::default() };
        assert_eq!(all.with(&own), Keep { max_age: Limit::None, ..all });
        let own = TaskRetention { max_count: Some(3), keep_problems: Some(days(1)), ..own };
        assert_eq!(all.with(&own), Keep { max_age: Limit::None, max_count: Some(3), keep_problems: days(1) });
    }
}
