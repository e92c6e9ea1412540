//! Looking offsets up by timestamp.

use std::io;

use super::records::timestamps;
use super::{Entry, PartitionLog};

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampHit {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

impl PartitionLog {
    /// The first record whose timestamp is `timestamp` or later.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn find_timestamp(&self, timestamp: i64) -> io::Result<Option<TimestampHit>> {
        for entry in self.entries.iter().filter(|e| e.max_timestamp >= timestamp) {
            if let Some(hit) = self.first_at(entry, timestamp)? {
                return Ok(Some(hit));
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp of all.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn find_max_timestamp(&self) -> io::Result<Option<TimestampHit>> {
        match self.entries.iter().map(|e| e.max_timestamp).max() {
            Some(max) => self.find_timestamp(max),
            None => Ok(None),
        }
    }

    fn first_at(&self, entry: &Entry, timestamp: i64) -> io::Result<Option<TimestampHit>> {
        let mut parts = Vec::new();
        self.read(entry.base_offset, self.end_offset, 0, true, &mut parts)?;
        let found = timestamps(&parts.concat())
            .into_iter()
            .find(|&(delta, time)| {
                // The first batch may begin before the log does.
                time >= timestamp && entry.base_offset + i64::from(delta) >= self.start_offset
            });
        Ok(found.map(|(delta, timestamp)| {
            let offset = entry.base_offset + i64::from(delta);
            TimestampHit {
                offset,
                timestamp,
                leader_epoch: self.epoch_at(offset).unwrap_or(-1),
            }
        }))
    }
}
