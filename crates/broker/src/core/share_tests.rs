//! Share groups as a simulator drives them: time moves only when the test says so.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::share_fetch_response::PartitionData;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, HeaderVersion, StrBytes};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::fault::{Fault, FaultRule};
use super::{Action, ConnId};
use crate::api::api_key;
use crate::api::tests::{Bench, decode};
use crate::log::test_batches::batch;

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn name(s: &str) -> TopicName {
    TopicName(text(s))
}

/// A member of the group `g`, with its session on node 1.
struct Member {
    name: &'static str,
    epoch: i32,
    session: i32,
    topic: Uuid,
}

/// First and last offset, deliveries.
type Got = Vec<(i64, i64, i16)>;

fn got(partition: &PartitionData) -> Got {
    let each = |a: &share_fetch_response::AcquiredRecords| {
        (a.first_offset, a.last_offset, a.delivery_count)
    };
    partition.acquired_records.iter().map(each).collect()
}

fn said(first: i64, last: i64, words: &[i8]) -> AcknowledgementBatch {
    AcknowledgementBatch::default()
        .with_first_offset(first)
        .with_last_offset(last)
        .with_acknowledge_types(words.to_vec())
}

impl Member {
    fn join(bench: &mut Bench, name: &'static str) -> Member {
        let topic = bench.core.cluster.topic("t").unwrap().id;
        let mut member = Member {
            name,
            epoch: 0,
            session: 0,
            topic,
        };
        let answer = member.beat(bench);
        assert_eq!(answer.error_code, 0, "{answer:?}");
        member
    }

    fn beat(&mut self, bench: &mut Bench) -> ShareGroupHeartbeatResponse {
        let topics = (self.epoch == 0).then(|| vec![super::share_tests::name("t")]);
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_member_id(text(self.name))
            .with_member_epoch(self.epoch)
            .with_subscribed_topic_names(topics);
        let answer = bench.ask(1, 1, &request);
        if answer.error_code == 0 {
            self.epoch = answer.member_epoch;
        }
        answer
    }

    fn request(&self, wait_ms: i32, words: Vec<AcknowledgementBatch>) -> ShareFetchRequest {
        let words = words.into_iter().map(|w| {
            share_fetch_request::AcknowledgementBatch::default()
                .with_first_offset(w.first_offset)
                .with_last_offset(w.last_offset)
                .with_acknowledge_types(w.acknowledge_types)
        });
        let partition = FetchPartition::default().with_acknowledgement_batches(words.collect());
        let topic = FetchTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(vec![partition]);
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text(self.name)))
            .with_share_session_epoch(self.session)
            .with_max_wait_ms(wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(100_000)
            .with_max_records(100)
            .with_batch_size(100)
            .with_topics(vec![topic])
    }

    fn fetch(&mut self, bench: &mut Bench) -> Got {
        self.fetch_saying(bench, vec![])
    }

    /// Acknowledges and fetches at once.
    fn fetch_saying(&mut self, bench: &mut Bench, words: Vec<AcknowledgementBatch>) -> Got {
        let request = self.request(0, words);
        let answer = bench.ask(1, 1, &request);
        assert_eq!(answer.error_code, 0);
        self.session += 1;
        answer.responses.first().map_or(vec![], |topic| {
            assert_eq!(topic.partitions[0].error_code, 0);
            assert_eq!(topic.partitions[0].acknowledge_error_code, 0);
            got(&topic.partitions[0])
        })
    }

    fn acknowledgement(&self, words: Vec<AcknowledgementBatch>) -> ShareAcknowledgeRequest {
        let partition = AcknowledgePartition::default().with_acknowledgement_batches(words);
        let topic = AcknowledgeTopic::default()
            .with_topic_id(self.topic)
            .with_partitions(vec![partition]);
        ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text(self.name)))
            .with_share_session_epoch(self.session)
            .with_topics(vec![topic])
    }

    fn say(&mut self, bench: &mut Bench, words: Vec<AcknowledgementBatch>) -> i16 {
        let answer = bench.ask(1, 1, &self.acknowledgement(words));
        assert_eq!(answer.error_code, 0);
        self.session += 1;
        answer.responses[0].partitions[0].error_code
    }
}

fn produce(bench: &mut Bench) -> Vec<Action> {
    let data = produce_request::PartitionProduceData::default().with_records(Some(batch(
        &[b"one", b"two"],
        (-1, -1, -1),
        5,
    )));
    let topic = produce_request::TopicProduceData::default()
        .with_name(name("t"))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![topic]);
    bench.actions(1, 9, &request)
}

fn pass(bench: &mut Bench, ms: u64) -> Vec<Action> {
    bench.now.mono += Duration::from_millis(ms);
    let mut out = Vec::new();
    bench.core.tick(bench.now, &mut out);
    out
}

fn bench() -> Bench {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    bench.core.share.options.reset = super::share::Reset::Earliest;
    bench
}

fn start(bench: &mut Bench) -> i64 {
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![
        describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_topics(None),
    ]);
    let answer = bench.ask(1, 0, &request);
    assert_eq!(answer.groups[0].error_code, 0, "{answer:?}");
    answer.groups[0].topics[0].partitions[0].start_offset
}

/// Sends a request of version 2: that of version 1 with bytes put in behind `at` bytes of what follows the ids.
fn version_2<R: Encodable + HeaderVersion>(
    bench: &mut Bench,
    (api, conn): (i16, ConnId),
    (request, member): (&R, &str),
    (at, new): (usize, &[u8]),
) -> Vec<Action> {
    let mut body = BytesMut::new();
    request.encode(&mut body, 1).unwrap();
    let at = at + 2 + "g".len() + member.len();
    let mut frame = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(api)
        .with_request_api_version(2)
        .with_correlation_id(77)
        .with_client_id(Some(text("test")));
    header.encode(&mut frame, 2).unwrap();
    frame.put(&body[..at]);
    frame.put(new);
    frame.put(&body[at..]);
    let mut out = Vec::new();
    bench.core.frame(bench.now, conn, frame.freeze(), &mut out);
    out
}

#[test]
fn records_are_delivered_to_one_member_until_it_lets_go() {
    let mut bench = bench();
    produce(&mut bench);
    produce(&mut bench);
    let (mut a, mut b) = (Member::join(&mut bench, "a"), Member::join(&mut bench, "b"));
    assert_eq!(a.fetch(&mut bench), [(0, 3, 1)]);
    assert_eq!(b.fetch(&mut bench), []);
    assert_eq!(a.say(&mut bench, vec![said(0, 3, &[1, 2, 3, 1])]), 0);
    assert_eq!(start(&mut bench), 1);
    assert_eq!(b.fetch(&mut bench), [(1, 1, 2)]);
    assert_eq!(a.say(&mut bench, vec![said(1, 1, &[1])]), 121);
    assert_eq!(b.fetch_saying(&mut bench, vec![said(1, 1, &[1])]), []);
    assert_eq!(start(&mut bench), 4);
}

#[test]
fn locks_end_and_records_are_not_delivered_for_ever() {
    let mut bench = bench();
    bench.core.share.options.max_deliveries = 2;
    produce(&mut bench);
    let (mut a, mut b) = (Member::join(&mut bench, "a"), Member::join(&mut bench, "b"));
    assert_eq!(a.fetch(&mut bench), [(0, 1, 1)]);
    pass(&mut bench, 29_999);
    assert_eq!(b.fetch(&mut bench), []);
    pass(&mut bench, 1);
    assert_eq!(b.fetch(&mut bench), [(0, 1, 2)]);
    assert_eq!(a.say(&mut bench, vec![said(0, 1, &[1])]), 121, "too late");
    pass(&mut bench, 30_000);
    assert_eq!(a.fetch(&mut bench), []);
    assert_eq!(start(&mut bench), 2);
}

#[test]
fn waiting_members_are_woken_by_records_and_by_locks_that_end() {
    let mut bench = bench();
    let (mut a, mut b) = (Member::join(&mut bench, "a"), Member::join(&mut bench, "b"));
    b.fetch(&mut bench);
    let second = bench.core.connected(1);
    let wait = crate::api::tests::frame(1, &b.request(60_000, vec![]));
    bench.core.frame(bench.now, second, wait, &mut Vec::new());
    let actions = produce(&mut bench);
    let [Action::Reply { .. }, Action::Reply { conn, parts }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(*conn, second);
    let answer = decode::<ShareFetchRequest>(1, parts);
    assert_eq!(got(&answer.responses[0].partitions[0]), [(0, 1, 1)]);
    a.fetch(&mut bench);
    assert!(bench.actions(1, 1, &a.request(60_000, vec![])).is_empty());
    let actions = pass(&mut bench, 30_000);
    let [Action::Reply { parts, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let answer = decode::<ShareFetchRequest>(1, parts);
    assert_eq!(got(&answer.responses[0].partitions[0]), [(0, 1, 2)]);
}

#[test]
fn a_session_that_ends_gives_its_records_back() {
    for by_request in [true, false] {
        let mut bench = bench();
        produce(&mut bench);
        let (mut a, mut b) = (Member::join(&mut bench, "a"), Member::join(&mut bench, "b"));
        assert_eq!(a.fetch(&mut bench), [(0, 1, 1)]);
        if by_request {
            a.session = -1;
            let answer = bench.ask(1, 1, &a.acknowledgement(vec![said(0, 0, &[1])]));
            assert_eq!(answer.error_code, 0);
            assert_eq!(b.fetch(&mut bench), [(1, 1, 2)]);
            let answer = bench.ask(1, 1, &a.request(0, vec![]));
            assert_eq!(answer.error_code, 122);
        } else {
            bench.core.disconnected(bench.conns[0]);
            bench.conns[0] = bench.core.connected(1);
            assert_eq!(b.fetch(&mut bench), [(0, 1, 2)]);
        }
    }
}

#[test]
fn sessions_count_their_requests() {
    let mut bench = bench();
    let mut a = Member::join(&mut bench, "a");
    a.session = 1;
    assert_eq!(bench.ask(1, 1, &a.request(0, vec![])).error_code, 122);
    a.session = 0;
    let too_early = a.request(0, vec![said(0, 0, &[1])]);
    assert_eq!(bench.ask(1, 1, &too_early).error_code, 42);
    a.fetch(&mut bench);
    a.session = 5;
    assert_eq!(bench.ask(1, 1, &a.request(0, vec![])).error_code, 123);
    a.session = 0;
    assert_eq!(bench.ask(1, 1, &a.acknowledgement(vec![])).error_code, 123);
    let long = a
        .request(0, vec![])
        .with_member_id(Some(text(&"m".repeat(37))));
    assert_eq!(bench.ask(1, 1, &long).error_code, 42);
}

#[test]
fn version_2_renews_locks_and_holds_to_the_record() {
    let mut bench = bench();
    produce(&mut bench);
    produce(&mut bench);
    let (mut a, mut b) = (Member::join(&mut bench, "a"), Member::join(&mut bench, "b"));
    let to = (api_key::SHARE_FETCH, bench.conns[0]);
    let request = a.request(0, vec![]).with_max_records(3);
    let actions = version_2(&mut bench, to, (&request, "a"), (24, &[1, 0]));
    let [Action::Reply { parts, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    let answer = decode::<ShareFetchRequest>(1, parts);
    assert_eq!(got(&answer.responses[0].partitions[0]), [(0, 2, 1)]);
    a.session += 1;
    pass(&mut bench, 20_000);
    let to = (api_key::SHARE_ACKNOWLEDGE, bench.conns[0]);
    let request = a.acknowledgement(vec![said(0, 2, &[4, 4, 1])]);
    let actions = version_2(&mut bench, to, (&request, "a"), (4, &[1]));
    let [Action::Reply { parts, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    // Length, correlation, tags, throttle time, no error, no words: then how long the locks last.
    let bytes = Bytes::from(parts.concat());
    assert_eq!(bytes[9..20], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0x75, 0x30]);
    a.session += 1;
    pass(&mut bench, 15_000);
    assert_eq!(b.fetch(&mut bench), [(3, 3, 1)]);
    pass(&mut bench, 15_000);
    assert_eq!(b.fetch(&mut bench), [(0, 1, 2)]);
    assert_eq!(
        a.say(&mut bench, vec![said(0, 0, &[4])]),
        42,
        "not in version 1"
    );
}

#[test]
fn members_are_described_and_end_with_their_sessions() {
    let mut bench = bench();
    let mut a = Member::join(&mut bench, "a");
    let mut b = Member::join(&mut bench, "b");
    let describe = |bench: &mut Bench| {
        let ids = ["g", "other"].map(|id| GroupId(text(id))).to_vec();
        let request = ShareGroupDescribeRequest::default().with_group_ids(ids);
        bench.ask(1, 1, &request).groups
    };
    let groups = describe(&mut bench);
    assert_eq!(groups[0].group_state.as_str(), "Stable");
    assert_eq!(groups[0].members.len(), 2);
    assert_eq!(groups[1].error_code, 69);
    pass(&mut bench, 44_000);
    assert_eq!(a.beat(&mut bench).error_code, 0);
    pass(&mut bench, 1_000);
    assert_eq!(describe(&mut bench)[0].members.len(), 1);
    assert_eq!(b.beat(&mut bench).error_code, 25);
    a.epoch = -1;
    assert_eq!(a.beat(&mut bench).error_code, 0);
    assert_eq!(describe(&mut bench)[0].group_state.as_str(), "Empty");
    let list = ListGroupsRequest::default().with_types_filter(vec![text("share")]);
    let listed = bench.ask(1, 5, &list).groups;
    assert_eq!((listed.len(), listed[0].group_state.as_str()), (1, "Empty"));
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text("g"))]);
    assert_eq!(bench.ask(1, 2, &delete).results[0].error_code, 0);
    assert_eq!(describe(&mut bench)[0].error_code, 69);
}

#[test]
fn offsets_of_a_group_without_members_can_be_set() {
    let mut bench = bench();
    for _ in 0..3 {
        produce(&mut bench);
    }
    let mut a = Member::join(&mut bench, "a");
    let partition =
        alter_share_group_offsets_request::AlterShareGroupOffsetsRequestPartition::default()
            .with_start_offset(4);
    let topic = alter_share_group_offsets_request::AlterShareGroupOffsetsRequestTopic::default()
        .with_topic_name(name("t"))
        .with_partitions(vec![partition]);
    let alter = AlterShareGroupOffsetsRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(vec![topic]);
    assert_eq!(bench.ask(1, 0, &alter).error_code, 68, "somebody is there");
    a.epoch = -1;
    a.beat(&mut bench);
    assert_eq!(bench.ask(1, 0, &alter).error_code, 0);
    assert_eq!(start(&mut bench), 4);
    let mut a = Member::join(&mut bench, "a");
    assert_eq!(a.fetch(&mut bench), [(4, 5, 1)]);
    a.epoch = -1;
    a.beat(&mut bench);
    let topic = delete_share_group_offsets_request::DeleteShareGroupOffsetsRequestTopic::default()
        .with_topic_name(name("t"));
    let delete = DeleteShareGroupOffsetsRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(vec![topic]);
    assert_eq!(bench.ask(1, 0, &delete).responses[0].error_code, 0);
    let mut a = Member::join(&mut bench, "a");
    assert_eq!(a.fetch(&mut bench), [(0, 5, 1)]);
}

#[test]
fn faults_and_wrong_leaders_are_told_by_partition() {
    let mut bench = Bench::new(2);
    bench.topic("t", 1);
    bench.core.share.options.reset = super::share::Reset::Earliest;
    let group = super::coordinators::CoordinatorKind::Group;
    bench.core.set_coordinator(group, "g", 1, Duration::ZERO);
    let mut a = Member::join(&mut bench, "a");
    a.fetch(&mut bench);
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let rule = FaultRule::new(Fault::Error { code }).topic("t");
    bench.core.add_fault(rule.api(api_key::SHARE_FETCH));
    let answer = bench.ask(1, 1, &a.request(0, vec![]));
    assert_eq!(answer.responses[0].partitions[0].error_code, 6);
    a.session += 1;
    let code = ErrorCode::SHARE_SESSION_NOT_FOUND;
    bench
        .core
        .add_fault(FaultRule::new(Fault::Error { code }).api(api_key::SHARE_ACKNOWLEDGE));
    let answer = bench.ask(1, 1, &a.acknowledgement(vec![]));
    assert_eq!(answer.error_code, 122);
    assert!(
        bench
            .core
            .move_leader(bench.now, "t", 0, 2, &mut Vec::new())
    );
    let answer = bench.ask(1, 1, &a.request(0, vec![]));
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(
        (partition.error_code, partition.current_leader.leader_id),
        (6, 2)
    );
    assert_eq!(answer.node_endpoints[0].port, 9002);
}

#[test]
fn members_find_their_group_again_when_its_only_node_comes_back() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    let mut member = Member::join(&mut bench, "m");
    let epoch = member.epoch;
    let pass = |bench: &mut Bench, seconds: u64| {
        bench.now.mono += Duration::from_secs(seconds);
        bench.core.tick(bench.now, &mut Vec::new());
    };
    bench.core.set_alive(bench.now, 1, false, &mut Vec::new());
    pass(&mut bench, 1000);
    bench.core.set_alive(bench.now, 1, true, &mut Vec::new());
    bench.conns[0] = bench.core.connected(1);
    pass(&mut bench, 44);
    let answer = member.beat(&mut bench);
    assert_eq!((answer.error_code, member.epoch), (0, epoch));
    pass(&mut bench, 45);
    let told = i32::from(member.beat(&mut bench).error_code);
    assert_eq!(told, ErrorCode::UNKNOWN_MEMBER_ID.0);
}
