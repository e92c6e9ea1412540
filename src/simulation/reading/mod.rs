//! A program that reads: assigned partitions or as a member of a group, committing in one of the ways there are. It
//! works on records later than it gets them, pauses, seeks, is late, closes, is killed, and keeps books of what it was
//! given.

pub(super) mod faults;
pub(super) mod feed;
pub(super) mod group;
pub(super) mod plan;
mod seen;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use self::group::Group;
use self::plan::{Commits, Leaving, Plan};
use self::seen::{Place, Seen};
use super::chance::Chance;
use super::faults::FaultKind;
use super::oracle::{Logs, fingerprint};
use super::world::{Around, Program};
use crate::broker::core::BrokerCore;
use crate::consumer::{Batch, Consumer, Event, EventKind, Polled, Start};
use crate::error::ErrorCode;
use crate::rng::Rng;

/// The longest everything may take to be read once all is written and no fault is left: transactions end, sessions of
/// members that are gone too.
const PATIENCE: Duration = Duration::from_secs(400);
const CLOSING: Duration = Duration::from_secs(30);

/// A record on the program's desk.
struct Row {
    place: Place,
    offset: i64,
}

enum State {
    Begins,
    Reads,
    Killed,
    Ended,
}

pub(super) struct Reading {
    plan: Plan,
    consumer: Option<Rc<Consumer>>,
    rng: Rng,
    seen: Seen,
    /// What it owns by the events it was told.
    owned: BTreeSet<Place>,
    /// Revoked, which may be too late: then they are told lost as well.
    revoked: BTreeSet<Place>,
    /// Given, and not worked on yet.
    desk: VecDeque<Row>,
    /// What the desk's records came in.
    batch: Option<Batch>,
    paused: Vec<Place>,
    state: State,
    /// Everything is written and no fault is left, since then.
    calm_since: Option<Duration>,
    /// It stays away for longer than `max.poll.interval.ms`.
    is_late: bool,
    /// It was told that the partition that does not exist doesn't.
    told_absent: bool,
    /// It has read everything there is.
    read_all: bool,
    complaint: Option<String>,
    tallies: Vec<FaultKind>,
    /// For a printed trace; `None` where nobody prints it.
    notes: Option<Vec<String>>,
}

/// Whether a consumer has read a partition to its end.
fn is_at_end(consumer: &Consumer, broker: &BrokerCore, topic: &str, partition: i32) -> bool {
    broker.cluster.partition(topic, partition).is_some_and(|p| {
        let end = p.log.end_offset();
        p.last_stable_offset() == end
            && matches!(consumer.position(topic, partition), Ok(Some(at)) if at == end)
    })
}

impl Reading {
    pub(super) fn new(plan: Plan, consumer: Consumer, rng: Rng) -> Self {
        Reading {
            plan,
            consumer: Some(Rc::new(consumer)),
            rng,
            seen: Seen::default(),
            owned: BTreeSet::new(),
            revoked: BTreeSet::new(),
            desk: VecDeque::new(),
            batch: None,
            paused: Vec::new(),
            state: State::Begins,
            calm_since: None,
            is_late: false,
            told_absent: false,
            read_all: false,
            complaint: None,
            tallies: Vec::new(),
            notes: None,
        }
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(what());
        }
    }

    fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }

    fn group(&self) -> Option<&Rc<RefCell<Group>>> {
        self.plan.group.as_ref()
    }

    fn set_late(&mut self, late: bool) {
        if std::mem::replace(&mut self.is_late, late) != late
            && let Some(group) = self.group()
        {
            group.borrow_mut().set_late(late);
        }
    }

    fn subscribe(&mut self, consumer: &Consumer) {
        let topics: Vec<&str> = self.plan.topics.iter().map(String::as_str).collect();
        let result = if self.plan.group.is_some() {
            match &self.plan.pattern {
                Some(pattern) => consumer.subscribe_pattern(pattern),
                None => consumer.subscribe(&topics),
            }
        } else if self.plan.assigned.is_empty() {
            let mut each = topics.iter();
            each.try_for_each(|topic| consumer.assign_topic(topic, Start::Earliest))
        } else {
            let each: Vec<(&str, i32, Start)> = self
                .plan
                .assigned
                .iter()
                .map(|(topic, partition)| (topic.as_str(), *partition, Start::Earliest))
                .collect();
            consumer.assign(&each)
        };
        if let Err(e) = result {
            self.complain(format!("subscribing or assigning was refused: {e}"));
        }
    }

    /// Every partition there is to read.
    fn places(&self, broker: &BrokerCore) -> BTreeSet<Place> {
        if !self.plan.assigned.is_empty() {
            let there =
                |(topic, partition): &&Place| broker.cluster.partition(topic, *partition).is_some();
            return self.plan.assigned.iter().filter(there).cloned().collect();
        }
        places(broker, &self.plan.topics)
    }

    fn poll(&mut self, consumer: &Consumer) {
        match consumer.poll(self.rng.spread(1, 500) as usize, Duration::ZERO) {
            Ok(Polled::Nothing) => {}
            Ok(Polled::Event(event)) => self.told(consumer, &event),
            Ok(Polled::Batch(batch)) => self.given(batch),
            // Nobody has been reached yet; a broker that swallows an answer and gives the next breaks the protocol.
            Err(e)
                if matches!(
                    e.code(),
                    ErrorCode::CONNECT | ErrorCode::TIMED_OUT | ErrorCode::PROTOCOL
                ) => {}
            Err(e) => self.complain(format!("a poll was refused: {e}")),
        }
    }

    fn given(&mut self, batch: Batch) {
        self.note(|| {
            let segments = batch.segments().iter();
            let first = |rows: std::ops::Range<usize>| batch.record(rows.start).map(|r| r.offset());
            let each: Vec<String> = segments
                .map(|s| {
                    let (topic, partition, rows) = (s.topic(), s.partition(), s.rows());
                    format!(
                        "{topic}-{partition}@{:?}+{}",
                        first(rows.clone()),
                        rows.len()
                    )
                })
                .collect();
            format!("was given {}", each.join(", "))
        });
        for record in batch.iter() {
            let place = (record.topic().to_string(), record.partition());
            if self.plan.group.is_some() && !self.owned.contains(&place) {
                return self.complain(format!(
                    "{}-{}@{}: given while the partition is not this member's",
                    place.0,
                    place.1,
                    record.offset()
                ));
            }
            if self.paused.contains(&place) {
                return self.complain(format!("{}-{}: given while paused", place.0, place.1));
            }
            let print = fingerprint(
                record.key(),
                record.value(),
                record.headers().map(|h| (h.0, h.1)),
                record.timestamp(),
            );
            if let Err(what) = self.seen.deliver(&place, record.offset(), print) {
                return self.complain(what);
            }
            self.desk.push_back(Row {
                place,
                offset: record.offset(),
            });
        }
        self.batch = Some(batch);
    }

    fn told(&mut self, consumer: &Consumer, event: &Event) {
        self.note(|| {
            let (topic, partitions) = (event.topic.as_deref().unwrap_or(""), &event.partitions);
            let error = event.error.as_ref().map_or("", |e| e.message());
            format!(
                "was told {:?} {topic}-{} {} {} {partitions:?} {error}",
                event.kind, event.partition, event.from, event.to
            )
        });
        let place = |event: &Event| {
            let topic = event
                .topic
                .as_ref()
                .map_or(String::new(), |t| t.to_string());
            (topic, event.partition)
        };
        let places = event.partitions.iter();
        let places: Vec<Place> = places.map(|(t, p)| (t.to_string(), *p)).collect();
        match event.kind {
            EventKind::PartitionsAssigned => {
                for place in places {
                    self.seen.begin(&place, None);
                    self.revoked.remove(&place);
                    if !self.owned.insert(place.clone()) {
                        self.complain(format!("{}-{} was assigned twice", place.0, place.1));
                    }
                }
            }
            EventKind::PartitionsRevoked | EventKind::PartitionsLost => {
                for place in places {
                    self.paused.retain(|p| *p != place);
                    let lost = event.kind == EventKind::PartitionsLost;
                    let known = self.owned.remove(&place) || lost && self.revoked.remove(&place);
                    if !lost {
                        self.revoked.insert(place.clone());
                    }
                    if !known {
                        self.complain(format!(
                            "{}-{} was taken away, and was not this member's",
                            place.0, place.1
                        ));
                    }
                }
            }
            EventKind::PositionReset => {
                let jumped = self.seen.jump(&place(event), event.from, event.to);
                if let Err(what) = jumped {
                    self.complain(what);
                }
            }
            EventKind::PartitionFailing => {
                let code = event.error.as_ref().map(|e| e.code());
                self.told_absent |= code == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                    && self.plan.absent.as_ref() == Some(&place(event));
            }
            EventKind::TopicRecreated => self.seen.begin_topic(&place(event).0),
            EventKind::PartitionStopped => {
                let place = place(event);
                // Fed logs change under a reader: without the epoch of what it read last it could not notice.
                let start = match event.from {
                    from if from >= 0 && !place.0.starts_with(feed::PREFIX) => Start::Offset(from),
                    _ => Start::Earliest,
                };
                self.seek(consumer, &place, start);
            }
            // A new subscription is a new membership.
            EventKind::GroupLeft => match self.plan.leaving {
                Leaving::Stays => self.subscribe(consumer),
                leaving => self.leave(consumer, leaving),
            },
            _ => {}
        }
    }

    fn seek(&mut self, consumer: &Consumer, place: &Place, start: Start) {
        // It may have been taken away meanwhile.
        if consumer.seek(&place.0, place.1, start).is_ok() {
            self.note(|| format!("sought {place:?} to {start:?}"));
            let at = match start {
                Start::Offset(offset) => Some(offset),
                _ => None,
            };
            self.seen.begin(place, at);
        }
    }

    /// Works on some of what lies on the desk.
    fn work(&mut self, consumer: &Consumer) {
        let count = self.rng.spread(1, 200) as usize;
        for row in self.desk.drain(..count.min(self.desk.len())) {
            if let Some(group) = &self.plan.group {
                group.borrow_mut().work(&row.place, row.offset);
            }
            if self.plan.commits == Commits::Marks && self.owned.contains(&row.place) {
                // It may have been taken away, which the event tells that is still to come.
                let _ = consumer.mark(&row.place.0, row.place.1, row.offset + 1);
            }
        }
        let left = self.desk.len();
        self.note(|| format!("worked on {count} records at most, {left} are left"));
        if self.desk.is_empty()
            && let Some(batch) = self.batch.take()
            && self.plan.commits == Commits::Batches
            && let Err(e) = consumer.commit_batch_async(&batch)
            // Its partitions were lost meanwhile, which an event tells that is still to come.
            && e.code() != ErrorCode::PARTITION_REVOKED
        {
            self.complain(format!("a commit was refused: {e}"));
        }
    }

    /// Pauses, resumes and seeks now and then.
    fn meddle(&mut self, consumer: &Consumer, calm: bool) {
        if calm || !self.paused.is_empty() && self.rng.chance(1, 10) {
            self.paused.clear();
            for (topic, partition) in consumer.paused().unwrap_or_default() {
                // It may be taken away meanwhile.
                let _ = consumer.resume(&[(&topic, partition)]);
            }
        }
        if calm || !self.rng.chance(1, 25) {
            return;
        }
        let Ok(assignment) = consumer.assignment() else {
            return;
        };
        if assignment.is_empty() {
            return;
        }
        let (topic, partition) = assignment[self.rng.below(assignment.len())].clone();
        let place = (topic.to_string(), partition);
        if self.plan.group.is_none() && self.plan.seeks > 0 && self.rng.chance(1, 3) {
            self.plan.seeks -= 1;
            let back = match self.seen.next(&place) {
                Some(next) if !place.0.starts_with(feed::PREFIX) => {
                    Start::Offset((next - self.rng.spread(0, 100) as i64).max(0))
                }
                _ => Start::Earliest,
            };
            self.seek(consumer, &place, back);
        } else if (self.plan.group.is_none() || self.owned.contains(&place))
            && !self.paused.contains(&place)
            && consumer.pause(&[(&topic, partition)]).is_ok()
        {
            self.paused.push(place);
        }
    }

    fn leave(&mut self, consumer: &Consumer, leaving: Leaving) {
        self.note(|| format!("goes: {leaving:?}"));
        match leaving {
            Leaving::Dies(_) => {
                self.tallies.push(FaultKind::MemberKilled);
                self.state = State::Killed;
            }
            Leaving::Drops(_) => {
                self.tallies.push(FaultKind::MemberDropped);
                self.state = State::Ended;
            }
            Leaving::Closes(_) | Leaving::Stays => {
                if leaving != Leaving::Stays {
                    self.tallies.push(FaultKind::MemberClosed);
                }
                consumer.begin_closing(CLOSING);
                self.state = State::Ended;
            }
        }
        self.consumer = None;
    }

    /// Whether there is nothing left to read, and nothing left to do for the others.
    fn is_done(&self, consumer: &Consumer, broker: &BrokerCore) -> bool {
        let places = self.places(broker);
        match self.group() {
            Some(group) => {
                let finished = group.borrow().finished;
                finished || self.desk.is_empty() && group.borrow().is_at_end(broker, &places)
            }
            None => {
                let mut absent = self.plan.absent.iter();
                absent.all(|place| self.told_absent || places.contains(place))
                    && places
                        .iter()
                        .all(|(topic, partition)| is_at_end(consumer, broker, topic, *partition))
            }
        }
    }

    fn look_around(&mut self, consumer: &Consumer, around: &Around<'_>) {
        if let Some(group) = &self.plan.group {
            let looked = group.borrow_mut().look(around.broker);
            if let Err(what) = looked {
                self.complain(what);
            }
        }
        if !around.healed || !around.written {
            return;
        }
        let since = *self.calm_since.get_or_insert(around.now);
        if self.desk.is_empty() && self.is_done(consumer, around.broker) {
            if let Some(group) = self.group() {
                group.borrow_mut().finished = true;
            }
            self.read_all = true;
            self.leave(consumer, Leaving::Stays);
        } else if around.now > since + PATIENCE {
            let missing: Vec<String> = self
                .places(around.broker)
                .iter()
                .filter(|(t, p)| !is_at_end(consumer, around.broker, t, *p))
                .map(|(t, p)| {
                    let end = around.broker.cluster.partition(t, *p);
                    let end = end.map(|p| (p.log.end_offset(), p.last_stable_offset()));
                    format!("{t}-{p} at {:?} of {end:?}", consumer.position(t, *p))
                })
                .collect();
            self.complain(format!(
                "not read to the end though all faults are over: {}; told of an absent partition: {}",
                missing.join(", "),
                self.told_absent
            ));
        }
    }
}

impl Program for Reading {
    fn step(&mut self, around: &Around<'_>) -> Option<Duration> {
        let consumer = self.consumer.clone()?;
        if around.tracing && self.notes.is_none() {
            self.notes = Some(vec![format!("reads {:?}", self.plan)]);
        }
        let calm = around.healed && around.written;
        self.set_late(false);
        match self.state {
            State::Begins => {
                if let Some(group) = self.group() {
                    group.borrow_mut().enter(&consumer);
                }
                self.subscribe(&consumer);
                self.state = State::Reads;
            }
            State::Reads => {
                // Once a member has found everything read, all close, so that everything is committed.
                let finished = self.group().is_some_and(|g| g.borrow().finished);
                let leaving = self.plan.leaving;
                if !finished && leaving.at().is_some_and(|at| around.now >= at) {
                    self.leave(&consumer, leaving);
                    return None;
                }
                if self.desk.is_empty() {
                    for _ in 0..3 {
                        self.poll(&consumer);
                        if !self.desk.is_empty() || matches!(self.state, State::Ended) {
                            break;
                        }
                    }
                } else {
                    self.work(&consumer);
                }
                self.meddle(&consumer, calm);
            }
            State::Killed | State::Ended => return None,
        }
        if matches!(self.state, State::Reads) {
            self.look_around(&consumer, around);
        }
        if !matches!(self.state, State::Reads) {
            return None;
        }
        if !calm
            && let Some(late) = self.plan.late
            && self.rng.chance(1, 100)
        {
            self.tallies.push(FaultKind::SlowProgram);
            self.set_late(true);
            return Some(late);
        }
        // Once nothing is left to happen but reading, it gets on with that.
        let most = match calm {
            true => self.plan.pause.min(Duration::from_millis(20)),
            false => self.plan.pause,
        };
        Some(Duration::from_micros(
            self.rng.range(100, most.as_micros() as u64),
        ))
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }

    fn read(&self) -> u64 {
        self.seen.count()
    }

    fn writes(&self) -> bool {
        false
    }

    fn is_killed(&self) -> bool {
        matches!(self.state, State::Killed)
    }

    fn take_notes(&mut self) -> Vec<String> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn take_tallies(&mut self) -> Vec<FaultKind> {
        std::mem::take(&mut self.tallies)
    }

    fn check(&self, logs: &Logs) -> Result<(), String> {
        let committed = self.plan.read_committed;
        self.seen.check(logs, committed)?;
        let places: BTreeSet<Place> = if self.plan.assigned.is_empty() {
            logs.places(&self.plan.topics)
        } else {
            self.plan.assigned.iter().cloned().collect()
        };
        match self.group() {
            Some(group) => group.borrow().check(&logs.committed, logs, &places),
            None if self.read_all => self.seen.check_all(logs, &places, committed),
            None => Ok(()),
        }
    }
}

fn places(broker: &BrokerCore, topics: &[String]) -> BTreeSet<Place> {
    let known = topics.iter().filter_map(|t| broker.cluster.topic(t));
    known
        .flat_map(|t| (0..t.partitions.len()).map(|p| (t.name.clone(), p as i32)))
        .collect()
}
