//! DeleteRecords: a log begins later from now on.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, check_leader, partitions_of, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;

/// In place of an offset: the high watermark.
const ALL: i64 = -1;
/// What is told of a log's start where nothing is done.
const NO_OFFSET: i64 = -1;

pub(super) fn targets(request: &DeleteRecordsRequest) -> Vec<Target> {
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
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    // Of a partition that is named twice the last word counts.
    let mut wanted: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    for topic in &request.topics {
        let partitions = wanted.entry(topic.name.to_string()).or_default();
        partitions.extend(
            topic
                .partitions
                .iter()
                .map(|p| (p.partition_index, p.offset)),
        );
    }
    let mut deleted = false;
    let mut topics = Vec::with_capacity(wanted.len());
    for (name, partitions) in wanted {
        let mut results = Vec::with_capacity(partitions.len());
        for (index, offset) in partitions {
            let result = delete(core, cx, &name, index, offset);
            deleted |= result.is_ok();
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
            results.push(match result {
                Ok(low) => answer.with_low_watermark(low),
                Err(code) => answer
                    .with_low_watermark(NO_OFFSET)
                    .with_error_code(wire(code)),
            });
        }
        topics.push(
            DeleteRecordsTopicResult::default()
                .with_name(super::topic_name(&name))
                .with_partitions(results),
        );
    }
    if deleted {
        core.save_topics();
    }
    DeleteRecordsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(topics)
}

/// Answers where the log begins then.
fn delete(
    core: &mut BrokerCore,
    cx: &Cx,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    check_leader(core, cx, topic, index, -1)?;
    let keeps_all = core
        .cluster
        .topic(topic)
        .is_some_and(|t| !t.config.deletes_records());
    if keeps_all {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let Some(partition) = core.cluster.partition_mut(topic, index) else {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let offset = match offset {
        ALL => partition.log.end_offset(),
        offset => offset,
    };
    if !(0..=partition.log.end_offset()).contains(&offset) {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    let freed = partition.log.delete_before(offset);
    let low = partition.log.start_offset();
    core.woken.extend(&partition.watchers);
    core.held_bytes -= freed;
    Ok(low)
}
