//! ShareFetch: records that a member gets to itself for a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::share_fetch_request::ShareFetchRequest;
use kafka_protocol::messages::share_fetch_response::{
    AcquiredRecords, LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareFetchResponse,
    ShareFetchableTopicResponse,
};
use ottla_base::error::ErrorCode;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};
use uuid::Uuid;

use super::fetch::flip_a_byte;
use super::share_acknowledge::{
    KNOWN, RENEWS, Results, Said, acknowledge, member, without_new_fields,
};
use super::{
    Cx, Outcome, api_key, broker_id, check_leader, decode, reply, tells_leader, text, wire,
};
use crate::core::BrokerCore;
use crate::core::cluster::{Cluster, Partition};
use crate::core::fault::Target;
use crate::core::share::partition::{Acquired, SharePartition, Wanted};
use crate::core::share::{FINAL_EPOCH, INITIAL_EPOCH, Reset, ShareOptions};

/// A share fetch that was accepted, answered now or later.
pub(crate) struct Plan {
    who: (String, String),
    wanted: Wanted,
    max_bytes: u64,
    places: Vec<(Uuid, i32)>,
    /// Whether partitions without anything to tell are told too, as in a session's first answer.
    all: bool,
    results: Results,
    pub(crate) deadline: Duration,
    pub(crate) timer: (Duration, u64),
}

impl Plan {
    /// Has what becomes available in its partitions wake it, or no more.
    pub(crate) fn each_watchers(&self, cluster: &mut Cluster, act: impl Fn(&mut BTreeSet<u64>)) {
        for &(topic, index) in &self.places {
            if let Some(name) = cluster.name_of(topic).map(str::to_owned)
                && let Some(partition) = cluster.partition_mut(&name, index)
            {
                act(&mut partition.watchers);
            }
        }
    }
}

/// What only version 2 says.
struct New {
    strict: bool,
    renews: bool,
}

fn read(version: i16, body: &Bytes) -> Option<(ShareFetchRequest, New)> {
    if version < RENEWS {
        let old = New {
            strict: false,
            renews: false,
        };
        return Some((decode(body, version)?, old));
    }
    let (old, new) = without_new_fields(api_key::SHARE_FETCH, body, 24, 2)?;
    let new = New {
        strict: new.first() == Some(&1),
        renews: new.get(1) != Some(&0),
    };
    Some((decode(&old, KNOWN)?, new))
}

pub(super) fn targets(core: &BrokerCore, node: i32, version: i16, body: &Bytes) -> Vec<Target> {
    let Some((request, _)) = read(version, body) else {
        return Vec::new();
    };
    let mut places = places(&request);
    if let (Some(group), Some(member)) = (&request.group_id, &request.member_id) {
        places.extend(core.share.session_partitions(node, group, member));
    }
    let name =
        |(topic, index): (Uuid, i32)| Some((core.cluster.name_of(topic)?.to_owned(), Some(index)));
    places.into_iter().filter_map(name).collect()
}

fn places(request: &ShareFetchRequest) -> Vec<(Uuid, i32)> {
    let each = |t: &kafka_protocol::messages::share_fetch_request::FetchTopic| {
        let id = t.topic_id;
        t.partitions
            .iter()
            .map(move |p| (id, p.partition_index))
            .collect::<Vec<_>>()
    };
    request.topics.iter().flat_map(each).collect()
}

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some((request, new)) = read(cx.version, &body) else {
        return Outcome::Close;
    };
    let failed = |code: ErrorCode, words: Option<String>| {
        let response = ShareFetchResponse::default()
            .with_throttle_time_ms(cx.effects.throttle_ms())
            .with_error_code(wire(code))
            .with_error_message(words.map(text));
        as_known(cx, &response)
    };
    let who = match member(
        cx,
        request.group_id.as_ref().map(|g| g.as_str()),
        request.member_id.as_ref().map(|m| m.as_str()),
    ) {
        Ok(who) => who,
        Err(refused) => return failed(refused.code, refused.message),
    };
    let mut said: BTreeMap<(Uuid, i32), Vec<Said>> = BTreeMap::new();
    for topic in &request.topics {
        for p in &topic.partitions {
            let batches = p
                .acknowledgement_batches
                .iter()
                .map(|b| (b.first_offset, b.last_offset, b.acknowledge_types.clone()));
            let batches: Vec<Said> = batches.collect();
            if !batches.is_empty() {
                said.insert((topic.topic_id, p.partition_index), batches);
            }
        }
    }
    let epoch = request.share_session_epoch;
    if epoch == INITIAL_EPOCH && !said.is_empty() {
        return failed(ErrorCode::INVALID_REQUEST, None);
    }
    let forgotten: Vec<(Uuid, i32)> = request
        .forgotten_topics_data
        .iter()
        .flat_map(|t| t.partitions.iter().map(|&p| (t.topic_id, p)))
        .collect();
    let session = core.share.session(
        cx.node,
        (&who.0, &who.1),
        epoch,
        Some(cx.conn),
        &places(&request),
        &forgotten,
    );
    if let Err(code) = session {
        return failed(code, None);
    }
    let results = acknowledge(core, cx, &who, &said, new.renews);
    let fetches = epoch != FINAL_EPOCH && !new.renews;
    let places = if fetches {
        core.share.session_partitions(cx.node, &who.0, &who.1)
    } else {
        Vec::new()
    };
    if epoch == FINAL_EPOCH {
        let freed = core.share.end_session(cx.node, &who.0, &who.1);
        core.wake(&freed);
    }
    for &(topic, index) in &places {
        // What is wrong with one is told with the answer.
        let _ = next(core, cx, &who.0, topic, index);
    }
    let count = |n: i32| usize::try_from(n).unwrap_or(0);
    let wait = u64::try_from(request.max_wait_ms).unwrap_or(0);
    let plan = Plan {
        who,
        wanted: Wanted {
            records: count(request.max_records).max(1),
            strict: new.strict,
            range: count(request.batch_size).max(1),
        },
        max_bytes: count(request.max_bytes) as u64,
        places,
        all: epoch == INITIAL_EPOCH,
        results,
        deadline: cx.now.mono + Duration::from_millis(wait),
        timer: Default::default(),
    };
    if plan.deadline > cx.now.mono && !plan.places.is_empty() && !is_ready(core, cx, &plan) {
        return Outcome::Park(super::Plan::Share(Box::new(plan)));
    }
    Outcome::Reply(respond(core, cx, plan))
}

/// The answer in the version that the encoders know, which differs in nothing.
fn as_known(cx: &Cx, response: &ShareFetchResponse) -> Outcome {
    let known = Cx {
        version: KNOWN,
        ..cx.clone()
    };
    reply(&known, response)
}

/// Whether there is anything to be had or to be told.
pub(crate) fn is_ready(core: &BrokerCore, cx: &Cx, plan: &Plan) -> bool {
    plan.places.iter().any(|&(topic, index)| {
        let Some(name) = core.cluster.name_of(topic) else {
            return true;
        };
        let key = (plan.who.0.clone(), topic, index);
        let (Some(share), Some(partition), Ok(())) = (
            core.share.partitions.get(&key),
            core.cluster.partition(name, index),
            check_leader(core, cx, name, index, -1),
        ) else {
            return true;
        };
        let options = core.share.options_of(&key.0);
        share
            .next(&options)
            .is_some_and(|offset| offset < readable(partition, &options))
    })
}

/// The offset before which a group may read.
fn readable(partition: &Partition, options: &ShareOptions) -> i64 {
    if options.read_committed {
        partition.last_stable_offset()
    } else {
        partition.log.end_offset()
    }
}

/// The topic's name and where to read next. The group's view of the partition begins when it is first asked for.
fn next(
    core: &mut BrokerCore,
    cx: &Cx,
    group: &str,
    topic: Uuid,
    index: i32,
) -> Result<(String, Option<i64>), ErrorCode> {
    let Some(name) = core.cluster.name_of(topic).map(str::to_owned) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    check_leader(core, cx, &name, index, -1)?;
    let Some(p) = core.cluster.partition(&name, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let share = &mut core.share;
    let options = share.options_of(group);
    let first = match options.reset {
        Reset::Earliest => p.log.start_offset(),
        Reset::Latest => readable(p, &options),
        Reset::Back(ms) => {
            let hit = p
                .log
                .find_timestamp(cx.now.wall_ms.saturating_sub(ms))
                .map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
            hit.map_or(readable(p, &options), |hit| hit.offset)
        }
    };
    let partition = share
        .partitions
        .entry((group.to_owned(), topic, index))
        .or_insert_with(|| SharePartition::new(first));
    partition.advance_to(p.log.start_offset());
    Ok((name, partition.next(&options)))
}

/// The answer as things are.
pub(crate) fn respond(core: &mut BrokerCore, cx: &Cx, mut plan: Plan) -> Vec<Bytes> {
    let mut left = plan.max_bytes;
    let mut wanted = plan.wanted;
    let mut topics: BTreeMap<Uuid, Vec<PartitionData>> = BTreeMap::new();
    let mut endpoints: BTreeMap<i32, NodeEndpoint> = BTreeMap::new();
    for &(topic, index) in &plan.places {
        let mut answer = PartitionData::default()
            .with_partition_index(index)
            .with_records(Some(Bytes::new()));
        let mut tells = plan.all;
        if wanted.records > 0 {
            match read_one(core, cx, &plan.who, (topic, index), wanted, left) {
                Ok((records, acquired)) => {
                    let records = perhaps_corrupt(core, cx, (topic, index), records);
                    left = left.saturating_sub(records.len() as u64);
                    let count: i64 = acquired.iter().map(|a| a.last - a.first + 1).sum();
                    wanted.records = wanted.records.saturating_sub(count as usize);
                    tells |= !acquired.is_empty();
                    answer.records = Some(records);
                    answer.acquired_records = acquired
                        .iter()
                        .map(|a| {
                            AcquiredRecords::default()
                                .with_first_offset(a.first)
                                .with_last_offset(a.last)
                                .with_delivery_count(a.deliveries)
                        })
                        .collect();
                }
                Err(code) => {
                    tells = true;
                    answer.error_code = wire(code);
                    if tells_leader(code) {
                        tell_leader(core, topic, index, &mut answer, &mut endpoints);
                    }
                }
            }
        }
        if let Some(result) = plan.results.remove(&(topic, index)) {
            tells = true;
            tell_result(result, &mut answer);
        }
        if tells {
            topics.entry(topic).or_default().push(answer);
        }
    }
    for ((topic, index), result) in plan.results {
        let mut answer = PartitionData::default()
            .with_partition_index(index)
            .with_records(Some(Bytes::new()));
        tell_result(result, &mut answer);
        topics.entry(topic).or_default().push(answer);
    }
    core.save_share_offsets();
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ShareFetchableTopicResponse::default()
            .with_topic_id(topic)
            .with_partitions(partitions)
    });
    let response = ShareFetchResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_acquisition_lock_timeout_ms(core.lock_ms(&plan.who.0))
        .with_responses(topics.collect())
        .with_node_endpoints(endpoints.into_values().collect());
    match as_known(cx, &response) {
        Outcome::Reply(parts) => parts,
        _ => Vec::new(),
    }
}

/// The records as a fault wants them.
fn perhaps_corrupt(
    core: &mut BrokerCore,
    cx: &Cx,
    (topic, index): (Uuid, i32),
    records: Bytes,
) -> Bytes {
    let name = core.cluster.name_of(topic).map(str::to_owned);
    if records.is_empty() || !name.is_some_and(|name| core.corrupts(cx, &name, index)) {
        return records;
    }
    let mut pieces = [records];
    flip_a_byte(&mut pieces);
    let [corrupt] = pieces;
    corrupt
}

fn tell_result(result: Result<(), crate::log::Refused>, answer: &mut PartitionData) {
    if let Err(refused) = result {
        answer.acknowledge_error_code = wire(refused.code);
        answer.acknowledge_error_message = refused.message.map(text);
    }
}

fn tell_leader(
    core: &BrokerCore,
    topic: Uuid,
    index: i32,
    answer: &mut PartitionData,
    endpoints: &mut BTreeMap<i32, NodeEndpoint>,
) {
    let partition = core
        .cluster
        .name_of(topic)
        .and_then(|name| core.cluster.partition(name, index));
    let Some(p) = partition else { return };
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

/// Records of one partition, whole batches, and which of them the member got.
fn read_one(
    core: &mut BrokerCore,
    cx: &Cx,
    (group, member): &(String, String),
    (topic, index): (Uuid, i32),
    wanted: Wanted,
    max_bytes: u64,
) -> Result<(Bytes, Vec<Acquired>), ErrorCode> {
    loop {
        let (name, Some(offset)) = next(core, cx, group, topic, index)? else {
            return Ok((Bytes::new(), Vec::new()));
        };
        let Some(p) = core.cluster.partition(&name, index) else {
            return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let mut parts = Vec::new();
        let options = core.share.options_of(group);
        let end = readable(p, &options);
        p.log
            .read(offset, end, max_bytes, true, &mut parts)
            .map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?;
        let bytes = Bytes::from(parts.concat());
        let headers = whole_batches(&bytes);
        if headers.is_empty() {
            return Ok((Bytes::new(), Vec::new()));
        }
        let aborted: Vec<i64> = headers
            .iter()
            .filter(|h| options.read_committed && p.producers.is_aborted(h))
            .map(|h| h.base_offset)
            .collect();
        let key = (group.clone(), topic, index);
        let share = &mut core.share;
        let Some(partition) = share.partitions.get_mut(&key) else {
            return Ok((Bytes::new(), Vec::new()));
        };
        let before = partition.next(&options);
        // Compaction has taken what lies between.
        partition.skip(offset, headers.first().map_or(offset, |h| h.base_offset));
        let never = |h: &BatchHeader| {
            h.attributes.is_control() || aborted.binary_search(&h.base_offset).is_ok()
        };
        let (acquired, behind) =
            partition.acquire(cx.now.mono, member, &headers, &never, wanted, &options);
        let after = partition.next(&options);
        share.watch_locks(&key);
        if !acquired.is_empty() {
            let first = acquired.first().map_or(0, |a| a.first);
            let sent: Vec<&BatchHeader> =
                headers.iter().filter(|h| h.base_offset < behind).collect();
            let skip: usize = sent
                .iter()
                .filter(|h| h.last_offset() < first)
                .map(|h| h.total_len())
                .sum();
            let len: usize = sent.iter().map(|h| h.total_len()).sum();
            return Ok((bytes.slice(skip..len), acquired));
        }
        // Nothing but markers: what lies behind them may be for the member.
        if after == before {
            return Ok((Bytes::new(), Vec::new()));
        }
    }
}

/// The headers of the batches that are there as a whole.
fn whole_batches(bytes: &Bytes) -> Vec<BatchHeader> {
    let mut headers = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= HEADER_LEN)
        && let Ok(Some(header)) = BatchHeader::parse(rest)
        && header.total_len() <= rest.len()
    {
        at += header.total_len();
        headers.push(header);
    }
    headers
}
