//! A disk of the test's own, small enough to be filled: a tmpfs, where the test may mount one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk that is unmounted when dropped.
pub(crate) struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one at a directory, which is made; none, with a word of it, where this is not allowed.
    #[expect(clippy::print_stderr, reason = "who runs the tests is to know what was left out")]
    pub(crate) fn mount(path: &Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=24m,mode=700", "alf-test"]).arg(path).output();
        match mounted {
            Ok(mounted) if mounted.status.success() => Some(Self { path: path.to_owned() }),
            _ => {
                eprintln!("LEFT OUT: no tmpfs can be mounted here (needs root), so no full disk is tried");
                None
            }
        }
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Makes room again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still holds a file there must not leave it mounted.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}
