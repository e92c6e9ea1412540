//! ListOffsets: where a log begins and ends, and which offset a time has.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, check_leader, partitions_of, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;
use crate::log::TimestampHit;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// The first offset that waits to be uploaded to remote storage.
const EARLIEST_PENDING_UPLOAD: i64 = -6;

pub(super) fn targets(request: &ListOffsetsRequest) -> Vec<Target> {
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
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut times: BTreeMap<(String, i32), u32> = BTreeMap::new();
    for (topic, partition) in targets(&request) {
        *times.entry((topic, partition.unwrap_or(-1))).or_default() += 1;
    }
    let topics = request.topics.iter().map(|topic| {
        let mut seen = BTreeSet::new();
        let partitions = topic
            .partitions
            .iter()
            .filter(|p| seen.insert(p.partition_index));
        let partitions = partitions.map(|p| {
            let twice = times
                .get(&(topic.name.to_string(), p.partition_index))
                .is_some_and(|&n| n > 1);
            let found = if twice {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                find(core, cx, &topic.name, p, request.isolation_level == 1)
            };
            answer(cx, p.partition_index, found)
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    ListOffsetsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(topics)
}

fn find(
    core: &BrokerCore,
    cx: &Cx,
    topic: &str,
    wanted: &ListOffsetsPartition,
    read_committed: bool,
) -> Result<TimestampHit, ErrorCode> {
    let index = wanted.partition_index;
    check_leader(core, cx, topic, index, wanted.current_leader_epoch)?;
    let Some(p) = core.cluster.partition(topic, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let none = TimestampHit {
        offset: -1,
        timestamp: -1,
        leader_epoch: -1,
    };
    let at = |offset| TimestampHit {
        offset,
        timestamp: -1,
        leader_epoch: p.log.epoch_at(offset).unwrap_or(-1),
    };
    // What older versions can't name.
    let newest_special = match cx.version {
        ..=6 => EARLIEST,
        7 => MAX_TIMESTAMP,
        8 => EARLIEST_LOCAL,
        9..=10 => LATEST_TIERED,
        _ => EARLIEST_PENDING_UPLOAD,
    };
    if wanted.timestamp < newest_special {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let end = if read_committed {
        p.last_stable_offset()
    } else {
        p.log.end_offset()
    };
    let hit = match wanted.timestamp {
        LATEST => Ok(Some(TimestampHit {
            leader_epoch: p.leader_epoch,
            ..at(end)
        })),
        EARLIEST | EARLIEST_LOCAL => Ok(Some(at(p.log.start_offset()))),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
        MAX_TIMESTAMP => p.log.find_max_timestamp(),
        timestamp => p.log.find_timestamp(timestamp),
    };
    let special = wanted.timestamp < 0 && wanted.timestamp != MAX_TIMESTAMP;
    Ok(hit
        .map_err(|_| ErrorCode::KAFKA_STORAGE_ERROR)?
        .filter(|hit| special || hit.offset < end)
        .unwrap_or(none))
}

fn answer(
    cx: &Cx,
    index: i32,
    found: Result<TimestampHit, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let answer = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Err(code) => answer
            .with_error_code(wire(code))
            .with_offset(-1)
            .with_timestamp(-1),
        Ok(hit) => {
            let mut answer = answer.with_offset(hit.offset).with_timestamp(hit.timestamp);
            if cx.version >= 4 {
                answer.leader_epoch = hit.leader_epoch;
            }
            answer
        }
    }
}
