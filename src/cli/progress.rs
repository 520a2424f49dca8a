//! How far a command on many hosts has come: a line on stderr that stays below all output, at a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// No colours: it looks the same with NO_COLOR.
const TEMPLATE: &str = "[{bar:20}] {pos}/{len} hosts, {elapsed}{wide_msg}";
/// How often the time is drawn anew.
const TICK: Duration = Duration::from_millis(500);
/// How many hosts are named.
const NAMED: usize = 5;

/// The line; it goes when this is dropped.
pub(super) struct Progress {
    bar: ProgressBar,
    running: Vec<String>,
    bad: usize,
}

impl Progress {
    /// For runs on these hosts that have just been started.
    pub(super) fn new(hosts: Vec<String>) -> Self {
        let bar = ProgressBar::with_draw_target(Some(hosts.len() as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        bar.enable_steady_tick(TICK);
        let progress = Self { bar, running: hosts, bad: 0 };
        progress.tell();
        progress
    }

    /// One has ended.
    pub(super) fn ended(&mut self, host: &str, is_good: bool) {
        self.running.retain(|running| running != host);
        self.bad += usize::from(!is_good);
        self.bar.inc(1);
        self.tell();
    }

    /// Does something while the line is away: writes to the terminal.
    pub(super) fn without<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn tell(&self) {
        self.bar.set_message(message(self.bad, &self.running));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn message(bad: usize, running: &[String]) -> String {
    let bad = if bad == 0 { String::new() } else { format!(", {bad} not OK") };
    if running.is_empty() { bad } else { format!("{bad}, still running: {}", names(running, NAMED)) }
}

/// `web1, web2 and 3 more`.
pub(super) fn names<T: AsRef<str>>(names: &[T], most: usize) -> String {
    let named: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(most) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_hosts_are_named_and_the_others_counted() {
        let hosts = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(names(&hosts, 3), "a, b, c");
        assert_eq!(names(&hosts, 2), "a, b and 1 more");
        assert_eq!(message(0, &hosts), ", still running: a, b, c");
        assert_eq!(message(2, &[]), ", 2 not OK");
    }
}
