//! Tests that look at what their process needs: they run in a process of their own.

use std::process::Command;

/// Says to the test that it is alone.
const ALONE: &str = "ALF_TEST_ALONE";

/// Whether this test is alone in its process. If it is not, it is run again in one of its own, and has nothing more to
/// do here.
pub(crate) fn alone() -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let test = std::thread::current().name().expect("a test's thread has its name").to_owned();
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([&test, "--exact", "--nocapture", "--test-threads=1"]).env(ALONE, "yes");
    let done = again.output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    assert!(done.status.success(), "{test} alone:\n{}", String::from_utf8_lossy(&said));
    false
}

/// A figure of this process in proc_pid_status(5), in KiB.
pub(crate) fn memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
