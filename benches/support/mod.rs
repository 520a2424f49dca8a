//! What the benches share: figures of this process, and of many measurements.

use std::path::Path;

use serde_json::{Value, json};

/// What keeps a bench from its figures.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Of measured values: the one in the middle, the one that 99 of 100 are below, the largest.
pub(crate) fn percentiles(mut all: Vec<f64>) -> Value {
    all.sort_by(f64::total_cmp);
    let at = |part: f64| all.get(((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1)));
    json!({"p50": at(0.5), "p99": at(0.99), "max": all.last()})
}

/// CPU time of all threads of this process, in milliseconds (Linux: Documentation/scheduler/sched-stats).
pub(crate) fn cpu_ms() -> Result<f64, Failure> {
    let mut nanoseconds = 0_u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let text = read(&thread?.path().join("schedstat"))?;
        nanoseconds += text.split_whitespace().next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e6)
}

/// A figure of proc_pid_status(5), in KiB.
pub(crate) fn memory_kib(field: &str) -> Result<u64, Failure> {
    let status = read(Path::new("/proc/self/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let figure = line.and_then(|line| line.split_whitespace().next()).ok_or("no such figure in /proc/self/status")?;
    Ok(figure.parse()?)
}

/// A file as text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}
