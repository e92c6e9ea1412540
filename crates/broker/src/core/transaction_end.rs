//! What a transaction does to the rest of the broker: partitions and offsets join it, markers end it, time ends it.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_base::error::ErrorCode;

use super::coordinators::CoordinatorKind;
use super::fault::Effects;
use super::topics::storage_error;
use super::transactions::{
    Ended, Identity, Initialized, OFFSETS_TOPIC, Place, State, offsets_partition,
};
use super::{BrokerCore, Cx, Now, Timer};
use crate::api::api_key::WRITE_TXN_MARKERS;
use crate::log::{ProducedBatch, Refused};

/// How long after a marker that could not be written it is tried again.
const MARKER_RETRY: Duration = Duration::from_millis(20);

/// What a request that brings a transaction's data allows, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// The client knows no `TRANSACTION_ABORTABLE`.
    Old,
    /// The client adds partitions itself.
    Verify,
    /// The broker adds the partition (transaction version 2).
    Add,
}

/// Markers on their way to their partitions: not before the time they have, if there is one.
pub(crate) type Delayed = BTreeMap<(String, Place), Duration>;

fn new_id(next: &mut i64) -> impl FnMut() -> i64 {
    || {
        *next += 1;
        *next - 1
    }
}

impl BrokerCore {
    fn bumps(&self) -> bool {
        self.options.transaction_version >= 2
    }

    /// InitProducerId with a transactional id.
    ///
    /// # Errors
    /// What Kafka answers; `CONCURRENT_TRANSACTIONS` too when it has just begun to abort what was under way.
    pub(crate) fn initialize_transactions(
        &mut self,
        now: Now,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
    ) -> Result<Identity, ErrorCode> {
        let bumps = self.bumps();
        let done = self.transactions.initialize(
            id,
            timeout_ms,
            expected,
            bumps,
            &mut new_id(&mut self.next_producer_id),
        );
        let result = match done? {
            Initialized::Ready(identity) => Ok(identity),
            Initialized::Aborting => {
                self.write_markers(now, id);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        };
        self.save_topics();
        result
    }

    /// Adds partitions to a transaction.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn add_to_transaction(
        &mut self,
        now: Now,
        id: &str,
        producer: Identity,
        partitions: impl IntoIterator<Item = Place>,
        bumps: bool,
    ) -> Result<(), ErrorCode> {
        let begins = self
            .transactions
            .add(id, producer, partitions, bumps, now.wall_ms)?;
        if begins && let Some(t) = self.transactions.get(id) {
            let at = now.mono + Duration::from_millis(t.timeout_ms.unsigned_abs().into());
            self.expire_at(id, at);
        }
        self.save_topics();
        Ok(())
    }

    fn expire_at(&mut self, id: &str, at: Duration) {
        let number = self.timer(at, Timer::Expire(id.to_owned()));
        if let Some(t) = self.transactions.get_mut(id) {
            t.timer = Some((at, number));
        }
    }

    /// The first records of a transaction come to a partition: they join it, or must have joined before.
    ///
    /// # Errors
    /// As Produce answers them.
    pub(crate) fn join_transaction(
        &mut self,
        cx: &Cx,
        id: &str,
        producer: Identity,
        place: Place,
        sequence: i32,
        joining: Joining,
    ) -> Result<(), Refused> {
        let Some(partition) = self.cluster.partition_mut(&place.0, place.1) else {
            return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        if partition.producers.is_in_transaction(producer)? {
            return Ok(());
        }
        partition
            .producers
            .awaits(producer, sequence, joining == Joining::Add);
        let unable = |code: ErrorCode| {
            let words = format!(
                "Unable to verify the partition has been added to the transaction. Underlying error: {}",
                code.name()
            );
            Refused::new(ErrorCode::NOT_ENOUGH_REPLICAS, words)
        };
        self.join(cx, id, producer, place, joining)
            .map_err(|code| match code {
                ErrorCode::INVALID_TXN_STATE => {
                    Refused::new(code, "Partition was not added to the transaction")
                }
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                    unable(code)
                }
                ErrorCode::CONCURRENT_TRANSACTIONS if joining != Joining::Add => unable(code),
                _ => Refused::plain(code),
            })
    }

    /// Offsets of a group come to a transaction.
    ///
    /// # Errors
    /// As TxnOffsetCommit answers them.
    pub(crate) fn join_with_offsets(
        &mut self,
        cx: &Cx,
        id: &str,
        producer: Identity,
        group: &str,
        joining: Joining,
    ) -> Result<(), ErrorCode> {
        let partition = offsets_partition(group);
        match self.pending_offsets.is_in_transaction(partition, producer) {
            None => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(true) => Ok(()),
            Some(false) => {
                let place = (OFFSETS_TOPIC.to_owned(), partition);
                self.join(cx, id, producer, place, joining)
            }
        }
    }

    fn join(
        &mut self,
        cx: &Cx,
        id: &str,
        producer: Identity,
        place: Place,
        joining: Joining,
    ) -> Result<(), ErrorCode> {
        if self.coordinator(CoordinatorKind::Transaction, id).is_none() {
            return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE);
        }
        self.check_loaded(cx.now.mono, CoordinatorKind::Transaction, id)?;
        let joined = if joining == Joining::Add {
            self.add_to_transaction(cx.now, id, producer, [place], true)
        } else {
            self.transactions.verify(id, producer, &place)
        };
        joined.map_err(|code| match code {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if joining == Joining::Old => {
                ErrorCode::INVALID_TXN_STATE
            }
            code => code,
        })
    }

    /// EndTxn.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn end_transaction(
        &mut self,
        now: Now,
        id: &str,
        producer: Identity,
        commit: bool,
        bumps: bool,
    ) -> Result<Identity, ErrorCode> {
        let ended = self.transactions.end(
            id,
            producer,
            commit,
            bumps,
            now.wall_ms,
            &mut new_id(&mut self.next_producer_id),
        );
        match ended? {
            Ended::Before(identity) => Ok(identity),
            Ended::Now(identity) => {
                self.write_markers(now, id);
                self.save_topics();
                Ok(identity)
            }
        }
    }

    /// A transaction has not ended in its time: its producer is fenced and it is aborted.
    pub(super) fn expire_transaction(&mut self, now: Now, id: &str) {
        let bumps = self.bumps();
        self.transactions
            .fence(id, bumps, &mut new_id(&mut self.next_producer_id));
        self.write_markers(now, id);
        self.save_topics();
    }

    /// Takes up the transactions that an earlier broker left: those under way get their time anew.
    pub(super) fn resume_transactions(&mut self) {
        let left: Vec<(String, Duration, bool)> = self
            .transactions
            .iter()
            .filter(|(_, t)| t.state == State::Ongoing || t.state.is_preparing())
            .map(|(id, t)| {
                let time = Duration::from_millis(t.timeout_ms.unsigned_abs().into());
                (id.to_owned(), time, t.state.is_preparing())
            })
            .collect();
        for (id, time, is_preparing) in left {
            if is_preparing {
                self.timer(Duration::ZERO, Timer::Markers(id));
            } else {
                self.expire_at(&id, time);
            }
        }
    }

    /// Writes the markers of a transaction whose end is decided, as far as they can be written now: a partition
    /// without a leader, or led by a paused node, or held up by a fault, gets its own later.
    pub(super) fn write_markers(&mut self, now: Now, id: &str) {
        let Some(t) = self.transactions.get_mut(id) else {
            return;
        };
        if let Some(timer) = t.timer.take() {
            self.timers.remove(&timer);
        }
        if !t.state.is_preparing() {
            return;
        }
        let (producer, commit) = (t.producer, t.state == State::PrepareCommit);
        let mut again: Option<Duration> = None;
        for place in t.partitions.clone() {
            match self.write_marker(now, id, &place, producer, commit) {
                None => {
                    if let Some(t) = self.transactions.get_mut(id) {
                        t.partitions.remove(&place);
                    }
                }
                Some(at) => again = Some(again.map_or(at, |first| first.min(at))),
            }
        }
        match again {
            Some(at) => {
                self.timer(at, Timer::Markers(id.to_owned()));
            }
            None => {
                if let Some(t) = self.transactions.get_mut(id) {
                    t.complete();
                }
            }
        }
    }

    /// Writes one marker, or says when to try again.
    fn write_marker(
        &mut self,
        now: Now,
        id: &str,
        place: &Place,
        producer: Identity,
        commit: bool,
    ) -> Option<Duration> {
        let (topic, index) = (place.0.as_str(), place.1);
        let leader = match topic {
            OFFSETS_TOPIC => self.cluster.controller(),
            // A partition that was deleted needs no marker.
            _ => self.cluster.partition(topic, index)?.leader,
        };
        if !self.cluster.is_alive(leader) || self.paused.contains(&leader) {
            return Some(now.mono + MARKER_RETRY);
        }
        let key = (id.to_owned(), place.clone());
        match self.delayed_markers.get(&key) {
            Some(&at) if now.mono < at => return Some(at),
            Some(_) => {
                self.delayed_markers.remove(&key);
            }
            None => {
                let effects = self.meet_as_marker(leader, place);
                if effects.drop || effects.swallow.is_some() || effects.any_error().is_some() {
                    return Some(now.mono + MARKER_RETRY);
                }
                if let Some(delay) = effects.delay {
                    let at = now.mono + delay;
                    self.delayed_markers.insert(key, at);
                    return Some(at);
                }
            }
        }
        if topic == OFFSETS_TOPIC {
            self.pending_offsets
                .ended(index, producer, commit, &mut self.offsets);
            return None;
        }
        match self.append_marker(now, topic, index, producer, commit) {
            Ok(()) => None,
            Err(_) => Some(now.mono + MARKER_RETRY),
        }
    }

    fn meet_as_marker(&mut self, leader: i32, place: &Place) -> Effects {
        *self
            .counters
            .entry((leader, WRITE_TXN_MARKERS))
            .or_default() += 1;
        self.faults.meet(leader, WRITE_TXN_MARKERS, || {
            vec![(place.0.clone(), Some(place.1))]
        })
    }

    fn append_marker(
        &mut self,
        now: Now,
        topic: &str,
        index: i32,
        producer: Identity,
        commit: bool,
    ) -> Result<(), Refused> {
        let Some(partition) = self.cluster.partition_mut(topic, index) else {
            return Ok(());
        };
        let mut marker = ProducedBatch::marker(producer.id, producer.epoch, commit, now.wall_ms);
        partition
            .log
            .append(
                &mut marker,
                partition.leader_epoch,
                None,
                false,
                now.wall_ms,
            )
            .map_err(storage_error)?;
        let log_start = partition.log.start_offset();
        partition.producers.ended(&marker.header, commit, log_start);
        self.held_bytes += marker.len() as u64;
        self.woken.extend(&partition.watchers);
        self.bound_memory();
        Ok(())
    }
}
