//! The core as a simulator drives it: time moves only when the test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;
use ottla_protocol::record::verify_crc;

use super::fault::{Fault, FaultRule};
use super::{Action, BrokerCore};
use crate::api::api_key;
use crate::api::tests::{Bench, decode, frame};
use crate::core::cluster::Placement;
use crate::log::test_batches::batch;

fn t() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

fn produce(partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = produce_request::PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records));
    let topic = produce_request::TopicProduceData::default()
        .with_name(t())
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_topic_data(vec![topic])
}

fn good() -> Bytes {
    batch(&[b"one", b"two"], (-1, -1, -1), 5)
}

fn fetch(partitions: &[i32], offset: i64, wait_ms: i32) -> FetchRequest {
    let one = |&p: &i32| {
        fetch_request::FetchPartition::default()
            .with_partition(p)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(100_000)
    };
    let topic = fetch_request::FetchTopic::default()
        .with_topic(t())
        .with_partitions(partitions.iter().map(one).collect());
    FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(100_000)
        .with_min_bytes(1)
        .with_max_wait_ms(wait_ms)
        .with_session_epoch(-1)
}

/// The replies among `actions`: connection and parts.
fn replies(actions: &[Action]) -> Vec<(u64, &Vec<Bytes>)> {
    let reply = |a| match a {
        &Action::Reply { conn, ref parts } => Some((conn, parts)),
        Action::Close { .. } => None,
    };
    actions.iter().filter_map(reply).collect()
}

fn produced(
    bench: &mut Bench,
    node: usize,
    partition: i32,
) -> produce_response::PartitionProduceResponse {
    bench
        .ask(node, 9, &produce(partition, -1, good()))
        .responses[0]
        .partition_responses[0]
        .clone()
}

/// Moves time on and ticks.
fn pass(bench: &mut Bench, ms: u64) -> Vec<Action> {
    bench.now.mono += Duration::from_millis(ms);
    let mut out = Vec::new();
    bench.core.tick(bench.now, &mut out);
    out
}

#[test]
fn a_waiting_fetch_is_completed_by_an_append() {
    let mut bench = Bench::new(1);
    bench.topic("t", 2);
    let reader = bench.core.connected(1);
    let mut out = Vec::new();
    bench.core.frame(
        bench.now,
        reader,
        frame(11, &fetch(&[0, 1], 0, 500)),
        &mut out,
    );
    assert!(out.is_empty());
    assert_eq!(bench.core.deadline(), Some(Duration::from_millis(500)));
    let actions = bench.actions(1, 9, &produce(1, -1, good()));
    let [(first, _), (second, parts)] = replies(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((first, second), (bench.conns[0], reader));
    let answer = decode::<FetchRequest>(11, parts);
    assert_eq!(
        answer.responses[0].partitions[1]
            .records
            .as_ref()
            .unwrap()
            .len(),
        good().len()
    );
    let deadline = bench.core.deadline();
    assert!(
        deadline > Some(Duration::from_secs(60)),
        "its timer is gone, that of the retention is there: {deadline:?}"
    );
}

#[test]
fn a_waiting_fetch_is_answered_at_its_deadline_and_frames_behind_it_wait() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    assert!(bench.actions(1, 11, &fetch(&[0], 0, 500)).is_empty());
    assert!(
        bench
            .actions(1, 0, &ApiVersionsRequest::default())
            .is_empty()
    );
    assert_eq!(bench.core.backlog(bench.conns[0]), 1);
    assert!(pass(&mut bench, 499).is_empty());
    let actions = pass(&mut bench, 1);
    let [(_, fetched), (_, versions)] = replies(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(
        decode::<FetchRequest>(11, fetched).responses[0].partitions[0].error_code,
        0
    );
    assert_eq!(decode::<ApiVersionsRequest>(0, versions).error_code, 0);
}

#[test]
fn min_bytes_counts_all_partitions() {
    let mut bench = Bench::new(1);
    bench.topic("t", 2);
    let request = fetch(&[0, 1], 0, 500).with_min_bytes(good().len() as i32 * 2);
    let reader = bench.core.connected(1);
    let mut out = Vec::new();
    bench
        .core
        .frame(bench.now, reader, frame(11, &request), &mut out);
    assert_eq!(
        replies(&bench.actions(1, 9, &produce(0, -1, good()))).len(),
        1
    );
    assert_eq!(
        replies(&bench.actions(1, 9, &produce(1, -1, good()))).len(),
        2
    );
}

#[test]
fn a_client_that_left_leaves_nothing_behind() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    let reader = bench.core.connected(1);
    bench.core.frame(
        bench.now,
        reader,
        frame(11, &fetch(&[0], 0, 500)),
        &mut Vec::new(),
    );
    bench.core.disconnected(reader);
    assert_eq!(bench.core.deadline(), None);
    assert!(
        bench
            .core
            .cluster
            .partition("t", 0)
            .unwrap()
            .watchers
            .is_empty()
    );
    assert_eq!(
        replies(&bench.actions(1, 9, &produce(0, -1, good()))).len(),
        1
    );
}

#[test]
fn waiting_fetches_learn_of_moved_leaders_and_deleted_topics() {
    let mut bench = Bench::new(2);
    bench.topic("t", 1);
    assert!(bench.actions(1, 16, &fetch_by_id(&bench, 500)).is_empty());
    let mut out = Vec::new();
    assert!(bench.core.move_leader(bench.now, "t", 0, 2, &mut out));
    let answer = decode::<FetchRequest>(16, replies(&out)[0].1);
    let partition = &answer.responses[0].partitions[0];
    assert_eq!(partition.error_code, 6);
    assert_eq!(
        (
            partition.current_leader.leader_id.0,
            partition.current_leader.leader_epoch
        ),
        (2, 1)
    );
    assert_eq!(
        (
            answer.node_endpoints[0].node_id.0,
            answer.node_endpoints[0].port
        ),
        (2, 9002)
    );

    assert!(bench.actions(2, 11, &fetch(&[0], 0, 500)).is_empty());
    assert!(bench.core.delete_topic("t"));
    let mut out = Vec::new();
    bench.core.leaders_changed(bench.now, &mut out);
    assert_eq!(
        decode::<FetchRequest>(11, replies(&out)[0].1).responses[0].partitions[0].error_code,
        3
    );
}

fn fetch_by_id(bench: &Bench, wait_ms: i32) -> FetchRequest {
    let mut request = fetch(&[0], 0, wait_ms);
    request.topics[0].topic = TopicName::default();
    request.topics[0].topic_id = bench.core.cluster.topic("t").unwrap().id;
    request
}

#[test]
fn produce_to_the_wrong_node_is_told_the_right_one() {
    let mut bench = Bench::new(3);
    bench.topic("t", 3);
    let answer = bench.ask(1, 10, &produce(1, -1, good()));
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!(
        (partition.error_code, partition.current_leader.leader_id.0),
        (6, 2)
    );
    assert_eq!(
        (
            answer.node_endpoints[0].host.as_str(),
            answer.node_endpoints[0].port
        ),
        ("host2", 9002)
    );
    assert_eq!(produced(&mut bench, 2, 1).error_code, 0);
}

#[test]
fn partitions_of_a_stopped_node_move_and_stay() {
    let mut bench = Bench::new(3);
    bench.topic("t", 3);
    let mut out = Vec::new();
    bench.core.set_alive(bench.now, 1, false, &mut out);
    assert!(matches!(out[..], [Action::Close { conn }] if conn == bench.conns[0]));
    let p = bench.core.cluster.partition("t", 0).unwrap();
    assert_eq!(
        (p.leader, p.leader_epoch, bench.core.cluster.in_sync(p)),
        (2, 1, vec![2, 3])
    );
    for node in [2, 3] {
        bench.core.set_alive(bench.now, node, false, &mut out);
    }
    assert_eq!(bench.core.cluster.partition("t", 0).unwrap().leader, -1);
    bench.core.set_alive(bench.now, 3, true, &mut out);
    let p = bench.core.cluster.partition("t", 0).unwrap();
    assert_eq!((p.leader, bench.core.cluster.in_sync(p)), (3, vec![3]));
    // The history of epochs knows where each began.
    assert_eq!(
        p.log.end_of_epoch(p.leader_epoch),
        Some((p.leader_epoch, 0))
    );
}

#[test]
fn too_few_living_replicas_refuse_acks_all() {
    let mut bench = Bench::new(2);
    let config = BTreeMap::from([("min.insync.replicas".to_owned(), "2".to_owned())]);
    let placement = Placement::Counts {
        partitions: 1,
        replication_factor: -1,
    };
    bench
        .core
        .create_topic("t", &placement, config, false)
        .unwrap();
    assert_eq!(produced(&mut bench, 1, 0).error_code, 0);
    bench.core.set_alive(bench.now, 2, false, &mut Vec::new());
    assert_eq!(produced(&mut bench, 1, 0).error_code, 19);
    assert_eq!(
        bench.ask(1, 9, &produce(0, 1, good())).responses[0].partition_responses[0].error_code,
        0
    );
}

#[test]
fn faults_do_what_they_say() {
    let mut bench = Bench::new(1);
    bench.topic("t", 2);
    let add =
        |core: &mut BrokerCore, fault| core.add_fault(FaultRule::new(fault).api(api_key::PRODUCE));

    let code = ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND;
    bench.core.add_fault(
        FaultRule::new(Fault::Error { code })
            .topic("t")
            .partition(1),
    );
    assert_eq!(produced(&mut bench, 1, 0).error_code, 0);
    assert_eq!(produced(&mut bench, 1, 1).error_code, 20);
    assert_eq!(
        produced(&mut bench, 1, 1).base_offset,
        0,
        "the failed one was not carried out"
    );

    bench
        .core
        .add_fault(FaultRule::new(Fault::ErrorAfterAppend { code }).partition(1));
    let answer = produced(&mut bench, 1, 1);
    let told = (answer.error_code, answer.base_offset);
    assert_eq!(told, (20, 2), "where it lies is told all the same");
    assert_eq!(produced(&mut bench, 1, 1).base_offset, 4, "this one was");

    add(&mut bench.core, Fault::SwallowReply { close: false });
    assert!(bench.actions(1, 9, &produce(0, -1, good())).is_empty());
    assert_eq!(
        produced(&mut bench, 1, 0).base_offset,
        4,
        "the swallowed one was carried out"
    );

    add(&mut bench.core, Fault::Delay(Duration::from_millis(200)));
    assert!(bench.actions(1, 9, &produce(0, -1, good())).is_empty());
    assert!(
        bench.actions(1, 9, &produce(0, -1, good())).is_empty(),
        "behind the delayed one"
    );
    assert!(pass(&mut bench, 199).is_empty());
    assert_eq!(replies(&pass(&mut bench, 1)).len(), 2);

    add(&mut bench.core, Fault::Throttle(Duration::from_millis(50)));
    let answer = bench.ask(1, 9, &produce(0, -1, good()));
    assert_eq!(answer.throttle_time_ms, 50);
    assert!(bench.actions(1, 9, &produce(0, -1, good())).is_empty());
    assert_eq!(replies(&pass(&mut bench, 50)).len(), 1);

    bench
        .core
        .add_fault(FaultRule::new(Fault::CorruptBatch).topic("t"));
    let crc = |bench: &mut Bench| -> Vec<bool> {
        let answer = bench.ask(1, 11, &fetch(&[1], 0, 0));
        let records = answer.responses[0].partitions[0].records.clone().unwrap();
        records
            .chunks(good().len())
            .map(|batch| verify_crc(batch).is_ok())
            .collect()
    };
    assert_eq!(crc(&mut bench), [false, true, true]);
    assert_eq!(
        crc(&mut bench),
        [true, true, true],
        "the log itself is whole"
    );

    add(&mut bench.core, Fault::PartialReply { bytes: 7 });
    let actions = bench.actions(1, 9, &produce(0, -1, good()));
    let [Action::Reply { parts, .. }, Action::Close { .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), 7);

    bench.conns[0] = bench.core.connected(1);
    let end = bench
        .core
        .cluster
        .partition("t", 0)
        .unwrap()
        .log
        .end_offset();
    add(&mut bench.core, Fault::Drop);
    let actions = bench.actions(1, 9, &produce(0, -1, good()));
    assert!(matches!(actions[..], [Action::Close { .. }]));
    assert_eq!(
        bench
            .core
            .cluster
            .partition("t", 0)
            .unwrap()
            .log
            .end_offset(),
        end
    );
}

#[test]
fn pipelined_requests_behind_a_slow_answer_are_each_late_only_once() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    bench
        .core
        .add_fault(FaultRule::new(Fault::Delay(Duration::from_millis(200))).forever());
    for _ in 0..3 {
        assert!(bench.actions(1, 9, &produce(0, -1, good())).is_empty());
        bench.now.mono += Duration::from_millis(10);
    }
    assert_eq!(replies(&pass(&mut bench, 170)).len(), 1);
    assert_eq!(replies(&pass(&mut bench, 10)).len(), 1);
    assert_eq!(replies(&pass(&mut bench, 10)).len(), 1);
}

#[test]
fn a_fault_finds_the_partitions_of_a_session() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    let begun = bench.ask(1, 11, &fetch(&[0], 0, 0).with_session_epoch(0));
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    bench.core.add_fault(
        FaultRule::new(Fault::Error { code })
            .api(api_key::FETCH)
            .topic("t"),
    );
    let next = FetchRequest::default()
        .with_session_id(begun.session_id)
        .with_session_epoch(1)
        .with_max_bytes(1000);
    assert_eq!(
        bench.ask(1, 11, &next).responses[0].partitions[0].error_code,
        6
    );
}

#[test]
fn a_paused_node_answers_when_it_goes_on() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    let reader = bench.core.connected(1);
    bench.core.frame(
        bench.now,
        reader,
        frame(11, &fetch(&[0], 0, 100)),
        &mut Vec::new(),
    );
    bench.core.pause(bench.now, 1, true, &mut Vec::new());
    assert!(bench.actions(1, 9, &produce(0, -1, good())).is_empty());
    assert!(
        pass(&mut bench, 1000).is_empty(),
        "not even the fetch whose time is over"
    );
    let mut out = Vec::new();
    bench.core.pause(bench.now, 1, false, &mut out);
    assert_eq!(replies(&out).len(), 2);
}

#[test]
fn the_memory_bound_drops_the_oldest_batches_of_the_largest_partition() {
    let mut bench = Bench::new(1);
    bench.topic("t", 2);
    let large = batch(&[[0u8; 60].as_slice(); 60], (-1, -1, -1), 5);
    produced(&mut bench, 1, 1);
    for _ in 0..1000 {
        bench.ask(1, 9, &produce(0, -1, large.clone()));
        assert!(bench.core.held_bytes <= bench.core.options.memory_bytes);
    }
    let log = |p| &bench.core.cluster.partition("t", p).unwrap().log;
    assert!(log(0).size() > bench.core.options.memory_bytes / 2);
    assert!(log(0).start_offset() > 0);
    assert_eq!(log(1).start_offset(), 0);
    assert_eq!(bench.core.held_bytes, log(0).size() + log(1).size());
    let start = log(0).start_offset();
    let answer = bench.ask(1, 11, &fetch(&[0], start, 0));
    let records = answer.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(records[..8], start.to_be_bytes());
    assert_eq!(
        bench.ask(1, 11, &fetch(&[0], start - 1, 0)).responses[0].partitions[0].error_code,
        1
    );
}

#[test]
fn the_same_seed_gives_the_same_answers() {
    let run = || {
        let mut bench = Bench::new(3);
        bench.topic("t", 3);
        let mut trace = Vec::new();
        for node in [1, 2, 3] {
            let actions = bench.actions(node, 9, &produce(node as i32 - 1, -1, good()));
            trace.push(format!("{actions:?}"));
            let actions = bench.actions(node, 11, &fetch(&[0, 1, 2], 0, 0).with_session_epoch(0));
            trace.push(format!("{actions:?}"));
        }
        trace
    };
    assert_eq!(run(), run());
}

#[test]
fn topics_asked_for_are_created_where_that_is_on() {
    let mut bench = Bench::new(1);
    bench.core.options.auto_create_topics = true;
    let topic = metadata_request::MetadataRequestTopic::default().with_name(Some(t()));
    let request = MetadataRequest::default().with_topics(Some(vec![topic]));
    let refused = bench.ask(1, 9, &request.clone().with_allow_auto_topic_creation(false));
    assert_eq!(refused.topics[0].error_code, 3);
    let request = request.with_allow_auto_topic_creation(true);
    for _ in 0..2 {
        for expected in [(3, 0), (0, 1)] {
            let answer = bench.ask(1, 9, &request);
            let topic = &answer.topics[0];
            assert_eq!((topic.error_code, topic.partitions.len()), expected);
        }
        // It comes back as it came.
        bench.core.delete_topic("t");
    }
}

#[test]
fn acks_none_is_not_answered_and_failure_closes() {
    let mut bench = Bench::new(1);
    bench.topic("t", 1);
    assert!(bench.actions(1, 9, &produce(0, 0, good())).is_empty());
    assert_eq!(
        bench
            .core
            .cluster
            .partition("t", 0)
            .unwrap()
            .log
            .end_offset(),
        2
    );
    let actions = bench.actions(1, 9, &produce(9, 0, good()));
    assert!(matches!(actions[..], [Action::Close { .. }]));
}

#[test]
fn requests_are_counted() {
    let mut bench = Bench::new(2);
    bench.topic("t", 2);
    produced(&mut bench, 1, 0);
    produced(&mut bench, 2, 1);
    produced(&mut bench, 2, 1);
    assert_eq!(bench.core.requests_seen(Some(2), api_key::PRODUCE), 2);
    assert_eq!(bench.core.requests_seen(None, api_key::PRODUCE), 3);
    assert_eq!(bench.core.requests_seen(None, api_key::FETCH), 0);
}

#[test]
fn damaged_requests_never_panic() {
    let mut bench = Bench::new(2);
    let id = bench.topic("t", 2);
    let mut by_id = fetch(&[0, 1], 0, 10);
    by_id.topics[0].topic = TopicName::default();
    by_id.topics[0].topic_id = id;
    let named = |name| metadata_request::MetadataRequestTopic::default().with_name(Some(name));
    let made = create_topics_request::CreatableTopic::default()
        .with_name(t())
        .with_num_partitions(1)
        .with_replication_factor(1);
    let mut frames = vec![
        frame(9, &produce(0, -1, good())),
        frame(3, &produce(1, 1, good())),
        frame(11, &fetch(&[0, 1], 0, 0).with_session_epoch(0)),
        frame(17, &by_id),
        frame(
            12,
            &MetadataRequest::default().with_topics(Some(vec![named(t()), named(t())])),
        ),
        frame(7, &CreateTopicsRequest::default().with_topics(vec![made])),
    ];
    for version in 0..=4 {
        frames.push(frame(version, &ApiVersionsRequest::default()));
    }
    let mut random = super::random::Random::new(11);
    for round in 0..20_000 {
        let mut bytes = frames[round % frames.len()].to_vec();
        for _ in 0..=random.next_u64() % 3 {
            let at = random.next_u64() as usize % bytes.len();
            bytes[at] =
                [0, 1, 0x7f, 0x80, 0xff, random.next_u64() as u8][random.next_u64() as usize % 6];
        }
        bytes.truncate(random.next_u64() as usize % (bytes.len() * 4));
        let conn = bench.core.connected(1 + (round % 2) as i32);
        let mut out = Vec::new();
        bench
            .core
            .frame(bench.now, conn, Bytes::from(bytes), &mut out);
        pass(&mut bench, 20);
        bench.core.disconnected(conn);
    }
    assert_eq!(produced(&mut bench, 1, 0).error_code, 0, "it still works");
}
