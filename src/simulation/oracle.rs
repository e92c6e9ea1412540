//! What the brokers' logs hold at the end, to be held against what clients were told.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::reading::feed::{Fed, Feed, PREFIX};
use crate::broker::core::BrokerCore;
use crate::memory::PoolBuf;
use crate::protocol::compress::{self, Codec};
use crate::protocol::record::{Batches, ColumnSet, RecordCursor, TimestampType, verify_crc};

/// What became of the transaction a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It belongs to none.
    Plain,
    Committed,
    Aborted,
    /// No marker has ended it.
    Open,
}

/// One record as it lies in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) offset: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) timestamp: i64,
    pub(super) append_time: bool,
    pub(super) fate: Fate,
}

/// All partitions' records in order.
#[derive(Default)]
pub(super) struct Logs {
    /// Of the topics that producers write.
    pub(super) partitions: BTreeMap<(String, i32), Vec<Logged>>,
    /// Of those that the simulation feeds.
    pub(super) fed: BTreeMap<(String, i32), Fed>,
    /// What groups have committed: group, partition.
    pub(super) committed: BTreeMap<(String, (String, i32)), i64>,
}

/// Tells records apart, wherever they were read.
pub(super) fn fingerprint<'a>(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    timestamp: i64,
) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (key, value, timestamp).hash(&mut hasher);
    headers.for_each(|header| header.hash(&mut hasher));
    hasher.finish()
}

impl Logs {
    /// Reads every log of the cluster.
    ///
    /// # Errors
    /// If a log can't be read: the broker has let something in that it should have refused.
    pub(super) fn read(broker: &BrokerCore, feed: &Feed) -> Result<Logs, String> {
        let committed = broker.offsets.all();
        let mut logs = Logs {
            partitions: BTreeMap::new(),
            fed: feed.partitions().clone(),
            committed: committed
                .map(|(group, topic, partition, c)| {
                    let place = (topic.to_owned(), partition);
                    ((group.to_owned(), place), c.offset)
                })
                .collect(),
        };
        let topics = broker.cluster.topics();
        for topic in topics.filter(|t| !t.name.starts_with(PREFIX)) {
            for (index, partition) in topic.partitions.iter().enumerate() {
                let place = format!("{}-{index}", topic.name);
                let mut bytes = Vec::new();
                partition
                    .log
                    .read(0, i64::MAX, u64::MAX / 2, true, &mut bytes)
                    .map_err(|e| format!("{place}: {e}"))?;
                let (records, markers) =
                    records(&bytes.concat()).map_err(|e| format!("{place}: {e}"))?;
                if records.len() as i64 + markers != partition.log.end_offset() {
                    return Err(format!(
                        "{place}: {} records and {markers} markers, but the log ends at {}",
                        records.len(),
                        partition.log.end_offset()
                    ));
                }
                logs.partitions
                    .insert((topic.name.clone(), index as i32), records);
            }
        }
        Ok(logs)
    }

    /// What a reader can read of a partition, by offset.
    pub(super) fn visible(&self, place: &(String, i32), read_committed: bool) -> Vec<(i64, u64)> {
        let records = self.partitions.get(place).map_or(&[][..], Vec::as_slice);
        records
            .iter()
            .filter(|r| !read_committed || matches!(r.fate, Fate::Plain | Fate::Committed))
            .map(|r| {
                let headers = r.headers.iter().map(|(k, v)| (k.as_slice(), v.as_deref()));
                let (key, value) = (r.key.as_deref(), r.value.as_deref());
                (r.offset, fingerprint(key, value, headers, r.timestamp))
            })
            .collect()
    }

    /// All partitions of these topics.
    pub(super) fn places(&self, topics: &[String]) -> BTreeSet<(String, i32)> {
        let all = self.partitions.keys().chain(self.fed.keys());
        all.filter(|(topic, _)| topics.contains(topic))
            .cloned()
            .collect()
    }
}

/// Records, and the number of markers among them.
fn records(bytes: &[u8]) -> Result<(Vec<Logged>, i64), crate::Error> {
    let mut out: Vec<Logged> = Vec::new();
    let mut markers = 0;
    // Records of transactions without an end yet, by producer.
    let mut open: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for batch in Batches::new(bytes) {
        let batch = batch?;
        let header = batch.header;
        verify_crc(&bytes[batch.range.clone()])?;
        let body = &bytes[batch.records()];
        let mut plain = PoolBuf::with_capacity(body.len());
        match header.attributes.codec()? {
            Codec::None => plain.extend_from_slice(body),
            codec => compress::decompress(codec, body, &mut plain, 1 << 30)?,
        }
        let mut columns = ColumnSet::default();
        let mut cursor = RecordCursor::open(&plain, 0..plain.len(), &header)?;
        cursor.index(&plain, &mut columns, usize::MAX, usize::MAX, 0)?;
        if header.attributes.is_control() {
            // A version, then what it is: 1 for a commit.
            let commit = columns.key(&plain, 0).and_then(|k| k.get(3)) == Some(&1);
            markers += columns.rows() as i64;
            for index in open.remove(&header.producer_id).unwrap_or_default() {
                out[index].fate = if commit {
                    Fate::Committed
                } else {
                    Fate::Aborted
                };
            }
            continue;
        }
        for row in 0..columns.rows() {
            let owned = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
            let value = columns.value(&plain, row);
            let fate = if header.attributes.is_transactional() {
                open.entry(header.producer_id).or_default().push(out.len());
                Fate::Open
            } else {
                Fate::Plain
            };
            out.push(Logged {
                fate,
                offset: columns.offsets[row],
                key: owned(columns.key(&plain, row)),
                value: owned(value),
                headers: columns
                    .headers(&plain, row)
                    .map(|(k, v)| (k.to_vec(), owned(v)))
                    .collect(),
                timestamp: columns.timestamps[row],
                append_time: header.attributes.timestamp_type() == TimestampType::LogAppendTime,
            });
        }
    }
    Ok((out, markers))
}
