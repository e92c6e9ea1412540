//! Records deleted from the front of a log, and where logs begin then; logs that are compacted.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use ottla::protocol::record::varint::{read_varint, read_varlong};
use ottla::protocol::record::{BatchHeader, verify_crc};

use super::batches;
use super::talk::{Talk, text, topic};

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
    produced(name, batches::keyed(pairs, 5).seal())
}

fn produced(name: &str, records: Bytes) -> ProduceRequest {
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
    t.ask(label, 11, &fetched(NAME, offset));
}

fn fetched(name: &str, offset: i64) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic(name))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(1 << 20)
        .with_min_bytes(0)
        .with_session_epoch(-1)
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

const CLEANED: &str = "conf-compact";

/// Sets how often logs are looked at, for all brokers; without a value as it was.
fn clean_every(t: &mut Talk, ms: Option<&str>) {
    let config = AlterableConfig::default()
        .with_name(text("log.cleaner.backoff.ms"))
        .with_config_operation(i8::from(ms.is_none()))
        .with_value(ms.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(t.quietly(1, &request).responses[0].error_code, 0);
}

/// What a log has become when it was compacted: batches, offsets, timestamps, what is left of producers.
pub(crate) fn compaction(t: &mut Talk) {
    clean_every(t, Some("100"));
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "20"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("delete.retention.ms", "600000"),
    ];
    t.make_topics(&[(CLEANED, 1)], &settings);
    let producer = t.producer_id();
    let numbered = |pairs: &[(Option<&str>, Option<&str>)], sequence| {
        batches::keyed(pairs, 5)
            .producer(producer, 0, sequence)
            .seal()
    };
    let (a, b, c, d) = (Some("a"), Some("b"), Some("c"), Some("d"));
    let one = Some("1");
    for records in [
        batches::keyed(&[(a, one), (b, one), (c, one)], 5).seal(),
        batches::keyed(&[(a, Some("2")), (d, one)], 6).seal(),
        numbered(&[(a, Some("3")), (b, Some("2"))], 0),
        numbered(&[(b, Some("3")), (b, Some("4"))], 2),
        batches::keyed(&[(c, None), (b, Some("5")), (c, Some("")), (c, None)], 7).seal(),
        batches::keyed(&[(d, None)], 8).seal(),
        batches::keyed(&[(d, Some("2")), (a, Some("3"))], 5).seal(),
    ] {
        t.quietly(9, &produced(CLEANED, records));
    }
    // Kafka begins a new segment by the records' timestamps, the embedded broker by its clock.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let last = batches::keyed(&[(a, Some("4"))], 5000).seal();
    t.quietly(9, &produced(CLEANED, last));
    let started = std::time::Instant::now();
    let log = loop {
        let log = read(t);
        // It may be done in steps; at the end the first batches are gone, and the tombstone at offset 13.
        if log.starts_with("7 ") && !log.contains("\n13 ") {
            break log;
        }
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "{log}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    t.write_down("a compacted log", &log);
    clean_every(t, None);
    t.remove_topics(&[CLEANED]);
}

/// The log as text, without what no two runs have in common.
fn read(t: &mut Talk) -> String {
    // Kafka answers from one segment at a time.
    let mut bytes = BytesMut::new();
    let mut next = 0;
    let partition = loop {
        let answer = t.quietly(11, &fetched(CLEANED, next));
        let partition = answer.responses[0].partitions[0].clone();
        let mut found = partition.records.clone().unwrap_or_default();
        bytes.extend_from_slice(&found);
        while let Ok(Some(h)) = BatchHeader::parse(&found) {
            next = h.last_offset() + 1;
            found.advance(h.total_len());
        }
        if next >= partition.high_watermark {
            break partition;
        }
    };
    let mut lines = Vec::new();
    while let Ok(Some(h)) = BatchHeader::parse(&bytes) {
        let batch = bytes.split_to(h.total_len());
        assert!(verify_crc(&batch).is_ok());
        let horizon = h.attributes.has_delete_horizon();
        let base = if horizon {
            "HORIZON".to_owned()
        } else {
            h.base_timestamp.to_string()
        };
        lines.push(format!(
            "{} +{} epoch {} attributes {:#x} base {base} max {} producer {} {} {} records {}",
            h.base_offset,
            h.last_offset_delta,
            h.partition_leader_epoch,
            h.attributes.0,
            h.max_timestamp,
            h.producer_id >= 0,
            h.producer_epoch,
            h.base_sequence,
            h.record_count,
        ));
        let mut at = 61;
        for _ in 0..h.record_count {
            lines.push(record(&batch, &mut at, &h));
        }
    }
    lines.push(format!(
        "start {} end {}",
        partition.log_start_offset, partition.high_watermark
    ));
    lines.join("\n")
}

fn record(batch: &[u8], at: &mut usize, h: &BatchHeader) -> String {
    let len = read_varint(batch, at).expect("a length");
    let end = *at + len as usize;
    *at += 1;
    let timestamp = h.base_timestamp + read_varlong(batch, at).expect("a timestamp");
    let offset = h.base_offset + i64::from(read_varint(batch, at).expect("an offset"));
    let mut part = || match usize::try_from(read_varint(batch, at).expect("a length")) {
        Ok(len) => {
            let text = String::from_utf8_lossy(&batch[*at..*at + len]).into_owned();
            *at += len;
            format!("{text:?}")
        }
        Err(_) => "null".to_owned(),
    };
    let (key, value) = (part(), part());
    *at = end;
    format!("  {offset} at {timestamp}: {key} {value}")
}
