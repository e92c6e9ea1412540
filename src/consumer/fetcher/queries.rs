//! Looking offsets up (ListOffsets): one request on its way to a leader at a time, retried until it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::{BrokerId, TopicName};

use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::cluster::problems::{refusal, topic_problem};
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::partition::Partition;
use crate::consumer::shared::FoundOffset;
use crate::error::{Error, ErrorCode};
use crate::net::conn::ConnId;
use crate::net::rpc;
use crate::protocol::wire::string;

/// The newest version that is of use here.
const MAX_VERSION: i16 = 9;

/// Who wants to know.
#[derive(Debug)]
pub(super) enum Owner {
    /// A partition that starts there; `lost` is the position it could not go on from, and why.
    Position {
        partition: Arc<Partition>,
        generation: u32,
        lost: Option<(i64, Error)>,
    },
    /// A paused partition whose end is renewed.
    End {
        partition: Arc<Partition>,
        generation: u32,
    },
    /// A caller, by the number of the call and the place in its list.
    Call { id: u64, index: usize },
}

/// One offset to look up.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) owner: Owner,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) timestamp: i64,
    failures: u32,
    not_before: Option<Instant>,
    last_error: Option<Error>,
    /// The number of the newest metadata when it was made.
    metadata_number: u64,
}

impl Query {
    pub(super) fn new(owner: Owner, topic: Arc<str>, partition: i32, timestamp: i64) -> Self {
        Query {
            owner,
            topic,
            partition,
            timestamp,
            failures: 0,
            not_before: None,
            last_error: None,
            metadata_number: 0,
        }
    }

    /// Not sent before that time.
    pub(super) fn after(self, not_before: Option<Instant>) -> Self {
        Query { not_before, ..self }
    }

    /// What metadata of this number or an older one says is not taken for an end of the matter.
    pub(super) fn newer_than(self, metadata_number: u64) -> Self {
        Query {
            metadata_number,
            ..self
        }
    }
}

/// A query's end.
pub(super) type Answer = (Query, Result<FoundOffset, Error>);

/// All queries of a consumer.
#[derive(Debug, Default)]
pub(super) struct Queries {
    waiting: Vec<Query>,
    inflight: BTreeMap<i32, Vec<Query>>,
    read_committed: bool,
}

impl Queries {
    pub(super) fn new(read_committed: bool) -> Self {
        Queries {
            read_committed,
            ..Queries::default()
        }
    }

    pub(super) fn add(&mut self, query: Query) {
        self.waiting.push(query);
    }

    /// True while that broker is asked where a partition is to be fetched from.
    pub(super) fn asks(&self, node: i32) -> bool {
        let asked = self.inflight.get(&node).into_iter().flatten();
        asked
            .into_iter()
            .any(|q| matches!(q.owner, Owner::Position { .. }))
    }

    /// True while the ends of paused partitions are asked for.
    pub(super) fn renews(&self) -> bool {
        self.each().any(|q| matches!(q.owner, Owner::End { .. }))
    }

    /// True while a query is about that topic.
    pub(super) fn uses(&self, topic: &str) -> bool {
        self.each().any(|q| *q.topic == *topic)
    }

    fn each(&self) -> impl Iterator<Item = &Query> {
        self.waiting.iter().chain(self.inflight.values().flatten())
    }

    /// What a call is still waiting for: the first partition without an answer, and what stood in its way.
    pub(super) fn missing(&self, call: u64) -> Option<(&Query, Option<&Error>)> {
        let of_call = |q: &&Query| matches!(q.owner, Owner::Call { id, .. } if id == call);
        let query = self.each().find(of_call)?;
        Some((query, query.last_error.as_ref()))
    }

    /// Sends what can be sent. Queries whose owner is not `alive` are dropped; those of callers that can't be answered
    /// are added to `answers`. Says when to try again.
    pub(super) fn send(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        alive: impl Fn(&Owner) -> bool,
        answers: &mut Vec<Answer>,
    ) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut deadline = None;
        let mut ready: BTreeMap<i32, (ConnId, Vec<Query>)> = BTreeMap::new();
        let mut listed = BTreeSet::new();
        for query in std::mem::take(&mut self.waiting) {
            if !alive(&query.owner) {
                continue;
            }
            if query.not_before.is_some_and(|t| t > now) {
                deadline = earliest(deadline, query.not_before);
                self.waiting.push(query);
                continue;
            }
            let known = core.topics.known(&query.topic);
            let meta =
                known.and_then(|meta| meta.partitions.get(usize::try_from(query.partition).ok()?));
            let Some(leader) = meta.map(|p| p.leader).filter(|leader| *leader >= 0) else {
                match topic_problem(core, now, &query.topic, query.partition) {
                    Ok(again) => deadline = earliest(deadline, again),
                    Err(e) if matches!(query.owner, Owner::Call { .. }) => {
                        // A partition may have been made since the cluster was asked last.
                        if core.metadata_number() > query.metadata_number || known.is_none() {
                            answers.push((query, Err(e)));
                            continue;
                        }
                        core.refresh_metadata();
                    }
                    // The topic's own event tells of it.
                    Err(_) => {}
                }
                self.waiting.push(query);
                continue;
            };
            let conn = match ready.get(&leader) {
                Some((conn, _)) => Some(*conn),
                None if self.inflight.contains_key(&leader) => None,
                None => {
                    let conn = core.conn(now, Node::Id(leader), Purpose::Control);
                    if conn.is_none() {
                        deadline = earliest(deadline, core.retry_at(now, Node::Id(leader)));
                    }
                    conn
                }
            };
            // A partition may be listed once in a request.
            match conn {
                Some(conn) if listed.insert((query.topic.clone(), query.partition)) => {
                    ready
                        .entry(leader)
                        .or_insert_with(|| (conn, Vec::new()))
                        .1
                        .push(query);
                }
                _ => self.waiting.push(query),
            }
        }
        for (leader, (conn, queries)) in ready {
            let request = self.request(core, &queries);
            let timeout = core.config.request_timeout;
            match core.call(now, conn, &request, MAX_VERSION, timeout, Tag::Offsets) {
                Ok(()) => {
                    self.inflight.insert(leader, queries);
                }
                Err(e) => answers.extend(queries.into_iter().map(|q| (q, Err(e.clone())))),
            }
        }
        deadline
    }

    fn request(&self, core: &Core<Tag>, queries: &[Query]) -> ListOffsetsRequest {
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for q in queries {
            let meta = core.topics.known(&q.topic);
            let epoch = meta
                .and_then(|m| m.partitions.get(usize::try_from(q.partition).ok()?))
                .map(|p| p.leader_epoch);
            topics.entry(&q.topic).or_default().push(
                ListOffsetsPartition::default()
                    .with_partition_index(q.partition)
                    .with_current_leader_epoch(epoch.unwrap_or(-1))
                    .with_timestamp(q.timestamp),
            );
        }
        let topics = topics
            .into_iter()
            .map(|(name, partitions)| {
                ListOffsetsTopic::default()
                    .with_name(TopicName(string(name)))
                    .with_partitions(partitions)
            })
            .collect();
        ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(self.read_committed))
            .with_topics(topics)
    }

    /// A request was answered.
    pub(super) fn answered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        node: i32,
        version: i16,
        body: Bytes,
        answers: &mut Vec<Answer>,
    ) {
        let Some(queries) = self.inflight.remove(&node) else {
            return;
        };
        let response = match rpc::decode::<ListOffsetsRequest>(version, body) {
            Ok(response) => response,
            Err(e) => return self.retry(core, now, queries, &e),
        };
        core.throttle(
            now,
            Node::Id(node),
            Purpose::Control,
            response.throttle_time_ms,
        );
        let mut found: BTreeMap<(&str, i32), (i16, FoundOffset)> = BTreeMap::new();
        for topic in &response.topics {
            for p in &topic.partitions {
                let what = FoundOffset {
                    offset: p.offset,
                    timestamp: p.timestamp,
                };
                found.insert(
                    (topic.name.as_str(), p.partition_index),
                    (p.error_code, what),
                );
            }
        }
        let who = core.address(Node::Id(node));
        for query in queries {
            let doing = format!(
                "looking up an offset of {}-{}",
                query.topic, query.partition
            );
            let found = found.get(&(&*query.topic, query.partition)).copied();
            match found {
                Some((0, what)) => answers.push((query, Ok(what))),
                Some((code, _)) => {
                    let code = ErrorCode(i32::from(code));
                    let error = refusal(code, &doing, &who);
                    if code.is_retriable() {
                        self.retry(core, now, vec![query], &error);
                    } else {
                        answers.push((query, Err(error)));
                    }
                }
                None => {
                    let error =
                        Error::protocol(format!("{doing}: {who} left it out of its answer"));
                    self.retry(core, now, vec![query], &error);
                }
            }
        }
    }

    /// A request will have no answer.
    pub(super) fn failed(&mut self, core: &mut Core<Tag>, now: Instant, node: i32, error: &Error) {
        if let Some(queries) = self.inflight.remove(&node) {
            self.retry(core, now, queries, error);
        }
    }

    fn retry(&mut self, core: &mut Core<Tag>, now: Instant, queries: Vec<Query>, error: &Error) {
        core.refresh_metadata();
        let backoff = Backoff::retries(&core.config);
        for mut query in queries {
            query.failures += 1;
            query.not_before = Some(now + backoff.after(query.failures, &mut core.rng));
            query.last_error = Some(error.clone());
            self.waiting.push(query);
        }
    }
}
