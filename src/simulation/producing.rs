//! A program that produces: it sends in every way there is, drains completions, flushes, closes, and keeps a ledger of
//! what it was told.

mod batch_call;
mod checks;
mod ledger;

use std::collections::BTreeSet;
use std::time::Duration;

use self::batch_call::send_batch;
use self::ledger::{Call, Entry};
use super::chance::Chance;
use super::content::Content;
use super::oracle::Logs;
use super::transactions::Transactions;
use super::world::{Around, Program};
use crate::error::ErrorCode;
use crate::producer::{Completion, Producer, Record, Wait};
use crate::rng::Rng;

/// What a seed has chosen for a program.
pub(super) struct Plan {
    pub(super) client: u32,
    /// Records to send before the last ones.
    pub(super) records: usize,
    /// Topics, with what is known of their partitions.
    pub(super) topics: Vec<(String, i32)>,
    /// Idempotence is on: exactly once, in order.
    pub(super) strict: bool,
    /// Idempotence is off, but there is never more than one request on its way.
    pub(super) one_by_one: bool,
    pub(super) buffer: usize,
    pub(super) batch_size: usize,
    /// The longest a record may take to its end.
    pub(super) longest: Duration,
    /// Everything is sent in transactions.
    pub(super) transactional: bool,
    /// Closes before the faults are over, with this time.
    pub(super) abrupt: Option<Duration>,
    /// Between steps, at most.
    pub(super) pause: Duration,
    pub(super) largest_value: u64,
    /// Milliseconds since 1970 at the start.
    pub(super) wall_start: i64,
}

/// Rounds of a record for each partition after all faults. The first finds out what has changed; all of the last must be
/// written.
const PROBES: u32 = 2;
/// What a producer holds of a record beside its bytes: at most one run of a call's records, in a list that doubles.
const COST_OF_TOKEN: usize = 2 * 24;
/// Longer than any backoff.
const REST: Duration = Duration::from_secs(6);

enum Phase {
    Sending,
    Waiting,
    /// Backoffs run out, before each round of probes.
    Resting {
        until: Duration,
        round: u32,
    },
    Probing {
        left: Vec<(usize, i32)>,
        since: Duration,
        round: u32,
    },
    Flushing {
        upto: u64,
        by: Duration,
        rounds_done: u32,
    },
    Closing {
        upto: u64,
        by: Duration,
    },
    Ending {
        by: Duration,
    },
    Ended,
}

pub(super) struct Producing {
    plan: Plan,
    producer: Producer,
    rng: Rng,
    ledger: Vec<Entry>,
    calls: Vec<Call>,
    /// Records without a token since the last flush, by their numbers.
    silent: Vec<usize>,
    /// Of silent records that a flush has called well.
    silent_written: Vec<usize>,
    phase: Phase,
    complaint: Option<String>,
    /// Partitions whose broker forgot its producers: their order is nobody's fault.
    forgotten: BTreeSet<(String, i32)>,
    drained: Vec<Completion>,
    largest_call: usize,
    transactions: Option<Transactions>,
}

impl Producing {
    pub(super) fn new(plan: Plan, producer: Producer, rng: Rng) -> Self {
        let transactions = plan.transactional.then(Transactions::new);
        Producing {
            plan,
            producer,
            rng,
            ledger: Vec::new(),
            calls: Vec::new(),
            silent: Vec::new(),
            silent_written: Vec::new(),
            phase: Phase::Sending,
            complaint: None,
            forgotten: BTreeSet::new(),
            drained: Vec::new(),
            largest_call: 0,
            transactions,
        }
    }

    fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    fn content(&self, number: usize) -> Content {
        Content::of(
            self.plan.client,
            number as u64,
            self.plan.largest_value,
            self.plan.wall_start,
        )
    }

    /// One call of the API; false if there was no room.
    fn call(&mut self, now: Duration, probe: Option<((usize, i32), bool)>) -> bool {
        let transaction = match &self.transactions {
            None => None,
            Some(transactions) => match transactions.open() {
                Some(open) => Some(open),
                None => return false,
            },
        };
        let (topic, wish) = match probe {
            Some(((topic, partition), _)) => (topic, (partition >= 0).then_some(partition)),
            None => {
                let topic = self.rng.below(self.plan.topics.len());
                let partitions = self.plan.topics[topic].1 as u64;
                let wish = self
                    .rng
                    .chance(1, 3)
                    .then(|| self.rng.range(0, partitions - 1) as i32);
                (topic, wish)
            }
        };
        let silent = probe.is_none() && self.rng.chance(1, 12);
        let token = if silent {
            0
        } else {
            self.calls.len() as u64 + 1
        };
        let first = self.ledger.len();
        let rows = match probe {
            None if self.rng.chance(1, 3) => self.rng.spread(2, 60) as usize,
            _ => 1,
        };
        let name = self.plan.topics[topic].0.clone();
        let contents: Vec<Content> = (first..first + rows).map(|n| self.content(n)).collect();
        self.largest_call = self
            .largest_call
            .max(contents.iter().map(Content::size).sum());
        let (accepted, result) = if rows == 1 {
            let content = &contents[0];
            let headers: Vec<(&[u8], Option<&[u8]>)> = content
                .headers
                .iter()
                .map(|(k, v)| (k.as_slice(), v.as_deref()))
                .collect();
            let record = Record {
                topic: &name,
                partition: wish,
                key: content.key.as_deref(),
                value: content.value.as_deref(),
                headers: &headers,
                // A program that gives none gets the time of the call, which the ledger can't know.
                timestamp: (probe.is_none() && content.timed).then_some(content.timestamp),
                token,
            };
            let result = self.producer.send(&record, Wait::UpTo(Duration::ZERO));
            (usize::from(result.is_ok()), result)
        } else {
            send_batch(&self.producer, &name, wish, &contents, token)
        };
        for _ in 0..accepted {
            if silent {
                self.silent.push(self.ledger.len());
            }
            self.ledger.push(Entry {
                topic,
                wish,
                accepted: now,
                silent,
                end: None,
                transaction,
                at_risk: false,
                timed: probe.is_none(),
                probe: probe.is_some_and(|(_, strict)| strict),
                erased: false,
            });
        }
        if !silent {
            self.calls.push(Call {
                first,
                accepted: accepted as u32,
            });
        }
        if let Some(transactions) = &mut self.transactions {
            if probe.is_none() {
                transactions.accepted(accepted, &mut self.rng);
            }
            if let Err(e) = &result
                && transactions.failed(e)
            {
                return false;
            }
        }
        match result {
            Ok(()) if accepted != rows => {
                self.complain(format!(
                    "a call took {accepted} of {rows} records and says that all is well"
                ));
                true
            }
            Ok(()) => true,
            // Nothing is wrong with these while faults last: no room, an unknown topic or partition, nobody to reach.
            Err(e)
                if matches!(
                    e.code(),
                    ErrorCode::AGAIN
                        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                        | ErrorCode::CONNECT
                        | ErrorCode::PROTOCOL
                        | ErrorCode::TIMED_OUT
                        | ErrorCode::LEADER_NOT_AVAILABLE
                ) =>
            {
                false
            }
            Err(e) => {
                self.complain(format!("a send was refused: {e}"));
                false
            }
        }
    }

    fn is_dead(&self) -> bool {
        self.transactions
            .as_ref()
            .is_some_and(Transactions::is_dead)
    }

    /// No transaction is being begun or ended.
    fn is_settled(&self) -> bool {
        self.transactions
            .as_ref()
            .is_none_or(|t| t.is_idle() || t.open().is_some())
    }

    fn drain(&mut self, now: Duration) {
        let mut drained = std::mem::take(&mut self.drained);
        while let Ok(n) = self
            .producer
            .completions(1000, Duration::ZERO, &mut drained)
        {
            if n == 0 {
                break;
            }
        }
        for completion in drained.drain(..) {
            self.completed(now, &completion);
        }
        self.drained = drained;
        // A call is let in as a whole once there is any room, and its buffers double as they grow; so may one batch of
        // a topic that is moved to its partitions. Of which calls the records are is counted when their batch is closed.
        let used = self.producer.counts().buffered_bytes as usize;
        let open = self.ledger.iter().filter(|e| e.end.is_none()).count();
        let grown = self.plan.batch_size + 2 * self.largest_call;
        // Buffers come in sizes: each of several partitions may round up.
        let most = self.plan.buffer + grown + open * COST_OF_TOKEN + 8192;
        if used > most {
            self.complain(format!(
                "{used} bytes are held, {most} were the most; buffer.memory is {}",
                self.plan.buffer
            ));
        }
    }

    /// What a flush says of records without a token.
    fn settle_silent(&mut self) {
        let result = self.producer.take_silent();
        let numbers = std::mem::take(&mut self.silent);
        if result.is_ok() {
            self.silent_written.extend(numbers);
        }
    }

    fn probes(&self) -> Vec<(usize, i32)> {
        self.plan
            .topics
            .iter()
            .enumerate()
            // One that the partitioner places, then one for each.
            .flat_map(|(t, (_, partitions))| (-1..*partitions).map(move |p| (t, p)))
            .collect()
    }

    fn close(&mut self, now: Duration, time: Duration) {
        self.producer.begin_close();
        let upto = self.producer.begin_flush();
        self.phase = Phase::Closing {
            upto,
            by: now + time,
        };
    }

    fn go_on(&mut self, around: &Around<'_>) -> Option<Duration> {
        let now = around.now;
        let tick = Duration::from_micros(self.rng.range(200, 20_000));
        let size = self.rng.spread(1, 120) as usize;
        // One that is closing makes no calls but those.
        let closing = matches!(
            self.phase,
            Phase::Closing { .. } | Phase::Ending { .. } | Phase::Ended
        );
        if let Some(transactions) = &mut self.transactions
            && !closing
            && let Err(what) = transactions.go_on(&self.producer, size)
        {
            self.complain(what);
        }
        let settled = self.is_settled();
        match &mut self.phase {
            Phase::Sending => {
                for _ in 0..self.rng.range(1, 6) {
                    if !self.call(now, None) {
                        break;
                    }
                }
                if self.rng.chance(1, 60) {
                    self.producer.begin_flush();
                }
                if self.ledger.len() >= self.plan.records || self.is_dead() {
                    self.phase = Phase::Waiting;
                    if let Some(time) = self.plan.abrupt {
                        self.close(now, time);
                    }
                }
                Some(Duration::from_micros(
                    self.rng.range(0, self.plan.pause.as_micros() as u64),
                ))
            }
            Phase::Waiting => {
                // Some records are always on their way while faults last.
                if self.rng.chance(1, 3) {
                    self.call(now, None);
                }
                if around.healed && self.is_settled() {
                    let upto = self.producer.begin_flush();
                    self.phase = Phase::Flushing {
                        upto,
                        by: now + self.plan.longest,
                        rounds_done: 0,
                    };
                }
                Some(tick * 5)
            }
            Phase::Resting { until, round } => {
                if now >= *until {
                    self.phase = Phase::Probing {
                        round: *round,
                        left: self.probes(),
                        since: now,
                    };
                }
                Some(tick * 5)
            }
            Phase::Probing { left, since, round } => {
                let (since, round, mut left) = (*since, *round, std::mem::take(left));
                while let Some(probe) = left.last() {
                    if !self.call(now, Some((*probe, round == PROBES))) {
                        break;
                    }
                    left.pop();
                }
                if self.is_dead() {
                    left.clear();
                }
                if left.is_empty() {
                    if let Some(transactions) = &mut self.transactions {
                        transactions.end(true);
                    }
                    let upto = self.producer.begin_flush();
                    self.phase = Phase::Flushing {
                        upto,
                        by: now + self.plan.longest,
                        rounds_done: round,
                    };
                } else {
                    if now > since + self.plan.longest {
                        self.complain(
                            "no record is accepted though all faults are over: the client is stuck"
                                .into(),
                        );
                    }
                    self.phase = Phase::Probing { left, since, round };
                }
                Some(tick)
            }
            Phase::Flushing {
                upto,
                by,
                rounds_done,
            } => {
                if self.producer.is_flushed(*upto) && settled {
                    let rounds_done = *rounds_done;
                    self.drain(now);
                    if let Some(n) = self
                        .ledger
                        .iter()
                        .position(|e| e.end.is_none() && !e.silent)
                    {
                        self.complain(format!("a flush has ended before record {n} has"));
                    }
                    self.settle_silent();
                    if rounds_done < PROBES {
                        self.phase = Phase::Resting {
                            until: now + REST,
                            round: rounds_done + 1,
                        };
                        return Some(tick);
                    }
                    let time = Duration::from_secs(self.rng.range(0, 3));
                    self.close(now, time);
                } else if now > *by {
                    let left = self.ledger.iter().filter(|e| e.end.is_none()).count();
                    self.complain(format!("a flush has not ended though all faults are over: {left} records are left, the client is stuck"));
                }
                Some(tick)
            }
            Phase::Closing { upto, by } => {
                let flushed = self.producer.is_flushed(*upto);
                if flushed || now >= *by {
                    self.producer.give_up();
                    if flushed {
                        self.settle_silent();
                    }
                    self.phase = Phase::Ending {
                        by: now + Duration::from_secs(60),
                    };
                }
                Some(tick)
            }
            Phase::Ending { by } => {
                if self.producer.has_ended() {
                    self.phase = Phase::Ended;
                } else if now > *by {
                    self.complain("close has not ended".into());
                }
                Some(tick)
            }
            Phase::Ended => None,
        }
    }
}

impl Program for Producing {
    fn step(&mut self, around: &Around<'_>) -> Option<Duration> {
        // A slow program lets completions lie.
        if !matches!(self.phase, Phase::Sending) || self.rng.chance(3, 4) {
            self.drain(around.now);
        }
        let next = self.go_on(around);
        if next.is_none() {
            self.drain(around.now);
            let held = self.producer.counts().buffered_bytes;
            if held != 0 {
                self.complain(format!(
                    "{held} bytes of buffer.memory are still taken though all has ended"
                ));
            }
        }
        next
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn progress(&self) -> (u64, u64) {
        (self.ledger.len() as u64, self.plan.records as u64)
    }

    fn unended(&self) -> u64 {
        self.producer.counts().live_batches
    }

    fn producers_forgotten(&mut self, topic: &str, partition: i32) {
        self.forgotten.insert((topic.to_owned(), partition));
        for entry in &mut self.ledger {
            if entry.end.is_none() && self.plan.topics[entry.topic].0 == topic {
                entry.at_risk = true;
            }
        }
    }

    fn topic_shrunk(&mut self, topic: &str, partitions: i32) {
        for (index, (name, count)) in self.plan.topics.iter_mut().enumerate() {
            if name != topic {
                continue;
            }
            for partition in 0..*count {
                self.forgotten.insert((topic.to_owned(), partition));
            }
            *count = partitions;
            for entry in self.ledger.iter_mut().filter(|e| e.topic == index) {
                (entry.erased, entry.at_risk) = (true, true);
            }
        }
    }

    fn check(&self, logs: &Logs) -> Result<(), String> {
        self.check_ledger(logs)
    }
}
