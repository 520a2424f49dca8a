//! What a receiver has not taken yet, on disk: bounded in bytes, the oldest dropped first.
//!
//! A directory of numbered files, each with a point a line; one is written to, and the oldest is read, sent and deleted as a
//! whole. After a crash what was being written may end in half a line, which is passed over: nothing is ever added to a file
//! of an earlier start. What was sent when a crash kept its file from being deleted is sent again.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::point::Point;

/// Bytes after which the next file begins; fewer in a small spool.
const FILE: u64 = 64 << 10;
/// Into so many files a small spool is divided, so that little is dropped at once.
const FILES: u64 = 8;
const ENDING: &str = ".points";

/// The spool of one sink.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    limit: u64,
    files: VecDeque<Piece>,
    /// The file that is written to: the last one.
    open: Option<File>,
    next: u64,
    /// Points that were dropped, or could not be read.
    dropped: u64,
}

/// One of its files.
#[derive(Debug)]
struct Piece {
    number: u64,
    bytes: u64,
    points: u64,
}

impl Spool {
    /// What an earlier start has left in `dir`, of which at most `limit` bytes are kept.
    pub(super) fn open(dir: PathBuf, limit: u64) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in read_dir(&dir)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ENDING));
            let Some(number) = name.and_then(|name| name.parse::<u64>().ok()) else { continue };
            let content = fs::read(&path)?;
            let points = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() as u64;
            files.push(Piece { number, bytes: content.len() as u64, points });
        }
        files.sort_by_key(|piece| piece.number);
        let next = files.last().map_or(0, |piece| piece.number + 1);
        let mut spool = Self { dir, limit, files: files.into(), open: None, next, dropped: 0 };
        spool.shrink()?;
        Ok(spool)
    }

    /// How many points are in it.
    pub(super) fn points(&self) -> u64 {
        self.files.iter().map(|piece| piece.points).sum()
    }

    /// How many bytes it has.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|piece| piece.bytes).sum()
    }

    /// How many points are lost since it was asked last.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Puts points behind the others; where that fails they are lost, and counted.
    pub(super) fn append(&mut self, points: &[Point]) -> io::Result<()> {
        for (index, point) in points.iter().enumerate() {
            let line = serde_json::to_vec(point).map_err(io::Error::from);
            if let Err(error) = line.and_then(|line| self.write(line)) {
                // What was half written must not run into the next line.
                self.open = None;
                self.dropped += (points.len() - index) as u64;
                return Err(error);
            }
        }
        self.shrink()
    }

    fn write(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let full = self.files.back().is_some_and(|piece| piece.bytes >= FILE.min(self.limit / FILES));
        let mut file = match self.open.take().filter(|_| !full) {
            Some(file) => file,
            None => {
                fs::create_dir_all(&self.dir)?;
                let file = File::create(self.path(self.next))?;
                self.files.push_back(Piece { number: self.next, bytes: 0, points: 0 });
                self.next += 1;
                file
            }
        };
        file.write_all(&line)?;
        self.open = Some(file);
        if let Some(piece) = self.files.back_mut() {
            piece.bytes += line.len() as u64;
            piece.points += 1;
        }
        Ok(())
    }

    /// The oldest points, up to a file of them; what cannot be read of it is counted as dropped. Empty if there are none.
    pub(super) fn oldest(&mut self) -> io::Result<Vec<Point>> {
        while let Some(oldest) = self.files.front() {
            if self.files.len() == 1 {
                self.open = None;
            }
            let content = fs::read(self.path(oldest.number))?;
            let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let points: Vec<Point> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
            self.dropped += oldest.points.saturating_sub(points.len() as u64);
            if let Some(oldest) = self.files.front_mut() {
                oldest.points = points.len() as u64;
            }
            if !points.is_empty() {
                return Ok(points);
            }
            self.forget_oldest()?;
        }
        Ok(Vec::new())
    }

    /// Deletes what [`Self::oldest`] gave.
    pub(super) fn forget_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.files.pop_front() else { return Ok(()) };
        if self.files.is_empty() {
            self.open = None;
        }
        fs::remove_file(self.path(oldest.number))
    }

    /// Drops the oldest until the rest is within the bound.
    fn shrink(&mut self) -> io::Result<()> {
        while self.bytes() > self.limit {
            let Some(oldest) = self.files.front() else { break };
            self.dropped += oldest.points;
            self.forget_oldest()?;
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:012}{ENDING}"))
    }
}

/// The entries of a directory, none if there is none.
fn read_dir(dir: &Path) -> io::Result<Vec<io::Result<fs::DirEntry>>> {
    match fs::read_dir(dir) {
        Ok(entries) => Ok(entries.collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::point::tests::point;

    fn points(from: u32, until: u32) -> Vec<Point> {
        (from..until).map(|n| point(&n.to_string(), f64::from(n), Some("s"))).collect()
    }

    /// All labels, and nothing is left.
    fn drain(spool: &mut Spool) -> Vec<String> {
        let mut labels = Vec::new();
        loop {
            let oldest = spool.oldest().unwrap();
            if oldest.is_empty() {
                assert_eq!((spool.points(), spool.bytes()), (0, 0));
                return labels;
            }
            labels.extend(oldest.into_iter().map(|point| point.label));
            spool.forget_oldest().unwrap();
        }
    }

    fn labels(from: u32, until: u32) -> Vec<String> {
        (from..until).map(|n| n.to_string()).collect()
    }

    #[test]
    fn points_come_back_as_they_were_and_in_their_order_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Spool::open(dir.path().join("spool"), 1 << 20).unwrap();
        let mut spool = open();
        assert_eq!(spool.oldest().unwrap(), []);
        spool.append(&points(0, 1500)).unwrap();
        assert_eq!(spool.points(), 1500);
        drop(spool);
        let mut spool = open();
        assert_eq!(spool.points(), 1500);
        spool.append(&points(1500, 1600)).unwrap();
        assert_eq!(spool.oldest().unwrap()[..100], points(0, 100)[..]);
        assert_eq!(spool.oldest().unwrap()[0].label, "0", "nothing goes before it is forgotten");
        assert_eq!(drain(&mut spool), labels(0, 1600));
        assert_eq!(spool.take_dropped(), 0);
        assert_eq!(fs::read_dir(dir.path().join("spool")).unwrap().count(), 0);
        spool.append(&points(1, 2)).unwrap();
        assert_eq!(drain(&mut spool), ["1"]);
    }

    #[test]
    fn it_is_bounded_and_the_oldest_are_dropped_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let limit = 40_000;
        let mut spool = Spool::open(dir.path().to_owned(), limit).unwrap();
        for n in 0..1000 {
            spool.append(&points(n, n + 1)).unwrap();
            assert!(spool.bytes() <= limit);
        }
        let on_disk: u64 = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
        assert_eq!(on_disk, spool.bytes());
        let dropped = spool.take_dropped();
        assert!(spool.bytes() > limit / 2 && dropped > 0, "{dropped} dropped, {} bytes left", spool.bytes());
        let left = drain(&mut spool);
        assert_eq!(left, labels(u32::try_from(dropped).unwrap(), 1000));
    }

    #[test]
    fn a_torn_end_is_passed_over_and_spoils_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Spool::open(dir.path().to_owned(), 1 << 20).unwrap();
        open().append(&points(0, 3)).unwrap();
        let file = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let content = fs::read(&file).unwrap();
        fs::write(&file, &content[..content.len() - 20]).unwrap();
        fs::write(dir.path().join("000000000007.points"), b"\0\0\0\0\0").unwrap();
        fs::write(dir.path().join("README"), b"somebody else's").unwrap();
        let mut spool = open();
        spool.append(&points(3, 5)).unwrap();
        assert_eq!(drain(&mut spool), ["0", "1", "3", "4"]);
        assert_eq!(spool.take_dropped(), 2);
    }

    #[test]
    fn a_spool_that_cannot_be_written_says_so_and_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Spool::open(file.clone(), 1000).is_err());
        let mut spool = Spool::open(dir.path().join("spool"), 1000).unwrap();
        fs::write(dir.path().join("spool"), "").unwrap();
        assert!(spool.append(&points(0, 3)).is_err());
        assert_eq!((spool.take_dropped(), spool.points()), (3, 0));
    }
}
