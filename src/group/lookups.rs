//! Looking committed offsets up (OffsetFetch): one request on its way at a time, retried until it is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::group::offset::OffsetAndMetadata;
use crate::group::tag::{Ask, GroupTag, topic_id};
use crate::group::words::{Trouble, advice, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::offsets;
use crate::protocol::wire::string;
use crate::topic::TopicPartition;

/// From here on a request lists groups.
const GROUPS_VERSION: i16 = 8;
/// From here on a broker can be asked to wait for open transactions (KIP-447).
const STABLE_VERSION: i16 = 7;

/// What is committed; `None` if nothing is.
pub(crate) type Found = Option<OffsetAndMetadata>;

/// A partition that starts at its committed offset.
pub(crate) trait Starts: std::fmt::Debug + Send + Sync {
    /// True while that start is still wanted: it has not been sought or assigned since.
    fn is_at(&self, generation: u32) -> bool;
}

/// Who wants to know.
#[derive(Debug)]
pub(crate) enum LookupOwner {
    /// A partition that starts there.
    Position {
        partition: Arc<dyn Starts>,
        generation: u32,
    },
    /// A caller, by the number of the call and the place in its list.
    Call { id: u64, index: usize },
}

/// One offset to look up.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) owner: LookupOwner,
    pub(crate) key: TopicPartition,
    last_error: Option<Error>,
}

/// A lookup's end.
pub(crate) type Answer = (Lookup, Result<Found>);

/// All lookups of a consumer that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    waiting: Vec<Lookup>,
    inflight: Option<(Node, Vec<Lookup>)>,
    /// The names of the topics that the request on its way has by their ids.
    names: BTreeMap<Uuid, String>,
    failures: u32,
    not_before: Option<Instant>,
}

impl Lookups {
    pub(crate) fn add(&mut self, owner: LookupOwner, key: TopicPartition) {
        self.waiting.push(Lookup {
            owner,
            key,
            last_error: None,
        });
    }

    pub(crate) fn wants_connection(&self, now: Instant) -> bool {
        self.inflight.is_none()
            && !self.waiting.is_empty()
            && self.not_before.is_none_or(|t| t <= now)
    }

    /// When it is time to try again.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.waiting.is_empty() || self.inflight.is_some() {
            return None;
        }
        // Once it is over, the coordinator's connection is what they wait for.
        self.not_before.filter(|t| *t > now)
    }

    /// What a call is still waiting for: the first partition without an answer, and what stood in its way.
    pub(crate) fn missing(&self, call: u64) -> Option<(&TopicPartition, Option<&Error>)> {
        let sent = self.inflight.iter().flat_map(|(_, lookups)| lookups);
        let lookup = self
            .waiting
            .iter()
            .chain(sent)
            .find(|l| matches!(l.owner, LookupOwner::Call { id, .. } if id == call))?;
        Some((&lookup.key, lookup.last_error.as_ref()))
    }

    /// Takes out what waits to be sent.
    pub(crate) fn take_waiting(&mut self) -> Vec<Lookup> {
        std::mem::take(&mut self.waiting)
    }

    /// Drops lookups that nobody waits for any more.
    pub(crate) fn retain(&mut self, alive: impl Fn(&LookupOwner) -> bool) {
        self.waiting.retain(|l| alive(&l.owner));
    }

    /// Asks for everything that waits.
    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, conn): (Node, ConnId),
        group: &str,
        stable: bool,
        answers: &mut Vec<Answer>,
    ) {
        let lookups = std::mem::take(&mut self.waiting);
        self.not_before = None;
        let sent = self.call(core, conn, group, stable, &lookups);
        match sent {
            Ok(call) => {
                let timeout = core.config.request_timeout;
                core.send(now, conn, call, timeout, Ask::Lookup.into(), true);
                self.inflight = Some((node, lookups));
            }
            Err(e) => answers.extend(lookups.into_iter().map(|l| (l, Err(e.clone())))),
        }
    }

    /// The request in the highest common version: by the ids of its topics where all are known, so that what is found is
    /// not of an earlier topic of that name.
    fn call(
        &mut self,
        core: &Core<impl GroupTag>,
        conn: ConnId,
        group: &str,
        stable: bool,
        lookups: &[Lookup],
    ) -> Result<Call> {
        let key = offsets::FETCH_KEY;
        let version = core.version(conn, key, (1, offsets::BY_ID))?;
        let named = version.min(offsets::BY_ID - 1);
        let mut request = request(named, group, stable, lookups);
        self.names.clear();
        if version >= offsets::BY_ID {
            let groups = request.groups.iter_mut();
            let topics = groups.filter_map(|g| g.topics.as_mut()).flatten();
            let ids = topics.map(|topic| {
                topic.topic_id = topic_id(core, &topic.name)?;
                Some((topic.topic_id, topic.name.to_string()))
            });
            if let Some(names) = ids.collect::<Option<BTreeMap<Uuid, String>>>() {
                self.names = names;
                let mut call = Call::begin(&core.config.client_id, key, version, 2)?;
                offsets::write_fetch(&mut call.frame.meta, &request);
                call.frame.finish();
                return Ok(call);
            }
        }
        Call::encode(&core.config.client_id, named, &request)
    }

    /// A request was answered. Says what the answer means for the coordinator.
    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        version: i16,
        body: Bytes,
        answers: &mut Vec<Answer>,
    ) -> Option<(Trouble, Error)> {
        let (node, lookups) = self.inflight.take()?;
        let response = match rpc::decode::<OffsetFetchRequest>(version, body) {
            Ok(response) => response,
            Err(e) => {
                self.retry(core, now, lookups, &e);
                return None;
            }
        };
        core.throttle(now, node, Purpose::Group, response.throttle_time_ms);
        let (code, found) = found_offsets(version, response, &std::mem::take(&mut self.names));
        let who = core.address(node);
        if code != ErrorCode::NONE {
            let text = format!(
                "looking committed offsets up: {who} answered {}{}",
                code.name(),
                advice(code)
            );
            let error = Error::new(code, text);
            if code.is_retriable() {
                self.retry(core, now, lookups, &error);
            } else {
                answers.extend(lookups.into_iter().map(|l| (l, Err(error.clone()))));
            }
            return trouble(code).map(|t| (t, error));
        }
        let mut again = Vec::new();
        for mut lookup in lookups {
            let (topic, partition) = &lookup.key;
            let doing = format!("looking the committed offset of {topic}-{partition} up");
            match found.get(&(topic.to_string(), *partition)).cloned() {
                Some((ErrorCode::NONE, found)) => answers.push((lookup, Ok(found))),
                Some((code, _)) => {
                    let error = Error::new(
                        code,
                        format!("{doing}: {who} answered {}{}", code.name(), advice(code)),
                    );
                    // A topic made anew, or just made: metadata tells, or the coordinator hears of it.
                    let unknown = code == ErrorCode::UNKNOWN_TOPIC_ID;
                    if unknown {
                        core.refresh_metadata();
                    }
                    if unknown || code == ErrorCode::UNSTABLE_OFFSET_COMMIT {
                        lookup.last_error = Some(error);
                        again.push(lookup);
                    } else {
                        answers.push((lookup, Err(error)));
                    }
                }
                None => {
                    let error =
                        Error::protocol(format!("{doing}: {who} left it out of its answer"));
                    lookup.last_error = Some(error);
                    again.push(lookup);
                }
            }
        }
        if again.is_empty() {
            self.failures = 0;
        } else {
            self.ask_again(core, now, again);
        }
        None
    }

    /// A request will have no answer.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant, error: &Error) {
        if let Some((_, lookups)) = self.inflight.take() {
            self.retry(core, now, lookups, error);
        }
    }

    fn retry(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        mut lookups: Vec<Lookup>,
        error: &Error,
    ) {
        for lookup in &mut lookups {
            lookup.last_error = Some(error.clone());
        }
        self.ask_again(core, now, lookups);
    }

    fn ask_again(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        mut lookups: Vec<Lookup>,
    ) {
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff::retries(&core.config);
        let at = now + backoff.after(self.failures, &mut core.rng);
        self.not_before = earliest(self.not_before, Some(at));
        self.waiting.append(&mut lookups);
    }
}

fn request(version: i16, group: &str, stable: bool, lookups: &[Lookup]) -> OffsetFetchRequest {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for lookup in lookups {
        let of_topic = topics.entry(&lookup.key.0).or_default();
        if !of_topic.contains(&lookup.key.1) {
            of_topic.push(lookup.key.1);
        }
    }
    let topics = topics.into_iter();
    let name = |topic: &str| TopicName(string(topic));
    let group = GroupId(string(group));
    let request =
        OffsetFetchRequest::default().with_require_stable(stable && version >= STABLE_VERSION);
    if version < GROUPS_VERSION {
        let topics = topics.map(|(topic, partitions)| {
            OffsetFetchRequestTopic::default()
                .with_name(name(topic))
                .with_partition_indexes(partitions)
        });
        return request
            .with_group_id(group)
            .with_topics(Some(topics.collect()));
    }
    let topics = topics.map(|(topic, partitions)| {
        OffsetFetchRequestTopics::default()
            .with_name(name(topic))
            .with_partition_indexes(partitions)
    });
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(group)
        .with_topics(Some(topics.collect()));
    request.with_groups(vec![group])
}

type ByPartition = BTreeMap<(String, i32), (ErrorCode, Found)>;

/// The code for all of it, and each partition's.
fn found_offsets(
    version: i16,
    response: OffsetFetchResponse,
    names: &BTreeMap<Uuid, String>,
) -> (ErrorCode, ByPartition) {
    let code = |code: i16| ErrorCode(i32::from(code));
    let found = |offset: i64, leader_epoch: i32, metadata: Option<StrBytes>| {
        (offset >= 0).then(|| OffsetAndMetadata {
            offset,
            leader_epoch,
            metadata: metadata.map(|m| m.to_string()).unwrap_or_default(),
        })
    };
    let mut all = ByPartition::new();
    if version < GROUPS_VERSION {
        for topic in response.topics {
            for p in topic.partitions {
                let found = found(p.committed_offset, p.committed_leader_epoch, p.metadata);
                let key = (topic.name.to_string(), p.partition_index);
                all.insert(key, (code(p.error_code), found));
            }
        }
        return (code(response.error_code), all);
    }
    let Some(group) = response.groups.into_iter().next() else {
        return (ErrorCode::NONE, all);
    };
    for topic in group.topics {
        let name = match version {
            offsets::BY_ID.. => names.get(&topic.topic_id).cloned().unwrap_or_default(),
            _ => topic.name.to_string(),
        };
        for p in topic.partitions {
            let found = found(p.committed_offset, p.committed_leader_epoch, p.metadata);
            let key = (name.clone(), p.partition_index);
            all.insert(key, (code(p.error_code), found));
        }
    }
    (code(group.error_code), all)
}
