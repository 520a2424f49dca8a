//! What a sink is given of a Result: one value of one thing at one instant.

use serde::{Deserialize, Serialize};

use crate::model::{Name, RunResult, Timestamp};

/// The label of how long a run took.
const DURATION: &str = "duration_ms";

/// One value: a data point of Graphite and InfluxDB, a metric of Ganglia.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Where it was measured.
    pub host: Name,
    /// The host's address, as it is defined.
    pub address: String,
    /// By which task.
    pub task: Name,
    /// What, in the plugin's words.
    pub label: String,
    /// How much.
    pub value: f64,
    /// The unit in the plugin's words; `c` is a counter.
    pub unit: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Point {
    /// All values of a Result: what its plugin measured, and as `duration_ms` how long it ran. None of a run of no task, and
    /// none of what the plugin could not tell (`U`).
    pub fn all_of(result: &RunResult, address: &str) -> Vec<Self> {
        let Some(task) = &result.task else { return Vec::new() };
        let point = |label: &str, value: f64, unit: Option<String>| Self {
            host: result.host.clone(),
            address: address.to_owned(),
            task: task.clone(),
            label: label.to_owned(),
            value,
            unit,
            at: result.finished_at,
        };
        let measured = result.perfdata.as_deref().unwrap_or_default();
        let mut points: Vec<Self> = measured
            .iter()
            .filter_map(|metric| Some(point(&metric.label, metric.value?.get(), metric.unit.clone())))
            .collect();
        // A plugin's own word for it goes first.
        if let Some(took) = result.duration_ms().filter(|_| measured.iter().all(|metric| metric.label != DURATION)) {
            #[expect(clippy::cast_precision_loss, reason = "no run takes 2^53 ms")]
            points.push(point(DURATION, took as f64, Some("ms".to_owned())));
        }
        points
    }

    /// Whether the value only ever rises, but for starts from zero.
    pub(super) fn is_counter(&self) -> bool {
        self.unit.as_deref() == Some("c")
    }
}

/// A text with all but letters and digits of ASCII, `-` and `_` replaced by `_`, at most 200 characters long: it is going to
/// be a part of a path, and a file at the receiver's.
pub(super) fn path_part(text: &str) -> String {
    let part: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(200).collect();
    if part.is_empty() { "_".to_owned() } else { part }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::nagios;
    use crate::model::{Captured, Outcome, RunId, Trigger};

    /// A value that was measured at 2026-11-25T00:00:00.500Z.
    pub(in crate::sinks) fn point(label: &str, value: f64, unit: Option<&str>) -> Point {
        Point {
            host: "web1.example.org".parse().unwrap(),
            address: "192.0.2.1".to_owned(),
            task: "load".parse().unwrap(),
            label: label.to_owned(),
            value,
            unit: unit.map(str::to_owned),
            at: "2026-11-25T00:00:00.500Z".parse().unwrap(),
        }
    }

    fn result(stdout: &str) -> RunResult {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        RunResult {
            id: RunId::from_bytes([7; 16]),
            host: "web1".parse().unwrap(),
            task: Some("load".parse().unwrap()),
            task_version: Some(1),
            schedule: None,
            node: "alf".to_owned(),
            trigger: Trigger::Manual,
            by: None,
            cause: None,
            group: None,
            scheduled_at: at("2026-11-25T00:00:00Z"),
            due_at: at("2026-11-25T00:00:00Z"),
            started_at: Some(at("2026-11-25T00:00:00Z")),
            finished_at: at("2026-11-25T00:00:01.250Z"),
            attempt: 0,
            exit_code: Some(0),
            signal: None,
            outcome: Outcome::Ok,
            state: None,
            reason: None,
            hard: true,
            message: String::new(),
            stdout: Captured::default(),
            stderr: Captured::default(),
            perfdata: Some(nagios::perfdata(stdout, false)),
            kill: None,
            instants: None,
        }
    }

    fn values(result: &RunResult) -> Vec<(String, f64, Option<String>)> {
        Point::all_of(result, "::1").into_iter().map(|point| (point.label, point.value, point.unit)).collect()
    }

    #[test]
    fn a_result_gives_what_was_measured_and_how_long_it_took() {
        let both = result("OK | '/'=12MB;80;90;0;100 errors=7c lost=U");
        assert_eq!(
            values(&both),
            [
                ("/".to_owned(), 12.0, Some("MB".to_owned())),
                ("errors".to_owned(), 7.0, Some("c".to_owned())),
                ("duration_ms".to_owned(), 1250.0, Some("ms".to_owned())),
            ]
        );
        let points = Point::all_of(&both, "::1");
        assert!(points.iter().all(|point| point.at == both.finished_at && point.address == "::1"));
        assert_eq!(values(&result("OK | duration_ms=3")), [("duration_ms".to_owned(), 3.0, None)]);
    }

    #[test]
    fn what_did_not_run_or_is_no_task_gives_nothing() {
        let skipped = RunResult { started_at: None, perfdata: None, ..result("") };
        assert_eq!(values(&skipped), []);
        let adhoc = RunResult { task: None, ..result("OK | a=1") };
        assert_eq!(values(&adhoc), []);
    }

    #[test]
    fn a_part_of_a_path_is_safe() {
        assert_eq!(path_part("web1.example.org"), "web1_example_org");
        assert_eq!(path_part("/var/lib ;a=b\n../x"), "_var_lib__a_b____x");
        assert_eq!(path_part(""), "_");
        assert_eq!(path_part(&"ü".repeat(300)).len(), 200);
    }
}
