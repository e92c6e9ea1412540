//! Records deleted from the front of a log, and where logs begin then.

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;

use super::batches;
use super::talk::{Talk, topic};

const NAME: &str = "conf-delete";
const COMPACTED: &str = "conf-delete-compacted";
const BOTH: &str = "conf-delete-both";

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(NAME, 2)], &[]);
    t.make_topics(&[(COMPACTED, 1)], &[("cleanup.policy", "compact")]);
    t.make_topics(&[(BOTH, 1)], &[("cleanup.policy", "compact,delete")]);
    for _ in 0..5 {
        produce(t, NAME);
    }
    produce(t, BOTH);
    let one = [(Some("a"), Some("1")), (None, Some("2")), (None, None)];
    t.ask("records without a key", 9, &records(COMPACTED, &one));
    delete(t);
    offsets(t);
    t.remove_topics(&[NAME, COMPACTED, BOTH]);
}

fn produce(t: &mut Talk, name: &str) {
    let pairs = [(Some("a"), Some("one")), (Some("b"), Some("two"))];
    let answer = t.quietly(9, &records(name, &pairs));
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

fn records(name: &str, pairs: &[(Option<&str>, Option<&str>)]) -> ProduceRequest {
    let records = batches::keyed(pairs, 5).seal();
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(topic(name))
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(vec![topic])
}

fn before(name: &str, partitions: &[(i32, i64)]) -> DeleteRecordsRequest {
    let one = |&(index, offset): &(i32, i64)| {
        DeleteRecordsPartition::default()
            .with_partition_index(index)
            .with_offset(offset)
    };
    let topic = DeleteRecordsTopic::default()
        .with_name(topic(name))
        .with_partitions(partitions.iter().map(one).collect());
    DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000)
}

fn delete(t: &mut Talk) {
    let sort = |r: &mut DeleteRecordsResponse| {
        r.topics.sort_by(|a, b| a.name.cmp(&b.name));
        for topic in &mut r.topics {
            topic.partitions.sort_by_key(|p| p.partition_index);
        }
    };
    for version in 0..=2 {
        let offset = 3 + i64::from(version);
        t.ask_sorted(
            "delete before",
            version,
            &before(NAME, &[(0, offset)]),
            sort,
        );
    }
    t.ask("delete before what is gone", 2, &before(NAME, &[(0, 1)]));
    t.ask("delete before nothing", 2, &before(NAME, &[(0, 0)]));
    t.ask("delete behind the end", 2, &before(NAME, &[(0, 11)]));
    t.ask("delete before -2", 2, &before(NAME, &[(0, -2)]));
    t.ask_sorted("delete of two", 2, &before(NAME, &[(0, 6), (1, 0)]), sort);
    t.ask_sorted(
        "delete of a stranger",
        2,
        &before(NAME, &[(0, 7), (9, 0)]),
        sort,
    );
    t.ask_sorted(
        "delete of one twice",
        2,
        &before(NAME, &[(0, 7), (0, 8)]),
        sort,
    );
    t.ask("delete of nothing", 2, &before("conf-unknown", &[(0, 0)]));
    t.ask("delete of a bad name", 2, &before("bad!", &[(0, 0)]));
    t.ask(
        "delete of a compacted topic",
        2,
        &before(COMPACTED, &[(0, 0)]),
    );
    t.ask(
        "delete of a topic of both kinds",
        2,
        &before(BOTH, &[(0, 1)]),
    );
    fetch(t, "fetch what was deleted", 2);
    fetch(t, "fetch from the new start", 9);
    t.ask("delete all", 2, &before(NAME, &[(0, -1)]));
    fetch(t, "fetch where all is deleted", 10);
    produce(t, NAME);
    fetch(t, "fetch behind what was deleted", 10);
}

fn fetch(t: &mut Talk, label: &str, offset: i64) {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic(NAME))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(1 << 20)
        .with_min_bytes(0)
        .with_session_epoch(-1);
    t.ask(label, 11, &request);
}

fn offsets(t: &mut Talk) {
    // For -3, the largest timestamp, Kafka 4.3 tells a record that was deleted.
    for timestamp in [-1, -2, -4, -5, 0] {
        t.ask(&format!("offset of {timestamp}"), 10, &list(timestamp));
    }
    // The messages of version 11 are those of version 10; what is new is the earliest offset that waits to be uploaded.
    for timestamp in [-1, -5, -6, -7] {
        t.ask_as(&format!("offset of {timestamp}"), 11, 10, &list(timestamp));
    }
    t.ask("offset of -6", 10, &list(-6));
}

fn list(timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(topic(NAME))
        .with_partitions(vec![partition]);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic])
}
