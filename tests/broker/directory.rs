//! What is under a directory outlives the broker.

use std::path::{Path, PathBuf};

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use ottla::ErrorCode;
use ottla::broker::{Broker, BrokerOptions};
use ottla::protocol::record::{Attributes, BatchHeader};

use crate::talk::{Talk, text, topic};
use crate::{batches, client, fetch, good, produce, records, send, start};

/// An empty directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ottla-broker-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }

    fn broker(&self) -> Broker {
        start(BrokerOptions::new().directory(&self.0))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn topics_records_and_offsets_are_found_again() {
    let scratch = Scratch::new("again");
    let group = GroupId(text("group"));
    {
        let broker = scratch.broker();
        broker
            .create_topic("t", 2, &[("retention.ms", "12345")])
            .expect("a topic");
        let mut talk = client(&broker, 1);
        send(&mut talk, "t");
        send(&mut talk, "t");
        let partition = OffsetCommitRequestPartition::default()
            .with_committed_offset(3)
            .with_committed_metadata(Some(text("a\tb")));
        let committed = OffsetCommitRequestTopic::default()
            .with_name(topic("t"))
            .with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(group.clone())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![committed]);
        assert_eq!(
            talk.quietly(7, &request).topics[0].partitions[0].error_code,
            0
        );
    }
    let broker = scratch.broker();
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 4)));
    assert_eq!(broker.offsets("t", 1).expect("an answer"), Some((0, 0)));
    let mut talk = client(&broker, 1);
    assert_eq!(records(&mut talk, "t", 0).len(), good().len() * 2);
    assert_eq!(send(&mut talk, "t"), (0, 4));
    let asked = OffsetFetchRequestTopic::default()
        .with_name(topic("t"))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group)
        .with_topics(Some(vec![asked]));
    let found = talk.quietly(5, &request).topics[0].partitions[0].clone();
    assert_eq!(
        (
            found.committed_offset,
            found.metadata.as_ref().map(|m| m.as_str())
        ),
        (3, Some("a\tb"))
    );
}

#[test]
fn duplicates_are_known_after_a_restart() {
    let scratch = Scratch::new("duplicates");
    let numbered = |sequence| batches::batch(&["v"], 5).producer(0, 0, sequence).seal();
    let answer = |broker: &Broker, sequence| {
        let answer = client(broker, 1).quietly(9, &produce("t", 0, numbered(sequence)));
        let partition = &answer.responses[0].partition_responses[0];
        (partition.error_code, partition.base_offset)
    };
    {
        let broker = scratch.broker();
        broker.create_topic("t", 1, &[]).expect("a topic");
        assert_eq!(answer(&broker, 0), (0, 0));
        assert_eq!(answer(&broker, 1), (0, 1));
    }
    let broker = scratch.broker();
    assert_eq!(answer(&broker, 1), (0, 1), "a duplicate");
    assert_eq!(answer(&broker, 5).0, 45, "a gap");
    assert_eq!(answer(&broker, 2), (0, 2));
    let request = InitProducerIdRequest::default().with_transactional_id(None);
    assert_eq!(
        client(&broker, 1).quietly(4, &request).producer_id.0,
        1,
        "0 is taken"
    );
}

#[test]
fn a_write_that_was_cut_off_is_cut_away() {
    let scratch = Scratch::new("cut");
    {
        let broker = scratch.broker();
        broker.create_topic("t", 1, &[]).expect("a topic");
        let mut talk = client(&broker, 1);
        send(&mut talk, "t");
        send(&mut talk, "t");
    }
    let file = &segments(&scratch.0.join("t-0"))[0];
    let bytes = std::fs::read(file).expect("a file");
    std::fs::write(file, &bytes[..bytes.len() - 3]).expect("cut");
    let broker = scratch.broker();
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 2)));
    assert_eq!(send(&mut client(&broker, 1), "t"), (0, 2));
    assert_eq!(
        std::fs::metadata(file).expect("a file").len() as usize,
        bytes.len()
    );
}

#[test]
fn segments_roll_and_go_by_size() {
    let scratch = Scratch::new("roll");
    let broker = scratch.broker();
    let configs = [("segment.bytes", "1048576"), ("retention.bytes", "2000000")];
    broker.create_topic("t", 1, &configs).expect("a topic");
    let mut talk = client(&broker, 1);
    let value = "x".repeat(300_000);
    for i in 0..20 {
        let answer = talk.quietly(9, &produce("t", 0, batches::batch(&[&value], 5).seal()));
        assert_eq!(answer.responses[0].partition_responses[0].base_offset, i);
    }
    let (first, end) = broker
        .offsets("t", 0)
        .expect("an answer")
        .expect("a partition");
    assert_eq!((first % 3, end), (0, 20), "three batches fit a segment");
    assert!(
        (20 - first) * 300_000 >= 2_000_000,
        "retention keeps that much"
    );
    assert!(first >= 9, "and not much more: from {first}");
    let got = records(&mut talk, "t", end - 4);
    assert_eq!(got[..8], (end - 4).to_be_bytes());
    assert!(got.len() >= 3 * 300_000, "across two files");
    drop(broker);
    let broker = scratch.broker();
    assert_eq!(
        broker.offsets("t", 0).expect("an answer"),
        Some((first, end))
    );
    assert!(broker.delete_topic("t").expect("deleted"));
    assert!(!scratch.0.join("t-0").exists());
}

#[test]
fn a_file_that_makes_no_sense_is_named() {
    let scratch = Scratch::new("sense");
    std::fs::create_dir_all(&scratch.0).expect("a directory");
    std::fs::write(
        scratch.0.join("ottla-broker.state"),
        "ottla-broker\t1\nnonsense\n",
    )
    .expect("a file");
    let error = Broker::start(BrokerOptions::new().directory(&scratch.0)).expect_err("nonsense");
    assert_eq!(error.code(), ErrorCode::IO);
    assert!(error.message().contains("line 2"), "{error}");
}

#[test]
fn transactions_go_on_after_a_restart() {
    let scratch = Scratch::new("transactions");
    let id = TransactionalId(text("tx"));
    let initialize = |talk: &mut Talk| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = talk.quietly(4, &request);
        assert_eq!(answer.error_code, 0);
        (answer.producer_id.0, answer.producer_epoch)
    };
    let write = |talk: &mut Talk, (producer, epoch): (i64, i16)| {
        let records = batches::batch(&["one", "two"], 5)
            .producer(producer, epoch, 0)
            .change(|h| h.attributes = Attributes(0x10))
            .seal();
        let request = produce("t", 0, records).with_transactional_id(Some(id.clone()));
        let answer = talk.quietly(12, &request);
        assert_eq!(
            answer.responses[0].partition_responses[0].error_code, 0,
            "{answer:?}"
        );
    };
    let end = |talk: &mut Talk, (producer, epoch): (i64, i16), commit| {
        let request = EndTxnRequest::default()
            .with_transactional_id(id.clone())
            .with_producer_id(ProducerId(producer))
            .with_producer_epoch(epoch)
            .with_committed(commit);
        let answer = talk.quietly(5, &request);
        assert_eq!(answer.error_code, 0);
        (answer.producer_id.0, answer.producer_epoch)
    };
    let offset = TxnOffsetCommitRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![
            TxnOffsetCommitRequestPartition::default().with_committed_offset(7),
        ]);
    // Last stable offset, bytes to be read, first offsets of what was aborted.
    let committed = |talk: &mut Talk| {
        let request = fetch("t", 0, 0).with_isolation_level(1);
        let answer = talk.quietly(11, &request);
        let p = answer.responses[0].partitions[0].clone();
        let aborted = p.aborted_transactions.unwrap_or_default();
        let aborted: Vec<i64> = aborted.iter().map(|a| a.first_offset).collect();
        (
            p.last_stable_offset,
            p.records.unwrap_or_default().len(),
            aborted,
        )
    };
    let position = |talk: &mut Talk| {
        let asked = OffsetFetchRequestTopic::default()
            .with_name(topic("t"))
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text("group")))
            .with_topics(Some(vec![asked]))
            .with_require_stable(true);
        let p = talk.quietly(7, &request).topics[0].partitions[0].clone();
        (p.committed_offset, p.error_code)
    };
    let (producer, before) = {
        let broker = scratch.broker();
        broker.create_topic("t", 1, &[]).expect("a topic");
        let mut talk = client(&broker, 1);
        let mut producer = initialize(&mut talk);
        write(&mut talk, producer);
        producer = end(&mut talk, producer, false);
        write(&mut talk, producer);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id.clone())
            .with_group_id(GroupId(text("group")))
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_topics(vec![offset]);
        let answer = talk.quietly(5, &request);
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        (producer, committed(&mut talk))
    };
    assert_eq!((before.0, &before.2), (3, &vec![0]));
    let broker = scratch.broker();
    let mut talk = client(&broker, 1);
    assert_eq!(committed(&mut talk), before);
    assert_eq!(position(&mut talk), (-1, 88));
    let producer = end(&mut talk, producer, true);
    assert_eq!(committed(&mut talk).0, 6);
    assert_eq!(position(&mut talk), (7, 0));
    write(&mut talk, producer);
    end(&mut talk, producer, true);
    assert_eq!(committed(&mut talk).0, 9);
    assert!(initialize(&mut talk).1 > producer.1);
}

#[test]
fn members_of_an_earlier_run_are_told_to_join_again() {
    let scratch = Scratch::new("members");
    let beat = |epoch| {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text("group")))
            .with_member_id(text("member"))
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(60_000)
            .with_subscribed_topic_names(Some(vec![topic("t")]))
            .with_topic_partitions(Some(vec![]))
    };
    let epoch = {
        let broker = scratch.broker();
        broker.create_topic("t", 1, &[]).expect("a topic");
        let mut talk = client(&broker, 1);
        let joined = talk.quietly(1, &beat(0));
        assert_eq!(joined.error_code, 0);
        joined.member_epoch
    };
    let broker = scratch.broker();
    let mut talk = client(&broker, 1);
    let told = talk.quietly(1, &beat(epoch));
    assert_eq!(i32::from(told.error_code), ErrorCode::UNKNOWN_MEMBER_ID.0);
    assert_eq!(talk.quietly(1, &beat(0)).error_code, 0);
    let stranger = beat(epoch).with_group_id(GroupId(text("other")));
    let told = talk.quietly(1, &stranger);
    assert_eq!(i32::from(told.error_code), ErrorCode::GROUP_ID_NOT_FOUND.0);
}

/// The message of the error that starting on `path` is.
fn refused(path: &Path) -> String {
    let error = Broker::start(BrokerOptions::new().directory(path)).expect_err("an error");
    assert_eq!(error.code(), ErrorCode::IO);
    error.message().to_owned()
}

#[test]
fn a_directory_is_one_brokers_own() {
    let scratch = Scratch::new("own");
    let first = scratch.broker();
    first.create_topic("t", 1, &[]).expect("a topic");
    let message = refused(&scratch.0);
    let path = scratch.0.display().to_string();
    assert!(
        message.contains(&path) && message.contains("another broker"),
        "{message}"
    );
    send(&mut client(&first, 1), "t");
    drop(first);
    let again = scratch.broker();
    assert_eq!(again.offsets("t", 0).expect("an answer"), Some((0, 2)));
}

#[test]
fn a_directory_that_can_not_be_made_is_an_error_at_the_start() {
    let scratch = Scratch::new("unmade");
    std::fs::write(&scratch.0, "a file").expect("a file");
    let inside = scratch.0.join("below");
    let message = refused(&inside);
    assert!(message.contains(&inside.display().to_string()), "{message}");
    let message = refused(&scratch.0);
    assert!(
        message.contains(&scratch.0.display().to_string()),
        "{message}"
    );
    std::fs::remove_file(&scratch.0).expect("removed");
}

/// A directory with a topic of four batches of two records, and the file they are in.
fn four_batches(scratch: &Scratch) -> (PathBuf, Vec<u8>) {
    let broker = scratch.broker();
    broker.create_topic("t", 1, &[]).expect("a topic");
    let mut talk = client(&broker, 1);
    for _ in 0..4 {
        send(&mut talk, "t");
    }
    drop(broker);
    let file = segments(&scratch.0.join("t-0"))[0].clone();
    let bytes = std::fs::read(&file).expect("a file");
    (file, bytes)
}

#[test]
fn damage_in_the_middle_of_a_log_is_refused_and_nothing_is_cut() {
    let scratch = Scratch::new("damage");
    let (file, bytes) = four_batches(&scratch);
    let batch = bytes.len() / 4;
    let changed = |at: usize, with: &[u8]| {
        let mut changed = bytes.clone();
        changed[at..at + with.len()].copy_from_slice(with);
        changed
    };
    let without_the_second = [&bytes[..batch], &bytes[2 * batch..]].concat();
    for (what, damaged) in [
        ("a byte of a record", changed(batch + 70, &[0xff])),
        ("its length", changed(batch + 8, &[0x7f, 0, 0, 0])),
        ("a length of nothing", changed(batch + 8, &[0; 4])),
        ("its whole header", changed(batch, &[0; 61])),
        ("its offset", changed(batch, &99i64.to_be_bytes())),
        ("a batch that is missing", without_the_second),
    ] {
        std::fs::write(&file, &damaged).expect("written");
        let message = refused(&scratch.0);
        assert!(
            message.contains(&file.display().to_string())
                && message.contains(&format!("damaged at byte {batch} (offset 2)"))
                && message.contains("cut it at byte"),
            "{what}: {message}"
        );
        let now = std::fs::read(&file).expect("a file");
        assert_eq!(now, damaged, "{what}: nothing was cut");
    }
    // Cut where the error says, it goes on.
    std::fs::write(&file, &bytes[..batch]).expect("cut");
    let broker = scratch.broker();
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 2)));
}

#[test]
fn what_was_being_written_last_is_cut_away_however_it_is_broken() {
    let scratch = Scratch::new("tail");
    let (file, bytes) = four_batches(&scratch);
    let batch = bytes.len() / 4;
    let mut wrong = bytes.clone();
    wrong[3 * batch + 70] ^= 0xff;
    let zeroes = [&bytes[..3 * batch], &[0; 5000][..]].concat();
    for broken in [wrong, zeroes, bytes[..3 * batch + 5].to_vec()] {
        std::fs::write(&file, &broken).expect("written");
        let broker = scratch.broker();
        assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 6)));
        drop(broker);
        let now = std::fs::read(&file).expect("a file");
        assert_eq!(now, bytes[..3 * batch]);
    }
}

#[test]
fn a_file_that_is_missing_or_cut_in_the_middle_is_refused() {
    let scratch = Scratch::new("missing");
    {
        let broker = scratch.broker();
        let configs = [("segment.bytes", "1048576")];
        broker.create_topic("t", 1, &configs).expect("a topic");
        let mut talk = client(&broker, 1);
        let value = "x".repeat(600_000);
        for _ in 0..3 {
            talk.quietly(9, &produce("t", 0, batches::batch(&[&value], 5).seal()));
        }
    }
    let files = segments(&scratch.0.join("t-0"));
    assert_eq!(files.len(), 3);
    let middle = std::fs::read(&files[1]).expect("a file");
    std::fs::remove_file(&files[1]).expect("removed");
    let message = refused(&scratch.0);
    assert!(
        message.contains(&files[2].display().to_string()) && message.contains("where 1 is due"),
        "{message}"
    );
    std::fs::write(&files[1], &middle[..middle.len() - 1]).expect("cut");
    let message = refused(&scratch.0);
    assert!(
        message.contains(&files[1].display().to_string()) && message.contains("more files follow"),
        "{message}"
    );
    std::fs::write(&files[1], &middle).expect("restored");
    let broker = scratch.broker();
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((0, 3)));
}

#[test]
fn settings_deleted_records_and_compaction_outlive_the_broker() {
    let scratch = Scratch::new("settings");
    let one = |key, value| batches::keyed(&[(Some(key), value)], 5).seal();
    let offsets_of = |bytes: &[u8]| -> Vec<i64> {
        let mut offsets = Vec::new();
        let mut at = 0;
        while let Ok(Some(header)) = BatchHeader::parse(&bytes[at..]) {
            offsets.push(header.base_offset);
            at += header.total_len();
        }
        offsets
    };
    {
        let broker = scratch.broker();
        broker
            .create_topic("t", 1, &[("cleanup.policy", "compact,delete")])
            .expect("a topic");
        let mut talk = client(&broker, 1);
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
            talk.quietly(9, &produce("t", 0, one(key, Some(value))));
        }
        broker.compact_topic("t").expect("compacted");
        assert_eq!(offsets_of(&records(&mut talk, "t", 0)), [1, 2, 3]);
        let partition = DeleteRecordsPartition::default().with_offset(2);
        let deleted = DeleteRecordsTopic::default()
            .with_name(topic("t"))
            .with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![deleted]);
        let answer = talk.quietly(2, &request);
        assert_eq!(answer.topics[0].partitions[0].low_watermark, 2);
        for (kind, name, key, value) in [
            (2, "t", "retention.ms", "123456789"),
            (4, "", "message.max.bytes", "5000"),
            (32, "g", "share.auto.offset.reset", "earliest"),
        ] {
            let config = AlterableConfig::default()
                .with_name(text(key))
                .with_value(Some(text(value)));
            let resource = AlterConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configs(vec![config]);
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            assert_eq!(talk.quietly(1, &request).responses[0].error_code, 0);
        }
    }
    let broker = scratch.broker();
    let mut talk = client(&broker, 1);
    assert_eq!(broker.offsets("t", 0).expect("an answer"), Some((2, 4)));
    assert_eq!(offsets_of(&records(&mut talk, "t", 2)), [2, 3]);
    for (kind, name, key, value) in [
        (2, "t", "retention.ms", "123456789"),
        (2, "t", "max.message.bytes", "5000"),
        (32, "g", "share.auto.offset.reset", "earliest"),
    ] {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(Some(vec![text(key)]));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
        let answer = talk.quietly(4, &request);
        let told = answer.results[0].configs[0].value.as_ref();
        assert_eq!(told.map(|v| v.as_str()), Some(value), "{key}");
    }
}

#[test]
fn compacting_what_is_not_to_be_compacted_is_an_error() {
    let broker = start(BrokerOptions::new());
    broker.create_topic("t", 1, &[]).expect("a topic");
    for (name, why) in [("t", "cleanup.policy is delete"), ("none", "no such topic")] {
        let error = broker.compact_topic(name).expect_err("an error");
        assert_eq!(error.code(), ErrorCode::INVALID_ARGUMENT);
        assert!(error.message().contains(why), "{error}");
    }
}
