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
use crate::clock::{Clock, VirtualClock};
use crate::cluster::driver::Waker;
use crate::cluster::rig::{Asked, Rig};
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
        let config = ProducerConfig::from_pairs(pairs.iter().chain(more).copied()).unwrap();
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
        let mut topic = TopicProduceResponse::default().with_partition_responses(parts);
        if asked.version >= 13 {
            topic = topic.with_topic_id(uuid::Uuid::from_bytes(self.rig.topic_id(0)));
        } else {
            topic = topic.with_name(TopicName(StrBytes::from_static_str("t")));
        }
        let answer = ProduceResponse::default().with_responses(vec![topic]);
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
        let _ = self
            .producer
            .completions(1000, Duration::ZERO, &mut ends)
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
        world.answer_all();
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
