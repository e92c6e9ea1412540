//! TxnOffsetCommit: positions of a group that count if the producer's transaction is committed.

use kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestPartition;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::offset_commit::MAX_METADATA;
use super::{Cx, partitions_of, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::fault::Target;
use crate::core::groups::Committer;
use crate::core::offsets::Committed;
use crate::core::pending_offsets::Pending;
use crate::core::transaction_end::Joining;
use crate::core::transactions::Identity;

pub(super) fn targets(request: &TxnOffsetCommitRequest) -> Vec<Target> {
    let topics = request.topics.iter();
    let each = topics.map(|t| {
        (
            t.name.as_str(),
            t.partitions.iter().map(|p| p.partition_index),
        )
    });
    partitions_of(each)
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let response =
        TxnOffsetCommitResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let unknown = |core: &BrokerCore, topic: &str, p: &TxnOffsetCommitRequestPartition| {
        cx.effects
            .error(topic, Some(p.partition_index))
            .or_else(|| {
                core.cluster
                    .partition(topic, p.partition_index)
                    .is_none()
                    .then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            })
    };
    let any_known = request.topics.iter().any(|t| {
        t.partitions
            .iter()
            .any(|p| unknown(core, &t.name, p).is_none())
    });
    let joined = if any_known {
        join(core, cx, &request)
    } else {
        Ok(None)
    };
    let too_early = |core: &BrokerCore, topic: &str, p: &TxnOffsetCommitRequestPartition| {
        let epoch = joined.ok().flatten()?;
        let id = core.cluster.topic(topic).map_or(Uuid::nil(), |t| t.id);
        let (group, member) = (&request.group_id, &request.member_id);
        let may = core
            .groups
            .may_commit(group, member, epoch, id, p.partition_index);
        // This request knows generations only.
        may.is_err().then_some(ErrorCode::ILLEGAL_GENERATION)
    };
    let mut topics: Vec<TxnOffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for p in &topic.partitions {
            let code = unknown(core, &topic.name, p)
                .or(joined.err())
                .or_else(|| too_early(core, &topic.name, p))
                .unwrap_or_else(|| commit(core, cx, &request, &topic.name, p));
            partitions.push(
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(wire(code)),
            );
        }
        // A topic named twice is answered once.
        match topics.iter_mut().find(|t| t.name == topic.name) {
            Some(answered) => answered.partitions.extend(partitions),
            None => topics.push(
                TxnOffsetCommitResponseTopic::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions),
            ),
        }
    }
    core.save_topics();
    response.with_topics(topics)
}

fn producer(request: &TxnOffsetCommitRequest) -> Identity {
    Identity {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    }
}

/// `Some` epoch if only partitions may be committed that the member has held since then.
fn join(
    core: &mut BrokerCore,
    cx: &Cx,
    request: &TxnOffsetCommitRequest,
) -> Result<Option<i32>, ErrorCode> {
    let group = request.group_id.as_str();
    if group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    core.check_coordinator(cx, CoordinatorKind::Group, group)
        .map_err(|code| match code {
            // What older clients know for the same.
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS if cx.version < 2 => {
                ErrorCode::COORDINATOR_NOT_AVAILABLE
            }
            code => code,
        })?;
    let joining = match cx.version {
        ..=3 => Joining::Old,
        4 => Joining::Verify,
        _ => Joining::Add,
    };
    core.join_with_offsets(
        cx,
        &request.transactional_id,
        producer(request),
        group,
        joining,
    )?;
    let who = Committer {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id,
        in_transaction: true,
        knows_epochs: false,
    };
    core.groups.check_commit(cx.now.mono, cx.node, group, &who)
}

fn commit(
    core: &mut BrokerCore,
    cx: &Cx,
    request: &TxnOffsetCommitRequest,
    topic: &str,
    p: &TxnOffsetCommitRequestPartition,
) -> ErrorCode {
    let metadata = p
        .committed_metadata
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    if metadata.len() > MAX_METADATA {
        return ErrorCode::OFFSET_METADATA_TOO_LARGE;
    }
    let pending = Pending {
        group: request.group_id.to_string(),
        topic: topic.to_owned(),
        partition: p.partition_index,
        committed: Committed {
            offset: p.committed_offset,
            leader_epoch: if cx.version >= 2 {
                p.committed_leader_epoch
            } else {
                -1
            },
            metadata,
        },
        overtaken: false,
    };
    core.pending_offsets.add(producer(request), pending);
    ErrorCode::NONE
}
