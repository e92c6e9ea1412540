//! One file per kind of request: decoded, answered, encoded.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod api_versions;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_producers;
mod describe_topic_partitions;
mod describe_transactions;
mod end_txn;
pub(crate) mod fetch;
mod fetch_response;
mod find_coordinator;
mod heartbeat;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
#[cfg(test)]
mod settings_tests;
mod share_acknowledge;
mod share_fetch;
mod share_groups;
mod share_offsets;
mod sync_group;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod tests;
mod txn_offset_commit;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages;
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request, StrBytes};
use ottla_base::error::ErrorCode;
use ottla_protocol::schema;

use super::core::cluster::Cluster;
use super::core::coordinators::CoordinatorKind;
use super::core::fault::Target;
use super::core::groups::Ticket;
use super::core::groups::answer::Answer;
use super::core::{BrokerCore, Cx};
use super::log::Refused;

/// The kinds of request the embedded broker answers, by Kafka's numbers.
pub mod api_key {
    #![allow(missing_docs)]
    pub const PRODUCE: i16 = 0;
    pub const FETCH: i16 = 1;
    pub const LIST_OFFSETS: i16 = 2;
    pub const METADATA: i16 = 3;
    pub const OFFSET_COMMIT: i16 = 8;
    pub const OFFSET_FETCH: i16 = 9;
    pub const FIND_COORDINATOR: i16 = 10;
    pub const JOIN_GROUP: i16 = 11;
    pub const HEARTBEAT: i16 = 12;
    pub const LEAVE_GROUP: i16 = 13;
    pub const SYNC_GROUP: i16 = 14;
    pub const DESCRIBE_GROUPS: i16 = 15;
    pub const LIST_GROUPS: i16 = 16;
    pub const API_VERSIONS: i16 = 18;
    pub const CREATE_TOPICS: i16 = 19;
    pub const DELETE_TOPICS: i16 = 20;
    pub const DELETE_RECORDS: i16 = 21;
    pub const INIT_PRODUCER_ID: i16 = 22;
    pub const OFFSET_FOR_LEADER_EPOCH: i16 = 23;
    pub const ADD_PARTITIONS_TO_TXN: i16 = 24;
    pub const ADD_OFFSETS_TO_TXN: i16 = 25;
    pub const END_TXN: i16 = 26;
    /// Among brokers only: no client sends it, but faults for it meet the markers of ending transactions, on the node
    /// that leads the marker's partition.
    pub const WRITE_TXN_MARKERS: i16 = 27;
    pub const TXN_OFFSET_COMMIT: i16 = 28;
    pub const DESCRIBE_CONFIGS: i16 = 32;
    pub const ALTER_CONFIGS: i16 = 33;
    pub const CREATE_PARTITIONS: i16 = 37;
    pub const DELETE_GROUPS: i16 = 42;
    pub const INCREMENTAL_ALTER_CONFIGS: i16 = 44;
    pub const OFFSET_DELETE: i16 = 47;
    pub const DESCRIBE_CLUSTER: i16 = 60;
    pub const DESCRIBE_PRODUCERS: i16 = 61;
    pub const DESCRIBE_TRANSACTIONS: i16 = 65;
    pub const LIST_TRANSACTIONS: i16 = 66;
    pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
    pub const CONSUMER_GROUP_DESCRIBE: i16 = 69;
    pub const GET_TELEMETRY_SUBSCRIPTIONS: i16 = 71;
    pub const PUSH_TELEMETRY: i16 = 72;
    pub const LIST_CONFIG_RESOURCES: i16 = 74;
    pub const DESCRIBE_TOPIC_PARTITIONS: i16 = 75;
    pub const SHARE_GROUP_HEARTBEAT: i16 = 76;
    pub const SHARE_GROUP_DESCRIBE: i16 = 77;
    pub const SHARE_FETCH: i16 = 78;
    pub const SHARE_ACKNOWLEDGE: i16 = 79;
    pub const DESCRIBE_SHARE_GROUP_OFFSETS: i16 = 90;
    pub const ALTER_SHARE_GROUP_OFFSETS: i16 = 91;
    pub const DELETE_SHARE_GROUP_OFFSETS: i16 = 92;
}

/// Kinds of request and the versions handled: what Kafka 4.3 has, as far as the decoders know it.
pub(super) const SUPPORTED: &[(i16, i16, i16)] = &[
    (api_key::PRODUCE, 3, 13),
    (api_key::FETCH, 4, 18),
    (api_key::LIST_OFFSETS, 1, 11),
    (api_key::METADATA, 0, 13),
    (api_key::OFFSET_COMMIT, 2, 10),
    (api_key::OFFSET_FETCH, 1, 10),
    (api_key::FIND_COORDINATOR, 0, 6),
    (api_key::JOIN_GROUP, 0, 9),
    (api_key::HEARTBEAT, 0, 4),
    (api_key::LEAVE_GROUP, 0, 5),
    (api_key::SYNC_GROUP, 0, 5),
    (api_key::DESCRIBE_GROUPS, 0, 6),
    (api_key::LIST_GROUPS, 0, 5),
    (api_key::API_VERSIONS, 0, 4),
    (api_key::CREATE_TOPICS, 2, 7),
    (api_key::DELETE_TOPICS, 1, 6),
    (api_key::DELETE_RECORDS, 0, 2),
    (api_key::INIT_PRODUCER_ID, 0, 5),
    (api_key::OFFSET_FOR_LEADER_EPOCH, 2, 4),
    (api_key::ADD_PARTITIONS_TO_TXN, 0, 5),
    (api_key::ADD_OFFSETS_TO_TXN, 0, 4),
    (api_key::END_TXN, 0, 5),
    (api_key::TXN_OFFSET_COMMIT, 0, 5),
    (api_key::DESCRIBE_CONFIGS, 1, 4),
    (api_key::ALTER_CONFIGS, 0, 2),
    (api_key::CREATE_PARTITIONS, 0, 3),
    (api_key::DELETE_GROUPS, 0, 2),
    (api_key::INCREMENTAL_ALTER_CONFIGS, 0, 1),
    (api_key::OFFSET_DELETE, 0, 0),
    (api_key::DESCRIBE_CLUSTER, 0, 2),
    (api_key::DESCRIBE_PRODUCERS, 0, 0),
    (api_key::DESCRIBE_TRANSACTIONS, 0, 0),
    (api_key::LIST_TRANSACTIONS, 0, 2),
    (api_key::CONSUMER_GROUP_HEARTBEAT, 0, 1),
    (api_key::CONSUMER_GROUP_DESCRIBE, 0, 1),
    (api_key::GET_TELEMETRY_SUBSCRIPTIONS, 0, 0),
    (api_key::PUSH_TELEMETRY, 0, 0),
    (api_key::LIST_CONFIG_RESOURCES, 0, 1),
    (api_key::DESCRIBE_TOPIC_PARTITIONS, 0, 0),
    (api_key::SHARE_GROUP_HEARTBEAT, 1, 1),
    (api_key::SHARE_GROUP_DESCRIBE, 1, 1),
    (api_key::SHARE_FETCH, 1, share_acknowledge::RENEWS),
    (api_key::SHARE_ACKNOWLEDGE, 1, share_acknowledge::RENEWS),
    (api_key::DESCRIBE_SHARE_GROUP_OFFSETS, 0, 1),
    (api_key::ALTER_SHARE_GROUP_OFFSETS, 0, 0),
    (api_key::DELETE_SHARE_GROUP_OFFSETS, 0, 0),
];

/// Those of the new group protocol, which an older Kafka does not have.
const OF_THE_NEW_GROUP_PROTOCOL: &[i16] = &[
    api_key::CONSUMER_GROUP_HEARTBEAT,
    api_key::CONSUMER_GROUP_DESCRIBE,
];

/// What comes of a request.
pub(crate) enum Outcome {
    /// These bytes, a whole frame with its length.
    Reply(Vec<Bytes>),
    /// Nothing is answered (`acks=0`).
    Silent,
    /// The bytes make no sense, or the protocol says so.
    Close,
    /// A fetch waits for data.
    Park(Plan),
    /// Other members of the group have to do something first.
    Wait(Ticket),
}

/// What waits for data.
pub(crate) enum Plan {
    Fetch(Box<fetch::Plan>),
    Share(Box<share_fetch::Plan>),
}

impl Plan {
    /// When it is answered whatever there is.
    pub(crate) fn deadline(&self) -> Duration {
        match self {
            Plan::Fetch(plan) => plan.deadline,
            Plan::Share(plan) => plan.deadline,
        }
    }

    /// Where the core keeps its timer.
    pub(crate) fn timer(&mut self) -> &mut (Duration, u64) {
        match self {
            Plan::Fetch(plan) => &mut plan.timer,
            Plan::Share(plan) => &mut plan.timer,
        }
    }

    /// Has appends to its partitions wake it.
    pub(crate) fn watch(&self, cluster: &mut Cluster, id: u64) {
        self.each_watchers(cluster, |watchers| {
            watchers.insert(id);
        });
    }

    /// Takes that back.
    pub(crate) fn unwatch(&self, cluster: &mut Cluster, id: u64) {
        self.each_watchers(cluster, |watchers| {
            watchers.remove(&id);
        });
    }

    fn each_watchers(&self, cluster: &mut Cluster, act: impl Fn(&mut BTreeSet<u64>)) {
        match self {
            Plan::Fetch(plan) => plan.each_watchers(cluster, act),
            Plan::Share(plan) => plan.each_watchers(cluster, act),
        }
    }

    /// Whether it is to be answered at once.
    pub(crate) fn is_ready(&self, core: &BrokerCore, cx: &Cx) -> bool {
        match self {
            Plan::Fetch(plan) => fetch::is_ready(core, cx, plan),
            Plan::Share(plan) => share_fetch::is_ready(core, cx, plan),
        }
    }

    /// The answer as things are.
    pub(crate) fn respond(self, core: &mut BrokerCore, cx: &Cx) -> Vec<Bytes> {
        match self {
            Plan::Fetch(plan) => fetch::respond(core, cx, *plan),
            Plan::Share(plan) => share_fetch::respond(core, cx, *plan),
        }
    }
}

/// The header of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// Where the body begins.
    body: usize,
}

impl Header {
    /// Reads the header; `None` if the bytes make no sense or the kind of request does not exist here.
    pub(crate) fn parse(frame: &[u8]) -> Option<Header> {
        let api_key = i16::from_be_bytes(*frame.first_chunk()?);
        let version = i16::from_be_bytes(*frame.get(2..)?.first_chunk()?);
        let correlation_id = i32::from_be_bytes(*frame.get(4..)?.first_chunk()?);
        let mut header = Header {
            api_key,
            version,
            correlation_id,
            body: frame.len(),
        };
        // Of an ApiVersions request of the future only what has always been there is read.
        if header.is_supported() || api_key != api_key::API_VERSIONS {
            header.body = schema::check_request_header(frame).ok()?.body;
        }
        Some(header)
    }

    fn is_supported(&self) -> bool {
        SUPPORTED
            .iter()
            .any(|&(key, min, max)| key == self.api_key && (min..=max).contains(&self.version))
    }
}

/// Carries out a request.
pub(crate) fn handle(core: &mut BrokerCore, cx: &Cx, header: &Header, frame: Bytes) -> Outcome {
    let hidden =
        !core.options.new_group_protocol && OF_THE_NEW_GROUP_PROTOCOL.contains(&header.api_key);
    if hidden || !header.is_supported() {
        return match header.api_key {
            api_key::API_VERSIONS => api_versions::unsupported(core, cx),
            _ => Outcome::Close,
        };
    }
    let body = frame.slice(header.body..);
    match header.api_key {
        api_key::PRODUCE => produce::handle(core, cx, body),
        api_key::FETCH => fetch::handle(core, cx, body),
        api_key::LIST_OFFSETS => run(core, cx, body, list_offsets::handle),
        api_key::METADATA => run(core, cx, body, metadata::handle),
        api_key::OFFSET_COMMIT => match offset_commit::read(core, cx.version, &body) {
            Some(request) => reply(cx, &offset_commit::handle(core, cx, request)),
            None => Outcome::Close,
        },
        api_key::OFFSET_FETCH => match offset_fetch::read(core, cx.version, &body) {
            Some(request) => reply(cx, &offset_fetch::handle(core, cx, request)),
            None => Outcome::Close,
        },
        api_key::FIND_COORDINATOR => run(core, cx, body, find_coordinator::handle),
        api_key::JOIN_GROUP => join_group::handle(core, cx, client_id(&frame), body),
        api_key::HEARTBEAT => run(core, cx, body, heartbeat::handle),
        api_key::LEAVE_GROUP => run(core, cx, body, leave_group::handle),
        api_key::SYNC_GROUP => sync_group::handle(core, cx, body),
        api_key::DESCRIBE_GROUPS => run(core, cx, body, describe_groups::handle),
        api_key::LIST_GROUPS => run(core, cx, body, list_groups::handle),
        api_key::API_VERSIONS => run(core, cx, body, api_versions::handle),
        api_key::CREATE_TOPICS => run(core, cx, body, create_topics::handle),
        api_key::DELETE_TOPICS => run(core, cx, body, delete_topics::handle),
        api_key::INIT_PRODUCER_ID => run(core, cx, body, init_producer_id::handle),
        api_key::OFFSET_FOR_LEADER_EPOCH => run(core, cx, body, offset_for_leader_epoch::handle),
        api_key::ADD_PARTITIONS_TO_TXN => run(core, cx, body, add_partitions_to_txn::handle),
        api_key::ADD_OFFSETS_TO_TXN => run(core, cx, body, add_offsets_to_txn::handle),
        api_key::END_TXN => run(core, cx, body, end_txn::handle),
        api_key::TXN_OFFSET_COMMIT => run(core, cx, body, txn_offset_commit::handle),
        api_key::DESCRIBE_PRODUCERS => run(core, cx, body, describe_producers::handle),
        api_key::DESCRIBE_TRANSACTIONS => run(core, cx, body, describe_transactions::handle),
        api_key::LIST_TRANSACTIONS => run(core, cx, body, list_transactions::handle),
        api_key::DESCRIBE_CONFIGS => run(core, cx, body, describe_configs::handle),
        api_key::ALTER_CONFIGS => run(core, cx, body, alter_configs::handle),
        api_key::INCREMENTAL_ALTER_CONFIGS => run(core, cx, body, alter_configs::incremental),
        api_key::DELETE_RECORDS => run(core, cx, body, delete_records::handle),
        api_key::LIST_CONFIG_RESOURCES => run(core, cx, body, list_config_resources::handle),
        api_key::CREATE_PARTITIONS => run(core, cx, body, create_partitions::handle),
        api_key::DELETE_GROUPS => run(core, cx, body, delete_groups::handle),
        api_key::OFFSET_DELETE => run(core, cx, body, offset_delete::handle),
        api_key::DESCRIBE_CLUSTER => run(core, cx, body, describe_cluster::handle),
        api_key::CONSUMER_GROUP_HEARTBEAT => {
            let client_id = client_id(&frame);
            run(core, cx, body, |core, cx, request| {
                consumer_group_heartbeat::handle(core, cx, client_id, request)
            })
        }
        api_key::CONSUMER_GROUP_DESCRIBE => run(core, cx, body, consumer_group_describe::handle),
        api_key::SHARE_GROUP_HEARTBEAT => {
            let client_id = client_id(&frame);
            run(core, cx, body, |core, cx, request| {
                share_groups::heartbeat(core, cx, client_id, request)
            })
        }
        api_key::SHARE_GROUP_DESCRIBE => run(core, cx, body, share_groups::describe),
        api_key::SHARE_FETCH => share_fetch::handle(core, cx, body),
        api_key::SHARE_ACKNOWLEDGE => share_acknowledge::handle(core, cx, body),
        api_key::DESCRIBE_SHARE_GROUP_OFFSETS => share_offsets::describe(core, cx, body),
        api_key::ALTER_SHARE_GROUP_OFFSETS => run(core, cx, body, share_offsets::alter),
        api_key::DELETE_SHARE_GROUP_OFFSETS => run(core, cx, body, share_offsets::delete),
        api_key::GET_TELEMETRY_SUBSCRIPTIONS => run(core, cx, body, telemetry::get),
        api_key::PUSH_TELEMETRY => run(core, cx, body, telemetry::push),
        api_key::DESCRIBE_TOPIC_PARTITIONS => {
            run(core, cx, body, describe_topic_partitions::handle)
        }
        _ => Outcome::Close,
    }
}

/// The topics and partitions a request names.
pub(crate) fn targets(core: &BrokerCore, node: i32, header: &Header, frame: &Bytes) -> Vec<Target> {
    if !header.is_supported() {
        return Vec::new();
    }
    let body = frame.slice(header.body..);
    let version = header.version;
    let found = match header.api_key {
        api_key::PRODUCE => decode(&body, version).map(|r| produce::targets(core, &r)),
        api_key::FETCH => decode(&body, version).map(|r| fetch::targets(core, node, version, &r)),
        api_key::LIST_OFFSETS => decode(&body, version).map(|r| list_offsets::targets(&r)),
        api_key::METADATA => decode(&body, version).map(|r| metadata::targets(core, &r)),
        api_key::OFFSET_COMMIT => {
            offset_commit::read(core, version, &body).map(|r| offset_commit::targets(&r))
        }
        api_key::OFFSET_FETCH => {
            offset_fetch::read(core, version, &body).map(|r| offset_fetch::targets(&r))
        }
        api_key::OFFSET_DELETE => decode(&body, version).map(|r| offset_delete::targets(&r)),
        api_key::CREATE_TOPICS => decode(&body, version).map(|r| create_topics::targets(&r)),
        api_key::DELETE_TOPICS => {
            decode(&body, version).map(|r| delete_topics::targets(core, version, &r))
        }
        api_key::OFFSET_FOR_LEADER_EPOCH => {
            decode(&body, version).map(|r| offset_for_leader_epoch::targets(&r))
        }
        api_key::ADD_PARTITIONS_TO_TXN => {
            decode(&body, version).map(|r| add_partitions_to_txn::targets(&r))
        }
        api_key::SHARE_FETCH => Some(share_fetch::targets(core, node, version, &body)),
        api_key::SHARE_ACKNOWLEDGE => Some(share_acknowledge::targets(core, version, &body)),
        api_key::TXN_OFFSET_COMMIT => {
            decode(&body, version).map(|r| txn_offset_commit::targets(&r))
        }
        api_key::DESCRIBE_PRODUCERS => {
            decode(&body, version).map(|r| describe_producers::targets(&r))
        }
        api_key::CREATE_PARTITIONS => {
            decode(&body, version).map(|r| create_partitions::targets(&r))
        }
        api_key::ALTER_CONFIGS => decode(&body, version).map(|r| alter_configs::targets(&r)),
        api_key::INCREMENTAL_ALTER_CONFIGS => {
            decode(&body, version).map(|r| alter_configs::incremental_targets(&r))
        }
        api_key::DELETE_RECORDS => decode(&body, version).map(|r| delete_records::targets(&r)),
        api_key::DESCRIBE_TOPIC_PARTITIONS => {
            decode(&body, version).map(|r| describe_topic_partitions::targets(&r))
        }
        _ => None,
    };
    found.unwrap_or_default()
}

/// The client's name for itself.
fn client_id(frame: &[u8]) -> &str {
    let header = schema::check_request_header(frame).ok();
    header.and_then(|h| h.client_id).unwrap_or_default()
}

/// The answer of a group to a request that waited for it.
pub(crate) fn group_answer(cx: &Cx, answer: Answer) -> Outcome {
    match answer {
        Answer::Joined(joined) => reply(cx, &join_group::response(cx, joined)),
        Answer::Synced(synced) => reply(cx, &sync_group::response(cx, synced)),
    }
}

/// The answer of a group to a request, now if it has one.
fn answer_or_wait(core: &mut BrokerCore, cx: &Cx, ticket: Ticket) -> Outcome {
    match core.groups.answers.take(ticket) {
        Some(answer) => group_answer(cx, answer),
        None => Outcome::Wait(ticket),
    }
}

/// The error for a group that this node does not coordinate, or that a fault asks for.
fn check_coordinator(core: &BrokerCore, cx: &Cx, group: &str) -> Result<(), ErrorCode> {
    match cx.effects.any_error() {
        Some(code) => Err(code),
        None => core.check_coordinator(cx, CoordinatorKind::Group, group),
    }
}

/// The same for requests in which a group must have a name.
fn check_group(core: &BrokerCore, cx: &Cx, group: &str) -> Result<(), ErrorCode> {
    if group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    check_coordinator(core, cx, group)
}

/// Decodes a body; `None` if it makes no sense.
fn decode<R: Request>(body: &Bytes, version: i16) -> Option<R> {
    let version = encoded_as(R::KEY, version);
    schema::decode_request(R::KEY, version, body.clone()).ok()
}

/// The newest version that the decoders know of those with the same messages: ListOffsets 11 only has one more special
/// timestamp than 10, DescribeShareGroupOffsets 1 has another answer, which `share_offsets` encodes.
fn encoded_as(key: i16, version: i16) -> i16 {
    match (key, version) {
        (api_key::LIST_OFFSETS, 11) => 10,
        (api_key::DESCRIBE_SHARE_GROUP_OFFSETS, 1) => 0,
        _ => version,
    }
}

fn run<R: Request>(
    core: &mut BrokerCore,
    cx: &Cx,
    body: Bytes,
    answer: impl FnOnce(&mut BrokerCore, &Cx, R) -> R::Response,
) -> Outcome {
    match decode::<R>(&body, cx.version) {
        Some(request) => {
            let response = answer(core, cx, request);
            reply(cx, &response)
        }
        None => Outcome::Close,
    }
}

/// Encodes an answer as one frame.
fn reply<T: Encodable + HeaderVersion>(cx: &Cx, response: &T) -> Outcome {
    let mut frame = start_frame(cx, T::header_version(cx.version));
    if response
        .encode(&mut frame, encoded_as(cx.api_key, cx.version))
        .is_err()
    {
        // The decoders and encoders cover every version advertised (a test tries them all).
        return Outcome::Close;
    }
    Outcome::Reply(vec![end_frame(frame, 0)])
}

/// A frame with room for its length, and the response header.
fn start_frame(cx: &Cx, header_version: i16) -> BytesMut {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_i32(0);
    frame.put_i32(cx.correlation_id);
    if header_version >= 1 {
        frame.put_u8(0);
    }
    frame
}

/// Writes the length of a frame whose first part this is; `more` bytes follow in other parts.
fn end_frame(mut frame: BytesMut, more: usize) -> Bytes {
    let len = (frame.len() - 4 + more) as u32;
    if let Some(room) = frame.first_chunk_mut::<4>() {
        *room = len.to_be_bytes();
    }
    frame.freeze()
}

/// A code as the wire has it.
fn wire(code: ErrorCode) -> i16 {
    code.0 as i16
}

/// What faults of the requests that name these partitions are about.
fn partitions_of<'t, I: IntoIterator<Item = i32>>(
    topics: impl Iterator<Item = (&'t str, I)>,
) -> Vec<Target> {
    let each = |(topic, partitions): (&'t str, I)| {
        let partitions = partitions.into_iter();
        partitions.map(move |index| (topic.to_owned(), Some(index)))
    };
    topics.flat_map(each).collect()
}

fn text(s: impl Into<String>) -> StrBytes {
    StrBytes::from_string(s.into())
}

/// The code and the words of what `result` says.
fn code_and_words<T>(result: &Result<T, Refused>) -> (i16, Option<StrBytes>) {
    match result {
        Ok(_) => (0, None),
        Err(refused) => (
            wire(refused.code),
            refused.message.clone().map(StrBytes::from_string),
        ),
    }
}

/// The error for a partition that this node does not lead, if so: Kafka checks existence, leadership, then the epoch
/// the client believes in (-1: it has no idea).
fn check_leader(
    core: &BrokerCore,
    cx: &Cx,
    topic: &str,
    index: i32,
    believed_epoch: i32,
) -> Result<(), ErrorCode> {
    if let Some(code) = cx.effects.error(topic, Some(index)) {
        return Err(code);
    }
    let Some(partition) = core.cluster.partition(topic, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    if believed_epoch >= 0 && believed_epoch != partition.leader_epoch {
        return Err(if believed_epoch < partition.leader_epoch {
            ErrorCode::FENCED_LEADER_EPOCH
        } else {
            ErrorCode::UNKNOWN_LEADER_EPOCH
        });
    }
    if partition.leader != cx.node {
        return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    }
    Ok(())
}

/// True for the errors after which the answer tells who leads.
fn tells_leader(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH
    )
}

/// Kafka's words for a request that can't be carried out as it is.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or \
                               the message was sent to an incompatible broker. See the broker logs for more details.";
/// All operations on a topic, as bits; without authorization everything is allowed.
const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// All operations on a group, as bits.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// All operations on the cluster, as bits.
const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

fn broker_id(id: i32) -> messages::BrokerId {
    messages::BrokerId(id)
}

fn topic_name(name: &str) -> messages::TopicName {
    messages::TopicName(text(name))
}
