//! Topics come and go, batches are appended, old ones are dropped.

use std::collections::BTreeMap;
use std::io;

use ottla_base::error::ErrorCode;

use super::cluster::{NO_NODE, Partition, Placement, Topic};
use super::coordinators::CoordinatorKind;
use super::producer_state::Sequence;
use super::storage::Saved;
use super::topic_config::TopicConfig;
use super::{BrokerCore, Now};
use crate::log::{ProducedBatch, Refused};

/// What a partition answers to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    pub base_offset: i64,
    /// When the broker stamped it; of a duplicate, its largest timestamp, whoever stamped it.
    pub(crate) append_time: Option<i64>,
    pub(crate) log_start: i64,
}

impl BrokerCore {
    /// Creates a topic, or only says whether it could be.
    ///
    /// # Errors
    /// What Kafka answers.
    pub fn create_topic(
        &mut self,
        name: &str,
        placement: &Placement,
        config: BTreeMap<String, String>,
        validate_only: bool,
    ) -> Result<(Vec<Vec<i32>>, TopicConfig), Refused> {
        let replicas = self.cluster.plan_topic(name, placement)?;
        let config = TopicConfig::new(config, &self.configs.for_topics())
            .map_err(|why| Refused::new(ErrorCode::INVALID_CONFIG, why))?;
        if !validate_only {
            let partitions = self.open_partitions(name, 0, &replicas, &config)?;
            let id = self.cluster.random.uuid();
            self.cluster.insert(Topic {
                name: name.to_owned(),
                id,
                config: config.clone(),
                partitions,
            });
            if let Err(error) = self.storage.save(self) {
                // A topic that the next start would not find is none.
                self.delete_topic(name);
                return Err(storage_error(error));
            }
        }
        Ok((replicas, config))
    }

    fn open_partitions(
        &mut self,
        topic: &str,
        first: usize,
        replicas: &[Vec<i32>],
        config: &TopicConfig,
    ) -> Result<Vec<Partition>, Refused> {
        let mut partitions = Vec::with_capacity(replicas.len());
        for (i, replicas) in replicas.iter().enumerate() {
            let log = self
                .storage
                .new_log(topic, first + i, config.segments)
                .map_err(storage_error)?;
            partitions.push(Partition::new(replicas.clone(), NO_NODE, log));
        }
        Ok(partitions)
    }

    /// Adds partitions to a topic, or only says whether it could.
    ///
    /// # Errors
    /// What Kafka answers.
    pub fn create_partitions(
        &mut self,
        name: &str,
        count: i32,
        assigned: Option<&[Vec<i32>]>,
        validate_only: bool,
    ) -> Result<(), Refused> {
        let replicas = self.cluster.plan_partitions(name, count, assigned)?;
        let Some(topic) = self.cluster.topic(name) else {
            return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        if !validate_only {
            let (first, config) = (topic.partitions.len(), topic.config.clone());
            let partitions = self.open_partitions(name, first, &replicas, &config)?;
            self.cluster.extend(name, partitions);
            self.save_topics();
        }
        Ok(())
    }

    /// Deletes a topic and its records. Returns false if no topic has this name.
    pub fn delete_topic(&mut self, name: &str) -> bool {
        let Some(topic) = self.cluster.remove(name) else {
            return false;
        };
        for partition in topic.partitions {
            self.held_bytes -= partition.log.size();
            // Fetches that wait on it are to learn that it is gone.
            self.woken.extend(partition.watchers);
            // Files that can't be deleted now are removed before a later topic of this name uses their place.
            let _ = partition.log.delete();
        }
        self.share.forget_topic(topic.id);
        self.offsets.forget_topic(name);
        self.pending_offsets.forget_topic(name);
        self.save_topics();
        true
    }

    /// Takes up what an earlier broker saved in the directory.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn restore(&mut self, saved: Saved) -> io::Result<()> {
        self.cluster.id = saved.cluster_id;
        self.next_producer_id = saved.next_producer_id;
        self.offsets = saved.offsets;
        self.pending_offsets = saved.pending_offsets;
        self.transactions = saved.transactions;
        self.share.restore(saved.share_offsets);
        if let Some(configs) = saved.configs {
            self.configs = configs;
        }
        let defaults = self.configs.for_topics();
        let with_configs: Vec<String> = self.configs.groups().map(|(g, ..)| g.to_owned()).collect();
        for group in with_configs {
            self.apply_group_configs(&group);
        }
        for topic in saved.topics {
            let config = TopicConfig::new(topic.config, &defaults)
                .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for (index, saved) in topic.partitions.into_iter().enumerate() {
                let (log, recovered) = self.storage.open_log(
                    &topic.name,
                    index,
                    saved.start_offset,
                    config.segments,
                )?;
                self.held_bytes += log.size();
                let replicas = self.known_nodes(saved.replicas);
                let mut partition = Partition::new(replicas, saved.leader_epoch, log);
                for batch in &recovered {
                    match batch.commit {
                        Some(commit) => partition.producers.ended(&batch.header, commit, 0),
                        None => partition.producers.written(&batch.header),
                    }
                }
                let largest = partition.producers.max_id().unwrap_or(-1);
                self.next_producer_id = self.next_producer_id.max(largest + 1);
                partitions.push(partition);
            }
            self.cluster.insert(Topic {
                name: topic.name,
                id: topic.id,
                config,
                partitions,
            });
        }
        let mut groups = saved.groups;
        groups.extend(self.offsets.groups().map(str::to_owned));
        for group in groups {
            let node = self.coordinator(CoordinatorKind::Group, &group);
            let node = node.map_or(NO_NODE, |n| n.id);
            self.groups.restore(&group, node);
        }
        self.resume_transactions();
        self.save_topics();
        Ok(())
    }

    /// The replicas that still are nodes, or some node if none is: the cluster may have been larger.
    fn known_nodes(&self, mut replicas: Vec<i32>) -> Vec<i32> {
        replicas.retain(|id| self.cluster.nodes.contains_key(id));
        if replicas.is_empty() {
            replicas.extend(self.cluster.nodes.keys().take(1));
        }
        replicas
    }

    /// Saves everything but the logs. A failure shows at the next start only: the logs themselves are what matters,
    /// and a client could do nothing about it.
    pub(crate) fn save_topics(&self) {
        let _ = self.storage.save(self);
    }

    /// Where share groups are is worth saving where it is kept beyond the broker's life only.
    pub(crate) fn save_share_offsets(&self) {
        if !self.storage.is_memory() {
            self.save_topics();
        }
    }

    /// Appends a batch to a partition that this node leads. `share` keeps the received bytes.
    ///
    /// # Errors
    /// What Kafka answers.
    pub fn append(
        &mut self,
        now: Now,
        topic: &str,
        index: i32,
        mut batch: ProducedBatch,
        share: bool,
    ) -> Result<Appended, Refused> {
        let unknown = || Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let name = topic;
        let topic = self.cluster.topic_mut(name).ok_or_else(unknown)?;
        if topic.config.compaction.is_some() {
            batch.check_keys(name, index)?;
        }
        let append_time = topic.config.append_time.then_some(now.wall_ms);
        if append_time.is_none() {
            let (before, after) = (
                topic.config.timestamp_before_max_ms,
                topic.config.timestamp_after_max_ms,
            );
            batch.check_timestamps(now.wall_ms, before, after)?;
        }
        let keep = topic.config.retention_bytes;
        let compression = topic.config.compression;
        let compacts = topic.config.compaction.is_some();
        let retains = topic.config.retention_ms.is_some();
        let partition = usize::try_from(index)
            .ok()
            .and_then(|i| topic.partitions.get_mut(i))
            .ok_or_else(unknown)?;
        if let Sequence::Duplicate(written) = partition.producers.check(&batch)? {
            return Ok(Appended {
                base_offset: written.base_offset,
                append_time: Some(written.timestamp),
                log_start: partition.log.start_offset(),
            });
        }
        if let Some((codec, level)) = compression {
            batch = batch.compressed(codec, level)?;
        }
        let base_offset = partition
            .log
            .append(
                &mut batch,
                partition.leader_epoch,
                append_time,
                share,
                now.wall_ms,
            )
            .map_err(storage_error)?;
        partition.producers.written(&batch.header);
        self.held_bytes += batch.len() as u64;
        if let Some(keep) = keep
            && partition.log.size() > keep
        {
            self.held_bytes -= partition.log.retain_bytes(keep);
        }
        let log_start = partition.log.start_offset();
        self.woken.extend(&partition.watchers);
        self.bound_memory();
        self.plan_housekeeping(now, compacts, retains);
        Ok(Appended {
            base_offset,
            append_time,
            log_start,
        })
    }

    /// Drops the oldest batches of the largest partitions until the memory bound holds again, a sixteenth of a
    /// partition at a time so that it is not done at every append.
    pub(super) fn bound_memory(&mut self) {
        while self.storage.is_memory() && self.held_bytes > self.options.memory_bytes {
            let partitions = self.cluster.topics_mut().flat_map(|t| &mut t.partitions);
            let Some(largest) = partitions.max_by_key(|p| p.log.size()) else {
                return;
            };
            let size = largest.log.size();
            let freed = largest.log.drop_bytes(size / 16 + 1);
            if freed == 0 {
                return;
            }
            self.held_bytes -= freed;
        }
    }
}

pub(super) fn storage_error(error: io::Error) -> Refused {
    Refused::new(ErrorCode::KAFKA_STORAGE_ERROR, error.to_string())
}
