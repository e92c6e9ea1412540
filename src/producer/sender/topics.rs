//! Topics: partitions become known, more or fewer, or stay unknown for too long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::completion::Outcome;
use super::super::partition::{Batch, Home, Partition};
use super::super::topic::Topic;
use super::{Part, Sender, Tag};
use crate::client::event::{Event, EventKind};
use crate::cluster::core::Core;
use crate::cluster::metadata::{TopicMeta, TopicState};
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};
use crate::log::Level;
use crate::protocol::wire::TopicId;

/// The id of topics of brokers that give them none (before Kafka 2.8).
const NO_ID: TopicId = [0; 16];

/// For how long a topic may be missing before the program is told.
const PATIENCE: Duration = Duration::from_secs(1);

/// A topic whose partitions are known.
pub(super) struct Resolved {
    topic: Arc<Topic>,
    /// Another one means that the topic was deleted and created anew.
    id: TopicId,
    /// Partitions that it had and has no longer, in order.
    dropped: Vec<Arc<Partition>>,
}

impl Sender {
    pub(super) fn on_metadata(&mut self, core: &mut Core<Tag>, now: Instant) {
        let mut resolved = std::mem::take(&mut self.resolved);
        for known in &mut resolved {
            if let Some(meta) = core.topics.known(&known.topic.name).cloned()
                && !meta.partitions.is_empty()
            {
                self.follow(core, known, &meta);
                if let Some(partitions) = known.topic.partitions() {
                    self.mark_near(core, &known.topic, &meta, partitions);
                }
            }
        }
        self.resolved = resolved;
        for topic in std::mem::take(&mut self.unresolved) {
            match core.topics.get(&topic.name) {
                Some(TopicState::Known(meta)) if !meta.partitions.is_empty() => {
                    let meta = meta.clone();
                    let mut known = Resolved {
                        topic: topic.clone(),
                        id: meta.id,
                        dropped: Vec::new(),
                    };
                    let partitions = self.grow(&mut known, meta.partitions.len());
                    topic.pending().refused = None;
                    self.mark_near(core, &topic, &meta, &partitions);
                    self.shared.resolve_pending(&topic, partitions);
                    self.resolved.push(known);
                }
                _ => self.unresolved.push(topic),
            }
        }
        self.mark_available(core);
        self.end_looks(core, now);
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

    /// Takes over what metadata says of a topic whose partitions are known: more of them, or that it was created anew.
    fn follow(&mut self, core: &mut Core<Tag>, known: &mut Resolved, meta: &TopicMeta) {
        let n = meta.partitions.len();
        let partitions = known.topic.partitions().unwrap_or_default();
        let recreated = meta.id != known.id;
        if recreated {
            known.id = meta.id;
            // The new topic's leaders have seen none of this producer's sequence numbers.
            for partition in partitions {
                if let Some(part) = self.parts.get_mut(partition.slot) {
                    part.acknowledged = false;
                }
            }
        }
        if n > partitions.len() {
            let partitions = self.grow(known, n);
            known.topic.set_partitions(partitions);
        } else if n == partitions.len() {
            // Told twice, so it is no answer of a broker that has not heard of the newest partitions yet.
            for partition in &known.dropped {
                if let Some(part) = self.parts.get_mut(partition.slot) {
                    part.gone = true;
                }
                self.end_gone(partition.slot);
            }
        } else if (recreated || meta.id == NO_ID) && !planted!("shrink-unseen") {
            let (kept, dropped) = partitions.split_at(n);
            known.dropped.splice(0..0, dropped.iter().cloned());
            known.topic.set_partitions(kept.to_vec());
            core.refresh_metadata();
        }
    }

    /// A caller named a partition that its topic isn't known to have: metadata is renewed.
    pub(super) fn look_for_more(&mut self, core: &mut Core<Tag>, topic: Arc<Topic>) {
        self.looking.push((core.renew_metadata(), topic));
    }

    /// Lets callers look again who wait for a topic's newest partitions.
    fn end_looks(&mut self, core: &Core<Tag>, now: Instant) {
        let shared = &self.shared;
        self.looking.retain(|(number, topic)| {
            if core.metadata_number() < *number {
                return true;
            }
            let mut pending = topic.pending();
            pending.looking = false;
            pending.looked = Some(now);
            drop(pending);
            topic.tell();
            if topic.refused.swap(false, Ordering::AcqRel) {
                shared.completions.poke();
            }
            false
        });
    }

    /// With `partitioner.rack.aware`: tells the callers' side which partitions have their leader in this client's rack.
    fn mark_near(
        &self,
        core: &Core<Tag>,
        topic: &Topic,
        meta: &TopicMeta,
        partitions: &[Arc<Partition>],
    ) {
        let config = &self.shared.config;
        let Some(own) = config
            .common
            .client_rack
            .as_deref()
            .filter(|_| config.partitioner_rack_aware)
        else {
            return;
        };
        let racks: BTreeMap<i32, &str> = core
            .brokers()
            .filter_map(|(id, node)| Some((id, node.rack.as_deref()?)))
            .collect();
        let near = meta.partitions.iter().zip(0..partitions.len() as u32);
        let near = near.filter(|(p, _)| racks.get(&p.leader).is_some_and(|rack| *rack == own));
        topic.set_near(near.map(|(_, index)| index).collect(), partitions);
    }

    /// The topic's partitions, lengthened to `n`.
    fn grow(&mut self, known: &mut Resolved, n: usize) -> Vec<Arc<Partition>> {
        let topic = &known.topic;
        let mut partitions = topic.partitions().map(<[_]>::to_vec).unwrap_or_default();
        let home = Arc::new(Home {
            topic: topic.name.clone(),
            settings: topic.settings.clone(),
        });
        let more = n.saturating_sub(partitions.len());
        // Those that the topic had before are used again.
        let again = known.dropped.drain(..more.min(known.dropped.len()));
        for partition in again {
            if let Some(part) = self.parts.get_mut(partition.slot) {
                part.gone = false;
            }
            partitions.push(partition);
        }
        let more = n.saturating_sub(partitions.len());
        partitions.reserve_exact(more);
        self.parts.reserve_exact(more);
        for index in partitions.len()..n {
            let slot = self.parts.len();
            let partition = Arc::new(Partition::new(home.clone(), index as i32, slot));
            self.parts.push(Part::new(partition.clone(), topic.clone()));
            partitions.push(partition);
        }
        partitions
    }

    /// Gives up what a partition holds that its topic no longer has.
    pub(super) fn end_gone(&mut self, slot: usize) {
        self.dequeue(slot);
        self.leaderless.remove(&slot);
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        self.shared.close_to_give_up(&part.partition);
        let mut over: Vec<Box<Batch>> = part.again.drain().collect();
        let mut queue = part.partition.lock();
        over.extend(std::iter::from_fn(|| queue.pop_ready()));
        drop(queue);
        let (topic, index) = (part.partition.topic(), part.partition.index);
        let text = format!(
            "topic '{topic}' no longer has a partition {index}: it was created anew with fewer, so these records were not \
             sent; send them again, and the partitioner chooses among those there are"
        );
        let error = Error::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, text);
        for batch in over {
            self.give_up(slot, batch, Outcome::NotWritten, &error);
        }
    }

    /// Gives up pending records of topics that the brokers have not known for too long, and says why others wait.
    pub(super) fn check_unresolved(&mut self, core: &Core<Tag>, now: Instant) {
        self.note_trouble(core, now);
        let max_block = self.shared.config.max_block;
        for topic in &self.unresolved {
            let delivery = topic.settings.delivery_timeout;
            let (limit, key) = if delivery < max_block {
                (delivery, "delivery.timeout.ms")
            } else {
                (max_block, "max.block.ms")
            };
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
                _ if core.contacted() => {
                    pending.refused = None;
                    let why = core
                        .describe_failures(now)
                        .map_or_else(String::new, |e| format!(": {}", e.message()));
                    Error::new(
                        ErrorCode::TIMED_OUT,
                        format!(
                            "no metadata of topic '{}' within {key} ({limit:?}){why}",
                            topic.name
                        ),
                    )
                }
                _ => core
                    .unreachable(now, limit, &format!(" ({key})"))
                    .context(format_args!("topic '{}'", topic.name)),
            };
            self.shared
                .fail_pending(&mut pending, topic, &error, |created| {
                    now >= created + limit
                });
        }
    }

    /// Tells the program what its records wait for: an event and a log line.
    fn note_trouble(&mut self, core: &Core<Tag>, now: Instant) {
        let trouble = if core.contacted() || self.unresolved.is_empty() {
            None
        } else {
            core.describe_failures(now)
        };
        self.shared.set_trouble(trouble);
        let resolved = self.resolved.iter().map(|known| &known.topic);
        for topic in self.unresolved.iter().chain(resolved) {
            let Some(TopicState::Missing { code, since }) = core.topics.get(&topic.name) else {
                topic.told_missing.store(false, Ordering::Relaxed);
                continue;
            };
            let (code, since) = (*code, *since);
            if now < since + PATIENCE || topic.told_missing.swap(true, Ordering::Relaxed) {
                continue;
            }
            let waited = now.saturating_duration_since(since);
            let error = describe_missing(&topic.name, code, waited, core)
                .and(format_args!("; the attempts go on"));
            core.log.log(
                Level::Warn,
                "producer",
                ("missing", &topic.name),
                now,
                core.clock.wall(),
                || error.message().to_owned(),
            );
            self.shared
                .tell(Event::of_topic(EventKind::TopicFailing, &topic.name, error));
        }
    }

    /// No broker could be reached since the producer was made. Records wait for as long as each of them may: the cluster
    /// may come up later than the program.
    pub(super) fn on_unreachable(&mut self, error: &Error) {
        self.tell_unreachable(error);
    }

    pub(super) fn tell_unreachable(&self, error: &Error) {
        self.shared.tell(Event {
            error: Some(error.and(format_args!("; the attempts go on"))),
            ..Event::of(EventKind::BrokerUnreachable)
        });
    }

    /// Tells the program of a broker that records wait for and that can't be reached; once until it answers again.
    pub(super) fn check_leader(&mut self, core: &Core<Tag>, now: Instant, leader: i32) {
        let node = Node::Id(leader);
        if let Some(error) = core.out_of_reach(now, node)
            && self.unreachable.insert(leader)
        {
            self.tell_unreachable(&error);
        }
    }
}

/// Why records for a topic can't be sent.
pub(super) fn describe_missing(
    topic: &str,
    code: ErrorCode,
    since: Duration,
    core: &Core<Tag>,
) -> Error {
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
