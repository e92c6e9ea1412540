//! ShareAcknowledge, and what ShareFetch has in common with it: members say how the records they had ended.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::share_acknowledge_request::AcknowledgementBatch;
use kafka_protocol::messages::share_acknowledge_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeTopicResponse,
};
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use kafka_protocol::protocol::Encodable;
use ottla_base::error::ErrorCode;
use ottla_protocol::schema::{self, Kind};
use uuid::Uuid;

use super::{
    Cx, Outcome, api_key, broker_id, check_leader, decode, end_frame, partitions_of, start_frame,
    tells_leader, text, wire,
};
use crate::core::BrokerCore;
use crate::core::fault::Target;
use crate::core::share::FINAL_EPOCH;
use crate::core::share::partition::Acknowledge;
use crate::log::Refused;

/// From here on locks can be renewed (KIP-1222). The decoders know the version before; the fields that are new are
/// taken out of requests and put into answers by hand.
pub(super) const RENEWS: i16 = 2;
/// The version that the decoders know.
pub(super) const KNOWN: i16 = 1;
/// Longest member id.
const MAX_MEMBER: usize = 36;

/// Range of offsets, and what is said of them.
pub(super) type Said = (i64, i64, Vec<i8>);

/// Takes `count` bytes out of a request of version 2: those `skip` bytes behind the group's and the member's id.
pub(super) fn without_new_fields(
    api: i16,
    body: &Bytes,
    skip: usize,
    count: usize,
) -> Option<(Bytes, Vec<u8>)> {
    schema::check(api, RENEWS, Kind::Request, body).ok()?;
    let mut rest = body.clone();
    for _ in 0..2 {
        let length = compact_length(&mut rest)?;
        rest.try_advance(length)?;
    }
    let at = body.len() - rest.len() + skip;
    let new = body.get(at..at + count)?.to_vec();
    let old = [body.get(..at)?, body.get(at + count..)?].concat();
    Some((Bytes::from(old), new))
}

trait TryAdvance {
    fn try_advance(&mut self, n: usize) -> Option<()>;
}

impl TryAdvance for Bytes {
    fn try_advance(&mut self, n: usize) -> Option<()> {
        (n <= self.len()).then(|| self.advance(n))
    }
}

/// The length of a compact string that may be null; `bytes` is moved behind it.
fn compact_length(bytes: &mut Bytes) -> Option<usize> {
    let mut length: u32 = 0;
    for shift in (0..28).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        length |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length.saturating_sub(1) as usize);
        }
    }
    None
}

pub(super) fn targets(core: &BrokerCore, version: i16, body: &Bytes) -> Vec<Target> {
    let Some((request, _)) = read(version, body) else {
        return Vec::new();
    };
    let topics = request.topics.iter();
    let each = topics.filter_map(|t| {
        let name = core.cluster.name_of(t.topic_id)?;
        Some((name, t.partitions.iter().map(|p| p.partition_index)))
    });
    partitions_of(each)
}

/// The request, and whether it renews.
fn read(version: i16, body: &Bytes) -> Option<(ShareAcknowledgeRequest, bool)> {
    if version < RENEWS {
        return Some((decode(body, version)?, false));
    }
    let (old, new) = without_new_fields(api_key::SHARE_ACKNOWLEDGE, body, 4, 1)?;
    Some((decode(&old, KNOWN)?, new != [0]))
}

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some((request, renews)) = read(cx.version, &body) else {
        return Outcome::Close;
    };
    let response =
        ShareAcknowledgeResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let who = match member(
        cx,
        request.group_id.as_ref().map(|g| g.as_str()),
        request.member_id.as_ref().map(|m| m.as_str()),
    ) {
        Ok(who) => who,
        Err(refused) => {
            let response = response
                .with_error_code(wire(refused.code))
                .with_error_message(refused.message.map(text));
            return reply(core, cx, "", &response);
        }
    };
    let epoch = request.share_session_epoch;
    let session = core
        .share
        .session(cx.node, (&who.0, &who.1), epoch, None, &[], &[]);
    if let Err(code) = session {
        return reply(core, cx, &who.0, &response.with_error_code(wire(code)));
    }
    let mut said: BTreeMap<(Uuid, i32), Vec<Said>> = BTreeMap::new();
    for topic in &request.topics {
        for p in topic
            .partitions
            .iter()
            .filter(|p| !p.acknowledgement_batches.is_empty())
        {
            let batches = p.acknowledgement_batches.iter().map(each);
            said.insert((topic.topic_id, p.partition_index), batches.collect());
        }
    }
    let results = acknowledge(core, cx, &who, &said, renews);
    if epoch == FINAL_EPOCH {
        let freed = core.share.end_session(cx.node, &who.0, &who.1);
        core.wake(&freed);
    }
    let mut endpoints: BTreeMap<i32, NodeEndpoint> = BTreeMap::new();
    let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
    for ((topic, index), result) in results {
        let mut answer = PartitionData::default().with_partition_index(index);
        if let Err(refused) = result {
            if tells_leader(refused.code)
                && let Some(p) = core
                    .cluster
                    .name_of(topic)
                    .and_then(|name| core.cluster.partition(name, index))
            {
                answer.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(p.leader)
                    .with_leader_epoch(p.leader_epoch);
                if let Some(n) = core.cluster.nodes.get(&p.leader) {
                    let endpoint = NodeEndpoint::default()
                        .with_node_id(broker_id(n.id))
                        .with_host(text(&n.host))
                        .with_port(i32::from(n.port));
                    endpoints.insert(n.id, endpoint);
                }
            }
            answer = answer
                .with_error_code(wire(refused.code))
                .with_error_message(refused.message.map(text));
        }
        topics.entry(topic).or_default().push(answer);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ShareAcknowledgeTopicResponse::default()
            .with_topic_id(topic)
            .with_partitions(partitions)
    });
    let response = response
        .with_responses(topics.collect())
        .with_node_endpoints(endpoints.into_values().collect());
    reply(core, cx, &who.0, &response)
}

fn each(batch: &AcknowledgementBatch) -> Said {
    (
        batch.first_offset,
        batch.last_offset,
        batch.acknowledge_types.clone(),
    )
}

/// Group and member of a request.
///
/// # Errors
/// `INVALID_REQUEST`, or what a fault asks for.
pub(super) fn member(
    cx: &Cx,
    group: Option<&str>,
    member: Option<&str>,
) -> Result<(String, String), Refused> {
    // An error about the session is for the whole request, another one for the partitions that it is for.
    if let Some(code) = cx.effects.any_error().filter(|&code| is_of_session(code)) {
        return Err(Refused::plain(code));
    }
    match (group, member) {
        (Some(group), Some(member)) if !member.is_empty() && member.len() <= MAX_MEMBER => {
            Ok((group.to_owned(), member.to_owned()))
        }
        _ => Err(Refused::plain(ErrorCode::INVALID_REQUEST)),
    }
}

fn is_of_session(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::SHARE_SESSION_NOT_FOUND | ErrorCode::INVALID_SHARE_SESSION_EPOCH
    )
}

/// What comes of acknowledgements, by partition.
pub(super) type Results = BTreeMap<(Uuid, i32), Result<(), Refused>>;

/// Carries acknowledgements out, partition by partition.
pub(super) fn acknowledge(
    core: &mut BrokerCore,
    cx: &Cx,
    (group, member): &(String, String),
    said: &BTreeMap<(Uuid, i32), Vec<Said>>,
    renews: bool,
) -> Results {
    let mut results = Results::new();
    for (&(topic, index), batches) in said {
        let result = one(core, cx, (group, member), (topic, index), batches, renews);
        results.insert((topic, index), result);
    }
    results
}

fn one(
    core: &mut BrokerCore,
    cx: &Cx,
    (group, member): (&str, &str),
    (topic, index): (Uuid, i32),
    batches: &[Said],
    renews: bool,
) -> Result<(), Refused> {
    let Some(name) = core.cluster.name_of(topic) else {
        return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    check_leader(core, cx, name, index, -1).map_err(Refused::plain)?;
    let batches = checked(batches, cx.version >= RENEWS && renews)
        .ok_or_else(|| Refused::plain(ErrorCode::INVALID_REQUEST))?;
    let key = (group.to_owned(), topic, index);
    let share = &mut core.share;
    let options = share.options_of(group);
    let Some(partition) = share.partitions.get_mut(&key) else {
        return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    partition
        .acknowledge(cx.now.mono, member, &batches, &options)
        .map_err(|(code, words)| Refused::new(code, words))?;
    share.watch_locks(&key);
    core.wake(&[(topic, index)]);
    Ok(())
}

/// Batches in order, with words that there are, one for all or one for each.
fn checked(batches: &[Said], renews: bool) -> Option<Vec<(i64, i64, Vec<Acknowledge>)>> {
    let mut checked = Vec::with_capacity(batches.len());
    let mut end = -1;
    for (first, last, words) in batches {
        let length = usize::try_from(last.checked_sub(*first)?).ok()?;
        if *first < end || words.is_empty() || (words.len() > 1 && words.len() - 1 != length) {
            return None;
        }
        end = *last;
        let words: Option<Vec<Acknowledge>> = words.iter().map(|&w| Acknowledge::of(w)).collect();
        let words = words?;
        if !renews && words.contains(&Acknowledge::Renew) {
            return None;
        }
        checked.push((*first, *last, words));
    }
    Some(checked)
}

/// Encodes an answer; that of version 2 tells besides how long the locks last.
fn reply(core: &BrokerCore, cx: &Cx, group: &str, response: &ShareAcknowledgeResponse) -> Outcome {
    let mut body = BytesMut::new();
    if response.encode(&mut body, KNOWN).is_err() {
        return Outcome::Close;
    }
    let body = body.freeze();
    let mut rest = body.clone();
    let head = rest
        .try_advance(6)
        .and_then(|()| compact_length(&mut rest))
        .and_then(|length| rest.try_advance(length))
        .map(|()| body.slice(..body.len() - rest.len()));
    let Some(head) = head else {
        return Outcome::Close;
    };
    let mut frame = start_frame(cx, 1);
    frame.put(head);
    if cx.version >= RENEWS {
        frame.put_i32(core.lock_ms(group));
    }
    frame.put(rest);
    Outcome::Reply(vec![end_frame(frame, 0)])
}

impl BrokerCore {
    /// How long a record is locked for a member of a group, in milliseconds.
    pub(super) fn lock_ms(&self, group: &str) -> i32 {
        i32::try_from(self.share.options_of(group).lock.as_millis()).unwrap_or(i32::MAX)
    }
}
