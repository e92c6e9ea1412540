//! Offsets by time and by leader epoch, and those that groups commit.

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use ottla::memory::PoolBuf;
use ottla::protocol::compress::{Codec, compress};
use ottla::protocol::record::Attributes;

use super::batches::batch;
use super::talk::{Talk, text, topic};

const THEN: i64 = 1_600_000_000_000;
const NAME: &str = "conf-offsets";

pub(crate) fn cases(t: &mut Talk) {
    t.make_topics(&[(NAME, 3)], &[]);
    t.make_topics(
        &[("conf-stamp", 1)],
        &[("message.timestamp.type", "LogAppendTime")],
    );
    append(t, NAME, 0, batch(&["a", "b", "c"], THEN).seal());
    append(t, NAME, 0, packed(&["d", "e", "f"], THEN + 100));
    append(t, NAME, 0, batch(&["late"], THEN - 100).seal());
    append(t, "conf-stamp", 0, batch(&["a", "b"], THEN).seal());
    list(t);
    leader_epochs(t);
    commit(t);
    t.remove_topics(&[NAME, "conf-stamp"]);
}

fn packed(values: &[&str], timestamp: i64) -> Bytes {
    let mut plain = batch(values, timestamp).change(|h| h.attributes = Attributes(1));
    let mut body = PoolBuf::with_capacity(1000);
    compress(Codec::Gzip, None, &plain.body, &mut body).expect("gzip");
    let body = body.share().to_vec();
    plain.header.batch_length += body.len() as i32 - plain.body.len() as i32;
    plain.body = body;
    plain.seal()
}

fn append(t: &mut Talk, name: &str, partition: i32, records: Bytes) {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = TopicProduceData::default()
        .with_name(topic(name))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![topic]);
    assert_eq!(
        t.quietly(9, &request).responses[0].partition_responses[0].error_code,
        0
    );
}

fn when(partition: i32, timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(timestamp)
}

fn ask(name: &str, partitions: Vec<ListOffsetsPartition>) -> ListOffsetsRequest {
    let topic = ListOffsetsTopic::default()
        .with_name(topic(name))
        .with_partitions(partitions);
    ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic])
}

fn list(t: &mut Talk) {
    for version in 1..=10 {
        for special in [-1, -2, -3, -4, -5] {
            t.ask(
                &format!("offset at {special}"),
                version,
                &ask(NAME, vec![when(0, special)]),
            );
        }
        t.ask(
            "offset of a time",
            version,
            &ask(NAME, vec![when(0, THEN + 1)]),
        );
    }
    t.ask("offset at -9", 9, &ask(NAME, vec![when(0, -9)]));
    for after in [-200, -100, -50, 0, 1, 2, 3, 100, 101, 102, 103] {
        t.ask(
            &format!("offset of a time {after} ms on"),
            7,
            &ask(NAME, vec![when(0, THEN + after)]),
        );
    }
    for special in [-1, -2, -3, -4, -5, 0] {
        t.ask(
            &format!("offset at {special} of an empty partition"),
            9,
            &ask(NAME, vec![when(1, special)]),
        );
    }
    let committed = ask(NAME, vec![when(0, -1)]).with_isolation_level(1);
    t.ask("last stable offset", 7, &committed);
    let stamped = t.quietly(7, &ask("conf-stamp", vec![when(0, 0)]));
    t.write_down(
        "offset of a time where the broker stamps",
        &format!("{}", stamped.topics[0].partitions[0].offset),
    );
    let stamped = t.quietly(7, &ask("conf-stamp", vec![when(0, -3)]));
    t.write_down(
        "latest time where the broker stamps",
        &format!("{}", stamped.topics[0].partitions[0].offset),
    );
    t.ask(
        "offset of an unknown partition",
        7,
        &ask(NAME, vec![when(7, -1)]),
    );
    t.ask(
        "offset of an unknown topic",
        7,
        &ask("conf-unknown", vec![when(0, -1)]),
    );
    t.ask(
        "offsets of one partition twice",
        7,
        &ask(NAME, vec![when(0, -1), when(0, -2), when(1, -1)]),
    );
    for epoch in [0, 1] {
        t.ask(
            &format!("offset believing in epoch {epoch}"),
            7,
            &ask(NAME, vec![when(0, -1).with_current_leader_epoch(epoch)]),
        );
    }
    t.ask(
        "offsets of nothing",
        7,
        &ListOffsetsRequest::default().with_replica_id(BrokerId(-1)),
    );
}

fn leader_epochs(t: &mut Talk) {
    let ask = |name: &str, partition: i32, current: i32, epoch: i32| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic(name))
            .with_partitions(vec![partition]);
        OffsetForLeaderEpochRequest::default().with_topics(vec![topic])
    };
    for version in 2..=4 {
        t.ask("end of epoch 0", version, &ask(NAME, 0, -1, 0));
        t.ask("end of epoch 1", version, &ask(NAME, 0, -1, 1));
        t.ask(
            "end of epoch 0, believing in 1",
            version,
            &ask(NAME, 0, 1, 0),
        );
    }
    t.ask("end of epoch -1", 4, &ask(NAME, 0, -1, -1));
    t.ask("end of epoch 0, empty", 4, &ask(NAME, 1, 0, 0));
    t.ask(
        "end of epoch 0 of an unknown partition",
        4,
        &ask(NAME, 9, -1, 0),
    );
    t.ask(
        "end of epoch 0 of an unknown topic",
        4,
        &ask("conf-unknown", 0, -1, 0),
    );
}

fn commit(t: &mut Talk) {
    let request = FindCoordinatorRequest::default().with_key(text("conf-group"));
    let started = std::time::Instant::now();
    while t.quietly(3, &request).error_code != 0 {
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "no coordinator"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // The coordinator may still be reading its log.
    let group = GroupId(text("conf-group"));
    let commit = |topic_name: &str, partition: i32, offset: i64, metadata: &str| {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text(metadata)));
        let topic = OffsetCommitRequestTopic::default()
            .with_name(topic(topic_name))
            .with_partitions(vec![partition]);
        OffsetCommitRequest::default()
            .with_group_id(group.clone())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic])
    };
    while t.quietly(7, &commit(NAME, 0, 1, "")).topics[0].partitions[0].error_code == 14 {
        assert!(
            started.elapsed() < std::time::Duration::from_secs(30),
            "the coordinator does not come up"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for version in 2..=9 {
        t.ask(
            "commit",
            version,
            &commit(NAME, 0, i64::from(version), "meta"),
        );
    }
    t.ask(
        "commit with an epoch",
        7,
        &commit_epoch(commit(NAME, 1, 5, "")),
    );
    t.ask(
        "commit of an unknown topic",
        7,
        &commit("conf-unknown", 0, 1, ""),
    );
    t.ask("commit of an unknown partition", 7, &commit(NAME, 9, 1, ""));
    t.ask(
        "commit with long metadata",
        7,
        &commit(NAME, 2, 1, &"m".repeat(5000)),
    );
    t.ask(
        "commit as of a generation",
        7,
        &commit(NAME, 2, 1, "").with_generation_id_or_member_epoch(3),
    );
    t.ask(
        "commit as a member",
        7,
        &commit(NAME, 2, 1, "").with_member_id(text("somebody")),
    );
    t.ask(
        "commit for no group",
        7,
        &commit(NAME, 2, 1, "").with_group_id(GroupId(text(""))),
    );
    t.ask(
        "commit nothing",
        7,
        &commit(NAME, 2, 1, "").with_topics(vec![]),
    );

    let old = |partitions: &[i32]| {
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic(NAME))
            .with_partition_indexes(partitions.to_vec());
        OffsetFetchRequest::default()
            .with_group_id(group.clone())
            .with_topics(Some(vec![topic]))
    };
    for version in 1..=7 {
        t.ask("committed", version, &old(&[0, 1, 2, 9]));
    }
    for version in 2..=7 {
        t.ask_sorted(
            "all committed",
            version,
            &OffsetFetchRequest::default()
                .with_group_id(group.clone())
                .with_topics(None),
            sorted,
        );
    }
    let new = |name: &str, topics: Option<&[i32]>| {
        let topics = topics.map(|p| {
            vec![
                OffsetFetchRequestTopics::default()
                    .with_name(topic(NAME))
                    .with_partition_indexes(p.to_vec()),
            ]
        });
        OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(name)))
            .with_topics(topics)
    };
    for version in [8, 9] {
        let groups = vec![
            new("conf-group", Some(&[0, 1, 2])),
            new("conf-stranger", Some(&[0])),
        ];
        t.ask(
            "committed by groups",
            version,
            &OffsetFetchRequest::default().with_groups(groups),
        );
        let groups = vec![new("conf-group", None), new("conf-stranger", None)];
        t.ask_sorted(
            "all committed by groups",
            version,
            &OffsetFetchRequest::default().with_groups(groups),
            sorted,
        );
    }
}

fn sorted(answer: &mut OffsetFetchResponse) {
    for topic in &mut answer.topics {
        topic.partitions.sort_by_key(|p| p.partition_index);
    }
    for topic in answer.groups.iter_mut().flat_map(|g| &mut g.topics) {
        topic.partitions.sort_by_key(|p| p.partition_index);
    }
}

fn commit_epoch(mut request: OffsetCommitRequest) -> OffsetCommitRequest {
    request.topics[0].partitions[0].committed_leader_epoch = 0;
    request
}
