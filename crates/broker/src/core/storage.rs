//! Where the broker keeps what is to outlive it: nowhere, or a directory. Logs are segment files, one directory per
//! partition as Kafka lays them out; everything else is one small text file, replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::BrokerCore;
use super::configs::DynamicConfigs;
use super::offsets::{Committed, GroupOffsets};
use super::pending_offsets::{Pending, PendingOffsets};
use super::share;
use super::transactions::{Identity, State, Transaction, Transactions};
use crate::log::{LogFiles, PartitionLog, Recovered, SegmentLimits, at_path};

const STATE: &str = "ottla-broker.state";
/// Held by the process that has the directory.
const LOCK: &str = "ottla-broker.lock";
/// First line of the file, so that another format is noticed.
const FORMAT: &str = "ottla-broker\t1";

/// Memory only, or a directory.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    dir: Option<PathBuf>,
    _lock: Option<Arc<Lock>>,
}

/// A file that is locked until this is dropped. It is unlocked then and not only closed: a child process that was forked
/// off meanwhile has it open too.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// A topic as it was saved.
pub(crate) struct SavedTopic {
    pub(crate) name: String,
    pub(crate) id: Uuid,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) partitions: Vec<SavedPartition>,
}

/// A partition as it was saved.
pub(crate) struct SavedPartition {
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    /// Where its log begins; its files may begin earlier.
    pub(crate) start_offset: i64,
}

/// What was saved.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) cluster_id: String,
    pub(crate) next_producer_id: i64,
    pub(crate) topics: Vec<SavedTopic>,
    /// Groups by name, with offsets or without.
    pub(crate) groups: Vec<String>,
    pub(crate) offsets: GroupOffsets,
    pub(crate) pending_offsets: PendingOffsets,
    pub(crate) transactions: Transactions,
    /// What was set of brokers and groups.
    pub(crate) configs: Option<DynamicConfigs>,
    /// Where each share group's part of a partition begins.
    pub(crate) share_offsets: Vec<(share::Key, i64)>,
}

impl Storage {
    /// Keeps everything under `dir`, which is made if it is not there and is nobody else's until this is dropped.
    ///
    /// # Errors
    /// The file system's, with the path; `WouldBlock` if another broker has the directory.
    pub(crate) fn in_directory(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir).map_err(|e| at_path(&dir, e))?;
        let path = dir.join(LOCK);
        let lock = File::create(&path).map_err(|e| at_path(&path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let words = format!(
                    "{}: another broker keeps its data here, in this process or another one; stop it, or choose another \
                     directory",
                    dir.display()
                );
                return Err(io::Error::new(io::ErrorKind::WouldBlock, words));
            }
            // A file system without locks: nothing can be said.
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(e)) => return Err(at_path(&path, e)),
        }
        Ok(Self {
            dir: Some(dir),
            _lock: Some(Arc::new(Lock(lock))),
        })
    }

    /// True if nothing is kept beyond the life of the broker.
    pub(crate) fn is_memory(&self) -> bool {
        self.dir.is_none()
    }

    /// An empty log for a new partition; what an earlier topic of this name has left behind is removed.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn new_log(
        &self,
        topic: &str,
        partition: usize,
        limits: SegmentLimits,
    ) -> io::Result<PartitionLog> {
        if let Some(dir) = &self.dir {
            let old = dir.join(format!("{topic}-{partition}"));
            match fs::remove_dir_all(&old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(at_path(&old, error));
                }
                _ => {}
            }
        }
        Ok(self.open_log(topic, partition, 0, limits)?.0)
    }

    /// The log of a partition with what the directory holds of it from `start_offset` on.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open_log(
        &self,
        topic: &str,
        partition: usize,
        start_offset: i64,
        limits: SegmentLimits,
    ) -> io::Result<(PartitionLog, Vec<Recovered>)> {
        let Some(dir) = &self.dir else {
            return Ok((PartitionLog::in_memory(limits), Vec::new()));
        };
        let (files, recovered) = LogFiles::open(&dir.join(format!("{topic}-{partition}")))?;
        let log = PartitionLog::in_files(files, &recovered, start_offset, limits);
        Ok((log, recovered))
    }

    /// Saves everything but the logs.
    ///
    /// # Errors
    /// The file system's; what was saved before is still there then.
    pub(crate) fn save(&self, core: &BrokerCore) -> io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let cluster = &core.cluster;
        let mut lines = vec![FORMAT.to_owned(), format!("cluster\t{}", cluster.id)];
        lines.push(format!("next-producer-id\t{}", core.next_producer_id));
        for topic in cluster.topics() {
            lines.push(format!("topic\t{}\t{}", topic.name, topic.id));
            for (name, value) in topic.config.given() {
                lines.push(format!("config\t{}\t{}", escape(name), escape(value)));
            }
            for partition in &topic.partitions {
                let replicas: Vec<String> = partition.replicas.iter().map(i32::to_string).collect();
                lines.push(format!(
                    "partition\t{}\t{}\t{}",
                    partition.leader_epoch,
                    replicas.join(","),
                    partition.log.start_offset()
                ));
            }
        }
        for (node, name, value) in core.configs.brokers() {
            let (name, value) = (escape(name), escape(value));
            lines.push(format!("broker-config\t{node}\t{name}\t{value}"));
        }
        for (group, name, value) in core.configs.groups() {
            let (group, name, value) = (escape(group), escape(name), escape(value));
            lines.push(format!("group-config\t{group}\t{name}\t{value}"));
        }
        for (group, ..) in core.groups.all() {
            lines.push(format!("group\t{}", escape(group)));
        }
        for (group, topic, partition, c) in core.offsets.all() {
            let (group, metadata) = (escape(group), escape(&c.metadata));
            lines.push(format!(
                "offset\t{group}\t{topic}\t{partition}\t{}\t{}\t{metadata}",
                c.offset, c.leader_epoch
            ));
        }
        for (id, t) in core.transactions.iter() {
            lines.push(transaction_line(id, t));
        }
        for (producer, p) in core.pending_offsets.all() {
            lines.push(format!(
                "pending-offset\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
                producer.id,
                producer.epoch,
                escape(&p.group),
                p.topic,
                p.partition,
                p.committed.offset,
                p.committed.leader_epoch,
                escape(&p.committed.metadata),
                p.overtaken,
            ));
        }
        for ((group, topic, partition), p) in &core.share.partitions {
            lines.push(format!(
                "share-offset\t{}\t{topic}\t{partition}\t{}",
                escape(group),
                p.start()
            ));
        }
        lines.push(String::new());
        let new = dir.join(format!("{STATE}.new"));
        fs::write(&new, lines.join("\n"))
            .and_then(|()| fs::rename(&new, dir.join(STATE)))
            .map_err(|e| at_path(&new, e))
    }

    /// Reads back what was saved; `None` if nothing was.
    ///
    /// # Errors
    /// The file system's, or `InvalidData` with the line that makes no sense.
    pub(crate) fn load(&self) -> io::Result<Option<Saved>> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let path = dir.join(STATE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| at_path(&path, e))?,
        };
        let mut saved = Saved::default();
        for (number, line) in text.lines().enumerate() {
            let good = if number == 0 {
                (line == FORMAT).then_some(())
            } else {
                parse_line(line, &mut saved)
            };
            if good.is_none() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{}: line {} makes no sense: {line:?}",
                        path.display(),
                        number + 1
                    ),
                ));
            }
        }
        Ok(Some(saved))
    }
}

fn parse_line(line: &str, saved: &mut Saved) -> Option<()> {
    let fields: Vec<&str> = line.split('\t').collect();
    match fields.as_slice() {
        ["cluster", id] => saved.cluster_id = (*id).to_owned(),
        ["next-producer-id", id] => saved.next_producer_id = id.parse().ok()?,
        ["topic", name, id] => saved.topics.push(SavedTopic {
            name: (*name).to_owned(),
            id: id.parse().ok()?,
            config: BTreeMap::new(),
            partitions: Vec::new(),
        }),
        ["config", name, value] => {
            saved
                .topics
                .last_mut()?
                .config
                .insert(unescape(name)?, unescape(value)?);
        }
        ["partition", epoch, replicas, start @ ..] => {
            let replicas: Result<Vec<i32>, _> = replicas.split(',').map(str::parse).collect();
            saved.topics.last_mut()?.partitions.push(SavedPartition {
                leader_epoch: epoch.parse().ok()?,
                replicas: replicas.ok()?,
                // Directories of before records could be deleted don't have it.
                start_offset: match start {
                    [] => 0,
                    [start] => start.parse().ok()?,
                    _ => return None,
                },
            });
        }
        ["broker-config", node, name, value] => {
            let of = saved
                .configs
                .get_or_insert_with(DynamicConfigs::empty)
                .broker_mut(node.parse().ok()?);
            of.insert(unescape(name)?, unescape(value)?);
        }
        ["group-config", group, name, value] => {
            let of = saved
                .configs
                .get_or_insert_with(DynamicConfigs::empty)
                .group_mut(&unescape(group)?);
            of.insert(unescape(name)?, unescape(value)?);
        }
        [
            "offset",
            group,
            topic,
            partition,
            offset,
            leader_epoch,
            metadata,
        ] => {
            let committed = Committed {
                offset: offset.parse().ok()?,
                leader_epoch: leader_epoch.parse().ok()?,
                metadata: unescape(metadata)?,
            };
            saved
                .offsets
                .commit(&unescape(group)?, topic, partition.parse().ok()?, committed);
        }
        ["group", group] => saved.groups.push(unescape(group)?),
        ["share-offset", group, topic, partition, start] => {
            let key = (
                unescape(group)?,
                topic.parse().ok()?,
                partition.parse().ok()?,
            );
            saved.share_offsets.push((key, start.parse().ok()?));
        }
        ["transaction", rest @ ..] => {
            let (id, transaction) = parse_transaction(rest)?;
            saved.transactions.restore(id, transaction);
        }
        [
            "pending-offset",
            id,
            epoch,
            group,
            topic,
            partition,
            offset,
            leader_epoch,
            metadata,
            overtaken,
        ] => {
            let producer = Identity {
                id: id.parse().ok()?,
                epoch: epoch.parse().ok()?,
            };
            let pending = Pending {
                group: unescape(group)?,
                topic: (*topic).to_owned(),
                partition: partition.parse().ok()?,
                committed: Committed {
                    offset: offset.parse().ok()?,
                    leader_epoch: leader_epoch.parse().ok()?,
                    metadata: unescape(metadata)?,
                },
                overtaken: overtaken.parse().ok()?,
            };
            saved.pending_offsets.add(producer, pending);
        }
        _ => return None,
    }
    Some(())
}

fn transaction_line(id: &str, t: &Transaction) -> String {
    let partitions: Vec<String> = t
        .partitions
        .iter()
        .map(|(topic, partition)| format!("{topic}:{partition}"))
        .collect();
    format!(
        "transaction\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
        escape(id),
        t.producer.id,
        t.producer.epoch,
        t.previous_id,
        t.next_id,
        t.last_epoch,
        t.timeout_ms,
        t.state.name(),
        t.started_ms,
        t.bumps,
        partitions.join(",")
    )
}

fn parse_transaction(fields: &[&str]) -> Option<(String, Transaction)> {
    let &[
        id,
        producer_id,
        epoch,
        previous_id,
        next_id,
        last_epoch,
        timeout_ms,
        state,
        started_ms,
        bumps,
        partitions,
    ] = fields
    else {
        return None;
    };
    let place = |text: &str| {
        let (topic, partition) = text.rsplit_once(':')?;
        Some((topic.to_owned(), partition.parse().ok()?))
    };
    let partitions: Option<_> = partitions
        .split(',')
        .filter(|text| !text.is_empty())
        .map(place)
        .collect();
    let transaction = Transaction {
        producer: Identity {
            id: producer_id.parse().ok()?,
            epoch: epoch.parse().ok()?,
        },
        previous_id: previous_id.parse().ok()?,
        next_id: next_id.parse().ok()?,
        last_epoch: last_epoch.parse().ok()?,
        timeout_ms: timeout_ms.parse().ok()?,
        state: State::of_name(state)?,
        partitions: partitions?,
        started_ms: started_ms.parse().ok()?,
        bumps: bumps.parse().ok()?,
        timer: None,
    };
    Some((unescape(id)?, transaction))
}

/// Control characters and `%` as `%XX`, so that a field holds no tab and no line break.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '%' || c.is_ascii_control() {
            out.push_str(&format!("%{:02X}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let code = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        out.push(char::from(code));
        out.push_str(part.get(2..)?);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_goes_both_ways() {
        for text in ["", "plain", "a\tb\nc%d", "%%", "ünï\u{7f}"] {
            assert!(!escape(text).contains(['\t', '\n']));
            assert_eq!(unescape(&escape(text)).as_deref(), Some(text));
        }
        assert_eq!(unescape("%4"), None);
    }
}
