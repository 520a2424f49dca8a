//! The program at a terminal, which `script` gives it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::service::{alf, until};

/// A command that believes it has a person before it.
pub(crate) struct Terminal {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs `alf WORDS`, the words as a shell reads them.
    pub(crate) fn start(data_dir: &Path, words: &str) -> Self {
        let line = format!("stty cols 100 rows 24; exec '{}' {words}", env!("CARGO_BIN_EXE_alf"));
        let mut command = Command::new("script");
        for (name, value) in alf(data_dir).get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        let pipes = command.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (mut stdout, to) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut piece) {
                to.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self { child, shown }
    }

    /// All that has been written to the terminal.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until something is on the terminal.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let shown = || until_shown(&self.shown(), text);
        until(&format!("{text:?} on the terminal, where {:?} is", self.shown()), shown);
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    }

    /// Waits for its end; answers its exit code.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        until("the end of what runs at the terminal", || self.child.try_wait().unwrap()).code()
    }
}

fn until_shown(shown: &str, text: &str) -> Option<()> {
    shown.contains(text).then_some(())
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
