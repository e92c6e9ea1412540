//! A partition's log under a directory: append-only segment files named after their first offset, as Kafka's are.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::batch::{intact, is_commit};
use crate::protocol::record::BatchHeader;

/// A batch found when a log was opened, and the position of its first byte.
pub(crate) struct Recovered {
    pub(crate) header: BatchHeader,
    pub(crate) pos: u64,
    /// Of a transaction's end, whether it was committed.
    pub(crate) commit: Option<bool>,
}

struct Segment {
    base_offset: i64,
    /// Position in the log of the file's first byte.
    pos: u64,
    len: u64,
    file: File,
    path: PathBuf,
}

/// The segment files of one partition, oldest first; the last one grows. There is always one.
pub(crate) struct LogFiles {
    dir: PathBuf,
    segments: VecDeque<Segment>,
    segment_bytes: u64,
}

impl LogFiles {
    /// Opens the log under `dir`, creating it if it is new. What follows the last intact batch (a write that was cut
    /// off) is cut away.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open(dir: &Path, segment_bytes: u64) -> io::Result<(Self, Vec<Recovered>)> {
        fs::create_dir_all(dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let base = path
                .file_stem()
                .and_then(|s| s.to_str())
                .and_then(|s| s.parse::<i64>().ok());
            if let (Some(base), Some("log")) = (base, path.extension().and_then(|e| e.to_str())) {
                names.push((base, path));
            }
        }
        names.sort();
        let mut log = Self {
            dir: dir.to_owned(),
            segments: VecDeque::new(),
            segment_bytes,
        };
        let mut found = Vec::new();
        let mut next_offset = None;
        for (base_offset, path) in names {
            if next_offset.is_some_and(|next| next != base_offset) {
                // It followed a batch that is lost.
                fs::remove_file(&path)?;
                continue;
            }
            let pos = log.end();
            let (len, end_offset) = recover(&path, pos, base_offset, &mut found)?;
            next_offset = Some(end_offset);
            let file = OpenOptions::new().read(true).append(true).open(&path)?;
            file.set_len(len)?;
            log.segments.push_back(Segment {
                base_offset,
                pos,
                len,
                file,
                path,
            });
        }
        if log.segments.is_empty() {
            log.roll(0)?;
        }
        Ok((log, found))
    }

    fn roll(&mut self, base_offset: i64) -> io::Result<()> {
        let path = self.dir.join(format!("{base_offset:020}.log"));
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)?;
        self.segments.push_back(Segment {
            base_offset,
            pos: self.end(),
            len: 0,
            file,
            path,
        });
        Ok(())
    }

    /// The position behind the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.segments.back().map_or(0, |s| s.pos + s.len)
    }

    /// The offset the oldest file begins with.
    pub(crate) fn first_offset(&self) -> i64 {
        self.segments.front().map_or(0, |s| s.base_offset)
    }

    /// Appends a batch and answers its position.
    ///
    /// # Errors
    /// The file system's; the file is as it was then.
    pub(crate) fn append(&mut self, base_offset: i64, head: &[u8], body: &[u8]) -> io::Result<u64> {
        if self.segments.back().is_none_or(|s| {
            s.len > 0 && s.len + (head.len() + body.len()) as u64 > self.segment_bytes
        }) {
            self.roll(base_offset)?;
        }
        let Some(last) = self.segments.back_mut() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if let Err(error) = last
            .file
            .write_all(head)
            .and_then(|()| last.file.write_all(body))
        {
            last.file.set_len(last.len)?;
            return Err(error);
        }
        let pos = last.pos + last.len;
        last.len += (head.len() + body.len()) as u64;
        Ok(pos)
    }

    /// Adds the bytes from position `from` to `to` to `out`, one piece per file touched.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn read(&self, from: u64, to: u64, out: &mut Vec<Bytes>) -> io::Result<()> {
        for segment in &self.segments {
            let start = from.max(segment.pos);
            let end = to.min(segment.pos + segment.len);
            if start < end {
                let mut piece = vec![0; (end - start) as usize];
                (&segment.file).seek(SeekFrom::Start(start - segment.pos))?;
                (&segment.file).read_exact(&mut piece)?;
                out.push(Bytes::from(piece));
            }
        }
        Ok(())
    }

    /// The offset before which whole files can go if everything from `offset` on is to stay.
    pub(crate) fn droppable_before(&self, offset: i64) -> i64 {
        let keep = self
            .segments
            .iter()
            .rposition(|s| s.base_offset <= offset)
            .unwrap_or(0);
        self.segments.get(keep).map_or(0, |s| s.base_offset)
    }

    /// Deletes the files all of whose offsets lie before `offset`. One that can't be deleted is found again at the
    /// next start, which does no harm.
    pub(crate) fn drop_before(&mut self, offset: i64) {
        while self
            .segments
            .get(1)
            .is_some_and(|second| second.base_offset <= offset)
        {
            if let Some(first) = self.segments.pop_front() {
                let _ = fs::remove_file(&first.path);
            }
        }
    }

    /// Deletes the directory.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn delete(self) -> io::Result<()> {
        fs::remove_dir_all(&self.dir)
    }
}

/// Reads the batches of one file; answers how many of its bytes are good and the offset behind them.
fn recover(
    path: &Path,
    pos: u64,
    base_offset: i64,
    found: &mut Vec<Recovered>,
) -> io::Result<(u64, i64)> {
    let bytes = fs::read(path)?;
    let mut at = 0;
    let mut next = base_offset;
    while let Some(header) = bytes.get(at..).and_then(intact) {
        if header.base_offset != next {
            break;
        }
        let commit = header
            .attributes
            .is_control()
            .then(|| bytes.get(at..).and_then(is_commit))
            .flatten();
        found.push(Recovered {
            header,
            pos: pos + at as u64,
            commit,
        });
        next = header.last_offset() + 1;
        at += header.total_len();
    }
    Ok((at as u64, next))
}
