//! Reading a segment file back when a log is opened, a piece at a time: which batches are in it, and whether what can't
//! be read is a write that was cut off (at the very end, and then cut away) or damage.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use ottla_protocol::record::header::{CRC_START, LOG_OVERHEAD, MAGIC_AT};
use ottla_protocol::record::{BatchHeader, HEADER_LEN, crc};

use super::batch::is_commit;
use super::files::Recovered;

/// What is read at once.
const PIECE: usize = 64 * 1024;
/// A control batch with its record takes some 80 bytes.
const MAX_CONTROL: usize = 4096;
/// Farther ahead no log goes on; where a batch is looked for, most of what is none is told by that.
const MAX_GAP: i64 = 1 << 40;

/// What a segment file holds.
pub(super) struct Contents {
    /// Bytes that are whole batches.
    pub(super) good: u64,
    /// The offset behind them.
    pub(super) next_offset: i64,
    /// Why it ends there, if that is not the file's end.
    pub(super) broken: Option<String>,
}

/// A segment file that is read back.
pub(super) struct Recovery<'a> {
    file: &'a File,
    path: &'a Path,
    len: u64,
    buffer: Vec<u8>,
}

impl<'a> Recovery<'a> {
    pub(super) fn new(file: &'a File, path: &'a Path) -> io::Result<Self> {
        Ok(Self {
            file,
            path,
            len: file.metadata()?.len(),
            buffer: vec![0; PIECE],
        })
    }

    /// Reads the batches up to the first that is not whole. `pos` is the position in the log of the file's first byte.
    /// With `gaps` batches need not follow one another, as in a log that was compacted.
    ///
    /// # Errors
    /// The file system's.
    pub(super) fn read(
        &mut self,
        pos: u64,
        base_offset: i64,
        gaps: bool,
        found: &mut Vec<Recovered>,
    ) -> io::Result<Contents> {
        let mut contents = Contents {
            good: 0,
            next_offset: base_offset,
            broken: None,
        };
        while contents.good < self.len {
            let header = match self.batch_at(contents.good)? {
                Ok(header) => header,
                Err(why) => {
                    contents.broken = Some(why);
                    break;
                }
            };
            let expected = contents.next_offset;
            if header.base_offset < expected || (header.base_offset > expected && !gaps) {
                contents.broken = Some(format!(
                    "a batch with offset {} stands where {expected} is due",
                    header.base_offset
                ));
                break;
            }
            let commit = if header.attributes.is_control() {
                self.commit_at(contents.good, &header)?
            } else {
                None
            };
            contents.next_offset = header.last_offset() + 1;
            let len = header.total_len() as u64;
            found.push(Recovered {
                header,
                pos: pos + contents.good,
                commit,
            });
            contents.good += len;
        }
        Ok(contents)
    }

    /// Judges what follows the whole batches of the log's last file: a write that was cut off is `Ok`, and can be cut
    /// away.
    ///
    /// # Errors
    /// `InvalidData` if whole batches follow, which cutting would lose; the file system's.
    pub(super) fn check_tail(&mut self, contents: &Contents) -> io::Result<()> {
        let Some(why) = &contents.broken else {
            return Ok(());
        };
        match self.find_batch(contents.good, contents.next_offset)? {
            Some((at, offset)) => Err(damaged(
                self.path,
                contents,
                &format!(
                    "{why}, and a whole batch follows at byte {at}, with offset {offset}; restore the file, or cut it \
                     at byte {} to go on without what is behind",
                    contents.good
                ),
            )),
            None => Ok(()),
        }
    }

    /// The batch at `at`, or why there is none.
    fn batch_at(&mut self, at: u64) -> io::Result<Result<BatchHeader, String>> {
        let left = self.len - at;
        if left < HEADER_LEN as u64 {
            return Ok(Err(format!("{left} bytes are no batch")));
        }
        let mut head = [0; HEADER_LEN];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut head)?;
        let header = match BatchHeader::parse(&head) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(Err("a batch is cut off".to_owned())),
            Err(error) => return Ok(Err(error.message().to_owned())),
        };
        let len = header.total_len() as u64;
        if len > left {
            return Ok(Err(format!(
                "a batch of {len} bytes is cut off after {left}"
            )));
        }
        let mut sum = crc::crc32c(head.get(CRC_START..).unwrap_or_default());
        let mut missing = header.total_len() - HEADER_LEN;
        while missing > 0 {
            let take = missing.min(PIECE);
            let piece = self.buffer.get_mut(..take).unwrap_or_default();
            self.file.read_exact(piece)?;
            sum = crc::extend(sum, piece);
            missing -= take;
        }
        if sum != header.crc {
            return Ok(Err(format!(
                "the checksum of the batch with offset {} is wrong",
                header.base_offset
            )));
        }
        Ok(Ok(header))
    }

    fn commit_at(&mut self, at: u64, header: &BatchHeader) -> io::Result<Option<bool>> {
        if header.total_len() > MAX_CONTROL {
            return Ok(None);
        }
        let mut bytes = vec![0; header.total_len()];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut bytes)?;
        Ok(is_commit(&bytes))
    }

    /// The first whole batch at `from` or behind whose offset is `offset` or larger: where it is, and its offset.
    fn find_batch(&mut self, from: u64, offset: i64) -> io::Result<Option<(u64, i64)>> {
        let mut at = from;
        while at + HEADER_LEN as u64 <= self.len {
            let take = usize::try_from(self.len - at).map_or(PIECE, |left| left.min(PIECE));
            let mut piece = vec![0; take];
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut piece)?;
            // Each piece but the last begins anew before its last bytes, where a header would not be whole.
            let starts = take - HEADER_LEN + 1;
            for i in 0..starts {
                let base = candidate(piece.get(i..).unwrap_or_default());
                if let Some(base) = base.filter(|b| (offset..offset + MAX_GAP).contains(b))
                    && self.batch_at(at + i as u64)?.is_ok()
                {
                    return Ok(Some((at + i as u64, base)));
                }
            }
            at += starts as u64;
        }
        Ok(None)
    }
}

/// The base offset of what looks like the header of a batch.
fn candidate(bytes: &[u8]) -> Option<i64> {
    if *bytes.get(MAGIC_AT)? != 2 {
        return None;
    }
    let length = i32::from_be_bytes(*bytes.get(8..)?.first_chunk()?);
    let least = (HEADER_LEN - LOG_OVERHEAD) as i32;
    (length >= least).then(|| bytes.first_chunk().map(|b| i64::from_be_bytes(*b)))?
}

/// The error for a log that is damaged where cutting would lose records.
pub(super) fn damaged(path: &Path, contents: &Contents, what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "{} is damaged at byte {} (offset {}): {what}",
            path.display(),
            contents.good,
            contents.next_offset
        ),
    )
}
