//! A program that produces: it sends in every way there is, drains completions, flushes, closes, and keeps a ledger of
//! what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::chance::Chance;
use super::content::Content;
use super::oracle::{Fate, Logs};
use super::transactions::Transactions;
use super::world::{Around, Program};
use crate::error::ErrorCode;
use crate::producer::{Completion, Outcome, Producer, Record, Wait};
use crate::protocol::record::{Blob, Bytes, HeaderBlob, Records, Timestamps};
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

/// A record that was accepted.
struct Entry {
    topic: usize,
    wish: Option<i32>,
    accepted: Duration,
    silent: bool,
    end: Option<End>,
    transaction: Option<usize>,
    /// Its partition's broker forgot its producers before it ended: nobody could keep it from being written twice.
    at_risk: bool,
    /// It has the timestamp that follows from its number.
    timed: bool,
    /// Sent after all faults: must be written.
    probe: bool,
    /// Its topic was deleted after it had been accepted: it may be gone, or written to the new one.
    erased: bool,
}

#[derive(Clone)]
struct End {
    outcome: Outcome,
    partition: i32,
    offset: i64,
    why: Option<String>,
}

/// A call, whose token is its place in the list plus one.
struct Call {
    first: usize,
    accepted: u32,
}

/// Rounds of a record for each partition after all faults. The first finds out what has changed; all of the last must be
/// written.
const PROBES: u32 = 2;
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

    /// Transactions: all of one is visible to readers of what is committed, or nothing.
    fn check_transactions(&self, visible: &BTreeMap<usize, usize>) -> Result<(), String> {
        let Some(transactions) = &self.transactions else {
            return Ok(());
        };
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, entry) in self.ledger.iter().enumerate() {
            if let Some(transaction) = entry.transaction {
                members.entry(transaction).or_default().push(number);
            }
        }
        for (transaction, numbers) in members {
            let seen = |n: &usize| visible.get(n).copied().unwrap_or(0);
            let there = numbers.iter().filter(|n| seen(n) > 0).count();
            let told = transactions.list[transaction].committed;
            let fail = |what: &str| {
                let why = numbers.iter().find_map(|n| {
                    let end = self.ledger[*n].end.as_ref()?;
                    end.why.as_deref()
                });
                Err(format!(
                    "transaction {transaction}: {what}; {there} of {} records are visible; {}",
                    numbers.len(),
                    why.unwrap_or("no record failed")
                ))
            };
            let twice = |n: &&usize| seen(n) > 1 && !self.ledger[**n].at_risk;
            if let Some(twice) = numbers.iter().find(twice) {
                return fail(&format!("record {twice} is visible more than once"));
            }
            match told {
                Some(true) if there < numbers.len() => return fail("told committed"),
                Some(false) if there > 0 => return fail("told aborted"),
                None if there != 0 && there < numbers.len() => return fail("neither all nor none"),
                _ => {}
            }
            let probe = numbers.iter().any(|n| self.ledger[*n].probe);
            if probe && told != Some(true) && transactions.dead.is_none() {
                return fail("not committed though all faults were over");
            }
        }
        Ok(())
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
        // A call that goes to many partitions is let in at once, a batch may be full at once, and what tells whose records
        // they are, completions too, is counted only when a batch has been closed.
        let used = self.producer.counts().buffered_bytes as usize;
        // Buffers come in sizes: each of several partitions may round up.
        let most = self.plan.buffer * 3 / 2 + self.plan.batch_size + 2 * self.largest_call + 8192;
        if used > most {
            self.complain(format!(
                "{used} bytes are held, {most} were the most; buffer.memory is {}",
                self.plan.buffer
            ));
        }
    }

    fn completed(&mut self, now: Duration, c: &Completion) {
        let Some((first, accepted)) = usize::try_from(c.token)
            .ok()
            .and_then(|t| self.calls.get(t.wrapping_sub(1)))
            .map(|call| (call.first, call.accepted))
        else {
            return self.complain(format!(
                "a completion with the token {}, which no call had",
                c.token
            ));
        };
        let rows: Vec<u32> = match &c.indices {
            Some(indices) => indices.to_vec(),
            None => (c.first..c.first + c.count).collect(),
        };
        if rows.len() != c.count as usize || (c.outcome == Outcome::Written) != c.error.is_none() {
            return self.complain(format!("a completion that contradicts itself: {c:?}"));
        }
        for (i, row) in rows.iter().enumerate() {
            if *row >= accepted {
                return self.complain(format!(
                    "a completion for row {row} of a call of which {accepted} were taken"
                ));
            }
            let number = first + *row as usize;
            let entry = &mut self.ledger[number];
            let end = End {
                outcome: c.outcome,
                partition: c.partition,
                offset: if c.base_offset >= 0 {
                    c.base_offset + i as i64
                } else {
                    -1
                },
                why: c
                    .error
                    .as_ref()
                    .map(|e| format!("{}: {}", e.code().name(), e.message())),
            };
            if entry.end.replace(end).is_some() {
                return self.complain(format!("record {number} was completed twice"));
            }
            if entry.wish.is_some_and(|wish| wish != c.partition)
                || self.plan.topics[entry.topic].0 != *c.topic
            {
                return self.complain(format!(
                    "record {number} went to {}-{}",
                    c.topic, c.partition
                ));
            }
            let took = now - entry.accepted;
            if took > self.plan.longest {
                return self.complain(format!(
                    "record {number} took {took:.1?} to its end, {:?} were the most",
                    c.outcome
                ));
            }
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
        let mut copies: BTreeMap<usize, Vec<(i32, i64)>> = BTreeMap::new();
        let mut visible: BTreeMap<usize, usize> = BTreeMap::new();
        for ((topic, partition), records) in &logs.partitions {
            let mut last = None;
            for record in records {
                let Some((client, number)) = Content::owner(record) else {
                    return Err(format!(
                        "{topic}-{partition}@{}: a record that nobody sent",
                        record.offset
                    ));
                };
                if client != self.plan.client {
                    continue;
                }
                let number = number as usize;
                let Some(entry) = self.ledger.get(number) else {
                    return Err(format!(
                        "{topic}-{partition}@{}: record {number} was never accepted",
                        record.offset
                    ));
                };
                if self.plan.topics[entry.topic].0 != *topic
                    || entry.wish.is_some_and(|wish| wish != *partition)
                {
                    return Err(format!(
                        "record {number} was written to {topic}-{partition}, where it does not belong"
                    ));
                }
                match record.fate {
                    Fate::Open => {
                        return Err(format!(
                            "{topic}-{partition}@{}: record {number}'s transaction was never ended",
                            record.offset
                        ));
                    }
                    Fate::Plain if entry.transaction.is_some() => {
                        return Err(format!(
                            "record {number} was written outside of its transaction"
                        ));
                    }
                    Fate::Committed => *visible.entry(number).or_default() += 1,
                    _ => {}
                }
                let timed = entry.timed;
                self.content(number).compare(record, timed).map_err(|e| {
                    format!(
                        "record {number} at {topic}-{partition}@{}: {e}",
                        record.offset
                    )
                })?;
                copies
                    .entry(number)
                    .or_default()
                    .push((*partition, record.offset));
                let ordered =
                    self.plan.strict && !self.forgotten.contains(&(topic.clone(), *partition));
                if ordered && last.is_some_and(|last| last > number) {
                    return Err(format!(
                        "{topic}-{partition}@{}: record {number} comes after {last:?}, out of order",
                        record.offset
                    ));
                }
                last = Some(number);
            }
        }
        let silent_written: BTreeSet<usize> = self.silent_written.iter().copied().collect();
        let mut told: BTreeMap<(usize, i32), i64> = BTreeMap::new();
        for (number, entry) in self.ledger.iter().enumerate() {
            let found = copies.get(&number).map_or(&[][..], Vec::as_slice);
            let once = self.plan.strict && !entry.at_risk;
            let fail = |what: String| {
                Err(format!(
                    "record {number}: {what}; in the logs at {found:?} (partition, offset)"
                ))
            };
            if once && found.len() > 1 {
                return fail("written more than once".into());
            }
            if entry.silent {
                if entry.end.is_some() {
                    return fail("completed though it had no token".into());
                }
                // An abort makes up for what it undid; its transaction says what became of it.
                let alone = entry.transaction.is_none();
                let lost = alone && silent_written.contains(&number) && found.is_empty();
                if lost && !entry.erased {
                    return fail("a flush said that all was well, and it is lost".into());
                }
                continue;
            }
            let Some(end) = &entry.end else {
                return fail("never completed".into());
            };
            match end.outcome {
                _ if entry.erased => {}
                Outcome::Written if found.is_empty() => {
                    return fail("told written, and lost".into());
                }
                Outcome::Written
                    if end.offset >= 0 && !found.contains(&(end.partition, end.offset)) =>
                {
                    return fail(format!(
                        "told to be at {}@{}, and is not",
                        end.partition, end.offset
                    ));
                }
                Outcome::NotWritten if !found.is_empty() => {
                    return fail(format!(
                        "told not written ({}), and it is there",
                        end.why.as_deref().unwrap_or("no reason")
                    ));
                }
                _ => {}
            }
            if entry.probe && entry.transaction.is_none() && end.outcome != Outcome::Written {
                return fail(format!(
                    "{:?} though all faults were over: {}",
                    end.outcome,
                    end.why.as_deref().unwrap_or("no reason")
                ));
            }
            if self.plan.one_by_one
                && !entry.erased
                && end.outcome == Outcome::Written
                && end.offset >= 0
            {
                let last = told.insert((entry.topic, end.partition), end.offset);
                if last.is_some_and(|last| last > end.offset) {
                    return fail("out of order though never two requests were on their way".into());
                }
            }
        }
        self.check_transactions(&visible)
    }
}

/// The batch call, with every column it has.
fn send_batch(
    producer: &Producer,
    topic: &str,
    wish: Option<i32>,
    contents: &[Content],
    token: u64,
) -> (usize, crate::Result<()>) {
    let lengths = |parts: &mut dyn Iterator<Item = Option<&[u8]>>| -> (Vec<u8>, Vec<i32>) {
        let (mut blob, mut lengths) = (Vec::new(), Vec::new());
        for part in parts {
            lengths.push(part.map_or(-1, |p| p.len() as i32));
            blob.extend_from_slice(part.unwrap_or_default());
        }
        (blob, lengths)
    };
    let (keys, key_lengths) = lengths(&mut contents.iter().map(|c| c.key.as_deref()));
    let (values, value_lengths) = lengths(&mut contents.iter().map(|c| c.value.as_deref()));
    let counts: Vec<i32> = contents.iter().map(|c| c.headers.len() as i32).collect();
    let (headers, header_lengths) = lengths(
        &mut contents
            .iter()
            .flat_map(|c| &c.headers)
            .flat_map(|(k, v)| [Some(k.as_slice()), v.as_deref()]),
    );
    let timestamps: Vec<i64> = contents.iter().map(|c| c.timestamp).collect();
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    let key_column = match keys.is_empty() {
        true => Ok(Bytes::Null),
        false => Blob::new("keys", &keys, &key_lengths, &mut a).map(Bytes::Blob),
    };
    let value_column = Blob::new("values", &values, &value_lengths, &mut b).map(Bytes::Blob);
    let header_column = match header_lengths.is_empty() {
        true => Ok(None),
        false => HeaderBlob::new(&counts, &header_lengths, &headers, &mut c).map(Some),
    };
    let records = key_column.and_then(|keys| {
        Records::new(
            contents.len(),
            keys,
            value_column?,
            header_column?,
            Timestamps::Each(&timestamps),
        )
    });
    match records {
        Ok(records) => {
            producer.send_batch(topic, wish, &records, token, Wait::UpTo(Duration::ZERO))
        }
        Err(e) => (0, Err(e)),
    }
}
