//! Topics: partitions become known, grow, or stay unknown for too long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::partition::{Home, Partition};
use super::super::topic::Topic;
use super::{Part, Sender, Tag};
use crate::cluster::core::Core;
use crate::cluster::metadata::TopicState;
use crate::error::{Error, ErrorCode};

impl Sender {
    pub(super) fn on_metadata(&mut self, core: &mut Core<Tag>, now: Instant) {
        self.shared.set_unreachable(None);
        for topic in std::mem::take(&mut self.unresolved) {
            match core.topics.get(&topic.name) {
                Some(TopicState::Known(meta)) if !meta.partitions.is_empty() => {
                    let partitions = self.grow(&topic, meta.partitions.len());
                    topic.pending().refused = None;
                    self.shared.resolve_pending(&topic, partitions);
                    self.resolved.push(topic);
                }
                _ => self.unresolved.push(topic),
            }
        }
        let grown: Vec<(Arc<Topic>, usize)> = self
            .resolved
            .iter()
            .filter_map(|topic| {
                let n = core.topics.known(&topic.name)?.partitions.len();
                (n > topic.partitions().map_or(0, <[_]>::len)).then(|| (topic.clone(), n))
            })
            .collect();
        for (topic, n) in grown {
            let partitions = self.grow(&topic, n);
            topic.set_partitions(partitions);
        }
        self.mark_available(core);
        // Leaders may have moved.
        let waiting: Vec<usize> = self
            .queues
            .values()
            .flatten()
            .copied()
            .chain(self.leaderless.iter().copied())
            .collect();
        for slot in waiting {
            self.enqueue(core, slot);
        }
        self.take_news(core, now);
    }

    /// The topic's partitions, lengthened to `n`.
    pub(super) fn grow(&mut self, topic: &Topic, n: usize) -> Vec<Arc<Partition>> {
        let mut partitions = topic.partitions().map(<[_]>::to_vec).unwrap_or_default();
        let home = Arc::new(Home {
            topic: topic.name.clone(),
            settings: topic.settings.clone(),
        });
        let more = n.saturating_sub(partitions.len());
        partitions.reserve_exact(more);
        self.parts.reserve_exact(more);
        for index in partitions.len()..n {
            let slot = self.parts.len();
            let partition = Arc::new(Partition::new(home.clone(), index as i32, slot));
            self.parts.push(Part::new(partition.clone()));
            partitions.push(partition);
        }
        partitions
    }

    /// Gives up pending records of topics that the brokers have not known for too long.
    pub(super) fn check_unresolved(&mut self, core: &Core<Tag>, now: Instant) {
        let limit = self.shared.config.max_block;
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            let error = match core.topics.get(&topic.name) {
                Some(TopicState::Missing { code, since }) => {
                    let error = describe_missing(
                        &topic.name,
                        *code,
                        now.saturating_duration_since(*since),
                        core,
                    );
                    let hopeless = !code.is_retriable();
                    // Records that have waited for so long are given up below: from then on the next ones are refused at
                    // once, though the brokers' first word came a little later than the record.
                    let waited_in_vain = pending
                        .batches
                        .front()
                        .is_some_and(|b| now >= b.open.created + limit);
                    if hopeless || waited_in_vain || now >= *since + limit {
                        pending.refused = Some(error.clone());
                        topic.tell();
                    }
                    if hopeless {
                        self.shared
                            .fail_pending(&mut pending, topic, &error, |_| true);
                        continue;
                    }
                    error
                }
                _ => {
                    if core.contacted() {
                        pending.refused = None;
                    }
                    let why = core
                        .describe_failures(now)
                        .map_or_else(String::new, |e| format!(": {}", e.message()));
                    Error::new(
                        ErrorCode::TIMED_OUT,
                        format!(
                            "no metadata of topic '{}' within max.block.ms ({limit:?}){why}",
                            topic.name
                        ),
                    )
                }
            };
            self.shared
                .fail_pending(&mut pending, topic, &error, |created| {
                    now >= created + limit
                });
        }
    }

    pub(super) fn on_unreachable(&mut self, error: &Error) {
        self.shared.set_unreachable(Some(error.clone()));
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            self.shared
                .fail_pending(&mut pending, topic, error, |_| true);
            topic.tell();
        }
    }
}

/// Why records for a topic can't be sent.
fn describe_missing(topic: &str, code: ErrorCode, since: Duration, core: &Core<Tag>) -> Error {
    let text = match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => format!(
            "topic '{topic}' does not exist: the brokers at {} have said so for {since:.1?}; create it (create_topics, \
             or kafka-topics --create), check its spelling, or let the broker create topics (auto.create.topics.enable)",
            core.bootstrap_list()
        ),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            format!("topic '{topic}': this client may not see or write it; check its ACLs")
        }
        ErrorCode::INVALID_TOPIC_EXCEPTION => {
            format!("topic '{topic}': the brokers refuse the name")
        }
        code => format!(
            "topic '{topic}' is not available: the brokers answered {} for {since:.1?}",
            code.name()
        ),
    };
    Error::new(code, text)
}
