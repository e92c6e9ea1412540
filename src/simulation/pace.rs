//! Seeds in which nothing is wrong but that brokers are slow for a while: what goes to and comes from the others must
//! keep its pace, and memory its bounds. A producer and a reader with all partitions, alone or in a group.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::faults::Faults;
use super::network::Network;
use super::oracle::Logs;
use super::reading::feed::Feed;
use super::scenario::{self, WALL_START};
use super::trace::Trace;
use super::world::{Around, Program, World};
use crate::broker::core::cluster::Placement;
use crate::client::waker::Waker;
use crate::clock::{Clock, VirtualClock};
use crate::config::{ConsumerConfig, ProducerConfig};
use crate::consumer::{Consumer, Polled, Start};
use crate::error::{ErrorCode, Result};
use crate::producer::{Completion, Outcome, Producer, Record, Wait};
use crate::rng::Rng;

const TOPIC: &str = "paced";
/// Records are sent until so many are accepted and no broker will be slow any more.
const RECORDS: usize = 1500;
/// Programs look after themselves this often, at most.
const STEP: Duration = Duration::from_millis(10);
const LINGER_MS: u64 = 20;
/// From a record's acceptance to its acknowledgement, and to its delivery: a step of either program, lingering, and the
/// network's way there and back. A broker that is slow takes up to four seconds there and back.
const PACE: Duration = Duration::from_millis(150);
/// Bytes may be this long on their way after the broker is fast again.
const AFTERMATH: Duration = Duration::from_secs(5);
/// The longest that anything takes once no broker is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What both programs know.
struct Shared {
    partitions: i32,
    /// By number: accepted when, for which partition.
    sent: Vec<(Duration, i32)>,
    /// All that will be sent has been.
    sent_all: bool,
    /// When each broker was last seen to be slow.
    slow: BTreeMap<i32, Duration>,
}

impl Shared {
    fn look(&mut self, around: &Around<'_>) {
        for node in around.net.slow_nodes() {
            self.slow.insert(node, around.now);
        }
    }

    /// Complains of a record that took too long, with a broker that was not slow meanwhile. `known` is when the first
    /// record of its partition had come through: whoever is slow may have been the one to ask for the leader before.
    fn check_pace(
        &self,
        around: &Around<'_>,
        number: usize,
        known: Duration,
        what: &str,
    ) -> Option<String> {
        let (accepted, partition) = self.sent[number];
        let leader = around.broker.cluster.partition(TOPIC, partition)?.leader;
        let since = self
            .slow
            .get(&leader)
            .map_or(Duration::ZERO, |at| *at + AFTERMATH)
            .max(known);
        let took = around.now - accepted;
        (accepted > since && took > PACE).then(|| {
            format!(
                "record {number} of partition {partition} was {what} after {took:.1?}, though its broker {leader} is not \
                 slow; slow were {:?}",
                self.slow
            )
        })
    }
}

/// Sends records, one a step, each to any partition.
struct Sends {
    shared: Rc<RefCell<Shared>>,
    producer: Producer,
    rng: Rng,
    buffer: u64,
    largest: u64,
    /// Since when each partition has one that was written; later ones are judged.
    known: Vec<Option<Duration>>,
    ended: usize,
    out: Vec<Completion>,
    calm_since: Option<Duration>,
    closing: bool,
    complaint: Option<String>,
}

impl Sends {
    fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    fn send(&mut self, around: &Around<'_>) {
        let shared = self.shared.clone();
        let mut shared = shared.borrow_mut();
        let partition = self.rng.below(shared.partitions as usize) as i32;
        let number = shared.sent.len();
        let mut value = (number as u64).to_be_bytes().to_vec();
        value.resize(8 + self.rng.spread(1, self.largest) as usize, b'.');
        let record = Record {
            topic: TOPIC,
            partition: Some(partition),
            value: Some(&value),
            token: number as u64 + 1,
            ..Record::default()
        };
        match self.producer.send(&record, Wait::UpTo(Duration::ZERO)) {
            Ok(()) => shared.sent.push((around.now, partition)),
            // Nobody has been reached yet.
            Err(e) if e.code() == ErrorCode::CONNECT => {}
            Err(e) if e.code() == ErrorCode::AGAIN => {
                let leader = around.broker.cluster.partition(TOPIC, partition);
                let slow = leader.is_some_and(|p| shared.slow.contains_key(&p.leader));
                if !slow && self.known[partition as usize].is_some() {
                    self.complain(format!(
                        "partition {partition} is refused room, though its broker was never slow"
                    ));
                }
            }
            Err(e) => self.complain(format!("a send was refused: {e}")),
        }
    }

    fn drain(&mut self, around: &Around<'_>) {
        let mut out = std::mem::take(&mut self.out);
        match self.producer.completions(1000, Duration::ZERO, &mut out) {
            Ok(_) => {}
            Err(e) if e.code() == ErrorCode::CLOSED => {}
            Err(e) => self.complain(format!("completions were refused: {e}")),
        }
        for completion in out.drain(..) {
            let number = completion.token as usize - 1;
            self.ended += completion.count as usize;
            if completion.outcome != Outcome::Written {
                self.complain(format!("record {number}: {:?}", completion.error));
                continue;
            }
            let known = &mut self.known[completion.partition as usize];
            let known = *known.get_or_insert(around.now);
            let late = self
                .shared
                .borrow()
                .check_pace(around, number, known, "acknowledged");
            if let Some(what) = late {
                self.complain(what);
            }
        }
        self.out = out;
    }
}

impl Program for Sends {
    fn step(&mut self, around: &Around<'_>) -> Option<Duration> {
        self.shared.borrow_mut().look(around);
        self.drain(around);
        let held = self.producer.counts().buffered_bytes;
        if held > self.buffer {
            self.complain(format!(
                "{held} bytes are buffered of {} at most",
                self.buffer
            ));
        }
        let sent = self.shared.borrow().sent.len();
        if self.ended > sent {
            self.complain(format!(
                "{sent} records were sent, {} have ended",
                self.ended
            ));
        }
        if self.closing {
            return (!self.producer.has_ended()).then_some(STEP);
        }
        if !around.healed || sent < RECORDS {
            self.send(around);
            return Some(Duration::from_micros(
                self.rng.range(100, STEP.as_micros() as u64),
            ));
        }
        self.shared.borrow_mut().sent_all = true;
        if self.ended == sent {
            self.producer.begin_close();
            self.producer.give_up();
            self.closing = true;
        } else if around.now > *self.calm_since.get_or_insert(around.now) + PATIENCE {
            self.complain(format!(
                "{} of {sent} records have not ended",
                sent.saturating_sub(self.ended)
            ));
        }
        Some(STEP)
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn progress(&self) -> (u64, u64) {
        (self.shared.borrow().sent.len() as u64, RECORDS as u64)
    }

    fn check(&self, logs: &Logs) -> std::result::Result<(), String> {
        let there: usize = logs.partitions.values().map(Vec::len).sum();
        let sent = self.shared.borrow().sent.len();
        match there == sent {
            true => Ok(()),
            false => Err(format!("{sent} records were sent, {there} are there")),
        }
    }
}

/// Reads all partitions, as soon as anything is there.
struct Reads {
    shared: Rc<RefCell<Shared>>,
    consumer: Option<Consumer>,
    rng: Rng,
    in_group: bool,
    begun: bool,
    /// By partition: the last number delivered, and since when one has been; later ones are judged.
    last: Vec<Option<(usize, Duration)>>,
    read: usize,
    memory: usize,
    calm_since: Option<Duration>,
    complaint: Option<String>,
}

impl Reads {
    fn begin(&mut self, consumer: &Consumer) -> Result<()> {
        self.begun = true;
        match self.in_group {
            true => consumer.subscribe(&[TOPIC]),
            false => consumer.assign_topic(TOPIC, Start::Earliest),
        }
    }

    fn poll(
        &mut self,
        consumer: &Consumer,
        around: &Around<'_>,
    ) -> std::result::Result<(), String> {
        loop {
            let batch = match consumer.poll(500, Duration::ZERO) {
                Ok(Polled::Batch(batch)) => batch,
                Ok(Polled::Event(_)) => continue,
                Ok(Polled::Nothing) => return Ok(()),
                Err(e) if matches!(e.code(), ErrorCode::CONNECT | ErrorCode::TIMED_OUT) => {
                    return Ok(());
                }
                Err(e) => return Err(format!("a poll was refused: {e}")),
            };
            for record in batch.iter() {
                let value = record.value().and_then(|v| v.first_chunk());
                let number =
                    u64::from_be_bytes(*value.ok_or("a record is not one that was sent")?) as usize;
                let last = &mut self.last[record.partition() as usize];
                if last.is_some_and(|(last, _)| last >= number) {
                    return Err(format!("record {number} came after {last:?}"));
                }
                let known = last.map_or(around.now, |(_, known)| known);
                *last = Some((number, known));
                self.read += 1;
                let shared = self.shared.borrow();
                if let Some(what) = shared.check_pace(around, number, known, "delivered") {
                    return Err(what);
                }
            }
            let held = consumer.buffered_bytes().map_err(|e| e.to_string())?;
            if held > self.memory {
                return Err(format!(
                    "{held} bytes are prefetched of {} at most",
                    self.memory
                ));
            }
        }
    }
}

impl Program for Reads {
    fn step(&mut self, around: &Around<'_>) -> Option<Duration> {
        let consumer = self.consumer.take()?;
        self.shared.borrow_mut().look(around);
        let begun = match self.begun {
            true => Ok(()),
            false => self.begin(&consumer).map_err(|e| e.to_string()),
        };
        if let Err(what) = begun.and_then(|()| self.poll(&consumer, around)) {
            self.complaint.get_or_insert(what);
        }
        let (sent_all, sent) = (
            self.shared.borrow().sent_all,
            self.shared.borrow().sent.len(),
        );
        if sent_all && self.read == sent {
            consumer.begin_closing(PATIENCE);
            return None;
        }
        if sent_all && around.now > *self.calm_since.get_or_insert(around.now) + PATIENCE {
            self.complaint
                .get_or_insert(format!("{} of {sent} records were delivered", self.read));
        }
        self.consumer = Some(consumer);
        Some(Duration::from_micros(
            self.rng.range(100, STEP.as_micros() as u64),
        ))
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn read(&self) -> u64 {
        self.read as u64
    }

    fn writes(&self) -> bool {
        false
    }

    fn check(&self, _logs: &Logs) -> std::result::Result<(), String> {
        Ok(())
    }
}

/// Builds the world of a seed.
pub(super) fn build(seed: u64, print: bool) -> std::result::Result<World, String> {
    let mut rng = Rng::new(seed);
    let clock = Arc::new(VirtualClock::new(seed, WALL_START));
    let nodes = rng.range(2, 4) as i32;
    let mut network = Network::new(Rng::new(rng.next()));
    let bootstrap = scenario::addresses(&mut network, &mut rng, nodes).join(",");
    let mut broker = scenario::broker(nodes, rng.next(), 2);
    let partitions = rng.range(nodes as u64, 3 * nodes as u64) as i32;
    let placement = Placement::Counts {
        partitions,
        replication_factor: 1,
    };
    broker
        .create_topic(TOPIC, &placement, BTreeMap::new(), false)
        .map_err(|e| format!("creating {TOPIC}: {:?} {:?}", e.code, e.message))?;
    let span = rng.millis(8000, 30_000);
    let count = rng.range(5, 12) as usize;
    let faults = Faults::slow(Rng::new(rng.next()), count, span);
    let feed = Feed::new(Rng::new(rng.next()), Vec::new());
    let mut world = World::new(
        clock.clone(),
        network,
        broker,
        faults,
        feed,
        Trace::new(print),
    );

    let shared = Rc::new(RefCell::new(Shared {
        partitions,
        sent: Vec::new(),
        sent_all: false,
        slow: BTreeMap::new(),
    }));
    let wrong = |e| format!("a seed made a wrong configuration: {e}");
    let batch_size = rng.spread(200, 16_384);
    let largest = rng.spread(10, 2000);
    // What a partition's open batch takes is never refused.
    let buffer = rng.spread(400_000, 4_000_000);
    let pairs = [
        ("bootstrap.servers", bootstrap.clone()),
        ("linger.ms", rng.range(0, LINGER_MS).to_string()),
        ("batch.size", batch_size.to_string()),
        ("buffer.memory", buffer.to_string()),
        ("compression.type", rng.pick(&["none", "lz4"]).to_owned()),
        ("metadata.max.age.ms", rng.spread(500, 100_000).to_string()),
        (
            "max.in.flight.requests.per.connection",
            rng.range(1, 5).to_string(),
        ),
    ];
    let config =
        ProducerConfig::from_pairs(pairs.iter().map(|(k, v)| (*k, v.as_str()))).map_err(wrong)?;
    let waker = Waker::default();
    let (producer, make) = Producer::parts(config, Clock::Virtual(clock.clone()), waker.clone());
    let program = Sends {
        shared: shared.clone(),
        producer,
        rng: Rng::new(rng.next()),
        buffer: buffer + partitions as u64 * batch_size,
        largest,
        known: vec![None; partitions as usize],
        ended: 0,
        out: Vec::new(),
        calm_since: None,
        closing: false,
        complaint: None,
    };
    world.add_client(make(clock.now()), Box::new(program), waker, Duration::ZERO);

    let memory = rng.spread(1_000_000, 4_000_000);
    let mut pairs = vec![
        ("bootstrap.servers", bootstrap),
        ("auto.offset.reset", "earliest".to_owned()),
        ("fetch.max.wait.ms", rng.spread(10, 1000).to_string()),
        ("fetch.memory.bytes", memory.to_string()),
        (
            "max.partition.fetch.bytes",
            rng.spread(10_000, 1_000_000).to_string(),
        ),
        ("metadata.max.age.ms", rng.spread(500, 100_000).to_string()),
    ];
    let in_group = rng.chance(1, 2);
    if in_group {
        pairs.push(("group.id", "paced".to_owned()));
        pairs.push((
            "group.protocol",
            rng.pick(&["consumer", "classic"]).to_owned(),
        ));
    }
    let config =
        ConsumerConfig::from_pairs(pairs.iter().map(|(k, v)| (*k, v.as_str()))).map_err(wrong)?;
    let (consumer, waker, make) = Consumer::parts(config, Clock::Virtual(clock.clone()));
    let program = Reads {
        shared,
        consumer: Some(consumer),
        rng: Rng::new(rng.next()),
        in_group,
        begun: false,
        last: vec![None; partitions as usize],
        read: 0,
        memory: memory as usize,
        calm_since: None,
        complaint: None,
    };
    world.add_client(make(clock.now()), Box::new(program), waker, Duration::ZERO);
    Ok(world)
}
