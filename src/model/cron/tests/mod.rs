//! Tests of the room, by subject.

mod clock_changes;
mod lines;
mod passed;
mod refused;
mod words;

use super::CronLine;

fn line(text: &str) -> CronLine {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The next `count` instants strictly after `from`, as `2026-03-29T01:00:00Z`.
fn instants(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let (line, zone) = (line(text), zone.parse().unwrap());
    let from = chrono::DateTime::parse_from_rfc3339(from).unwrap().to_utc();
    std::iter::successors(line.next_after(zone, from), |at| line.next_after(zone, *at))
        .take(count)
        .map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        .collect()
}
