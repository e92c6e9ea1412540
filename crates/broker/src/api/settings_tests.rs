//! Settings that are changed and what they do; records that are deleted or compacted away; counts that are absurd.

use std::time::Duration;

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use ottla_protocol::compress::Codec;
use ottla_protocol::record::BatchHeader;

use super::describe_configs::{BROKER, GROUP, TOPIC};
use super::tests::{Bench, frame};
use super::text;
use crate::core::Action;
use crate::core::share::Reset;
use crate::log::test_batches::{batch, keyed};

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn set(bench: &mut Bench, kind: i8, resource: &str, pairs: &[(&str, &str)]) -> i16 {
    let configs = pairs.iter().map(|(key, value)| {
        AlterableConfig::default()
            .with_name(text(*key))
            .with_config_operation(0)
            .with_value(Some(text(*value)))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    bench.ask(1, 1, &request).responses[0].error_code
}

fn value(bench: &mut Bench, kind: i8, resource: &str, key: &str) -> String {
    let asked = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(resource))
        .with_configuration_keys(Some(vec![text(key)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![asked]);
    let answer = bench.ask(1, 4, &request);
    answer.results[0].configs[0]
        .value
        .clone()
        .unwrap()
        .to_string()
}

/// Produces; answers code and base offset.
fn produce(bench: &mut Bench, topic: &str, records: bytes::Bytes) -> (i16, i64) {
    let data = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(name(topic))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![topic]);
    let answer = bench.ask(1, 9, &request);
    let partition = &answer.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn plain(value: &[u8]) -> bytes::Bytes {
    batch(&[value], (-1, -1, -1), 1_000_000)
}

fn offsets(bench: &Bench, topic: &str) -> (i64, i64) {
    let log = &bench.core.cluster.partition(topic, 0).unwrap().log;
    (log.start_offset(), log.end_offset())
}

/// The batches of a partition, as they lie in its log.
fn batches(bench: &Bench, topic: &str) -> Vec<BatchHeader> {
    let log = &bench.core.cluster.partition(topic, 0).unwrap().log;
    let mut parts = Vec::new();
    let (from, to) = (log.start_offset(), log.end_offset());
    log.read(from, to, 1 << 30, true, &mut parts).unwrap();
    let bytes = parts.concat();
    let mut headers = Vec::new();
    let mut at = 0;
    while let Ok(Some(header)) = BatchHeader::parse(&bytes[at..]) {
        at += header.total_len();
        headers.push(header);
    }
    headers
}

/// Time goes by.
fn pass(bench: &mut Bench, seconds: u64) {
    bench.now.mono += Duration::from_secs(seconds);
    bench.now.wall_ms += seconds as i64 * 1000;
    let mut out = Vec::new();
    bench.core.tick(bench.now, &mut out);
}

#[test]
fn absurd_counts_of_partitions_are_refused() {
    let mut bench = Bench::new(3);
    bench.topic("t", 1);
    let new = |topic: &str, partitions, replicas| {
        CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas)
    };
    for topics in [
        vec![new("a", i32::MAX, 1)],
        vec![new("a", i32::MAX, 1), new("b", i32::MAX, 1)],
        vec![new("a", 10_001, i16::MAX)],
        vec![new("a", 5_001, 1), new("b", 5_000, -1)],
    ] {
        let request = CreateTopicsRequest::default().with_topics(topics);
        for topic in bench.ask(1, 7, &request).topics {
            assert_eq!(topic.error_code, 44, "{topic:?}");
        }
    }
    let request = CreateTopicsRequest::default().with_topics(vec![new("a", 1, i16::MAX)]);
    assert_eq!(bench.ask(1, 7, &request).topics[0].error_code, 38);
    let more = |topic: &str, count| {
        CreatePartitionsTopic::default()
            .with_name(name(topic))
            .with_count(count)
            .with_assignments(None)
    };
    for count in [i32::MAX, 10_002] {
        let request = CreatePartitionsRequest::default().with_topics(vec![more("t", count)]);
        assert_eq!(bench.ask(1, 3, &request).results[0].error_code, 44);
    }
    bench.topic("u", 1);
    let both = vec![more("t", 6_001), more("u", 6_001)];
    let request = CreatePartitionsRequest::default()
        .with_topics(both)
        .with_validate_only(true);
    let codes: Vec<i16> = bench
        .ask(1, 3, &request)
        .results
        .iter()
        .map(|r| r.error_code)
        .collect();
    assert_eq!(codes, [0, 44]);
    assert_eq!(bench.core.cluster.topic("t").unwrap().partitions.len(), 1);
}

#[test]
fn settings_of_a_topic_are_in_force_at_once() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    assert_eq!(produce(&mut bench, "t", plain(&[0; 60])).0, 0);
    assert_eq!(
        set(&mut bench, TOPIC, "t", &[("max.message.bytes", "100")]),
        0
    );
    assert_eq!(produce(&mut bench, "t", plain(&[0; 60])).0, 10);
    let settings = [
        ("max.message.bytes", "1000"),
        ("compression.type", "gzip"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    assert_eq!(set(&mut bench, TOPIC, "t", &settings), 0);
    bench.now.wall_ms += 7;
    assert_eq!(produce(&mut bench, "t", plain(&[0; 60])).0, 0);
    let last = *batches(&bench, "t").last().unwrap();
    assert_eq!(last.attributes.codec().unwrap(), Codec::Gzip);
    assert_eq!(last.max_timestamp, bench.now.wall_ms);
    assert!(last.total_len() < batches(&bench, "t")[0].total_len());
}

#[test]
fn settings_of_brokers_are_those_of_topics_that_have_none() {
    let mut bench = Bench::new(2);
    bench.topic("t", 1);
    assert_eq!(
        set(&mut bench, BROKER, "", &[("message.max.bytes", "100")]),
        0
    );
    assert_eq!(value(&mut bench, TOPIC, "t", "max.message.bytes"), "100");
    assert_eq!(produce(&mut bench, "t", plain(&[0; 60])).0, 10);
    assert_eq!(
        set(&mut bench, TOPIC, "t", &[("max.message.bytes", "1000")]),
        0
    );
    assert_eq!(produce(&mut bench, "t", plain(&[0; 60])).0, 0);
    bench.topic("later", 1);
    assert_eq!(produce(&mut bench, "later", plain(&[0; 60])).0, 10);
    assert_eq!(
        set(&mut bench, BROKER, "", &[("log.retention.ms", "5000")]),
        0
    );
    assert_eq!(value(&mut bench, TOPIC, "t", "retention.ms"), "5000");
    let address = value(&mut bench, BROKER, "1", "advertised.listeners");
    assert_eq!(address, "PLAINTEXT://host1:9001");
}

#[test]
fn settings_of_groups_are_in_force() {
    let mut bench = Bench::new(1);
    let settings = [
        ("share.auto.offset.reset", "earliest"),
        ("share.record.lock.duration.ms", "15000"),
        ("share.isolation.level", "read_committed"),
        ("consumer.heartbeat.interval.ms", "6000"),
    ];
    assert_eq!(set(&mut bench, GROUP, "g", &settings), 0);
    let options = bench.core.share.options_of("g");
    assert_eq!(
        (options.reset, options.lock, options.read_committed),
        (Reset::Earliest, Duration::from_secs(15), true)
    );
    assert_eq!(bench.core.share.options_of("other").reset, Reset::Latest);
    let beat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_member_id(text("m"))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(1000)
        .with_subscribed_topic_names(Some(vec![name("t")]))
        .with_topic_partitions(Some(vec![]));
    assert_eq!(bench.ask(1, 1, &beat).heartbeat_interval_ms, 6000);
    assert_eq!(
        set(
            &mut bench,
            GROUP,
            "g",
            &[("consumer.heartbeat.interval.ms", "7000")]
        ),
        0
    );
    let again = beat.with_member_id(text("n"));
    assert_eq!(bench.ask(1, 1, &again).heartbeat_interval_ms, 7000);
}

#[test]
fn records_are_deleted_by_request_in_every_version_and_by_age() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    for _ in 0..4 {
        produce(
            &mut bench,
            "t",
            batch(&[b"a", b"b"], (-1, -1, -1), 1_000_000),
        );
    }
    for (version, before) in [(0, 1), (1, 2), (2, 3)] {
        let partition = DeleteRecordsPartition::default().with_offset(before);
        let topic = DeleteRecordsTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
        let low = bench.ask(1, version, &request).topics[0].partitions[0].low_watermark;
        assert_eq!((low, offsets(&bench, "t")), (before, (before, 8)));
    }
    let held = |bench: &Bench| bench.core.cluster.partition("t", 0).unwrap().log.size();
    assert_eq!(bench.core.held_bytes, held(&bench));
    set(&mut bench, TOPIC, "t", &[("retention.ms", "600000")]);
    pass(&mut bench, 300);
    assert_eq!(offsets(&bench, "t"), (3, 8));
    pass(&mut bench, 301);
    assert_eq!(offsets(&bench, "t"), (8, 8));
    assert_eq!(bench.core.held_bytes, 0);
    assert_eq!(bench.core.deadline(), None, "an empty broker sleeps");
}

#[test]
fn a_compacted_topic_is_compacted_by_the_clock() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "1000"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("delete.retention.ms", "20000"),
    ];
    assert_eq!(set(&mut bench, TOPIC, "t", &settings), 0);
    assert_eq!(produce(&mut bench, "t", plain(b"v")).0, 87, "without a key");
    for (key, value) in [
        ("a", Some("1")),
        ("b", Some("1")),
        ("a", Some("2")),
        ("b", None),
    ] {
        assert_eq!(produce(&mut bench, "t", keyed(key, value)).0, 0);
    }
    bench.now.wall_ms += 1001;
    produce(&mut bench, "t", keyed("c", Some("1")));
    let left =
        |bench: &Bench| -> Vec<i64> { batches(bench, "t").iter().map(|h| h.base_offset).collect() };
    assert_eq!(left(&bench), [0, 1, 2, 3, 4]);
    pass(&mut bench, 15);
    assert_eq!(left(&bench), [2, 3, 4]);
    assert_eq!(offsets(&bench, "t"), (0, 5));
    pass(&mut bench, 15);
    assert_eq!(left(&bench), [2, 3, 4], "the tombstone is kept for a while");
    pass(&mut bench, 15);
    assert_eq!(left(&bench), [2, 4]);
    let size = bench.core.cluster.partition("t", 0).unwrap().log.size();
    assert_eq!(bench.core.held_bytes, size);
    // And at once, when asked to.
    produce(&mut bench, "t", keyed("c", Some("2")));
    assert!(bench.core.compact_topic(bench.now, "t").unwrap().is_ok());
    assert_eq!(left(&bench), [2, 5]);
    assert!(bench.core.compact_topic(bench.now, "none").is_none());
}

#[test]
fn share_offsets_are_told_with_the_lag() {
    let mut bench = Bench::new(1);
    let id = bench.topic("t", 1);
    for _ in 0..3 {
        produce(&mut bench, "t", plain(b"v"));
    }
    let partition = crate::core::share::partition::SharePartition::new(1);
    let key = ("g".to_owned(), id, 0);
    bench.core.share.partitions.insert(key, partition);
    bench
        .core
        .share
        .groups
        .insert("g".to_owned(), Default::default());
    let group =
        describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(None);
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
    let old = bench.ask(1, 0, &request);
    assert_eq!(old.groups[0].topics[0].partitions[0].start_offset, 1);
    let mut bytes = frame(0, &request).to_vec();
    bytes[3] = 1;
    let mut out = Vec::new();
    let conn = bench.conns[0];
    bench.core.frame(bench.now, conn, bytes.into(), &mut out);
    let [Action::Reply { parts, .. }] = out.as_slice() else {
        panic!("{out:?}")
    };
    let answer = parts.concat();
    // It is well-formed, and its lag lies between the leader's epoch and the code.
    ottla_protocol::schema::check(90, 1, ottla_protocol::schema::Kind::Response, &answer[9..])
        .unwrap();
    let epoch = old.groups[0].topics[0].partitions[0].leader_epoch;
    let lag = [&epoch.to_be_bytes()[..], &2i64.to_be_bytes(), &[0; 2]].concat();
    assert!(answer.windows(lag.len()).any(|w| w == lag), "{answer:?}");
}
