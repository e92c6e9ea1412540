//! The transaction coordinator's memory: one entry a transactional id, and which step leads where (KIP-98, 360, 890).
//! Writing the markers and keeping time are the core's (`transaction_end`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_base::error::ErrorCode;

/// Kafka's `transaction.max.timeout.ms`.
const MAX_TIMEOUT_MS: i32 = 15 * 60 * 1000;
/// The topic in which Kafka keeps committed offsets; a transaction that commits offsets names a partition of it.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// Kafka's `offsets.topic.num.partitions`.
const OFFSETS_PARTITIONS: i32 = 50;
/// No producer id, no epoch.
pub(crate) const NONE: i64 = -1;

/// Where a transactional id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl State {
    pub(crate) const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
    ];

    /// Kafka's name of it, as DescribeTransactions tells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// The state of a name.
    pub(crate) fn of_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.name() == name)
    }

    /// The end has been decided, its markers are not all written yet.
    pub(crate) fn is_preparing(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }
}

/// A producer id and its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// One transactional id. Fields are what Kafka writes to its transaction log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub(crate) producer: Identity,
    /// The producer id before the latest step; differs from `producer.id` after a rotation only.
    pub(crate) previous_id: i64,
    /// The producer id that takes over when the markers are written, because the epochs of this one are used up.
    pub(crate) next_id: i64,
    /// The epoch before the latest bump, by which a repeated request is known; -1 after a producer was fenced.
    pub(crate) last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    /// The partitions in the transaction; while preparing, those that still lack their marker.
    pub(crate) partitions: BTreeSet<Place>,
    /// Wall clock, milliseconds; -1 if none began.
    pub(crate) started_ms: i64,
    /// The end bumps the epoch (transaction version 2).
    pub(crate) bumps: bool,
    /// When the core's timer expires it, and that timer's number.
    pub(crate) timer: Option<(Duration, u64)>,
}

impl Transaction {
    fn new(id: i64) -> Self {
        Transaction {
            producer: Identity { id, epoch: -1 },
            previous_id: NONE,
            next_id: NONE,
            last_epoch: -1,
            timeout_ms: 0,
            state: State::Empty,
            partitions: BTreeSet::new(),
            started_ms: -1,
            bumps: false,
            timer: None,
        }
    }

    /// The largest epoch but one is the last that a client gets: the largest is for fencing it.
    fn is_exhausted(&self) -> bool {
        self.producer.epoch >= i16::MAX - 1
    }

    fn check(&self, producer: Identity) -> Result<(), ErrorCode> {
        if self.producer.id != producer.id {
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        } else if self.producer.epoch != producer.epoch {
            Err(ErrorCode::PRODUCER_FENCED)
        } else if self.state.is_preparing() {
            Err(ErrorCode::CONCURRENT_TRANSACTIONS)
        } else {
            Ok(())
        }
    }

    /// Kafka's prepareIncrementProducerEpoch and prepareProducerIdRotation.
    fn renew(
        &mut self,
        expected: Option<i16>,
        new_id: &mut dyn FnMut() -> i64,
    ) -> Result<(), ErrorCode> {
        let Identity { id, epoch } = self.producer;
        if self.is_exhausted() && expected.is_none_or(|e| e == epoch) {
            self.last_epoch = if expected.is_some() { epoch } else { -1 };
            self.producer = Identity {
                id: new_id(),
                epoch: 0,
            };
        } else {
            match expected {
                None => {
                    self.producer.epoch = epoch + 1;
                    self.last_epoch = -1;
                }
                Some(e) if epoch == -1 || e == epoch => {
                    self.producer.epoch = epoch + 1;
                    self.last_epoch = epoch;
                }
                // Asked again, because the first answer was lost.
                Some(e) if e == self.last_epoch => {}
                Some(_) => return Err(ErrorCode::PRODUCER_FENCED),
            }
        }
        self.previous_id = id;
        self.state = State::Empty;
        self.partitions.clear();
        self.started_ms = -1;
        Ok(())
    }

    /// Decides the end. With version 2 the epoch is bumped, so that whatever the producer sent before is known to be
    /// of an earlier transaction.
    fn prepare(&mut self, commit: bool, bumps: bool, new_id: &mut dyn FnMut() -> i64) {
        if bumps {
            if self.is_exhausted() {
                self.next_id = new_id();
            }
            self.last_epoch = self.producer.epoch;
            self.producer.epoch = self.producer.epoch.saturating_add(1);
        }
        self.previous_id = self.producer.id;
        self.bumps = bumps;
        self.state = if commit {
            State::PrepareCommit
        } else {
            State::PrepareAbort
        };
    }

    /// What a client is told of a transaction's end: the identity to go on with.
    fn identity_after(&self) -> Identity {
        if self.bumps && self.next_id != NONE {
            Identity {
                id: self.next_id,
                epoch: 0,
            }
        } else {
            self.producer
        }
    }

    /// All markers are written.
    pub(crate) fn complete(&mut self) {
        let after = self.identity_after();
        self.previous_id = self.producer.id;
        self.producer = after;
        self.next_id = NONE;
        self.partitions.clear();
        self.state = if self.state == State::PrepareCommit {
            State::CompleteCommit
        } else {
            State::CompleteAbort
        };
    }
}

/// What comes of InitProducerId.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Initialized {
    Ready(Identity),
    /// A transaction was under way; it is being aborted, and the client is to ask again.
    Aborting,
}

/// What comes of EndTxn.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Decided; the markers are to be written.
    Now(Identity),
    /// It had ended so before.
    Before(Identity),
}

/// All transactional ids, in their order.
#[derive(Debug, Default)]
pub struct Transactions(BTreeMap<String, Transaction>);

impl Transactions {
    pub(crate) fn get(&self, id: &str) -> Option<&Transaction> {
        self.0.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Transaction> {
        self.0.get_mut(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Transaction)> {
        self.0.iter().map(|(id, t)| (id.as_str(), t))
    }

    /// Takes up one that an earlier broker saved.
    pub(crate) fn restore(&mut self, id: String, transaction: Transaction) {
        self.0.insert(id, transaction);
    }

    /// InitProducerId with a transactional id. `expected` is what the producer had before, if it says so (KIP-360);
    /// `bumps` whether the broker's own ends bump the epoch.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn initialize(
        &mut self,
        id: &str,
        timeout_ms: i32,
        expected: Option<Identity>,
        bumps: bool,
        new_id: &mut dyn FnMut() -> i64,
    ) -> Result<Initialized, ErrorCode> {
        if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let t = self
            .0
            .entry(id.to_owned())
            .or_insert_with(|| Transaction::new(new_id()));
        if let Some(e) = expected {
            let is_last = e.epoch >= i16::MAX - 1;
            let known = t.producer.epoch == -1
                || e.id == t.producer.id
                || (e.id == t.previous_id && is_last);
            if !known {
                return Err(ErrorCode::PRODUCER_FENCED);
            }
        }
        match t.state {
            State::PrepareCommit | State::PrepareAbort => Err(ErrorCode::CONCURRENT_TRANSACTIONS),
            State::Ongoing => {
                self.fence(id, bumps, new_id);
                Ok(Initialized::Aborting)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                t.renew(expected.map(|e| e.epoch), new_id)?;
                t.timeout_ms = timeout_ms;
                Ok(Initialized::Ready(t.producer))
            }
        }
    }

    /// Decides that a transaction under way is aborted, and fences its producer.
    pub(crate) fn fence(&mut self, id: &str, bumps: bool, new_id: &mut dyn FnMut() -> i64) {
        let Some(t) = self.0.get_mut(id).filter(|t| t.state == State::Ongoing) else {
            return;
        };
        if !bumps {
            t.producer.epoch = t.producer.epoch.saturating_add(1);
            t.last_epoch = -1;
        }
        t.prepare(false, bumps, new_id);
    }

    /// Adds partitions, and begins a transaction if none is under way: true then.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn add(
        &mut self,
        id: &str,
        producer: Identity,
        partitions: impl IntoIterator<Item = Place>,
        bumps: bool,
        now_ms: i64,
    ) -> Result<bool, ErrorCode> {
        let t = self.find(id)?;
        t.check(producer)?;
        t.partitions.extend(partitions);
        let begins = t.state != State::Ongoing;
        if begins {
            t.started_ms = now_ms;
        }
        t.previous_id = t.producer.id;
        t.state = State::Ongoing;
        t.bumps = bumps;
        Ok(begins)
    }

    /// Whether a partition is in the transaction that this producer has under way.
    ///
    /// # Errors
    /// What Kafka answers: `TRANSACTION_ABORTABLE` if it is not.
    pub(crate) fn verify(
        &mut self,
        id: &str,
        producer: Identity,
        partition: &Place,
    ) -> Result<(), ErrorCode> {
        let t = self.find(id)?;
        t.check(producer)?;
        if t.partitions.contains(partition) {
            Ok(())
        } else {
            Err(ErrorCode::TRANSACTION_ABORTABLE)
        }
    }

    /// EndTxn, as a client of version 2 (`bumps`) or 1 sends it.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn end(
        &mut self,
        id: &str,
        producer: Identity,
        commit: bool,
        bumps: bool,
        now_ms: i64,
        new_id: &mut dyn FnMut() -> i64,
    ) -> Result<Ended, ErrorCode> {
        let t = self.find(id)?;
        if bumps {
            t.end_with_bump(producer, commit, now_ms, new_id)
        } else {
            t.end_without_bump(producer, commit, new_id)
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Transaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.0
            .get_mut(id)
            .ok_or(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
    }
}

impl Transaction {
    fn end_without_bump(
        &mut self,
        producer: Identity,
        commit: bool,
        new_id: &mut dyn FnMut() -> i64,
    ) -> Result<Ended, ErrorCode> {
        if self.producer.id != producer.id {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if self.producer.epoch != producer.epoch {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        match (self.state, commit) {
            (State::Ongoing, _) => {
                self.prepare(commit, false, new_id);
                Ok(Ended::Now(self.producer))
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => {
                Ok(Ended::Before(self.producer))
            }
            (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
            _ => Err(ErrorCode::INVALID_TXN_STATE),
        }
    }

    /// With version 2 an epoch is good for one transaction: a request with the epoch before is the last one repeated,
    /// and an abort is allowed where nothing was added, since the client can't know whether anything was.
    fn end_with_bump(
        &mut self,
        producer: Identity,
        commit: bool,
        now_ms: i64,
        new_id: &mut dyn FnMut() -> i64,
    ) -> Result<Ended, ErrorCode> {
        let current = self.producer;
        let rotated =
            self.previous_id == producer.id && producer.epoch == i16::MAX - 1 && current.epoch == 0;
        let bumped = i32::from(current.epoch) == i32::from(producer.epoch) + 1;
        if current.id != producer.id && !rotated {
            return Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        let same = current.epoch == producer.epoch;
        let valid = match self.state {
            State::Ongoing | State::Empty => same,
            State::PrepareCommit | State::PrepareAbort => bumped,
            State::CompleteCommit | State::CompleteAbort => same || bumped || rotated,
        };
        if !valid {
            return Err(ErrorCode::PRODUCER_FENCED);
        }
        let repeated = bumped || rotated;
        match (self.state, commit) {
            (State::Ongoing, _) => {}
            (State::CompleteCommit, true) | (State::CompleteAbort, false) if repeated => {
                return Ok(Ended::Before(current));
            }
            (State::CompleteCommit, false) | (State::CompleteAbort, false) if !repeated => {
                self.started_ms = now_ms;
            }
            (State::Empty, false) => self.started_ms = now_ms,
            (State::PrepareCommit, true) | (State::PrepareAbort, false) => {
                return Err(ErrorCode::CONCURRENT_TRANSACTIONS);
            }
            _ => return Err(ErrorCode::INVALID_TXN_STATE),
        }
        self.prepare(commit, true, new_id);
        Ok(Ended::Now(self.identity_after()))
    }
}

/// The partition of [`OFFSETS_TOPIC`] to which a group's offsets belong: by Java's hash of its name.
pub(crate) fn offsets_partition(group: &str) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |h, unit| h.wrapping_mul(31).wrapping_add(unit.into()));
    hash.checked_abs().unwrap_or(0) % OFFSETS_PARTITIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "tx";

    fn place(partition: i32) -> Place {
        ("t".to_owned(), partition)
    }

    fn who(id: i64, epoch: i16) -> Identity {
        Identity { id, epoch }
    }

    struct Ids(i64);

    impl Ids {
        fn next(&mut self) -> i64 {
            self.0 += 1;
            self.0
        }
    }

    fn fresh() -> (Transactions, Ids) {
        let (mut all, mut ids) = (Transactions::default(), Ids(6));
        assert_eq!(
            all.initialize(ID, 1000, None, true, &mut || ids.next()),
            Ok(Initialized::Ready(who(7, 0)))
        );
        (all, ids)
    }

    fn end(
        all: &mut Transactions,
        ids: &mut Ids,
        producer: Identity,
        commit: bool,
        bumps: bool,
    ) -> Result<Ended, ErrorCode> {
        all.end(ID, producer, commit, bumps, 5, &mut || ids.next())
    }

    #[test]
    fn version_1_keeps_its_epoch_and_version_2_bumps_it() {
        for bumps in [false, true] {
            let (mut all, mut ids) = fresh();
            let mut epoch = 0;
            for commit in [true, false, true] {
                assert_eq!(all.add(ID, who(7, epoch), [place(0)], bumps, 5), Ok(true));
                assert_eq!(all.add(ID, who(7, epoch), [place(1)], bumps, 5), Ok(false));
                let after = who(7, epoch + i16::from(bumps));
                assert_eq!(
                    end(&mut all, &mut ids, who(7, epoch), commit, bumps),
                    Ok(Ended::Now(after))
                );
                assert_eq!(
                    end(&mut all, &mut ids, who(7, epoch), commit, bumps),
                    Err(ErrorCode::CONCURRENT_TRANSACTIONS)
                );
                assert_eq!(
                    all.add(ID, after, [place(0)], bumps, 5),
                    Err(ErrorCode::CONCURRENT_TRANSACTIONS)
                );
                all.get_mut(ID).unwrap().complete();
                assert_eq!(
                    end(&mut all, &mut ids, who(7, epoch), commit, bumps),
                    Ok(Ended::Before(after)),
                    "asked again"
                );
                assert_eq!(
                    end(&mut all, &mut ids, who(7, epoch), !commit, bumps),
                    Err(ErrorCode::INVALID_TXN_STATE)
                );
                epoch = after.epoch;
            }
        }
    }

    #[test]
    fn a_second_producer_fences_the_first() {
        for bumps in [false, true] {
            let (mut all, mut ids) = fresh();
            all.add(ID, who(7, 0), [place(0)], bumps, 5).unwrap();
            let mut ask = |all: &mut Transactions, expected| {
                all.initialize(ID, 1000, expected, bumps, &mut || ids.next())
            };
            assert_eq!(ask(&mut all, None), Ok(Initialized::Aborting));
            assert_eq!(ask(&mut all, None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
            all.get_mut(ID).unwrap().complete();
            assert_eq!(ask(&mut all, None), Ok(Initialized::Ready(who(7, 2))));
            assert_eq!(
                all.add(ID, who(7, 0), [place(0)], bumps, 5),
                Err(ErrorCode::PRODUCER_FENCED)
            );
            for old in [who(7, 0), who(3, 0)] {
                assert_eq!(
                    ask(&mut all, Some(old)),
                    Err(ErrorCode::PRODUCER_FENCED),
                    "it can't come back either"
                );
            }
            assert_eq!(
                ask(&mut all, Some(who(7, 2))),
                Ok(Initialized::Ready(who(7, 3)))
            );
            assert_eq!(
                ask(&mut all, Some(who(7, 2))),
                Ok(Initialized::Ready(who(7, 3))),
                "asked again"
            );
        }
    }

    #[test]
    fn epochs_run_out_into_a_new_id() {
        let last = i16::MAX - 1;
        let (mut all, mut ids) = fresh();
        all.get_mut(ID).unwrap().producer.epoch = last;
        all.add(ID, who(7, last), [place(0)], true, 5).unwrap();
        assert_eq!(
            end(&mut all, &mut ids, who(7, last), true, true),
            Ok(Ended::Now(who(8, 0)))
        );
        assert_eq!(
            all.get(ID).unwrap().producer,
            who(7, i16::MAX),
            "the markers still carry the old one"
        );
        all.get_mut(ID).unwrap().complete();
        assert_eq!(
            end(&mut all, &mut ids, who(7, last), true, true),
            Ok(Ended::Before(who(8, 0))),
            "asked again"
        );
        assert_eq!(all.add(ID, who(8, 0), [place(0)], true, 5), Ok(true));

        let (mut all, mut ids) = fresh();
        all.get_mut(ID).unwrap().producer.epoch = last;
        assert_eq!(
            all.initialize(ID, 1000, None, true, &mut || ids.next()),
            Ok(Initialized::Ready(who(8, 0)))
        );
    }

    #[test]
    fn an_empty_transaction_can_be_aborted_by_version_2_only() {
        let (mut all, mut ids) = fresh();
        for bumps in [false, true] {
            assert_eq!(
                end(&mut all, &mut ids, who(7, 0), true, bumps),
                Err(ErrorCode::INVALID_TXN_STATE)
            );
        }
        assert_eq!(
            end(&mut all, &mut ids, who(7, 0), false, false),
            Err(ErrorCode::INVALID_TXN_STATE)
        );
        assert_eq!(
            end(&mut all, &mut ids, who(7, 0), false, true),
            Ok(Ended::Now(who(7, 1)))
        );
    }

    #[test]
    fn wrong_names_numbers_and_times_are_refused() {
        let (mut all, mut ids) = fresh();
        let add = |all: &mut Transactions, id, p| all.add(id, p, [place(0)], true, 5);
        assert_eq!(
            add(&mut all, "", who(7, 0)),
            Err(ErrorCode::INVALID_REQUEST)
        );
        assert_eq!(
            add(&mut all, "other", who(7, 0)),
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        );
        assert_eq!(
            add(&mut all, ID, who(6, 0)),
            Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING)
        );
        assert_eq!(
            all.verify(ID, who(7, 0), &place(0)),
            Err(ErrorCode::TRANSACTION_ABORTABLE)
        );
        for timeout in [0, -1, MAX_TIMEOUT_MS + 1] {
            assert_eq!(
                all.initialize(ID, timeout, None, true, &mut || ids.next()),
                Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT)
            );
        }
    }

    #[test]
    fn groups_fall_to_the_partitions_that_java_gives_them() {
        assert_eq!(offsets_partition(""), 0);
        // "polygenelubricants" has the one hash that has no absolute value.
        assert_eq!(offsets_partition("polygenelubricants"), 0);
        // 'a' * 31 + 'b' = 3105.
        assert_eq!(offsets_partition("ab"), 5);
    }
}
