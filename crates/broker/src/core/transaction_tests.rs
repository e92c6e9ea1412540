//! Transactions as a simulator drives them: clients of version 1 and 2, time that moves only when the test says so.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;
use ottla_protocol::record::{Attributes, BatchHeader, HEADER_LEN};

use super::coordinators::CoordinatorKind;
use super::fault::{Fault, FaultRule};
use super::{Action, BrokerCore};
use crate::api::api_key;
use crate::api::tests::{Bench, decode, frame};
use crate::log::test_batches::{batch, seal};

const ID: &str = "tx";
const TIMEOUT_MS: i32 = 10_000;

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn name(s: &str) -> TopicName {
    TopicName(text(s))
}

/// A transactional producer on the wire, of transaction version 1 or 2.
struct Client {
    version: i16,
    id: i64,
    epoch: i16,
    /// By partition.
    sequence: [i32; 2],
}

impl Client {
    /// Initialises, asking again while the broker aborts what was there.
    fn start(bench: &mut Bench, version: i16) -> Client {
        let mut client = Client {
            version,
            id: -1,
            epoch: -1,
            sequence: [0; 2],
        };
        while client.initialize(bench) == 51 {}
        client
    }

    fn initialize(&mut self, bench: &mut Bench) -> i16 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(ID))))
            .with_transaction_timeout_ms(TIMEOUT_MS)
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch);
        let answer = bench.ask(1, 4, &request);
        if answer.error_code == 0 {
            (self.id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
            self.sequence = [0; 2];
        }
        answer.error_code
    }

    fn add(&self, bench: &mut Bench, partition: i32) -> i16 {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(ID)))
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer = bench.ask(1, 3, &request);
        answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    /// Two records.
    fn records(&self, partition: i32) -> Bytes {
        let plain = batch(
            &[b"one", b"two"],
            (self.id, self.epoch, self.sequence[partition as usize]),
            5,
        );
        let mut header = BatchHeader::parse(&plain).unwrap().unwrap();
        header.attributes = Attributes(header.attributes.0 | 0x10);
        seal(header, &plain[HEADER_LEN..])
    }

    fn produce(&mut self, bench: &mut Bench, node: usize, partition: i32) -> i16 {
        let data = produce_request::PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(self.records(partition)));
        let topic = produce_request::TopicProduceData::default()
            .with_name(name("t"))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(TransactionalId(text(ID))))
            .with_acks(-1)
            .with_topic_data(vec![topic]);
        let version = if self.version == 1 { 11 } else { 12 };
        let answer = bench.ask(node, version, &request);
        let code = answer.responses[0].partition_responses[0].error_code;
        if code == 0 {
            self.sequence[partition as usize] += 2;
        }
        code
    }

    /// Adds the partition where the client must, and sends two records.
    fn send(&mut self, bench: &mut Bench, partition: i32) {
        if self.version == 1 {
            assert_eq!(self.add(bench, partition), 0);
        }
        assert_eq!(self.produce(bench, 1, partition), 0);
    }

    fn end_actions(&self, bench: &mut Bench, commit: bool) -> Vec<Action> {
        bench.actions(1, self.end_version(), &self.end_request(commit))
    }

    fn end_version(&self) -> i16 {
        if self.version == 1 { 4 } else { 5 }
    }

    fn end_request(&self, commit: bool) -> EndTxnRequest {
        EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_committed(commit)
    }

    fn end(&mut self, bench: &mut Bench, commit: bool) -> i16 {
        let answer = bench.ask(1, self.end_version(), &self.end_request(commit));
        if answer.error_code == 0 && self.version == 2 {
            if (self.id, self.epoch) != (answer.producer_id.0, answer.producer_epoch) {
                self.sequence = [0; 2];
            }
            (self.id, self.epoch) = (answer.producer_id.0, answer.producer_epoch);
        }
        answer.error_code
    }

    fn commit_offset(&self, bench: &mut Bench, offset: i64) -> i16 {
        if self.version == 1 {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(TransactionalId(text(ID)))
                .with_producer_id(ProducerId(self.id))
                .with_producer_epoch(self.epoch)
                .with_group_id(GroupId(text("g")));
            assert_eq!(bench.ask(1, 3, &request).error_code, 0);
        }
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(name("t"))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_group_id(GroupId(text("g")))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic]);
        let version = if self.version == 1 { 4 } else { 5 };
        bench.ask(1, version, &request).topics[0].partitions[0].error_code
    }
}

fn fetch(offset: i64, committed: bool, wait_ms: i32) -> FetchRequest {
    let partition = fetch_request::FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(100_000);
    let topic = fetch_request::FetchTopic::default()
        .with_topic(name("t"))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_topics(vec![topic])
        .with_max_bytes(100_000)
        .with_min_bytes(1)
        .with_max_wait_ms(wait_ms)
        .with_isolation_level(committed.into())
        .with_session_epoch(-1)
}

/// What a reader gets from partition 0: last stable offset, offset behind the records, aborted transactions.
fn read(bench: &mut Bench, committed: bool) -> (i64, i64, Vec<(i64, i64)>) {
    let answer = bench.ask(1, 11, &fetch(0, committed, 0));
    let p = answer.responses[0].partitions[0].clone();
    assert_eq!(p.error_code, 0);
    let records = p.records.unwrap_or_default();
    let (mut at, mut end) = (0, 0);
    while let Some(header) = BatchHeader::parse(&records[at..]).unwrap() {
        at += header.total_len();
        end = header.last_offset() + 1;
    }
    let aborted = p.aborted_transactions.unwrap_or_default();
    let aborted = aborted
        .iter()
        .map(|a| (a.producer_id.0, a.first_offset))
        .collect();
    (p.last_stable_offset, end, aborted)
}

fn latest(bench: &mut Bench, committed: bool) -> i64 {
    let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
    let topic = list_offsets_request::ListOffsetsTopic::default()
        .with_name(name("t"))
        .with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default()
        .with_isolation_level(committed.into())
        .with_topics(vec![topic]);
    bench.ask(1, 5, &request).topics[0].partitions[0].offset
}

/// Offset and error of the group's position.
fn committed(bench: &mut Bench, stable: bool) -> (i64, i16) {
    let topic = OffsetFetchRequestTopic::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topic]))
        .with_require_stable(stable);
    let answer = bench.ask(1, 7, &request);
    let p = &answer.topics[0].partitions[0];
    (p.committed_offset, p.error_code)
}

fn pass(bench: &mut Bench, ms: u64) -> Vec<Action> {
    bench.now.mono += Duration::from_millis(ms);
    bench.now.wall_ms += ms as i64;
    let mut out = Vec::new();
    bench.core.tick(bench.now, &mut out);
    out
}

fn end_of(core: &BrokerCore) -> i64 {
    core.cluster.partition("t", 0).unwrap().log.end_offset()
}

/// A broker of transaction version 1 or 2 with two partitions.
fn bench(version: i16) -> Bench {
    let mut bench = Bench::new(1);
    bench.core.options.transaction_version = version;
    bench.topic("t", 2);
    bench
}

#[test]
fn committed_readers_see_what_is_decided_and_know_what_was_aborted() {
    for version in [1, 2] {
        let mut bench = bench(version);
        let mut client = Client::start(&mut bench, version);
        client.send(&mut bench, 0);
        client.send(&mut bench, 0);
        assert_eq!(read(&mut bench, false), (0, 4, vec![]));
        assert_eq!(read(&mut bench, true), (0, 0, vec![]));
        assert_eq!(
            (latest(&mut bench, false), latest(&mut bench, true)),
            (4, 0)
        );
        assert_eq!(client.end(&mut bench, false), 0);
        // The marker is record 4.
        assert_eq!(read(&mut bench, true), (5, 5, vec![(client.id, 0)]));
        assert_eq!(read(&mut bench, false), (5, 5, vec![]));
        client.send(&mut bench, 0);
        client.send(&mut bench, 1);
        assert_eq!(read(&mut bench, true), (5, 5, vec![(client.id, 0)]));
        assert_eq!(client.end(&mut bench, true), 0);
        assert_eq!(read(&mut bench, true), (8, 8, vec![(client.id, 0)]));
        assert_eq!(latest(&mut bench, true), 8);
        // What lies behind an aborted transaction has nothing to do with it.
        let answer = bench.ask(1, 11, &fetch(5, true, 0));
        let p = &answer.responses[0].partitions[0];
        assert_eq!(p.aborted_transactions.as_deref(), Some(&[][..]));
        assert_eq!(client.epoch, if version == 1 { 0 } else { 2 });
    }
}

#[test]
fn a_waiting_committed_reader_is_woken_by_the_end_not_by_records() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 2);
    let reader = bench.core.connected(1);
    let wait = frame(11, &fetch(0, true, 60_000));
    bench.core.frame(bench.now, reader, wait, &mut Vec::new());
    client.send(&mut bench, 0);
    let actions = client.end_actions(&mut bench, true);
    let to: Vec<u64> = actions
        .iter()
        .map(|a| match a {
            Action::Reply { conn, .. } | Action::Close { conn } => *conn,
        })
        .collect();
    assert_eq!(to, [bench.conns[0], reader]);
}

#[test]
fn records_need_a_transaction_of_which_the_coordinator_knows() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 1);
    assert_eq!(client.produce(&mut bench, 1, 0), 120, "not added");
    client.send(&mut bench, 0);
    assert_eq!(client.produce(&mut bench, 1, 1), 120, "another partition");
    assert_eq!(client.end(&mut bench, true), 0);
    assert_eq!(client.produce(&mut bench, 1, 0), 120, "after the end");
    assert_eq!(end_of(&bench.core), 3);

    // Version 2: the broker adds, and an old epoch is known by what the marker brought.
    let mut client = Client::start(&mut bench, 2);
    client.send(&mut bench, 0);
    let old = (client.epoch, client.sequence);
    assert_eq!(client.end(&mut bench, true), 0);
    let new = client.epoch;
    (client.epoch, client.sequence) = old;
    assert_eq!(client.produce(&mut bench, 1, 0), 47);
    (client.epoch, client.sequence) = (new + 1, [0; 2]);
    assert_eq!(client.produce(&mut bench, 1, 0), 47, "of the future");
    (client.epoch, client.sequence) = (new, [2; 2]);
    assert_eq!(
        client.produce(&mut bench, 1, 0),
        45,
        "a transaction begins with 0"
    );
}

#[test]
fn a_transaction_without_an_end_is_aborted_in_its_time() {
    for version in [1, 2] {
        let mut bench = bench(version);
        let mut client = Client::start(&mut bench, version);
        client.send(&mut bench, 0);
        pass(&mut bench, 9_999);
        assert_eq!(read(&mut bench, true).0, 0, "not yet");
        pass(&mut bench, 1);
        assert_eq!(read(&mut bench, true), (3, 3, vec![(client.id, 0)]));
        let deadline = bench.core.deadline();
        assert!(deadline > Some(Duration::from_secs(60)), "the retention's");
        let late = if version == 1 { 90 } else { 48 };
        assert_eq!(client.end(&mut bench, true), late);
        assert_eq!(client.produce(&mut bench, 1, 0), 47);
        // The producer can come back where nobody else has come, with version 2 only.
        let expected = if version == 1 { 90 } else { 0 };
        assert_eq!(client.initialize(&mut bench), expected);
        let mut client = Client::start(&mut bench, version);
        client.send(&mut bench, 0);
        assert_eq!(client.end(&mut bench, true), 0);
        // One that ends in time is left alone.
        pass(&mut bench, 60_000);
        assert_eq!(read(&mut bench, true).0, 6);
    }
}

#[test]
fn a_zombie_writes_nothing_and_is_told() {
    for version in [1, 2] {
        let mut bench = bench(version);
        let mut zombie = Client::start(&mut bench, version);
        zombie.send(&mut bench, 0);
        let mut heir = Client::start(&mut bench, version);
        assert_eq!(zombie.id, heir.id);
        assert!(heir.epoch > zombie.epoch);
        let end = end_of(&bench.core);
        assert_eq!(zombie.produce(&mut bench, 1, 0), 47);
        assert_eq!(zombie.end(&mut bench, true), 90);
        assert_eq!(zombie.add(&mut bench, 0), 90);
        assert_eq!(zombie.initialize(&mut bench), 90);
        assert_eq!(end_of(&bench.core), end);
        heir.send(&mut bench, 0);
        assert_eq!(heir.end(&mut bench, true), 0);
        assert_eq!(read(&mut bench, true).2, [(zombie.id, 0)]);
    }
}

#[test]
fn offsets_count_with_the_commit() {
    for version in [1, 2] {
        let mut bench = bench(version);
        let mut client = Client::start(&mut bench, version);
        assert_eq!(client.commit_offset(&mut bench, 7), 0);
        assert_eq!(committed(&mut bench, true), (-1, 88));
        assert_eq!(committed(&mut bench, false), (-1, 0));
        assert_eq!(client.end(&mut bench, true), 0);
        assert_eq!(committed(&mut bench, true), (7, 0));
        assert_eq!(client.commit_offset(&mut bench, 9), 0);
        assert_eq!(committed(&mut bench, false), (7, 0));
        assert_eq!(client.end(&mut bench, false), 0);
        assert_eq!(committed(&mut bench, true), (7, 0));
        // Time aborts offsets too.
        assert_eq!(client.commit_offset(&mut bench, 9), 0);
        pass(&mut bench, 10_000);
        assert_eq!(committed(&mut bench, true), (7, 0));
        let late = client.commit_offset_alone(&mut bench, 9);
        assert_eq!(late, 47);
    }
}

impl Client {
    /// TxnOffsetCommit without AddOffsetsToTxn before it.
    fn commit_offset_alone(&self, bench: &mut Bench, offset: i64) -> i16 {
        let version = 2;
        Client { version, ..*self }.commit_offset(bench, offset)
    }
}

#[test]
fn markers_wait_for_their_partitions_leaders() {
    let mut bench = Bench::new(2);
    bench.topic("t", 2);
    let mut out = Vec::new();
    bench
        .core
        .set_coordinator(CoordinatorKind::Transaction, ID, 1, Duration::ZERO);
    let mut client = Client::start(&mut bench, 2);
    client.send(&mut bench, 0);
    assert_eq!(client.produce(&mut bench, 2, 1), 0);
    bench.core.pause(bench.now, 2, true, &mut out);
    assert_eq!(client.end(&mut bench, true), 0);
    assert_eq!(read(&mut bench, true).0, 3, "the marker on node 1 is there");
    assert_eq!(client.produce(&mut bench, 1, 0), 51);
    let old = Client {
        epoch: client.epoch - 1,
        ..client
    };
    let again = bench.ask(1, 5, &old.end_request(true));
    assert_eq!(again.error_code, 51);
    pass(&mut bench, 1000);
    assert_eq!(client.produce(&mut bench, 1, 0), 51);
    bench.core.pause(bench.now, 2, false, &mut out);
    pass(&mut bench, 20);
    assert_eq!(client.produce(&mut bench, 1, 0), 0);
    let p = bench.core.cluster.partition("t", 1).unwrap();
    assert_eq!((p.log.end_offset(), p.last_stable_offset()), (3, 3));
}

#[test]
fn faults_meet_markers() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 2);
    client.send(&mut bench, 0);
    client.send(&mut bench, 1);
    let rule = |fault| {
        FaultRule::new(fault)
            .api(api_key::WRITE_TXN_MARKERS)
            .partition(0)
    };
    bench
        .core
        .add_fault(rule(Fault::Delay(Duration::from_millis(300))));
    let code = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    bench
        .core
        .add_fault(rule(Fault::Error { code }).partition(1));
    assert_eq!(client.end(&mut bench, true), 0);
    let stable = |bench: &Bench| {
        [0, 1].map(|p| {
            bench
                .core
                .cluster
                .partition("t", p)
                .unwrap()
                .last_stable_offset()
        })
    };
    assert_eq!(stable(&bench), [0, 0]);
    pass(&mut bench, 20);
    assert_eq!(stable(&bench), [0, 3]);
    pass(&mut bench, 279);
    assert_eq!(stable(&bench), [0, 3]);
    assert_eq!(client.produce(&mut bench, 1, 0), 51);
    pass(&mut bench, 1);
    assert_eq!(stable(&bench), [3, 3]);
    assert_eq!(
        bench
            .core
            .requests_seen(Some(1), api_key::WRITE_TXN_MARKERS),
        3
    );
    client.send(&mut bench, 0);
}

#[test]
fn coordinators_move_and_take_their_time() {
    let mut bench = Bench::new(2);
    bench.topic("t", 2);
    let transaction = CoordinatorKind::Transaction;
    bench
        .core
        .set_coordinator(transaction, ID, 1, Duration::ZERO);
    let mut client = Client::start(&mut bench, 1);
    let until = bench.now.mono + Duration::from_millis(500);
    assert!(bench.core.set_coordinator(transaction, ID, 2, until));
    assert!(!bench.core.set_coordinator(transaction, ID, 3, until));
    assert_eq!(client.add(&mut bench, 0), 16);
    assert_eq!(client.end(&mut bench, true), 16);
    assert_eq!(client.initialize(&mut bench), 16);
    let find = FindCoordinatorRequest::default()
        .with_key(text(ID))
        .with_key_type(1);
    assert_eq!(bench.ask(1, 3, &find).node_id.0, 2);
    bench.conns.swap(0, 1);
    assert_eq!(client.add(&mut bench, 0), 14);
    pass(&mut bench, 500);
    assert_eq!(client.add(&mut bench, 0), 0);
    bench.conns.swap(0, 1);
    // The old coordinator takes over again where the new one stops.
    bench.core.set_alive(bench.now, 2, false, &mut Vec::new());
    assert_eq!(client.end(&mut bench, true), 0);
}

#[test]
fn faults_meet_every_request_of_a_transaction() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 1);
    let code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    let fail = |bench: &mut Bench, api| {
        bench
            .core
            .add_fault(FaultRule::new(Fault::Error { code }).api(api));
    };
    fail(&mut bench, api_key::INIT_PRODUCER_ID);
    assert_eq!(client.initialize(&mut bench), 14);
    fail(&mut bench, api_key::ADD_PARTITIONS_TO_TXN);
    assert_eq!(client.add(&mut bench, 0), 14);
    fail(&mut bench, api_key::TXN_OFFSET_COMMIT);
    assert_eq!(client.commit_offset(&mut bench, 1), 14);
    fail(&mut bench, api_key::END_TXN);
    assert_eq!(client.end(&mut bench, true), 14);
    fail(&mut bench, api_key::ADD_OFFSETS_TO_TXN);
    let add = AddOffsetsToTxnRequest::default().with_transactional_id(TransactionalId(text(ID)));
    assert_eq!(bench.ask(1, 3, &add).error_code, 14);
    // A swallowed end has ended it; asked again it is known.
    client.send(&mut bench, 0);
    let swallow = Fault::SwallowReply { close: false };
    bench
        .core
        .add_fault(FaultRule::new(swallow).api(api_key::END_TXN));
    assert!(client.end_actions(&mut bench, true).is_empty());
    assert_eq!(read(&mut bench, true).0, 3);
    assert_eq!(client.end(&mut bench, true), 0);
}

#[test]
fn transactions_are_described() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 2);
    client.send(&mut bench, 0);
    assert_eq!(client.commit_offset(&mut bench, 1), 0);
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![
        TransactionalId(text(ID)),
        TransactionalId(text("other")),
    ]);
    let answer = bench.ask(1, 0, &describe);
    let [known, other] = &answer.transaction_states[..] else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (known.transaction_state.as_str(), known.producer_id.0),
        ("Ongoing", client.id)
    );
    let topics: Vec<&str> = known.topics.iter().map(|t| t.topic.as_str()).collect();
    assert_eq!(topics, ["__consumer_offsets", "t"]);
    assert_eq!(other.error_code, 105);
    let topic = describe_producers_request::TopicRequest::default()
        .with_name(name("t"))
        .with_partition_indexes(vec![0, 7]);
    let describe = DescribeProducersRequest::default().with_topics(vec![topic]);
    let answer = bench.ask(1, 0, &describe);
    let partitions = &answer.topics[0].partitions;
    let producer = &partitions[0].active_producers[0];
    assert_eq!(
        (producer.producer_id.0, producer.last_sequence),
        (client.id, 1)
    );
    assert_eq!(producer.current_txn_start_offset, 0);
    assert_eq!(partitions[1].error_code, 3);
    for (filter, found) in [("Ongoing", 1), ("Empty", 0), ("Strange", 0)] {
        let list = ListTransactionsRequest::default().with_state_filters(vec![text(filter)]);
        let answer = bench.ask(1, 1, &list);
        assert_eq!(answer.transaction_states.len(), found);
        assert_eq!(
            answer.unknown_state_filters.len(),
            usize::from(filter == "Strange")
        );
    }
}

#[test]
fn aborted_transactions_are_told_in_every_version_of_fetch() {
    let mut bench = bench(2);
    let mut client = Client::start(&mut bench, 2);
    client.send(&mut bench, 0);
    assert_eq!(client.end(&mut bench, false), 0);
    let id = bench.core.cluster.topic("t").unwrap().id;
    for version in 4..=18 {
        let mut request = fetch(0, true, 0);
        if version < 7 {
            request.session_epoch = -1;
        }
        if version >= 13 {
            request.topics[0].topic = TopicName::default();
            request.topics[0].topic_id = id;
        }
        let actions = bench.actions(1, version, &request);
        let [Action::Reply { parts, .. }] = &actions[..] else {
            panic!("{actions:?}")
        };
        let answer = decode::<FetchRequest>(version, parts);
        let p = &answer.responses[0].partitions[0];
        let aborted = p.aborted_transactions.as_ref().unwrap();
        assert_eq!(
            (aborted[0].producer_id.0, aborted[0].first_offset),
            (client.id, 0)
        );
    }
}
