//! The sender against a cluster that exists only as answers.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    BrokerId, InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse,
    ProducerId, TopicName,
};
use kafka_protocol::protocol::StrBytes;

use super::Sender;
use crate::client::event::EventKind;
use crate::client::rig::{Asked, Rig};
use crate::client::waker::Waker;
use crate::clock::{Clock, VirtualClock};
use crate::config::ProducerConfig;
use crate::error::{ErrorCode, Result};
use crate::producer::{Completion, Outcome, Producer, Record, Wait};

const PRODUCE: i16 = 0;
const INIT_PRODUCER_ID: i16 = 22;

/// A producer, and the cluster it believes in: topic "t", whose partitions the test names leaders for.
struct World {
    producer: Producer,
    rig: Rig<Sender>,
    time: Arc<VirtualClock>,
}

impl World {
    fn new(leaders: &[i32], more: &[(&str, &str)]) -> Self {
        let pairs = [
            ("bootstrap.servers", "seed:1000"),
            ("linger.ms", "0"),
            // The scripted brokers don't expect to be asked what to measure.
            ("enable.metrics.push", "false"),
        ];
        let own = |key| more.iter().any(|(own, _)| *own == key);
        let pairs = pairs.iter().filter(|(key, _)| !own(*key)).chain(more);
        let config = ProducerConfig::from_pairs(pairs.copied()).unwrap();
        let time = Arc::new(VirtualClock::new(1, 0));
        let clock = Clock::Virtual(time.clone());
        let (producer, make) = Producer::parts(config, clock, Waker::default());
        let mut rig = Rig::of(make(time.start()), time.start());
        if !leaders.is_empty() {
            rig.topics.insert("t", leaders.to_vec());
        }
        World {
            producer,
            rig,
            time,
        }
    }

    /// A producer that knows the topic: a record was sent to each partition and acknowledged.
    fn settled(leaders: &[i32], more: &[(&str, &str)]) -> Self {
        let mut world = World::new(leaders, more);
        for partition in 0..leaders.len() {
            world.send(Some(partition as i32), 1).unwrap();
            world.wait(200);
            world.answer_all();
        }
        assert_eq!(world.ends().len(), leaders.len());
        world
    }

    fn send(&mut self, partition: Option<i32>, token: u64) -> Result<()> {
        let record = Record {
            topic: "t",
            partition,
            value: Some(b"v"),
            token,
            ..Record::default()
        };
        let sent = self.producer.send(&record, Wait::UpTo(Duration::ZERO));
        self.rig.turn();
        sent
    }

    fn wait(&mut self, ms: u64) {
        self.rig.wait(ms);
        self.time.advance_to(self.rig.now - self.time.start());
    }

    /// Answers InitProducerId where it is asked for.
    fn identify(&mut self) {
        if let Some(at) = self
            .rig
            .asked
            .iter()
            .position(|a| a.key == INIT_PRODUCER_ID)
        {
            let asked = self.rig.asked.remove(at).unwrap();
            let answer = InitProducerIdResponse::default().with_producer_id(ProducerId(7));
            self.rig.answer::<InitProducerIdRequest>(&asked, &answer);
            self.rig.turn();
        }
    }

    /// The next Produce request, if there is one.
    fn produced(&mut self) -> Option<Asked> {
        self.identify();
        let asked = self.rig.asked.pop_front()?;
        assert_eq!(asked.key, PRODUCE, "{asked:?}");
        Some(asked)
    }

    /// Answers a Produce request for these partitions.
    fn answer(&mut self, asked: &Asked, parts: Vec<PartitionProduceResponse>) {
        let topic = TopicProduceResponse::default().with_partition_responses(parts);
        let topics = if asked.version >= 13 {
            // Whichever of the topics that had the name the request was for.
            let ids = (0..=self.rig.recreated).map(|n| self.rig.topic_id(0, n));
            ids.map(|id| topic.clone().with_topic_id(uuid::Uuid::from_bytes(id)))
                .collect()
        } else {
            vec![topic.with_name(TopicName(StrBytes::from_static_str("t")))]
        };
        let answer = ProduceResponse::default().with_responses(topics);
        self.rig.answer::<ProduceRequest>(asked, &answer);
        self.rig.turn();
    }

    /// Acknowledges all Produce requests, of whichever partitions; how many there were.
    fn answer_all(&mut self) -> usize {
        let mut n = 0;
        while let Some(asked) = self.produced() {
            let all = (0..20).map(|p| PartitionProduceResponse::default().with_index(p));
            self.answer(&asked, all.collect());
            n += 1;
        }
        n
    }

    fn ends(&mut self) -> Vec<Completion> {
        let mut ends = Vec::new();
        self.producer
            .completions(usize::MAX, Duration::ZERO, &mut ends)
            .unwrap();
        ends
    }
}

fn refusal(partition: i32, code: ErrorCode) -> PartitionProduceResponse {
    PartitionProduceResponse::default()
        .with_index(partition)
        .with_error_code(code.0 as i16)
        .with_base_offset(-1)
}

/// Produce requests that go out within `ms`, each refused in the same way.
fn refused_within(world: &mut World, ms: u64, part: &PartitionProduceResponse) -> usize {
    let until = world.rig.now + Duration::from_millis(ms);
    let mut requests = 0;
    while world.rig.now < until && requests < 1000 {
        match world.produced() {
            Some(asked) => {
                requests += 1;
                world.answer(&asked, vec![part.clone()]);
            }
            None => {
                world.rig.wait_due();
            }
        }
    }
    requests
}

#[test]
fn a_refusal_whose_leader_hint_is_no_news_is_waited_after() {
    for code in [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::FENCED_LEADER_EPOCH,
    ] {
        let mut world = World::settled(&[1], &[]);
        world.send(Some(0), 1).unwrap();
        let part = refusal(0, code).with_current_leader(
            LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(1))
                .with_leader_epoch(1),
        );
        let requests = refused_within(&mut world, 10_000, &part);
        assert!((5..=60).contains(&requests), "{code:?}: {requests}");
    }
}

#[test]
fn with_one_request_in_flight_a_partition_that_moves_keeps_its_order() {
    let more = [
        ("enable.idempotence", "false"),
        ("max.in.flight.requests.per.connection", "1"),
    ];
    let mut world = World::settled(&[1, 2], &more);
    world.send(Some(0), 1).unwrap();
    let first = world.produced().unwrap();
    assert_eq!(first.node, 1);
    // Partition 0 moves to the other broker, which the client hears of by another partition's refusal.
    world.rig.topics.insert("t", vec![2, 2]);
    world.send(Some(1), 2).unwrap();
    let other = world.produced().unwrap();
    world.answer(&other, vec![refusal(1, ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    world.wait(1000);
    world.send(Some(0), 3).unwrap();
    let again = world.produced().unwrap();
    world.answer(
        &again,
        vec![PartitionProduceResponse::default().with_index(1)],
    );
    assert!(
        world.produced().is_none(),
        "the second batch of partition 0 overtakes the first"
    );
    world.answer(&first, vec![refusal(0, ErrorCode::NOT_LEADER_OR_FOLLOWER)]);
    world.wait(1000);
    let tokens = |world: &mut World| {
        let asked = world.produced().unwrap();
        assert_eq!(asked.node, 2);
        world.answer(&asked, vec![PartitionProduceResponse::default()]);
        let ends = world.ends();
        ends.iter().map(|end| end.token).collect::<Vec<_>>()
    };
    let mut order = tokens(&mut world);
    order.extend(tokens(&mut world));
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn a_refusal_that_names_a_new_leader_is_followed_at_once() {
    let mut world = World::settled(&[1], &[]);
    world.send(Some(0), 1).unwrap();
    let asked = world.produced().unwrap();
    assert_eq!(asked.node, 1);
    let leader = LeaderIdAndEpoch::default()
        .with_leader_id(BrokerId(2))
        .with_leader_epoch(2);
    let part = refusal(0, ErrorCode::NOT_LEADER_OR_FOLLOWER).with_current_leader(leader);
    world.answer(&asked, vec![part]);
    let asked = world.produced().expect("sent again without a pause");
    assert_eq!(asked.node, 2);
}

#[test]
fn a_topic_created_anew_with_fewer_partitions_gets_its_records_there() {
    let mut world = World::settled(&[1, 2, 3, 1], &[("partitioner", "round_robin")]);
    // One record waits for each partition, and the topic is gone.
    for partition in 0..4 {
        world.send(Some(partition), 10 + partition as u64).unwrap();
    }
    let mut refused = Vec::new();
    while let Some(asked) = world.produced() {
        refused.push(asked);
    }
    let unknown = |p| refusal(p, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for asked in refused {
        world.answer(&asked, (0..4).map(unknown).collect());
    }
    world.rig.recreated = 1;
    world.rig.topics.insert("t", vec![2, 3]);
    for _ in 0..20 {
        world.wait(100);
        while let Some(asked) = world.produced() {
            let known = (0..2).map(|p| PartitionProduceResponse::default().with_index(p));
            world.answer(&asked, known.chain((2..4).map(unknown)).collect());
        }
    }
    let mut ends = world.ends();
    ends.sort_by_key(|c| c.token);
    let told: Vec<(u64, Outcome)> = ends.iter().map(|c| (c.token, c.outcome)).collect();
    let expected = [
        Outcome::Written,
        Outcome::Written,
        Outcome::NotWritten,
        Outcome::NotWritten,
    ];
    assert_eq!(told, (10..14).zip(expected).collect::<Vec<_>>());
    let error = ends[3].error.as_ref().unwrap();
    assert_eq!(error.code(), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(
        error.message().contains("created anew with fewer"),
        "{error}"
    );
    // The partitioner works with what there is, and a number beyond it is refused.
    for token in 20..30 {
        world.send(None, token).unwrap();
        world.answer_all();
    }
    let ends = world.ends();
    assert_eq!(ends.len(), 10);
    assert!(
        ends.iter()
            .all(|c| c.outcome == Outcome::Written && c.partition < 2)
    );
    // It grows again: the partitions are used again.
    world.rig.topics.insert("t", vec![2, 3, 1, 1, 1]);
    world.wait(400_000);
    world.answer_all();
    for partition in 0..5 {
        world.send(Some(partition), 30).unwrap();
        world.answer_all();
    }
    let ends = world.ends();
    assert_eq!(ends.len(), 5);
    assert!(
        ends.iter().all(|c| c.outcome == Outcome::Written),
        "{ends:?}"
    );
}

#[test]
fn an_older_answer_with_fewer_partitions_takes_none_away() {
    let mut world = World::settled(&[1, 2], &[]);
    world.rig.topics.insert("t", vec![1]);
    world.wait(400_000);
    world.send(Some(1), 5).unwrap();
    world.wait(100);
    assert!(world.ends().is_empty());
    world.rig.topics.insert("t", vec![1, 2]);
    for _ in 0..20 {
        world.wait(100);
        world.answer_all();
    }
    assert_eq!(world.ends()[0].outcome, Outcome::Written);
}

/// Sends a record without a key every `ms`; how many each of `n` partitions got.
fn spread(world: &mut World, records: usize, ms: u64, n: usize) -> Vec<usize> {
    let mut found = vec![0; n];
    for _ in 0..records {
        world.send(None, 1).unwrap();
        world.wait(ms);
        world.answer_all();
    }
    world.wait(1000);
    world.answer_all();
    let ends = world.ends();
    assert_eq!(
        ends.iter().map(|c| c.count as usize).sum::<usize>(),
        records
    );
    for end in ends {
        assert_eq!(end.outcome, Outcome::Written);
        found[end.partition as usize] += end.count as usize;
    }
    found
}

#[test]
fn few_records_without_a_key_are_spread_as_well_as_many() {
    for (linger, every) in [("0", 20), ("5", 20), ("100", 20), ("0", 1)] {
        let leaders = [1, 2, 3, 1];
        let mut world = World::settled(&leaders, &[("linger.ms", linger)]);
        let found = spread(&mut world, 2000, every, 4);
        let even = 400..=600;
        assert!(
            found.iter().all(|n| even.contains(n)),
            "linger {linger}, every {every} ms: {found:?}"
        );
    }
}

#[test]
fn records_in_quick_succession_share_a_batch() {
    let mut world = World::settled(&[1, 2, 3, 1], &[("linger.ms", "5")]);
    let before = world.producer.counts().batches;
    spread(&mut world, 1000, 1, 4);
    // One every 5 ms or so, though the partition changes.
    let batches = world.producer.counts().batches - before;
    assert!((150..=210).contains(&batches), "{batches}");
}

#[test]
fn with_a_rack_of_its_own_a_producer_prefers_leaders_there() {
    let more = [("client.rack", "b"), ("partitioner.rack.aware", "true")];
    let racked = |more: &[(&str, &str)], racks: &[(i32, &'static str)]| {
        let mut world = World::new(&[1, 2, 3, 2], more);
        world.rig.racks = racks.iter().copied().collect();
        world
    };
    let racks = [(1, "a"), (2, "b"), (3, "c")];
    let found = spread(&mut racked(&more, &racks), 1000, 20, 4);
    assert_eq!((found[0], found[2]), (0, 0), "{found:?}");
    assert!(found[1] > 350 && found[3] > 350, "{found:?}");
    // Nobody is there, or the producer doesn't ask for it: all of them.
    let all = |found: Vec<usize>| assert!(found.iter().all(|n| *n > 150), "{found:?}");
    all(spread(
        &mut racked(&more, &[(1, "a"), (2, "a")]),
        1000,
        20,
        4,
    ));
    all(spread(&mut racked(&more[..1], &racks), 1000, 20, 4));
    all(spread(&mut racked(&more[1..], &racks), 1000, 20, 4));
    // The near leader goes, another comes.
    let mut world = racked(&more, &racks);
    spread(&mut world, 100, 20, 4);
    world.rig.topics.insert("t", vec![2, 1, 3, 1]);
    world.wait(400_000);
    let found = spread(&mut world, 100, 20, 4);
    assert_eq!(found[0], 100, "{found:?}");
}

#[test]
fn a_partition_that_was_added_a_moment_ago_is_looked_for_before_it_is_refused() {
    let mut world = World::settled(&[1], &[]);
    world.rig.topics.insert("t", vec![1, 2, 3]);
    world.wait(1000);
    let again = world.send(Some(2), 1).unwrap_err();
    assert_eq!(again.code(), ErrorCode::AGAIN, "{again}");
    world.wait(200);
    world.send(Some(2), 1).unwrap();
    world.answer_all();
    assert_eq!(world.ends()[0].partition, 2);
    // A number that is none is refused; another one in the next second without asking anew.
    for partition in [7, 8] {
        let refused = world.send(Some(partition), 1).unwrap_err();
        assert_eq!(
            refused.code(),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            "{refused}"
        );
        assert!(refused.message().contains("it has 3"), "{refused}");
    }
    world.wait(1100);
    assert_eq!(world.send(Some(7), 1).unwrap_err().code(), ErrorCode::AGAIN);
    assert_eq!(
        world.send(Some(-2), 1).unwrap_err().code(),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );
}

#[test]
fn a_cluster_that_comes_up_after_the_program_gets_every_record() {
    let mut world = World::new(&[1], &[]);
    world.rig.down.insert(-1);
    world.send(Some(0), 1).unwrap();
    let mut seen = 0;
    for second in 0..30 {
        for _ in 0..10 {
            world.wait(100);
        }
        if let Some(event) = world.producer.next_event() {
            assert_eq!(event.kind, EventKind::BrokerUnreachable);
            let error = event.error.unwrap();
            assert!(error.message().contains("seed:1000"), "{error}");
            assert!(error.message().ends_with("; the attempts go on"), "{error}");
            assert!((9..=11).contains(&second), "{second}");
            seen += 1;
        }
        assert!(world.ends().is_empty());
        // Neither is a later record refused.
        world.send(Some(0), 2 + second).unwrap();
    }
    assert_eq!(seen, 1);
    let flush = world.producer.flush(Duration::ZERO).unwrap_err();
    assert!(
        flush.message().contains("bootstrap server seed:1000"),
        "{flush}"
    );
    world.rig.down.clear();
    for _ in 0..20 {
        world.wait(100);
        world.answer_all();
    }
    let ends = world.ends();
    assert_eq!(ends.len(), 31);
    assert!(ends.iter().all(|c| c.outcome == Outcome::Written));
}

#[test]
fn records_for_a_cluster_that_never_comes_up_end_with_their_time() {
    for (key, limits) in [
        (
            "max.block.ms",
            [("max.block.ms", "3s"), ("request.timeout.ms", "1s")],
        ),
        (
            "delivery.timeout.ms",
            [("delivery.timeout.ms", "4s"), ("request.timeout.ms", "1s")],
        ),
    ] {
        let limit = Duration::from_secs(if key == "max.block.ms" { 3 } else { 4 });
        for missing in [false, true] {
            let mut world = World::new(&[], &limits);
            let leaders = world.rig.now;
            if missing {
                world.rig.missing.push("t");
            } else {
                world.rig.down.insert(-1);
            }
            world.send(Some(0), 1).unwrap();
            let mut ends = Vec::new();
            while ends.is_empty() {
                world.wait(100);
                ends = world.ends();
                assert!(
                    world.rig.now < leaders + limit + Duration::from_secs(1),
                    "{key}"
                );
            }
            assert!(world.rig.now >= leaders + limit, "{key}");
            let error = ends[0].error.as_ref().unwrap();
            let (code, words) = if missing {
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "does not exist")
            } else {
                (ErrorCode::CONNECT, key)
            };
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains(words), "{error}");
            if missing {
                let event = world.producer.next_event().expect("told meanwhile");
                assert_eq!(event.kind, EventKind::TopicFailing);
                assert_eq!(event.topic.as_deref(), Some("t"));
                let mut lines = Vec::new();
                world.producer.log_lines(100, &mut lines);
                assert!(
                    lines
                        .iter()
                        .any(|l| l.message.contains("'t' does not exist")),
                    "{lines:?}"
                );
            }
        }
    }
}

#[test]
fn a_leader_that_is_lost_is_told_of_once_until_it_is_back() {
    let mut world = World::settled(&[1], &[]);
    for _ in 0..2 {
        world.rig.down.insert(1);
        let open: Vec<_> = world
            .rig
            .conns
            .iter()
            .filter(|(_, node)| **node == 1)
            .collect();
        for conn in open.into_iter().map(|(conn, _)| *conn).collect::<Vec<_>>() {
            world.rig.cut(conn);
        }
        world.send(Some(0), 1).unwrap();
        let mut events = Vec::new();
        for tenth in 0..300 {
            world.wait(100);
            let event = world.producer.next_event();
            assert!(event.is_none() || (95..=130).contains(&tenth), "{tenth}");
            events.extend(event);
        }
        let mut lines = Vec::new();
        world.producer.log_lines(100, &mut lines);
        assert_eq!(events.len(), 1, "{events:?} {lines:?} {:?}", world.ends());
        assert_eq!(events[0].kind, EventKind::BrokerUnreachable);
        let error = events[0].error.as_ref().unwrap();
        assert!(
            error.message().contains("broker 1 at broker1:1000"),
            "{error}"
        );
        world.rig.down.clear();
        for _ in 0..20 {
            world.wait(100);
            world.answer_all();
        }
        assert_eq!(world.ends()[0].outcome, Outcome::Written);
    }
}

#[test]
fn what_old_brokers_and_old_message_formats_cannot_take_is_told_with_the_key() {
    // A broker before 2.1.
    let mut world = World::new(&[1], &[("compression.type", "zstd")]);
    world.rig.most.insert(PRODUCE, 6);
    world.send(Some(0), 1).unwrap();
    world.wait(200);
    assert_eq!(world.answer_all(), 0, "nothing is sent");
    let end = world.ends().pop().unwrap();
    assert_eq!(end.outcome, Outcome::NotWritten);
    let error = end.error.unwrap();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    for words in [
        "broker 1 at broker1:1000",
        "compression.type=zstd",
        "Kafka 2.1",
        "lz4",
    ] {
        assert!(error.message().contains(words), "{error}");
    }
    // A topic of an old message format, on a broker that still keeps such.
    for (code, idempotence, words) in [
        (
            ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
            "true",
            "enable.idempotence=false",
        ),
        (ErrorCode::UNKNOWN_SERVER_ERROR, "false", "takes no headers"),
    ] {
        let mut world = World::new(&[1], &[("enable.idempotence", idempotence)]);
        world.rig.most.insert(PRODUCE, 11);
        world.send(Some(0), 1).unwrap();
        world.wait(200);
        let asked = world.produced().unwrap();
        world.answer(&asked, vec![refusal(0, code)]);
        let error = world.ends().pop().unwrap().error.unwrap();
        assert_eq!(error.code(), code);
        for words in [words, "message.format.version"] {
            assert!(error.message().contains(words), "{error}");
        }
    }
}
