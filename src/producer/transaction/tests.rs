//! The state machine alone, then with the sender against a cluster that exists only as answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProducerId as ProducerIdOnWire, *};
use kafka_protocol::protocol::StrBytes;

use super::answers::{Verdict, verdict};
use super::state::{Ask, Machine, Phase, Sending};
use crate::client::rig::{Asked, Rig};
use crate::client::waker::Waker;
use crate::clock::{Clock, VirtualClock};
use crate::config::ProducerConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::group::offset::{GroupMetadata, OffsetAndMetadata};
use crate::producer::sender::Sender;
use crate::producer::sequence::ProducerId;
use crate::producer::{Outcome, Producer, Record, Wait};

fn error(code: ErrorCode) -> Error {
    Error::new(code, "the test says so")
}

fn id(epoch: i16) -> Option<ProducerId> {
    Some(ProducerId { id: 7, epoch })
}

/// A machine that has its producer id.
fn ready(v2: bool) -> Machine {
    let mut m = Machine::new("tx");
    m.offer_v2(v2);
    m.init().unwrap();
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::Init(None)));
    m.done(&ask, id(0));
    m.init_result().unwrap().unwrap();
    m
}

/// The next request, sent.
fn asked(m: &mut Machine, quiet: bool) -> Ask {
    let ask = m.next(Instant::now(), quiet).expect("a request");
    m.sent(&ask);
    assert!(m.next(Instant::now(), quiet).is_none(), "one at a time");
    ask
}

fn group() -> GroupMetadata {
    GroupMetadata {
        group_id: "g".to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
    }
}

fn place() -> (Arc<str>, i32) {
    ("t".into(), 0)
}

/// A machine in each of its states, by name.
fn states() -> Vec<(&'static str, Machine)> {
    let open = || {
        let mut m = ready(true);
        m.begin().unwrap();
        assert!(m.may_send_to(place()));
        m
    };
    let ending = |commit, sent| {
        let mut m = open();
        m.end(commit).unwrap();
        if sent {
            asked(&mut m, true);
        }
        m
    };
    let mut initializing = Machine::new("tx");
    initializing.init().unwrap();
    let mut failed = open();
    failed.fail(&error(ErrorCode::MESSAGE_TOO_LARGE));
    let mut fatal = open();
    fatal.fail_for_good(&error(ErrorCode::PRODUCER_FENCED));
    let ended = |commit| {
        let mut m = ending(commit, true);
        m.done(&Ask::End { commit }, id(1));
        m
    };
    vec![
        ("new", Machine::new("tx")),
        ("initializing", initializing),
        ("ready", ready(true)),
        ("open", open()),
        ("committing", ending(true, false)),
        ("commit sent", ending(true, true)),
        ("aborting", ending(false, false)),
        ("abort sent", ending(false, true)),
        ("committed", ended(true)),
        ("aborted", ended(false)),
        ("failed", failed),
        ("fatal", fatal),
    ]
}

/// How a call is answered: done, or the kind of its error.
fn told<T>(result: Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(e) if e.is_fatal() => "fatal",
        Err(e) if e.needs_abort() => "abort",
        Err(e) => {
            assert_eq!(e.code(), ErrorCode::INVALID_TXN_STATE, "{e}");
            assert!(!e.is_retriable(), "{e}");
            "misuse"
        }
    }
}

#[test]
fn every_call_in_every_state() {
    // state: init, begin, send offsets, commit, abort, and what may be sent to leaders.
    let table = [
        (
            "new",
            ["ok", "misuse", "misuse", "misuse", "misuse"],
            Sending::Nothing,
        ),
        (
            "initializing",
            ["ok", "misuse", "misuse", "misuse", "misuse"],
            Sending::Nothing,
        ),
        (
            "ready",
            ["misuse", "ok", "misuse", "misuse", "misuse"],
            Sending::Nothing,
        ),
        ("open", ["misuse", "misuse", "ok", "ok", "ok"], Sending::All),
        (
            "committing",
            ["misuse", "misuse", "misuse", "ok", "ok"],
            Sending::All,
        ),
        (
            "commit sent",
            ["misuse", "misuse", "misuse", "ok", "misuse"],
            Sending::All,
        ),
        (
            "aborting",
            ["misuse", "misuse", "misuse", "misuse", "ok"],
            Sending::Begun,
        ),
        (
            "abort sent",
            ["misuse", "misuse", "misuse", "misuse", "ok"],
            Sending::Begun,
        ),
        (
            "committed",
            ["misuse", "misuse", "misuse", "ok", "misuse"],
            Sending::Nothing,
        ),
        (
            "aborted",
            ["misuse", "ok", "misuse", "misuse", "ok"],
            Sending::Nothing,
        ),
        (
            "failed",
            ["misuse", "abort", "abort", "abort", "ok"],
            Sending::Begun,
        ),
        (
            "fatal",
            ["fatal", "fatal", "fatal", "fatal", "fatal"],
            Sending::Nothing,
        ),
    ];
    let offsets = || Arc::from(Vec::new());
    for (at, (name, expected, sending)) in table.into_iter().enumerate() {
        let fresh = || {
            let (own, m) = states().swap_remove(at);
            assert_eq!(own, name);
            m
        };
        let found = [
            told(fresh().init()),
            told(fresh().begin()),
            told(fresh().add_offsets(group(), offsets())),
            told(fresh().end(true)),
            told(fresh().end(false)),
        ];
        assert_eq!(found, expected, "{name}");
        assert_eq!(fresh().sending(), sending, "{name}");
        assert_eq!(fresh().accepts(), name == "open", "{name}");
    }
}

#[test]
fn every_error_of_every_request() {
    use ErrorCode as E;
    use Verdict::{Abort, Again, Elsewhere, Fatal};
    let offsets = super::state::Offsets {
        number: 1,
        group: group(),
        offsets: Arc::from(Vec::new()),
    };
    let asks = [
        Ask::Init(None),
        Ask::AddPartitions(Arc::from(vec![place()])),
        Ask::AddOffsets("g".into()),
        Ask::Offsets(offsets),
        Ask::End { commit: true },
    ];
    let table = [
        (E::NOT_COORDINATOR, [Elsewhere; 5]),
        (E::COORDINATOR_NOT_AVAILABLE, [Elsewhere; 5]),
        (E::COORDINATOR_LOAD_IN_PROGRESS, [Again; 5]),
        (E::CONCURRENT_TRANSACTIONS, [Again; 5]),
        (E::PRODUCER_FENCED, [Fatal; 5]),
        (
            E::INVALID_PRODUCER_EPOCH,
            [Fatal, Fatal, Fatal, Abort, Fatal],
        ),
        (E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED, [Fatal; 5]),
        (
            E::TRANSACTION_ABORTABLE,
            [Fatal, Abort, Abort, Abort, Abort],
        ),
        (E::INVALID_TXN_STATE, [Fatal, Abort, Abort, Abort, Abort]),
        (
            E::INVALID_PRODUCER_ID_MAPPING,
            [Fatal, Abort, Abort, Abort, Abort],
        ),
        (
            E::UNKNOWN_TOPIC_OR_PARTITION,
            [Fatal, Again, Abort, Again, Abort],
        ),
        (
            E::TOPIC_AUTHORIZATION_FAILED,
            [Fatal, Abort, Abort, Abort, Abort],
        ),
        (
            E::GROUP_AUTHORIZATION_FAILED,
            [Fatal, Abort, Abort, Abort, Abort],
        ),
        (E::ILLEGAL_GENERATION, [Fatal, Abort, Abort, Abort, Abort]),
        (E::UNKNOWN_MEMBER_ID, [Fatal, Abort, Abort, Abort, Abort]),
        (E::INVALID_TRANSACTION_TIMEOUT, [Fatal; 5]),
    ];
    for (code, expected) in table {
        let found: Vec<Verdict> = asks.iter().map(|ask| verdict(ask, code)).collect();
        assert_eq!(found, expected, "{code:?}");
    }
}

#[test]
fn the_first_way_tells_the_coordinator_of_partitions_and_groups_first() {
    let mut m = ready(false);
    m.begin().unwrap();
    assert!(!m.may_send_to(place()));
    assert!(!m.may_send_to(("t".into(), 1)));
    let ask = asked(&mut m, false);
    let Ask::AddPartitions(places) = &ask else {
        panic!("{ask:?}")
    };
    assert_eq!(places.len(), 2);
    m.done(&ask, None);
    assert!(m.may_send_to(place()));
    let number = m.add_offsets(group(), Arc::from(Vec::new())).unwrap();
    let ask = asked(&mut m, false);
    assert!(matches!(&ask, Ask::AddOffsets(group) if &**group == "g"));
    m.done(&ask, None);
    assert!(m.offsets_end(1, number).is_none());
    let ask = asked(&mut m, false);
    assert!(matches!(ask, Ask::Offsets(_)));
    m.done(&ask, None);
    m.offsets_end(1, number).unwrap().unwrap();
    m.end(true).unwrap();
    assert!(
        m.next(Instant::now(), false).is_none(),
        "records are under way"
    );
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: true }));
    assert!(m.end_result(1, true).is_none());
    m.done(&ask, None);
    m.end_result(1, true).unwrap().unwrap();
    assert!(matches!(m.phase(), Phase::Ready));
    // The next transaction begins anew.
    m.begin().unwrap();
    assert!(!m.may_send_to(place()));
}

#[test]
fn the_second_way_needs_no_more_than_the_end() {
    let mut m = ready(true);
    m.begin().unwrap();
    assert!(m.may_send_to(place()));
    m.add_offsets(group(), Arc::from(Vec::new())).unwrap();
    let ask = asked(&mut m, false);
    assert!(matches!(ask, Ask::Offsets(_)));
    m.done(&ask, None);
    m.sequence_lost();
    m.fail(&error(ErrorCode::TIMED_OUT));
    m.end(false).unwrap();
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: false }));
    // EndTxn raises the epoch by itself.
    m.done(&ask, id(1));
    m.end_result(1, false).unwrap().unwrap();
}

#[test]
fn the_first_way_raises_the_epoch_after_an_abort_that_lost_sequence_numbers() {
    let mut m = ready(false);
    m.begin().unwrap();
    m.may_send_to(place());
    let ask = asked(&mut m, false);
    m.done(&ask, None);
    m.sequence_lost();
    m.fail(&error(ErrorCode::TIMED_OUT));
    m.end(false).unwrap();
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: false }));
    m.done(&ask, None);
    assert!(m.end_result(1, false).is_none());
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::Init(old) if old == id(0)));
    m.done(&ask, id(1));
    m.end_result(1, false).unwrap().unwrap();
    m.begin().unwrap();
}

#[test]
fn a_transaction_of_nothing_asks_for_nothing() {
    for commit in [true, false] {
        let mut m = ready(false);
        m.begin().unwrap();
        m.end(commit).unwrap();
        assert!(m.next(Instant::now(), true).is_none());
        m.end_result(1, commit).unwrap().unwrap();
    }
}

#[test]
fn a_commit_whose_answer_is_lost_is_asked_for_again_and_never_turned_into_an_abort() {
    let mut m = ready(true);
    m.begin().unwrap();
    m.may_send_to(place());
    m.end(true).unwrap();
    for _ in 0..3 {
        let ask = asked(&mut m, true);
        assert!(matches!(ask, Ask::End { commit: true }));
        m.again(None, &error(ErrorCode::CONNECT));
        let refused = m.end(false).unwrap_err();
        assert!(
            refused.message().contains("may have been carried out"),
            "{refused}"
        );
    }
    let ask = asked(&mut m, true);
    m.done(&ask, id(1));
    // Nobody waits; the call is made again.
    assert_eq!(told(m.begin()), "misuse");
    m.end(true).unwrap();
    m.end_result(1, true).unwrap().unwrap();
    m.begin().unwrap();
}

#[test]
fn a_commit_of_which_nothing_was_sent_can_be_taken_back() {
    let mut m = ready(true);
    m.begin().unwrap();
    m.may_send_to(place());
    m.end(true).unwrap();
    m.end(false).unwrap();
    assert_eq!(told(m.end_result(1, true).unwrap()), "misuse");
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: false }));
    m.done(&ask, id(1));
    m.end_result(1, false).unwrap().unwrap();
}

#[test]
fn what_fails_while_committing_refuses_the_commit() {
    let mut m = ready(true);
    m.begin().unwrap();
    m.may_send_to(place());
    m.end(true).unwrap();
    m.fail(&error(ErrorCode::MESSAGE_TOO_LARGE));
    let refused = m.end_result(1, true).unwrap().unwrap_err();
    assert!(
        refused.needs_abort() && refused.message().contains("the test says so"),
        "{refused}"
    );
    assert!(m.next(Instant::now(), true).is_none(), "no EndTxn goes out");
    m.end(false).unwrap();
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: false }));
}

#[test]
fn an_expired_transaction_is_aborted_and_the_producer_goes_on() {
    // Kafka answers the late commit of a transaction it has aborted with INVALID_TXN_STATE.
    let mut m = ready(true);
    m.begin().unwrap();
    m.may_send_to(place());
    m.end(true).unwrap();
    let ask = asked(&mut m, true);
    m.refused(
        &ask,
        verdict(&ask, ErrorCode::INVALID_TXN_STATE),
        &error(ErrorCode::INVALID_TXN_STATE),
    );
    assert!(m.end_result(1, true).unwrap().unwrap_err().needs_abort());
    m.end(false).unwrap();
    let ask = asked(&mut m, true);
    m.done(&ask, id(1));
    m.end_result(1, false).unwrap().unwrap();
    m.begin().unwrap();
}

#[test]
fn an_abort_of_what_the_coordinator_never_heard_of_is_done() {
    let mut m = ready(false);
    m.begin().unwrap();
    m.may_send_to(place());
    let add = asked(&mut m, false);
    m.again(None, &error(ErrorCode::CONNECT));
    m.end(false).unwrap();
    let ask = asked(&mut m, true);
    assert!(matches!(ask, Ask::End { commit: false }), "after {add:?}");
    m.refused(&ask, Verdict::Abort, &error(ErrorCode::INVALID_TXN_STATE));
    m.end_result(1, false).unwrap().unwrap();
}

#[test]
fn a_forgotten_producer_id_is_renewed_by_the_abort() {
    for v2 in [false, true] {
        let mut m = ready(v2);
        m.begin().unwrap();
        m.may_send_to(place());
        if !v2 {
            let ask = asked(&mut m, false);
            m.done(&ask, None);
        }
        m.end(true).unwrap();
        let forgotten = error(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        let ask = asked(&mut m, true);
        m.refused(&ask, verdict(&ask, forgotten.code()), &forgotten);
        assert!(m.end_result(1, true).unwrap().unwrap_err().needs_abort());
        m.end(false).unwrap();
        let ask = asked(&mut m, true);
        m.refused(&ask, verdict(&ask, forgotten.code()), &forgotten);
        let ask = asked(&mut m, true);
        assert!(matches!(ask, Ask::Init(Some(_))));
        m.done(&ask, id(0));
        m.end_result(1, false).unwrap().unwrap();
    }
}

// With the sender.

struct World {
    producer: Producer,
    rig: Rig<Sender>,
}

const FIND: i16 = 10;
const PRODUCE: i16 = 0;

impl World {
    fn new(v2: bool) -> Self {
        let pairs = [
            ("bootstrap.servers", "seed:1000"),
            ("transactional.id", "tx"),
            ("linger.ms", "0"),
            // The scripted brokers don't expect to be asked what to measure.
            ("enable.metrics.push", "false"),
        ];
        let config = ProducerConfig::from_pairs(pairs).unwrap();
        let time = Arc::new(VirtualClock::new(1, 0));
        let clock = Clock::Virtual(time.clone());
        let (producer, make) = Producer::parts(config, clock, Waker::default());
        let mut rig = Rig::of(make(time.start()), time.start());
        rig.topics.insert("t", vec![1, 2]);
        if v2 {
            rig.features.insert("transaction.version", 2);
        }
        let mut world = World { producer, rig };
        assert!(world.init().unwrap_err().is_retriable());
        world.find(3);
        let (asked, request) = world.rig.next::<InitProducerIdRequest>();
        assert_eq!(asked.node, 3);
        assert_eq!(request.transaction_timeout_ms, 60_000);
        let answer = InitProducerIdResponse::default()
            .with_producer_id(ProducerIdOnWire(7))
            .with_producer_epoch(0);
        world.rig.answer::<InitProducerIdRequest>(&asked, &answer);
        world.init().unwrap();
        world
    }

    fn init(&mut self) -> Result<()> {
        let result = self.producer.init_transactions(Duration::ZERO);
        self.rig.turn();
        result
    }

    /// Answers FindCoordinator with this broker, once the client asks.
    fn find(&mut self, node: i32) {
        while self.rig.asked.is_empty() {
            self.rig.wait_due();
        }
        let (asked, request) = self.rig.next::<FindCoordinatorRequest>();
        assert_eq!(asked.key, FIND);
        let named = Coordinator::default()
            .with_key(request.coordinator_keys[0].clone())
            .with_node_id(BrokerId(node))
            .with_host(StrBytes::from_string(format!("broker{node}")))
            .with_port(1000);
        let answer = FindCoordinatorResponse::default().with_coordinators(vec![named]);
        self.rig.answer::<FindCoordinatorRequest>(&asked, &answer);
        self.rig.turn();
    }

    fn send(&mut self, partition: i32) -> Result<()> {
        let record = Record {
            topic: "t",
            partition: Some(partition),
            value: Some(b"v"),
            token: 1,
            ..Record::default()
        };
        let sent = self.producer.send(&record, Wait::UpTo(Duration::ZERO));
        self.rig.turn();
        sent
    }

    /// The next request, once the client makes one; broker 3 is every coordinator that is looked for.
    fn asked(&mut self) -> Asked {
        loop {
            match self.rig.asked.front().map(|asked| asked.key) {
                Some(FIND) => self.find(3),
                Some(_) => return self.rig.asked.pop_front().unwrap(),
                None => drop(self.rig.wait_due()),
            }
        }
    }

    /// Right behind the end of a transaction nothing of the next one is sent, and a moment later all of it.
    fn settle(&mut self) {
        assert!(self.rig.asked.is_empty());
        let waited = self.rig.wait_due();
        assert!(waited <= Duration::from_millis(8), "{waited:?}");
    }

    /// The next Produce request.
    fn produced(&mut self) -> Asked {
        let asked = self.rig.asked.pop_front().expect("a request");
        assert_eq!(asked.key, PRODUCE, "{asked:?}");
        asked
    }

    fn answer_produced(&mut self, asked: &Asked, partition: i32, code: ErrorCode) {
        let part = PartitionProduceResponse::default()
            .with_index(partition)
            .with_error_code(code.0 as i16)
            // A refusal has none; with one it would be of a batch that was appended.
            .with_base_offset(if code == ErrorCode::NONE { 0 } else { -1 });
        let mut topic = TopicProduceResponse::default().with_partition_responses(vec![part]);
        if asked.version >= 13 {
            topic = topic.with_topic_id(uuid::Uuid::from_bytes([1; 16]));
        } else {
            topic = topic.with_name(TopicName(StrBytes::from_static_str("t")));
        }
        let answer = ProduceResponse::default().with_responses(vec![topic]);
        self.rig.answer::<ProduceRequest>(asked, &answer);
    }

    /// Begins to commit or abort.
    fn end(&mut self, commit: bool) -> Result<()> {
        let result = if commit {
            self.producer.commit_transaction(Duration::ZERO)
        } else {
            self.producer.abort_transaction(Duration::ZERO)
        };
        self.rig.turn();
        result
    }

    fn answer_end(&mut self, code: ErrorCode, commit: bool, epoch: i16) -> Asked {
        let (asked, request) = self.rig.next::<EndTxnRequest>();
        assert_eq!(request.committed, commit);
        let mut answer = EndTxnResponse::default().with_error_code(code.0 as i16);
        if asked.version >= 5 && code == ErrorCode::NONE {
            answer = answer
                .with_producer_id(ProducerIdOnWire(7))
                .with_producer_epoch(epoch);
        }
        self.rig.answer::<EndTxnRequest>(&asked, &answer);
        asked
    }

    fn outcome(&mut self) -> Outcome {
        let mut ends = Vec::new();
        self.producer
            .completions(1, Duration::ZERO, &mut ends)
            .unwrap();
        ends.pop().expect("a completion").outcome
    }
}

#[test]
fn the_second_way_on_the_wire() {
    let mut world = World::new(true);
    for epoch in 0..3 {
        world.producer.begin_transaction().unwrap();
        world.send(0).unwrap();
        if epoch > 0 {
            world.settle();
        }
        let asked = world.produced();
        assert!(asked.version >= 12, "{asked:?}");
        assert!(world.end(true).unwrap_err().is_retriable());
        assert!(world.rig.asked.is_empty(), "EndTxn waits for the record");
        world.answer_produced(&asked, 0, ErrorCode::NONE);
        assert_eq!(world.outcome(), Outcome::Written);
        let (asked, request) = (
            world.rig.asked.front().unwrap(),
            world.rig.asked.front().unwrap().read::<EndTxnRequest>(),
        );
        assert_eq!((asked.node, asked.version), (3, 5));
        assert_eq!((request.producer_id.0, request.producer_epoch), (7, epoch));
        world.answer_end(ErrorCode::NONE, true, epoch + 1);
        world.end(true).unwrap();
    }
}

#[test]
fn the_first_way_on_the_wire() {
    let mut world = World::new(false);
    for round in 0..2 {
        world.producer.begin_transaction().unwrap();
        world.send(1).unwrap();
        if round > 0 {
            world.settle();
        }
        let (asked, request) = world.rig.next::<AddPartitionsToTxnRequest>();
        assert_eq!((asked.node, asked.version), (3, 3));
        assert!(world.rig.asked.is_empty(), "nothing is sent before");
        let topic = &request.v3_and_below_topics[0];
        assert_eq!((&*topic.name.0, &*topic.partitions), ("t", &[1][..]));
        let part = add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(1);
        let topic = add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(vec![part]);
        let answer =
            AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![topic]);
        world
            .rig
            .answer::<AddPartitionsToTxnRequest>(&asked, &answer);
        let asked = world.produced();
        assert_eq!((asked.node, asked.version), (2, 11));
        world.answer_produced(&asked, 1, ErrorCode::NONE);
        assert!(world.end(true).unwrap_err().is_retriable());
        let asked = world.answer_end(ErrorCode::NONE, true, 0);
        assert_eq!(asked.version, 4);
        world.end(true).unwrap();
        assert_eq!(world.outcome(), Outcome::Written);
    }
}

#[test]
fn brokers_that_cannot_raise_an_epoch_by_name_give_a_new_id_after_an_abort() {
    const INIT_PRODUCER_ID: i16 = 22;
    let mut world = World::new(false);
    // Brokers before 2.5.
    world.rig.most.insert(INIT_PRODUCER_ID, 2);
    let open: Vec<_> = world.rig.conns.keys().copied().collect();
    open.into_iter().for_each(|conn| world.rig.cut(conn));
    world.producer.begin_transaction().unwrap();
    world.send(1).unwrap();
    let asked = world.asked();
    let request: AddPartitionsToTxnRequest = asked.read();
    let part = add_partitions_to_txn_response::AddPartitionsToTxnPartitionResult::default()
        .with_partition_index(1);
    let topic = add_partitions_to_txn_response::AddPartitionsToTxnTopicResult::default()
        .with_name(request.v3_and_below_topics[0].name.clone())
        .with_results_by_partition(vec![part]);
    let answer =
        AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(vec![topic]);
    world
        .rig
        .answer::<AddPartitionsToTxnRequest>(&asked, &answer);
    world.rig.turn();
    let asked = world.asked();
    world.answer_produced(&asked, 1, ErrorCode::INVALID_RECORD);
    assert_eq!(world.outcome(), Outcome::NotWritten);
    world.end(false).unwrap_err();
    world.answer_end(ErrorCode::NONE, false, 0);
    let (asked, request) = world.rig.next::<InitProducerIdRequest>();
    assert_eq!((asked.version, request.producer_id.0), (2, -1));
    let answer = InitProducerIdResponse::default()
        .with_producer_id(ProducerIdOnWire(7))
        .with_producer_epoch(1);
    world.rig.answer::<InitProducerIdRequest>(&asked, &answer);
    world.end(false).unwrap();
    world.producer.begin_transaction().unwrap();
}

#[test]
fn a_coordinator_that_moves_or_is_lost_amid_a_commit_is_found_and_asked_the_same_again() {
    let mut world = World::new(true);
    world.producer.begin_transaction().unwrap();
    world.send(0).unwrap();
    let asked = world.produced();
    world.answer_produced(&asked, 0, ErrorCode::NONE);
    world.end(true).unwrap_err();
    world.answer_end(ErrorCode::NOT_COORDINATOR, true, 0);
    world.find(2);
    // Its answer is lost with the connection.
    let (asked, first) = world.rig.next::<EndTxnRequest>();
    assert_eq!(asked.node, 2);
    world.rig.cut(asked.conn);
    world.find(1);
    while world.rig.asked.is_empty() {
        world.rig.wait_due();
    }
    let again = world.rig.asked.front().unwrap().read::<EndTxnRequest>();
    assert_eq!(again, first);
    world.answer_end(ErrorCode::CONCURRENT_TRANSACTIONS, true, 0);
    let waited = world.rig.wait_due();
    assert!(waited <= Duration::from_millis(60), "{waited:?}");
    world.answer_end(ErrorCode::NONE, true, 1);
    world.end(true).unwrap();
}

#[test]
fn a_refused_record_refuses_the_commit_and_the_abort_leads_on() {
    let mut world = World::new(true);
    world.producer.begin_transaction().unwrap();
    world.send(0).unwrap();
    let asked = world.produced();
    world.end(true).unwrap_err();
    world.answer_produced(&asked, 0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(world.outcome(), Outcome::NotWritten);
    let refused = world.end(true).unwrap_err();
    assert!(refused.needs_abort(), "{refused}");
    assert!(refused.message().contains("t-0"), "{refused}");
    assert!(world.send(0).unwrap_err().needs_abort());
    assert!(world.rig.asked.is_empty());
    world.end(false).unwrap_err();
    world.answer_end(ErrorCode::NONE, false, 1);
    world.end(false).unwrap();
    world.producer.begin_transaction().unwrap();
    world.send(0).unwrap();
    world.settle();
    world.produced();
}

#[test]
fn an_abort_waits_for_what_is_under_way_and_drops_the_rest() {
    let mut world = World::new(true);
    world.producer.begin_transaction().unwrap();
    world.send(0).unwrap();
    let first = world.produced();
    // One at a time until the first of an epoch is acknowledged, so this one is not sent.
    world.send(0).unwrap();
    assert!(world.rig.asked.is_empty());
    world.end(false).unwrap_err();
    assert_eq!(world.outcome(), Outcome::NotWritten);
    assert!(world.rig.asked.is_empty(), "EndTxn waits");
    // Its answer is lost: it is sent again, since it may be on its way still.
    world.rig.cut(first.conn);
    while world.rig.asked.is_empty() {
        world.rig.wait_due();
    }
    let again = world.produced();
    world.answer_produced(&again, 0, ErrorCode::DUPLICATE_SEQUENCE_NUMBER);
    assert_eq!(world.outcome(), Outcome::Written);
    world.answer_end(ErrorCode::NONE, false, 1);
    world.end(false).unwrap();
}

#[test]
fn a_fenced_producer_is_told_so_and_sends_nothing_more() {
    let mut world = World::new(true);
    world.producer.begin_transaction().unwrap();
    world.send(0).unwrap();
    let asked = world.produced();
    world.answer_produced(&asked, 0, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(world.outcome(), Outcome::NotWritten);
    world.end(false).unwrap_err();
    world.answer_end(ErrorCode::PRODUCER_FENCED, false, 0);
    let fatal = world.end(false).unwrap_err();
    assert!(fatal.is_fatal(), "{fatal}");
    for part in [
        "broker 3",
        "EndTxn",
        "transactional.id 'tx'",
        "PRODUCER_FENCED",
        "close it",
    ] {
        assert!(fatal.message().contains(part), "{fatal}");
    }
    assert!(world.send(0).unwrap_err().is_fatal());
    assert!(world.producer.begin_transaction().unwrap_err().is_fatal());
    world.rig.wait(60_000);
    assert!(world.rig.asked.is_empty());
}

#[test]
fn a_groups_coordinator_is_another_broker() {
    let mut world = World::new(true);
    world.producer.begin_transaction().unwrap();
    let offsets = [
        ("t", 0, OffsetAndMetadata::from(5)),
        ("t", 1, OffsetAndMetadata::from(6)),
    ];
    let given = world
        .producer
        .send_offsets(&offsets, &group(), Duration::ZERO);
    assert!(given.unwrap_err().is_retriable());
    world.rig.turn();
    world.find(2);
    let (asked, request) = world.rig.next::<TxnOffsetCommitRequest>();
    assert_eq!((asked.node, asked.version), (2, 5));
    assert_eq!(request.topics[0].partitions.len(), 2);
    let part = |index: i32, code: ErrorCode| {
        txn_offset_commit_response::TxnOffsetCommitResponsePartition::default()
            .with_partition_index(index)
            .with_error_code(code.0 as i16)
    };
    let parts = vec![
        part(0, ErrorCode::NONE),
        part(1, ErrorCode::ILLEGAL_GENERATION),
    ];
    let topic = txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
        .with_name(request.topics[0].name.clone())
        .with_partitions(parts);
    let answer = TxnOffsetCommitResponse::default().with_topics(vec![topic]);
    world.rig.answer::<TxnOffsetCommitRequest>(&asked, &answer);
    let refused = world.end(true).unwrap_err();
    assert!(refused.needs_abort(), "{refused}");
    for part in ["t-1", "ILLEGAL_GENERATION", "group 'g'", "broker 2"] {
        assert!(refused.message().contains(part), "{refused}");
    }
}

#[test]
fn offsets_of_topics_whose_ids_are_known_go_by_id() {
    const TXN_OFFSET_COMMIT: i16 = 28;
    const ID: [u8; 16] = [1; 16];
    for newest in [5, 6] {
        let mut world = World::new(true);
        world.rig.most.insert(TXN_OFFSET_COMMIT, newest);
        let open: Vec<_> = world.rig.conns.keys().copied().collect();
        open.into_iter().for_each(|conn| world.rig.cut(conn));
        for (topic, version) in [("elsewhere", 5), ("t", newest)] {
            world.producer.begin_transaction().unwrap();
            world.rig.wait(2000);
            world.send(0).unwrap();
            let asked = world.asked();
            world.answer_produced(&asked, 0, ErrorCode::NONE);
            let offsets = [(topic, 3, OffsetAndMetadata::from(5))];
            let given = world
                .producer
                .send_offsets(&offsets, &group(), Duration::ZERO);
            assert!(given.unwrap_err().is_retriable());
            world.rig.turn();
            let asked = world.asked();
            assert_eq!((asked.key, asked.version), (TXN_OFFSET_COMMIT, version));
            let has_id = asked.body.windows(16).any(|w| w == ID);
            assert_eq!(has_id, version == 6);
            if version == 6 {
                // UNKNOWN_TOPIC_ID: header tags, throttle, one topic of one partition, tags.
                let parts: [&[u8]; 4] = [
                    &[0, 0, 0, 0, 0, 2],
                    &ID,
                    &[2, 0, 0, 0, 3, 0, 100, 0],
                    &[0, 0],
                ];
                world.rig.answer_raw(&asked, parts.concat().into());
                let refused = world.end(true).unwrap_err();
                assert!(refused.needs_abort(), "{refused}");
                for words in ["of t-3", "UNKNOWN_TOPIC_ID", "created anew"] {
                    assert!(refused.message().contains(words), "{refused}");
                }
                break;
            }
            let request: TxnOffsetCommitRequest = asked.read();
            let part = txn_offset_commit_response::TxnOffsetCommitResponsePartition::default()
                .with_partition_index(3);
            let topic = txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
                .with_name(request.topics[0].name.clone())
                .with_partitions(vec![part]);
            let answer = TxnOffsetCommitResponse::default().with_topics(vec![topic]);
            world.rig.answer::<TxnOffsetCommitRequest>(&asked, &answer);
            world.end(true).unwrap_err();
            let end = world.asked();
            world.rig.asked.push_front(end);
            world.answer_end(ErrorCode::NONE, true, 1);
            world.end(true).unwrap();
        }
    }
}
