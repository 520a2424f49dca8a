//! How the instants of a line are taken: spread, bounded, and caught up with when they were missed.

use chrono::TimeDelta;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{CronLine, Faults, Name, Span, Timestamp};

/// What becomes of instants that passed while Alf was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissedRule {
    /// None is run.
    Skip,
    /// The newest is run.
    #[default]
    Last,
    /// Each is run, one after the other.
    All,
}

/// How far a pair's start is from the line's instant: always as far for the same pair, so that many pairs of one line
/// are spread and a restart shifts none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Splay {
    /// Over the interval of an `@every` line; not at all for lines that name times.
    #[default]
    Auto,
    /// Over this long.
    Over(Span),
}

impl Serialize for Splay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Over(span) => span.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Splay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse().map(Self::Over).map_err(|error| de::Error::custom(format!("{error}, or auto")))
    }
}

impl Splay {
    /// How far this pair is from the instants of the line: from 0 to less than the splay, in milliseconds.
    pub fn offset(self, cron: &CronLine, host: &Name, task: &Name) -> TimeDelta {
        let over = match self {
            Self::Auto => cron.interval().unwrap_or_default(),
            Self::Over(span) => span.get(),
        };
        if over.is_zero() {
            return TimeDelta::zero();
        }
        let mut hash = Sha256::new();
        // A name holds no NUL.
        hash.update(host.as_str());
        hash.update([0]);
        hash.update(task.as_str());
        let digest = hash.finalize();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let offset = (over.as_millis() * u128::from(number)) >> 64;
        TimeDelta::milliseconds(i64::try_from(offset).unwrap_or_default())
    }
}

/// How the instants of a line are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRules {
    /// How far a pair's start may be from the instant.
    pub splay: Splay,
    /// What becomes of missed ones.
    pub missed: MissedRule,
    /// Older ones are not run any more.
    pub missed_max_age: Span,
    /// No instant before this one.
    pub not_before: Option<Timestamp>,
    /// No instant after this one.
    pub not_after: Option<Timestamp>,
}

impl Default for DueRules {
    fn default() -> Self {
        Self {
            splay: Splay::default(),
            missed: MissedRule::default(),
            missed_max_age: Span::seconds(600),
            not_before: None,
            not_after: None,
        }
    }
}

impl DueRules {
    /// Tells what is wrong with them.
    pub(super) fn check(&self, faults: &mut Faults) {
        if self.not_before.zip(self.not_after).is_some_and(|(first, last)| last < first) {
            faults.add("/not_after", "must not be before not_before");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_spread_and_each_stays_where_it_is() {
        let name = |text: &str| Name::parse(text).unwrap();
        let (every, cron): (CronLine, CronLine) = ("@every 1m".parse().unwrap(), "* * * * *".parse().unwrap());
        let hosts: Vec<Name> = (0..600).map(|n| name(&format!("web{n}"))).collect();
        let offset = |splay: Splay, line: &CronLine, host: &Name| splay.offset(line, host, &name("check"));
        let mut a_second = [0; 60];
        for host in &hosts {
            let seconds = offset(Splay::Auto, &every, host).num_seconds();
            a_second[usize::try_from(seconds).unwrap()] += 1;
            assert_eq!(offset(Splay::Auto, &cron, host), TimeDelta::zero());
            assert_eq!(offset(Splay::Over(Span::seconds(0)), &every, host), TimeDelta::zero());
            assert!(offset(Splay::Over(Span::seconds(5)), &cron, host) < TimeDelta::seconds(5));
        }
        assert!(a_second.iter().all(|count| *count < 30), "10 are to be expected: {a_second:?}");
        // As it always was: a restart, or another version of Alf, shifts nothing.
        assert_eq!(offset(Splay::Auto, &every, &name("web1")).num_milliseconds(), 6_667);
        assert_ne!(
            Splay::Auto.offset(&every, &name("web1"), &name("a")),
            Splay::Auto.offset(&every, &name("web1"), &name("b"))
        );
    }
}
