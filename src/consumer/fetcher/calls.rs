//! Callers waiting for an answer of the cluster: offsets, a topic's partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::client::calls::Reply;
use crate::clock::earliest;
use crate::cluster::core::Core;
use crate::cluster::problems::topic_problem;
use crate::consumer::fetcher::queries::{Owner, Queries, Query};
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::shared::{FoundOffset, PartitionInfo};
use crate::error::{Error, ErrorCode};

#[derive(Debug)]
struct OffsetsCall {
    found: Vec<Option<FoundOffset>>,
    since: Instant,
    deadline: Instant,
    reply: Reply<Vec<FoundOffset>>,
}

#[derive(Debug)]
struct PartitionsCall {
    topic: Arc<str>,
    since: Instant,
    deadline: Instant,
    reply: Reply<Vec<PartitionInfo>>,
}

/// All callers.
#[derive(Debug, Default)]
pub(super) struct Calls {
    next_id: u64,
    offsets: BTreeMap<u64, OffsetsCall>,
    partitions: Vec<PartitionsCall>,
}

impl Calls {
    pub(super) fn ask_offsets(
        &mut self,
        queries: &mut Queries,
        now: Instant,
        metadata_number: u64,
        wanted: Vec<(Arc<str>, i32, i64)>,
        deadline: Instant,
        reply: Reply<Vec<FoundOffset>>,
    ) {
        let id = self.next_id;
        self.next_id += 1;
        self.offsets.insert(
            id,
            OffsetsCall {
                found: vec![None; wanted.len()],
                since: now,
                deadline,
                reply,
            },
        );
        for (index, (topic, partition, timestamp)) in wanted.into_iter().enumerate() {
            let owner = Owner::Call { id, index };
            let query = Query::new(owner, topic, partition, timestamp);
            queries.add(query.newer_than(metadata_number));
        }
    }

    pub(super) fn ask_partitions(
        &mut self,
        now: Instant,
        topic: Arc<str>,
        deadline: Instant,
        reply: Reply<Vec<PartitionInfo>>,
    ) {
        self.partitions.push(PartitionsCall {
            topic,
            since: now,
            deadline,
            reply,
        });
    }

    /// True while a call is not answered.
    pub(super) fn is_open(&self, id: u64) -> bool {
        self.offsets.contains_key(&id)
    }

    pub(super) fn uses(&self, topic: &str) -> bool {
        self.partitions.iter().any(|c| *c.topic == *topic)
    }

    /// One of a call's offsets was found, or cannot be.
    pub(super) fn answered(&mut self, id: u64, index: usize, result: Result<FoundOffset, Error>) {
        let Some(call) = self.offsets.get_mut(&id) else {
            return;
        };
        match result {
            Ok(found) => {
                if let Some(slot) = call.found.get_mut(index) {
                    *slot = Some(found);
                }
                if let Some(all) = call.found.iter().copied().collect::<Option<Vec<_>>>() {
                    call.reply.give(Ok(all));
                    self.offsets.remove(&id);
                }
            }
            Err(e) => {
                call.reply.give(Err(e));
                self.offsets.remove(&id);
            }
        }
    }

    /// Answers what can be answered; `unreachable` is why there has been no contact, once that is said. Topics that
    /// are no longer asked about are added to `unused`. Says when to look again.
    pub(super) fn poll(
        &mut self,
        core: &Core<Tag>,
        queries: &Queries,
        now: Instant,
        unreachable: Option<&Error>,
        unused: &mut Vec<Arc<str>>,
    ) -> Option<Instant> {
        let mut deadline = None;
        self.offsets.retain(|id, call| {
            let result = if call.reply.is_orphaned() {
                return false;
            } else if let Some(error) = unreachable {
                error.clone()
            } else if call.deadline <= now {
                let waited = now.saturating_duration_since(call.since);
                let (what, why) = match queries.missing(*id) {
                    Some((q, why)) => (format!(" of {}-{}", q.topic, q.partition), why.cloned()),
                    None => (String::new(), None),
                };
                let why = why.or_else(|| core.describe_failures(now));
                timed_out(&format!("looking up an offset{what}"), waited, why)
            } else {
                deadline = earliest(deadline, Some(call.deadline));
                return true;
            };
            call.reply.give(Err(result));
            false
        });
        self.partitions.retain(|call| {
            let result = if call.reply.is_orphaned() {
                None
            } else if let Some(meta) = core.topics.known(&call.topic) {
                let each = meta.partitions.iter().enumerate();
                let partitions = each.map(|(i, p)| PartitionInfo {
                    partition: i as i32,
                    leader: p.leader,
                    leader_epoch: p.leader_epoch,
                    replicas: p.nodes.replicas.clone(),
                    isr: p.nodes.isr.clone(),
                });
                Some(Ok(partitions.collect()))
            } else {
                match (topic_problem(core, now, &call.topic, 0), unreachable) {
                    (Err(e), _) => Some(Err(e)),
                    (_, Some(e)) => Some(Err(e.clone())),
                    _ if call.deadline <= now => {
                        let waited = now.saturating_duration_since(call.since);
                        let why = core.describe_failures(now);
                        Some(Err(timed_out(
                            &format!("describing topic '{}'", call.topic),
                            waited,
                            why,
                        )))
                    }
                    (Ok(again), None) => {
                        deadline = earliest(earliest(deadline, again), Some(call.deadline));
                        return true;
                    }
                }
            };
            if let Some(result) = result {
                call.reply.give(result);
            }
            unused.push(call.topic.clone());
            false
        });
        deadline
    }

    /// The client ends.
    pub(super) fn close(&mut self, error: &Error) {
        for call in std::mem::take(&mut self.offsets).into_values() {
            call.reply.give(Err(error.clone()));
        }
        for call in self.partitions.drain(..) {
            call.reply.give(Err(error.clone()));
        }
    }
}

fn timed_out(doing: &str, waited: std::time::Duration, why: Option<Error>) -> Error {
    let why = why.map_or_else(
        || "the brokers have not answered".to_owned(),
        |e| e.message().to_owned(),
    );
    Error::new(
        ErrorCode::TIMED_OUT,
        format!("{doing}: not done within {waited:.1?}: {why}"),
    )
}
