//! Produce: one batch a partition, checked, appended, answered.

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
    TopicProduceResponse,
};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use ottla_base::error::ErrorCode;
use ottla_protocol::record::BatchHeader;

use super::{
    Cx, Outcome, broker_id, check_leader, decode, partitions_of, reply, tells_leader, text, wire,
};
use crate::core::BrokerCore;
use crate::core::fault::Target;
use crate::core::topics::Appended;
use crate::core::transaction_end::Joining;
use crate::core::transactions::Identity;
use crate::log::{ProducedBatch, Refused};

const ACKS_NONE: i16 = 0;
const ACKS_LEADER: i16 = 1;
const ACKS_ALL: i16 = -1;
/// From here on topics are named by id.
const BY_ID: i16 = 13;
/// A batch at least this long is worth keeping as received.
const SHARE_MIN: usize = 16 * 1024;

pub(super) fn targets(core: &BrokerCore, request: &ProduceRequest) -> Vec<Target> {
    let each = request.topic_data.iter().map(|topic| {
        let name = core.cluster.name_of(topic.topic_id).unwrap_or(&topic.name);
        (name, topic.partition_data.iter().map(|p| p.index))
    });
    partitions_of(each)
}

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some(request) = decode::<ProduceRequest>(&body, cx.version) else {
        return Outcome::Close;
    };
    let share = worth_sharing(&request, body.len());
    drop(body);
    let transaction = Transaction::of(&request, cx.version);
    let mut response = ProduceResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let mut failed = false;
    let mut leaders = BTreeSet::new();
    for topic in request.topic_data {
        let name = if cx.version >= BY_ID {
            core.cluster.name_of(topic.topic_id).map(str::to_owned)
        } else {
            Some(topic.name.to_string())
        };
        let mut partitions = Vec::with_capacity(topic.partition_data.len());
        for partition in topic.partition_data {
            let index = partition.index;
            let result = match &name {
                None => Err(ErrorCode::UNKNOWN_TOPIC_ID.into()),
                Some(name) => match &transaction {
                    Err(code) => Err(Failed::whole(*code)),
                    Ok(t) => produce(core, cx, request.acks, t.as_ref(), name, partition, share),
                },
            };
            failed |= result.is_err();
            let mut answer = answer(index, &result, cx.version);
            if let (Err(failed), Some(name)) = (&result, &name)
                && cx.version >= 10
                && tells_leader(failed.refused.code)
                && let Some(p) = core.cluster.partition(name, index)
            {
                leaders.insert(p.leader);
                answer.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(broker_id(p.leader))
                    .with_leader_epoch(p.leader_epoch);
            }
            partitions.push(answer);
        }
        response.responses.push(
            TopicProduceResponse::default()
                .with_name(topic.name)
                .with_topic_id(topic.topic_id)
                .with_partition_responses(partitions),
        );
    }
    if request.acks == ACKS_NONE {
        // The only way to tell a client that waits for no answer.
        return if failed {
            Outcome::Close
        } else {
            Outcome::Silent
        };
    }
    let endpoints = leaders
        .iter()
        .filter_map(|id| core.cluster.nodes.get(id))
        .map(|n| {
            NodeEndpoint::default()
                .with_node_id(broker_id(n.id))
                .with_host(text(&n.host))
                .with_port(i32::from(n.port))
        });
    response.node_endpoints = endpoints.collect();
    reply(cx, &response)
}

/// The transaction that a request writes for.
struct Transaction {
    id: String,
    joining: Joining,
}

impl Transaction {
    /// The transaction of a request with transactional records, if it has any.
    ///
    /// # Errors
    /// For the whole request: it names no transaction, or holds records of two producers.
    fn of(request: &ProduceRequest, version: i16) -> Result<Option<Transaction>, ErrorCode> {
        let batches = request
            .topic_data
            .iter()
            .flat_map(|t| &t.partition_data)
            .filter_map(|p| p.records.as_ref());
        let mut found: Option<Identity> = None;
        for producer in batches.filter_map(|records| Some(transactional(records)?.0)) {
            if found.is_some_and(|other| other != producer) {
                return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
            }
            found = Some(producer);
        }
        match (found, &request.transactional_id) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
            (Some(_), Some(id)) => Ok(Some(Transaction {
                id: id.to_string(),
                joining: match version {
                    ..=10 => Joining::Old,
                    11 => Joining::Verify,
                    _ => Joining::Add,
                },
            })),
        }
    }
}

/// Producer and sequence number of a batch of a transaction, as its header has them.
fn transactional(records: &Bytes) -> Option<(Identity, i32)> {
    let header = BatchHeader::parse(records).ok()??;
    let producer = Identity {
        id: header.producer_id,
        epoch: header.producer_epoch,
    };
    (header.attributes.is_transactional() && producer.id >= 0)
        .then_some((producer, header.base_sequence))
}

/// Keeping received bytes keeps the whole frame alive, so it is done where large batches are most of it.
fn worth_sharing(request: &ProduceRequest, frame_len: usize) -> bool {
    let batches = request
        .topic_data
        .iter()
        .flat_map(|t| &t.partition_data)
        .filter_map(|p| p.records.as_ref());
    let large: usize = batches
        .map(Bytes::len)
        .filter(|&len| len >= SHARE_MIN)
        .sum();
    large * 2 >= frame_len
}

/// What is answered for a partition that takes nothing: why, and where its log starts if that was looked at.
struct Failed {
    refused: Refused,
    log_start: i64,
    /// Of a batch that was written and is refused all the same, as Kafka tells it too.
    base_offset: i64,
}

impl Failed {
    /// Why a whole request is refused for its transaction.
    fn whole(code: ErrorCode) -> Self {
        if code == ErrorCode::INVALID_PRODUCER_ID_MAPPING {
            let words = "Transactional records contained more than one producer ID";
            return Refused::new(code, words).into();
        }
        code.into()
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Failed {
            refused,
            log_start: -1,
            base_offset: -1,
        }
    }
}

impl From<ErrorCode> for Failed {
    fn from(code: ErrorCode) -> Self {
        Refused::plain(code).into()
    }
}

fn produce(
    core: &mut BrokerCore,
    cx: &Cx,
    acks: i16,
    transaction: Option<&Transaction>,
    topic: &str,
    partition: PartitionProduceData,
    share: bool,
) -> Result<Appended, Failed> {
    let index = partition.index;
    if let Some(code) = cx.effects.error(topic, Some(index)) {
        return Err(code.into());
    }
    if core.cluster.partition(topic, index).is_none() {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.into());
    }
    let records = partition.records.unwrap_or_default();
    ProducedBatch::check_framing(&records, cx.version)?;
    if !matches!(acks, ACKS_NONE | ACKS_LEADER | ACKS_ALL) {
        return Err(ErrorCode::INVALID_REQUIRED_ACKS.into());
    }
    check_leader(core, cx, topic, index, -1)?;
    if let (Some(t), Some((producer, sequence))) = (transaction, transactional(&records)) {
        let place = (topic.to_owned(), index);
        core.join_transaction(cx, &t.id, producer, place, sequence, t.joining)?;
    }
    let log_start = core
        .cluster
        .partition(topic, index)
        .map_or(-1, |p| p.log.start_offset());
    let appended = append(core, cx, acks, topic, index, &records, share).map_err(|refused| {
        match refused.code {
            ErrorCode::MESSAGE_TOO_LARGE
            | ErrorCode::CORRUPT_MESSAGE
            | ErrorCode::KAFKA_STORAGE_ERROR => refused.into(),
            _ => Failed {
                log_start,
                ..refused.into()
            },
        }
    })?;
    match cx.effects.error_after(topic, index) {
        Some(code) => Err(Failed {
            log_start,
            base_offset: appended.base_offset,
            ..code.into()
        }),
        None => Ok(appended),
    }
}

fn append(
    core: &mut BrokerCore,
    cx: &Cx,
    acks: i16,
    topic: &str,
    index: i32,
    records: &Bytes,
    share: bool,
) -> Result<Appended, Refused> {
    let (Some(t), Some(p)) = (
        core.cluster.topic(topic),
        core.cluster.partition(topic, index),
    ) else {
        return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    // No more than there are replicas can be asked for.
    let wanted = t.config.min_insync_replicas.min(p.replicas.len());
    if acks == ACKS_ALL && core.cluster.in_sync(p).len() < wanted {
        return Err(Refused::plain(ErrorCode::NOT_ENOUGH_REPLICAS));
    }
    let batch = ProducedBatch::check(records, t.config.max_message_bytes)?;
    let share = share && batch.len() >= SHARE_MIN;
    core.append(cx.now, topic, index, batch, share)
}

fn answer(index: i32, result: &Result<Appended, Failed>, version: i16) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(index);
    match result {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time.unwrap_or(-1))
            .with_log_start_offset(appended.log_start),
        Err(Failed {
            refused,
            log_start,
            base_offset,
        }) => {
            let (words, records) = match version {
                // Versions before could not say so much.
                ..8 => (None, &[][..]),
                _ => (refused.message.clone(), refused.records.as_slice()),
            };
            let records = records.iter().map(|(place, words)| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(*place)
                    .with_batch_index_error_message(Some(text(words)))
            });
            answer
                .with_error_code(wire(refused.code))
                .with_base_offset(*base_offset)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(*log_start)
                .with_error_message(words.map(text))
                .with_record_errors(records.collect())
        }
    }
}
