//! A partition's log under a directory: append-only segment files named after their first offset, as Kafka's are.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ottla_protocol::record::BatchHeader;

use super::recovery::{Recovery, damaged};

/// A batch found when a log was opened, and the position of its first byte.
pub(crate) struct Recovered {
    pub(crate) header: BatchHeader,
    pub(crate) pos: u64,
    /// Of a transaction's end, whether it was committed.
    pub(crate) commit: Option<bool>,
}

/// Its presence says that the log was compacted.
const COMPACTED: &str = "compacted";

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
    /// Whether the log was ever compacted, so that offsets may be missing.
    compacted: bool,
    segments: VecDeque<Segment>,
}

impl LogFiles {
    /// Opens the log under `dir`, creating it if it is new. A write that was cut off at the log's end is cut away.
    ///
    /// # Errors
    /// The file system's, with the path; `InvalidData` if the log is damaged elsewhere, saying where.
    pub(crate) fn open(dir: &Path) -> io::Result<(Self, Vec<Recovered>)> {
        fs::create_dir_all(dir).map_err(|e| at_path(dir, e))?;
        let mut log = Self {
            dir: dir.to_owned(),
            compacted: dir.join(COMPACTED).exists(),
            segments: VecDeque::new(),
        };
        let mut found = Vec::new();
        let names = segment_names(dir).map_err(|e| at_path(dir, e))?;
        let last = names.last().map(|(base, _)| *base);
        let mut next_offset = None;
        for (base_offset, path) in names {
            if log.compacted && next_offset.is_some_and(|next| base_offset < next) {
                // What was kept of it is in the file before, and it was to be removed.
                fs::remove_file(&path).map_err(|e| at_path(&path, e))?;
                continue;
            }
            if let Some(next) = next_offset.filter(|&next| next != base_offset && !log.compacted) {
                let what = format!(
                    "{} begins with offset {base_offset} where {next} is due: a file between is missing, or cut; \
                     restore it, or remove the files from this one on to go on without them",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            let end = log
                .recover(base_offset, &path, last == Some(base_offset), &mut found)
                .map_err(|e| at_path(&path, e))?;
            next_offset = Some(end);
        }
        if log.segments.is_empty() {
            log.roll(0)?;
        }
        Ok((log, found))
    }

    /// Takes up one file; answers the offset behind it.
    fn recover(
        &mut self,
        base_offset: i64,
        path: &Path,
        is_last: bool,
        found: &mut Vec<Recovered>,
    ) -> io::Result<i64> {
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        let pos = self.end();
        let mut recovery = Recovery::new(&file, path)?;
        let contents = recovery.read(pos, base_offset, self.compacted, found)?;
        match &contents.broken {
            Some(why) if !is_last => {
                let what = format!("{why}, and more files follow; restore the file");
                return Err(damaged(path, &contents, &what));
            }
            Some(_) => {
                recovery.check_tail(&contents)?;
                file.set_len(contents.good)?;
            }
            None => {}
        }
        self.segments.push_back(Segment {
            base_offset,
            pos,
            len: contents.good,
            file,
            path: path.to_owned(),
        });
        Ok(contents.next_offset)
    }

    /// Goes on in a new file.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn roll(&mut self, base_offset: i64) -> io::Result<()> {
        let path = self.dir.join(format!("{base_offset:020}.log"));
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(|e| at_path(&path, e))?;
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

    /// The offset the last file begins with, and its length.
    pub(crate) fn last(&self) -> (i64, u64) {
        self.segments
            .back()
            .map_or((0, 0), |s| (s.base_offset, s.len))
    }

    /// The offset the oldest file begins with.
    pub(crate) fn first_offset(&self) -> i64 {
        self.segments.front().map_or(0, |s| s.base_offset)
    }

    /// Appends a batch, in a new file with `roll`, and answers its position.
    ///
    /// # Errors
    /// The file system's; the file is as it was then.
    pub(crate) fn append(
        &mut self,
        base_offset: i64,
        head: &[u8],
        body: &[u8],
        roll: bool,
    ) -> io::Result<u64> {
        if roll && self.segments.back().is_none_or(|s| s.len > 0) {
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
            return Err(at_path(&last.path, error));
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

    /// The files that begin before `bound`, in runs that have at most `max_bytes` together.
    pub(super) fn groups(&self, bound: i64, max_bytes: u64) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let ends = self.segments.iter().skip(1).map(|s| s.base_offset);
        for (segment, end) in self.segments.iter().zip(ends) {
            if segment.base_offset >= bound {
                break;
            }
            match groups.last_mut() {
                Some(group) if group.bytes + segment.len <= max_bytes => {
                    group.to = end;
                    group.files += 1;
                    group.bytes += segment.len;
                }
                _ => groups.push(Group {
                    from: segment.base_offset,
                    to: end,
                    files: 1,
                    bytes: segment.len,
                }),
            }
        }
        groups
    }

    /// Begins to write anew what the files of `group` hold.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn rewrite(&self, group: Group) -> io::Result<Rewrite> {
        let name = format!("{:020}.log.cleaned", group.from);
        let path = self.dir.join(name);
        let file = File::create(&path).map_err(|e| at_path(&path, e))?;
        let pos = self
            .segments
            .iter()
            .find(|s| s.base_offset == group.from)
            .map_or(0, |s| s.pos);
        Ok(Rewrite {
            group,
            pos,
            len: 0,
            path,
            file: BufWriter::new(file),
        })
    }

    /// Puts what was written anew in the place of the files it is of; answers by how many bytes it is less. At any
    /// moment of it the files on disk hold all that is to be kept.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn replace(&mut self, rewrite: Rewrite) -> io::Result<u64> {
        let Rewrite {
            group,
            pos,
            len,
            path,
            file,
        } = rewrite;
        if !self.compacted {
            let marker = self.dir.join(COMPACTED);
            fs::write(&marker, b"").map_err(|e| at_path(&marker, e))?;
            self.compacted = true;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all().map_err(|e| at_path(&path, e))?;
        drop(file);
        let first = self
            .segments
            .partition_point(|s| s.base_offset < group.from);
        let target = self.dir.join(format!("{:020}.log", group.from));
        fs::rename(&path, &target).map_err(|e| at_path(&path, e))?;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&target)
            .map_err(|e| at_path(&target, e))?;
        for old in self.segments.drain(first..first + group.files).skip(1) {
            // One that stays is removed at the next start: what was kept of it is in the new file.
            let _ = fs::remove_file(&old.path);
        }
        self.segments.insert(
            first,
            Segment {
                base_offset: group.from,
                pos,
                len,
                file,
                path: target,
            },
        );
        let shrunk = group.bytes.saturating_sub(len);
        for segment in self.segments.iter_mut().skip(first + 1) {
            segment.pos -= shrunk;
        }
        Ok(shrunk)
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

/// Files that follow one another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// The offset the first begins with.
    pub(super) from: i64,
    /// The offset the file behind the last begins with.
    pub(super) to: i64,
    files: usize,
    bytes: u64,
}

/// A file that is to take the place of a group of files.
pub(super) struct Rewrite {
    group: Group,
    pos: u64,
    len: u64,
    path: PathBuf,
    file: BufWriter<File>,
}

impl Rewrite {
    /// Whether several files become one.
    pub(super) fn joins(&self) -> bool {
        self.group.files > 1
    }

    /// Writes a batch; answers the position it has in the log.
    pub(super) fn push(&mut self, batch: &[u8]) -> io::Result<u64> {
        self.file
            .write_all(batch)
            .map_err(|e| at_path(&self.path, e))?;
        let pos = self.pos + self.len;
        self.len += batch.len() as u64;
        Ok(pos)
    }

    /// The files stay as they are.
    pub(super) fn give_up(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// An error of the file system with the path it is about, unless its words have it already.
pub(crate) fn at_path(path: &Path, error: io::Error) -> io::Error {
    let path = path.display().to_string();
    let words = error.to_string();
    if words.contains(&path) {
        return error;
    }
    io::Error::new(error.kind(), format!("{path}: {words}"))
}

/// The segment files in `dir` and their first offsets, in order.
fn segment_names(dir: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
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
    Ok(names)
}
