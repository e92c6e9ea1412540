//! A producer at a steady rate, and the oracle: every value has a number; what became of each is written down and held
//! against what lies in the topic.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ottla::config::ProducerConfig;
use ottla::error::Error;
use ottla::producer::{Completion, Outcome, Producer, ProducerCounts, Record, Wait};
use ottla::protocol::record::{Blob, Bytes, Records, Timestamps};

use super::ground::{Ground, LIMIT, Stored};

/// The token of a record that is not part of the ledger.
const ASIDE: u64 = u64::MAX;

/// What is sent, and how.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// Records a second, all partitions together.
    pub(crate) rate: u64,
    pub(crate) value_len: usize,
    /// Keys of the producer's configuration beside those of every load.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// A full buffer: wait as `max.block.ms` says, or leave the record out and go on with the next partition.
    pub(crate) wait: Wait,
}

impl Plan {
    pub(crate) fn new(topic: &str, partitions: i32) -> Plan {
        Plan {
            topic: topic.to_owned(),
            partitions,
            rate: 2000,
            value_len: 100,
            settings: Vec::new(),
            wait: Wait::MaxBlock,
        }
    }

    pub(crate) fn rate(mut self, rate: u64) -> Plan {
        self.rate = rate;
        self
    }

    pub(crate) fn value_len(mut self, length: usize) -> Plan {
        self.value_len = length;
        self
    }

    pub(crate) fn set(mut self, key: &'static str, value: impl ToString) -> Plan {
        self.settings.push((key, value.to_string()));
        self
    }

    pub(crate) fn refuse(mut self) -> Plan {
        self.wait = Wait::UpTo(Duration::ZERO);
        self
    }
}

/// What became of a record.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

/// What was accepted and how each record ended.
#[derive(Default)]
struct Ledger {
    /// By number; more than one end is the defect looked for.
    ends: Vec<Option<End>>,
    ended_twice: Vec<u64>,
    /// The number of the first record of each call, by its token.
    first_of: HashMap<u64, u64>,
    errors: Vec<Error>,
    /// The first failure of each partition.
    failures: BTreeMap<i32, Error>,
}

struct Shared {
    producer: Producer,
    ledger: Mutex<Ledger>,
    /// Acknowledged, by partition.
    written: Vec<AtomicU64>,
    /// Offered, taken or not, by partition.
    offered: Vec<AtomicU64>,
    refused: AtomicU64,
    /// The most of `buffer.memory` in use.
    peak: AtomicU64,
    /// Who waits for the record that is not part of the ledger.
    aside: Mutex<Option<Sender<Completion>>>,
    stop: AtomicBool,
    drained: AtomicBool,
}

/// Ends a load whose scenario failed.
struct Abandon(Arc<Shared>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Release);
        let _ = self.0.producer.close(Duration::ZERO);
    }
}

/// A load under way.
pub(crate) struct Load {
    plan: Plan,
    shared: Arc<Shared>,
    _abandon: Abandon,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(ground: &Ground, plan: &Plan) -> Load {
        let mut pairs: Vec<(String, String)> = [
            ("bootstrap.servers", ground.bootstrap().as_str()),
            ("client.id", "faults"),
            ("linger.ms", "2"),
            ("reconnect.backoff.max.ms", "250"),
            ("batch.size", "16384"),
            ("request.timeout.ms", "3000"),
            ("delivery.timeout.ms", "300000"),
        ]
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
        for (key, value) in &plan.settings {
            pairs.retain(|(k, _)| k != key);
            pairs.push(((*key).to_owned(), value.clone()));
        }
        let config = ProducerConfig::from_pairs(pairs.iter().map(|(k, v)| (&**k, &**v))).unwrap();
        let shared = Arc::new(Shared {
            producer: Producer::new(config).unwrap(),
            ledger: Mutex::default(),
            written: (0..plan.partitions).map(|_| AtomicU64::new(0)).collect(),
            offered: (0..plan.partitions).map(|_| AtomicU64::new(0)).collect(),
            refused: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            aside: Mutex::default(),
            stop: AtomicBool::new(false),
            drained: AtomicBool::new(false),
        });
        let (a, b, sent) = (shared.clone(), shared.clone(), plan.clone());
        let threads = vec![
            std::thread::spawn(move || send(&a, &sent)),
            std::thread::spawn(move || drain(&b)),
        ];
        Load {
            plan: plan.clone(),
            _abandon: Abandon(shared.clone()),
            shared,
            threads,
        }
    }

    /// Acknowledged records of these partitions.
    pub(crate) fn written(&self, partitions: &[i32]) -> u64 {
        let of = |p: &i32| self.shared.written[*p as usize].load(Ordering::Relaxed);
        partitions.iter().map(of).sum()
    }

    pub(crate) fn all_written(&self) -> u64 {
        let of = |w: &AtomicU64| w.load(Ordering::Relaxed);
        self.shared.written.iter().map(of).sum()
    }

    pub(crate) fn counts(&self) -> ProducerCounts {
        self.shared.producer.counts()
    }

    /// Records taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.ledger.lock().unwrap().ends.len()
    }

    /// Flushes without a limit, in a thread of its own.
    pub(crate) fn flush_aside(&self) -> JoinHandle<ottla::Result<()>> {
        let shared = self.shared.clone();
        std::thread::spawn(move || shared.producer.flush(LIMIT))
    }

    /// True where the delivery time is longer than any fault.
    pub(crate) fn is_patient(&self) -> bool {
        let own = |key: &str| self.plan.settings.iter().any(|(k, _)| *k == key);
        !own("delivery.timeout.ms")
    }

    /// Calls refused for want of room.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// The most of `buffer.memory` that was in use, as sampled at each call.
    pub(crate) fn peak(&self) -> u64 {
        self.shared.peak.load(Ordering::Relaxed)
    }

    /// Waits until so many more records are acknowledged in each partition.
    pub(crate) fn progress(&self, records: u64) {
        let goals: Vec<u64> = (0..self.plan.partitions)
            .map(|p| self.written(&[p]) + records)
            .collect();
        let begun = Instant::now();
        for (p, goal) in goals.iter().enumerate() {
            while self.written(&[p as i32]) < *goal {
                assert!(
                    begun.elapsed() < LIMIT,
                    "{}-{p} stands still at {} of {goal}; {:?}",
                    self.plan.topic,
                    self.written(&[p as i32]),
                    self.counts()
                );
                assert!(
                    !self.threads.iter().any(JoinHandle::is_finished),
                    "a thread of the load has ended"
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        note!(
            "{records} more in each partition: after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
    }

    /// Acknowledged records a second of these partitions, over `time`.
    pub(crate) fn rate(&self, partitions: &[i32], time: Duration) -> f64 {
        let (begun, before) = (Instant::now(), self.written(partitions));
        std::thread::sleep(time);
        (self.written(partitions) - before) as f64 / begun.elapsed().as_secs_f64()
    }

    /// The share of what is offered to these partitions over `time` that is acknowledged. Against what is offered, not
    /// against the clock: a busy machine slows the one who offers too.
    pub(crate) fn share(&self, partitions: &[i32], time: Duration) -> f64 {
        let offered = || -> u64 {
            let of = |p: &i32| self.shared.offered[*p as usize].load(Ordering::Relaxed);
            partitions.iter().map(of).sum()
        };
        let before = (offered(), self.written(partitions));
        std::thread::sleep(time);
        let after = (offered(), self.written(partitions));
        let share = (after.1 - before.1) as f64 / (after.0 - before.0).max(1) as f64;
        note!("{:.1} % of {} records", 100.0 * share, after.0 - before.0);
        share
    }

    /// Sends a record to a further topic and waits for its acknowledgement. It is not part of the ledger.
    pub(crate) fn also(&self, topic: &str) {
        let (tell, told) = std::sync::mpsc::channel();
        *self.shared.aside.lock().unwrap() = Some(tell);
        let record = Record {
            topic,
            value: Some(b"aside"),
            token: ASIDE,
            ..Default::default()
        };
        self.send_aside(&record);
        let end = told.recv_timeout(LIMIT).expect("the record ends");
        assert_eq!(end.outcome, Outcome::Written, "{:?}", end.error);
    }

    /// Sends a record of `size` bytes, which must fail alone, naming the limit.
    pub(crate) fn too_large(&self, topic: &str, size: usize, limit: &str) {
        let (tell, told) = std::sync::mpsc::channel();
        *self.shared.aside.lock().unwrap() = Some(tell);
        let value = vec![b'x'; size];
        let record = Record {
            topic,
            partition: Some(0),
            value: Some(&value),
            token: ASIDE,
            ..Default::default()
        };
        self.send_aside(&record);
        let end = told.recv_timeout(LIMIT).expect("the record ends");
        assert_eq!(end.outcome, Outcome::NotWritten);
        let error = end.error.unwrap();
        assert_eq!(error.code(), ottla::ErrorCode::MESSAGE_TOO_LARGE);
        let size = size.to_string();
        assert!(error.message().contains(limit), "{error}");
        assert!(error.message().contains(&size[..2]), "{error}");
    }

    fn send_aside(&self, record: &Record<'_>) {
        let by = Instant::now() + LIMIT;
        loop {
            match self.shared.producer.send(record, Wait::MaxBlock) {
                Ok(()) => return,
                Err(e) if is_full(&e) && Instant::now() < by => {}
                Err(e) => panic!("a record beside the load: {e}"),
            }
        }
    }

    /// Stops sending, flushes and closes within `limit`, and gives everything written down to the oracle.
    pub(crate) fn finish(self, limit: Duration) -> Finished {
        let shared = &self.shared;
        shared.stop.store(true, Ordering::Release);
        let begun = Instant::now();
        let closed = shared.producer.close(limit);
        let took = begun.elapsed();
        assert!(
            took < limit + Duration::from_secs(10),
            "close({limit:?}) took {took:?}"
        );
        let counts = shared.producer.counts();
        for thread in self.threads {
            thread.join().expect("a thread of the load failed");
        }
        assert!(shared.drained.load(Ordering::Acquire));
        let ledger = std::mem::take(&mut *shared.ledger.lock().unwrap());
        Finished {
            plan: self.plan,
            ledger,
            counts,
            closed: closed.is_ok(),
        }
    }
}

/// Calls at the plan's rate: single records in turn over the partitions, and now and then a call of many.
fn send(shared: &Shared, plan: &Plan) {
    let begun = Instant::now();
    let (mut number, mut token, mut due) = (0u64, 0u64, 0u64);
    while !shared.stop.load(Ordering::Acquire) {
        let by_now = (begun.elapsed().as_secs_f64() * plan.rate as f64) as u64;
        if due >= by_now {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        }
        // What a wait kept from being sent is not made up for in a burst.
        due = due.max(by_now.saturating_sub(plan.rate / 10));
        token += 1;
        let partition = (token % plan.partitions as u64) as i32;
        let rows = if token % 50 == 0 { 20 } else { 1 };
        // The completion may be there before the call returns.
        {
            let mut ledger = shared.ledger.lock().unwrap();
            ledger.first_of.insert(token, number);
            ledger.ends.resize((number + rows) as usize, None);
        }
        let (accepted, result) = if rows == 1 {
            let value = value(number, plan.value_len);
            let record = Record {
                topic: &plan.topic,
                partition: Some(partition),
                value: Some(&value),
                token,
                ..Default::default()
            };
            let result = shared.producer.send(&record, plan.wait);
            (u64::from(result.is_ok()), result)
        } else {
            send_rows(shared, plan, partition, token, number, rows)
        };
        due += rows;
        number += accepted;
        shared.offered[partition as usize].fetch_add(rows, Ordering::Relaxed);
        shared.ledger.lock().unwrap().ends.truncate(number as usize);
        let used = shared.producer.counts().buffered_bytes;
        shared.peak.fetch_max(used, Ordering::Relaxed);
        match result {
            Ok(()) => {}
            Err(e) if is_full(&e) => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) if e.code() == ottla::ErrorCode::CLOSED => return,
            Err(e) => panic!("record {number}: {e}"),
        }
    }
}

fn is_full(error: &Error) -> bool {
    [ottla::ErrorCode::AGAIN, ottla::ErrorCode::BUFFER_FULL].contains(&error.code())
}

fn send_rows(
    shared: &Shared,
    plan: &Plan,
    partition: i32,
    token: u64,
    first: u64,
    rows: u64,
) -> (u64, ottla::Result<()>) {
    let blob: Vec<u8> = (first..first + rows)
        .flat_map(|n| value(n, plan.value_len))
        .collect();
    let lengths = vec![plan.value_len as i32; rows as usize];
    let mut starts = Vec::new();
    let values = Bytes::Blob(Blob::new("values", &blob, &lengths, &mut starts).unwrap());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let times = Timestamps::One(now.as_millis() as i64);
    let records = Records::new(rows as usize, Bytes::Null, values, None, times).unwrap();
    let (accepted, result) =
        shared
            .producer
            .send_batch(&plan.topic, Some(partition), &records, token, plan.wait);
    (accepted as u64, result)
}

/// A number in 16 digits, then letters that compress as text does.
pub(crate) fn value(number: u64, length: usize) -> Vec<u8> {
    let mut value = format!("{number:016}").into_bytes();
    let mut word = number;
    while value.len() < length {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        value.push(b'a' + (word >> 60) as u8);
    }
    value
}

fn drain(shared: &Shared) {
    let mut out = Vec::new();
    loop {
        match shared
            .producer
            .completions(1000, Duration::from_millis(100), &mut out)
        {
            Ok(_) => {}
            Err(e) if e.code() == ottla::ErrorCode::CLOSED => {
                return shared.drained.store(true, Ordering::Release);
            }
            Err(e) => panic!("completions: {e}"),
        }
        let mut ledger = shared.ledger.lock().unwrap();
        for completion in out.drain(..) {
            note(shared, &mut ledger, &completion);
        }
    }
}

fn note(shared: &Shared, ledger: &mut Ledger, completion: &Completion) {
    if completion.token == ASIDE {
        let waiting = shared.aside.lock().unwrap().take();
        return waiting.unwrap().send(completion.clone()).unwrap();
    }
    let first = ledger.first_of[&completion.token];
    if let Some(error) = &completion.error {
        let failures = ledger.failures.entry(completion.partition);
        failures.or_insert_with(|| error.clone());
        if ledger.errors.len() < 20_000 {
            ledger.errors.push(error.clone());
        }
    }
    for k in 0..completion.count {
        let row = completion
            .indices
            .as_ref()
            .map_or(completion.first + k, |i| i[k as usize]);
        let number = first + u64::from(row);
        let end = End {
            outcome: completion.outcome,
            partition: completion.partition,
            offset: match completion.base_offset {
                -1 => -1,
                base => base + i64::from(k),
            },
            timestamp: completion.timestamp,
        };
        match ledger.ends.get_mut(number as usize) {
            Some(place @ None) => *place = Some(end),
            _ => ledger.ended_twice.push(number),
        }
    }
    if completion.outcome == Outcome::Written {
        shared.written[completion.partition as usize]
            .fetch_add(u64::from(completion.count), Ordering::Relaxed);
    }
}

/// A load that has ended.
pub(crate) struct Finished {
    pub(crate) plan: Plan,
    ledger: Ledger,
    pub(crate) counts: ProducerCounts,
    /// Whether everything ended within close's time, without a failure to tell.
    pub(crate) closed: bool,
}

/// How many records ended in which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) written: usize,
    pub(crate) not_written: usize,
    pub(crate) possibly_written: usize,
    /// Of those possibly written, the ones that are there.
    pub(crate) were_there: usize,
}

impl Verdict {
    pub(crate) fn add(&mut self, other: Verdict) {
        self.written += other.written;
        self.not_written += other.not_written;
        self.possibly_written += other.possibly_written;
        self.were_there += other.were_there;
    }
}

impl Finished {
    pub(crate) fn errors(&self) -> &[Error] {
        &self.ledger.errors
    }

    /// Every record for these partitions was acknowledged.
    pub(crate) fn ended_written(&self, partitions: &[i32]) {
        let mut ends = self.ledger.ends.iter().flatten();
        let failed =
            ends.find(|e| partitions.contains(&e.partition) && e.outcome != Outcome::Written);
        let why = self
            .ledger
            .failures
            .iter()
            .find(|(p, _)| partitions.contains(p));
        assert!(failed.is_none(), "{failed:?}: {why:?}");
    }

    /// Reads the topic back and holds it against what the producer said.
    pub(crate) fn judge(&self, ground: &Ground) -> Verdict {
        let stored = ground.read_back(&self.plan.topic, self.plan.partitions);
        self.judge_stored(&stored)
    }

    /// As [`Finished::judge`], and every record must have been written.
    pub(crate) fn all_written(&self, ground: &Ground) -> Verdict {
        let verdict = self.judge(ground);
        let failed = verdict.not_written + verdict.possibly_written;
        assert_eq!(failed, 0, "{verdict:?}: {:?}", self.errors().first());
        assert!(self.closed, "close told of a failure");
        verdict
    }

    /// All were acknowledged; of each partition, the last ones are there, in order.
    pub(crate) fn deleted_but_written(&self, ground: &Ground) {
        let stored = ground.read_back(&self.plan.topic, self.plan.partitions);
        let ends = &self.ledger.ends;
        assert!(
            ends.iter()
                .all(|e| e.as_ref().is_some_and(|e| e.outcome == Outcome::Written)),
            "{:?}",
            self.errors().first()
        );
        for (partition, log) in stored.iter().enumerate() {
            let first = log
                .first()
                .unwrap_or_else(|| panic!("{partition} is empty"));
            assert!(first.offset > 0, "nothing was deleted");
            let sent = (0..ends.len() as u64).filter(|n| {
                let end = ends[*n as usize].as_ref();
                *n >= first.number && end.is_some_and(|e| e.partition == partition as i32)
            });
            let there: Vec<u64> = log.iter().map(|r| r.number).collect();
            assert_eq!(there, sent.collect::<Vec<u64>>(), "partition {partition}");
        }
    }

    pub(crate) fn judge_stored(&self, stored: &[Vec<Stored>]) -> Verdict {
        let ledger = &self.ledger;
        let topic = &self.plan.topic;
        let twice = &ledger.ended_twice;
        assert!(twice.is_empty(), "{topic}: ended twice: {:?}", first(twice));
        let open: Vec<usize> = (0..ledger.ends.len())
            .filter(|n| ledger.ends[*n].is_none())
            .collect();
        assert!(open.is_empty(), "{topic}: never ended: {:?}", first(&open));
        let mut there: Vec<Option<(i32, Stored)>> = vec![None; ledger.ends.len()];
        for (partition, log) in stored.iter().enumerate() {
            // One thread sent all of them, so numbers rise in every partition; a duplicate wouldn't.
            let wrong = log.windows(2).find(|w| w[0].number >= w[1].number);
            assert!(
                wrong.is_none(),
                "{topic}-{partition}: out of order or twice: {wrong:?}"
            );
            for record in log {
                let place = there.get_mut(record.number as usize);
                let place = place.unwrap_or_else(|| {
                    panic!("{topic}-{partition}: {record:?} was never accepted")
                });
                assert!(place.is_none(), "{topic}: {record:?} is there twice");
                *place = Some((partition as i32, *record));
            }
        }
        let mut verdict = Verdict::default();
        for (number, (end, there)) in ledger.ends.iter().flatten().zip(&there).enumerate() {
            match (end.outcome, there) {
                (Outcome::Written, Some((partition, record))) => {
                    verdict.written += 1;
                    assert_eq!(end.partition, *partition, "{topic}: partition of {number}");
                    assert!(
                        [-1, record.offset].contains(&end.offset),
                        "{topic}: {number} was said to be at {}, {record:?}",
                        end.offset
                    );
                    // Told is the first of the batch's; single records are stamped by another clock than this test's.
                    let apart = record.timestamp - end.timestamp;
                    assert!(
                        (-20..60_000).contains(&apart),
                        "{topic}: {end:?}, {record:?}"
                    );
                }
                (Outcome::Written, None) => panic!("{topic}: {number} is lost: {end:?}"),
                (Outcome::NotWritten, None) => verdict.not_written += 1,
                (Outcome::NotWritten, Some(record)) => {
                    panic!(
                        "{topic}: {number} was told not written, yet {record:?}: {:?}",
                        ledger.errors
                    )
                }
                (Outcome::PossiblyWritten, there) => {
                    verdict.possibly_written += 1;
                    verdict.were_there += usize::from(there.is_some());
                }
            }
        }
        verdict
    }
}

fn first<T>(items: &[T]) -> &[T] {
    &items[..items.len().min(10)]
}
