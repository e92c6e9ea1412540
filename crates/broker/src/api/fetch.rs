//! Fetch: sessions, long polls, and records as slices of the log.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::FetchRequest;
use kafka_protocol::messages::fetch_request::{FetchTopic, ForgottenTopic};
use ottla_base::error::ErrorCode;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};

use super::fetch_response::{PartitionAnswer, Response, write};
use super::{Cx, Outcome, check_leader, decode, tells_leader};
use crate::core::BrokerCore;
use crate::core::cluster::{Cluster, Partition};
use crate::core::fault::Target;
use crate::core::fetch_session::{Mode, SessionRequest, TopicKey, Wanted};

/// From here on topics are named by id.
const BY_ID: i16 = 13;
/// Kafka's `fetch.max.bytes`.
const MAX_BYTES: u64 = 55 * 1024 * 1024;
/// Kafka looks for aborted transactions up to its next index entry behind the records, which it makes every 4 KiB.
const INDEX_INTERVAL: u64 = 4096;

/// A fetch that was accepted, answered now or later.
pub(crate) struct Plan {
    mode: Mode,
    wanted: Vec<Wanted>,
    min_bytes: u64,
    max_bytes: u64,
    /// Only what is decided is sent, with a list of the aborted transactions in it.
    read_committed: bool,
    /// When it is answered whatever there is.
    pub(crate) deadline: Duration,
    /// Where the core keeps its timer.
    pub(crate) timer: (Duration, u64),
}

impl Plan {
    /// Has appends to its partitions wake it, or no more.
    pub(super) fn each_watchers(&self, cluster: &mut Cluster, act: impl Fn(&mut BTreeSet<u64>)) {
        for wanted in &self.wanted {
            if let Some(name) = name_of(cluster, &wanted.topic).map(str::to_owned)
                && let Some(partition) = cluster.partition_mut(&name, wanted.partition)
            {
                act(&mut partition.watchers);
            }
        }
    }
}

fn name_of<'a>(cluster: &'a Cluster, topic: &'a TopicKey) -> Option<&'a str> {
    match topic {
        TopicKey::Name(name) => Some(name),
        TopicKey::Id(id) => cluster.name_of(*id),
    }
}

fn topic_key(version: i16, topic: &FetchTopic) -> TopicKey {
    if version >= BY_ID {
        TopicKey::Id(topic.topic_id)
    } else {
        TopicKey::Name(topic.topic.to_string())
    }
}

fn forgotten_key(version: i16, topic: &ForgottenTopic) -> TopicKey {
    if version >= BY_ID {
        TopicKey::Id(topic.topic_id)
    } else {
        TopicKey::Name(topic.topic.to_string())
    }
}

pub(super) fn targets(
    core: &BrokerCore,
    node: i32,
    version: i16,
    request: &FetchRequest,
) -> Vec<Target> {
    let mut keys: Vec<(TopicKey, i32)> = Vec::new();
    for topic in &request.topics {
        keys.extend(
            topic
                .partitions
                .iter()
                .map(|p| (topic_key(version, topic), p.partition)),
        );
    }
    if request.session_epoch > 0 {
        let session = core.session_partitions(node, request.session_id);
        keys.extend(session.map(|(topic, partition)| (topic.clone(), partition)));
    }
    let cluster = &core.cluster;
    let named = |(topic, partition): (TopicKey, i32)| {
        Some((name_of(cluster, &topic)?.to_owned(), Some(partition)))
    };
    keys.into_iter().filter_map(named).collect()
}

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some(request) = decode::<FetchRequest>(&body, cx.version) else {
        return Outcome::Close;
    };
    let mut wanted = Vec::new();
    for topic in &request.topics {
        wanted.extend(topic.partitions.iter().map(|p| Wanted {
            topic: topic_key(cx.version, topic),
            partition: p.partition,
            offset: p.fetch_offset,
            leader_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
            max_bytes: p.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in &request.forgotten_topics_data {
        forgotten.extend(
            topic
                .partitions
                .iter()
                .map(|&p| (forgotten_key(cx.version, topic), p)),
        );
    }
    let session = SessionRequest {
        id: request.session_id,
        // Before version 7 there are no sessions.
        epoch: if cx.version >= 7 {
            request.session_epoch
        } else {
            -1
        },
        by_id: cx.version >= BY_ID,
        wanted,
        forgotten,
    };
    let mut random = core.cluster.random.clone();
    let begun = core.sessions(cx.node).begin(session, &mut random);
    core.cluster.random = random;
    let (mode, wanted) = match begun {
        Ok(begun) => begun,
        Err(code) => return Outcome::Reply(write(cx, &Response::failed(code))),
    };
    let bytes = |n: i32| u64::try_from(n).unwrap_or(0);
    let plan = Plan {
        mode,
        wanted,
        min_bytes: bytes(request.min_bytes),
        max_bytes: bytes(request.max_bytes).min(MAX_BYTES),
        read_committed: request.isolation_level == 1,
        deadline: cx.now.mono + Duration::from_millis(bytes(request.max_wait_ms)),
        timer: Default::default(),
    };
    if plan.deadline > cx.now.mono && !plan.wanted.is_empty() && !is_ready(core, cx, &plan) {
        return Outcome::Park(super::Plan::Fetch(Box::new(plan)));
    }
    Outcome::Reply(respond(core, cx, plan))
}

/// Whether a fetch is to be answered at once: enough bytes, or something to tell.
pub(crate) fn is_ready(core: &BrokerCore, cx: &Cx, plan: &Plan) -> bool {
    let mut available = 0;
    for wanted in &plan.wanted {
        match position(core, cx, wanted) {
            Ok(Position::Records { topic, .. }) => {
                let bytes = core
                    .cluster
                    .partition(topic, wanted.partition)
                    .map_or(0, |p| p.log.bytes_between(wanted.offset, readable(p, plan)));
                available += bytes.min(u64::try_from(wanted.max_bytes).unwrap_or(0));
            }
            Ok(Position::Diverged { .. }) | Err(_) => return true,
        }
    }
    available >= plan.min_bytes
}

/// The offset before which a fetch may read.
fn readable(partition: &Partition, plan: &Plan) -> i64 {
    if plan.read_committed {
        partition.last_stable_offset()
    } else {
        partition.log.end_offset()
    }
}

/// What there is for a partition.
enum Position<'a> {
    /// Records from the offset on, perhaps none yet.
    Records { topic: &'a str },
    /// The client read records of a term that ended before: the largest common epoch and its end.
    Diverged { epoch: i32, end: i64 },
}

fn position<'a>(
    core: &'a BrokerCore,
    cx: &Cx,
    wanted: &'a Wanted,
) -> Result<Position<'a>, ErrorCode> {
    let topic = name_of(&core.cluster, &wanted.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
    check_leader(core, cx, topic, wanted.partition, wanted.leader_epoch)?;
    let Some(partition) = core.cluster.partition(topic, wanted.partition) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let log = &partition.log;
    if wanted.last_fetched_epoch >= 0 {
        let Some((epoch, end)) = log.end_of_epoch(wanted.last_fetched_epoch) else {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        };
        if epoch < wanted.last_fetched_epoch || end < wanted.offset {
            return Ok(Position::Diverged { epoch, end });
        }
    }
    if wanted.offset < log.start_offset() || wanted.offset > log.end_offset() {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok(Position::Records { topic })
}

/// The answer to a fetch as things are.
pub(crate) fn respond(core: &mut BrokerCore, cx: &Cx, plan: Plan) -> Vec<Bytes> {
    let mut response = Response::new(plan.mode.id());
    let mut leaders = BTreeSet::new();
    let mut left = plan.max_bytes;
    // The first batch comes whole, however large, so that every client gets on.
    let mut at_least_one = true;
    for wanted in &plan.wanted {
        let mut answer = answer(core, cx, &plan, wanted, left, at_least_one);
        if let Some((leader, _)) = answer.leader {
            leaders.insert(leader);
        }
        let bytes = answer.records_len() as u64;
        left = left.saturating_sub(bytes);
        at_least_one &= bytes == 0;
        if bytes > 0
            && let Some(name) = name_of(&core.cluster, &wanted.topic).map(str::to_owned)
            && core.corrupts(cx, &name, wanted.partition)
        {
            flip_a_byte(&mut answer.records);
        }
        let key = (wanted.topic.clone(), wanted.partition);
        let failed = answer.code != ErrorCode::NONE || answer.diverged.is_some();
        let sessions = core.sessions(cx.node);
        if sessions.answer(
            plan.mode,
            &key,
            failed,
            bytes > 0,
            answer.high_watermark,
            answer.log_start,
        ) {
            response.push(wanted.topic.clone(), answer);
        }
    }
    response.endpoints = leaders
        .iter()
        .filter_map(|id| core.cluster.nodes.get(id))
        .cloned()
        .collect();
    write(cx, &response)
}

fn answer(
    core: &BrokerCore,
    cx: &Cx,
    plan: &Plan,
    wanted: &Wanted,
    left: u64,
    at_least_one: bool,
) -> PartitionAnswer {
    let mut answer = PartitionAnswer::failed(wanted.partition, ErrorCode::NONE);
    let partition = name_of(&core.cluster, &wanted.topic)
        .and_then(|t| core.cluster.partition(t, wanted.partition));
    let position = match position(core, cx, wanted) {
        Ok(position) => position,
        Err(code) => {
            answer.code = code;
            // As Kafka answers for what it never looked for in a log.
            answer.with_aborted = matches!(
                code,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
            );
            if tells_leader(code) {
                answer.leader = partition.map(|p| (p.leader, p.leader_epoch));
            }
            return answer;
        }
    };
    let Some(partition) = partition else {
        return answer;
    };
    answer.high_watermark = partition.log.end_offset();
    answer.last_stable = partition.last_stable_offset();
    answer.log_start = partition.log.start_offset();
    answer.with_aborted = plan.read_committed;
    match position {
        Position::Diverged { epoch, end } => answer.diverged = Some((epoch, end)),
        Position::Records { .. } => {
            let max = left.min(u64::try_from(wanted.max_bytes).unwrap_or(0));
            let before = readable(partition, plan);
            let Ok(bytes) = partition.log.read(
                wanted.offset,
                before,
                max,
                at_least_one,
                &mut answer.records,
            ) else {
                return PartitionAnswer::failed(wanted.partition, ErrorCode::KAFKA_STORAGE_ERROR);
            };
            if plan.read_committed {
                let to = partition
                    .log
                    .offset_behind(wanted.offset, bytes + INDEX_INTERVAL);
                let aborted = partition.producers.aborted(wanted.offset, to);
                answer.aborted = aborted.map(|a| (a.producer_id, a.first_offset)).collect();
            }
        }
    }
    answer
}

/// Damages the first batch in the midst of its records, where it may be that only the checksum tells, in a copy of the
/// piece that holds the place.
pub(super) fn flip_a_byte(records: &mut [Bytes]) {
    let there: usize = records.iter().map(Bytes::len).sum();
    let head: Vec<u8> = records.iter().flatten().copied().take(HEADER_LEN).collect();
    let len = match BatchHeader::parse(&head) {
        Ok(Some(header)) => header.total_len().min(there),
        _ => there,
    };
    let mut at = HEADER_LEN + len.saturating_sub(HEADER_LEN) * 3 / 4;
    for piece in records {
        if at < piece.len() {
            let mut copy = BytesMut::from(piece.as_ref());
            if let Some(byte) = copy.get_mut(at) {
                *byte ^= 0x55;
            }
            *piece = copy.freeze();
            return;
        }
        at -= piece.len();
    }
}
