//! Where a producer stands with its transactions, as plain data: which calls are allowed, what is to be asked of the
//! coordinators next, what their answers change.
//!
//! Callers' threads and the I/O thread both work on it, under one lock. Invariants: one request to a coordinator is
//! under way at a time. EndTxn goes out only when every record of the transaction has ended and nothing else is left to
//! ask. An end that was asked for with EndTxn is never asked for the other way round.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::answers::Verdict;
use super::{CommitOffset, GroupMetadata};
use crate::error::{Error, ErrorCode, Result};
use crate::producer::sequence::ProducerId;

/// One partition of a topic.
pub(crate) type Place = (Arc<str>, i32);

/// How far a producer has come.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// `init_transactions` was not called.
    New,
    /// A producer id is being asked for.
    Initializing,
    /// Between two transactions.
    Ready,
    /// Records and offsets are taken.
    Open,
    /// A commit or an abort is under way; `sent` once EndTxn was.
    Ending { commit: bool, sent: bool },
    /// Ended, and nobody was told yet: its caller's time was over before.
    Ended { commit: bool },
    /// Something failed; only an abort leads on.
    Failed(Error),
    /// Nothing leads on.
    Fatal(Error),
}

/// Offsets of a group on their way into the transaction.
#[derive(Debug, Clone)]
pub(crate) struct Offsets {
    pub(crate) number: u64,
    pub(crate) group: GroupMetadata,
    pub(crate) offsets: Arc<[CommitOffset]>,
}

/// A request to a coordinator.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// InitProducerId: a first id, or a raised epoch of the one given.
    Init(Option<ProducerId>),
    /// AddPartitionsToTxn.
    AddPartitions(Arc<[Place]>),
    /// AddOffsetsToTxn.
    AddOffsets(Arc<str>),
    /// TxnOffsetCommit, to the group's coordinator.
    Offsets(Offsets),
    /// EndTxn.
    End { commit: bool },
}

impl Ask {
    /// The request's name in Kafka's protocol.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Ask::Init(_) => "InitProducerId",
            Ask::AddPartitions(_) => "AddPartitionsToTxn",
            Ask::AddOffsets(_) => "AddOffsetsToTxn",
            Ask::Offsets(_) => "TxnOffsetCommit",
            Ask::End { .. } => "EndTxn",
        }
    }
}

/// What may be sent to partitions' leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Everything.
    All,
    /// Only what has its sequence numbers: what was never sent is given up.
    Begun,
    /// Nothing is there that could be.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Machine {
    id: Arc<str>,
    phase: Phase,
    /// A caller has learned that the producer is ready.
    init_told: bool,
    /// Transactions begun so far.
    number: u64,
    /// The transaction that ended last, and how.
    last_end: Option<(u64, bool)>,
    /// The brokers do transactions the second way (KIP-890), as was last heard.
    offered_v2: bool,
    /// This transaction does.
    v2: bool,
    producer: Option<ProducerId>,
    /// Partitions with records, not yet told to the coordinator.
    wanted: BTreeSet<Place>,
    added: BTreeSet<Place>,
    groups: BTreeSet<Arc<str>>,
    offsets: VecDeque<Offsets>,
    next_offsets: u64,
    /// The coordinator may know of the transaction: something that begins it was sent.
    begun: bool,
    /// The coordinator has said so.
    confirmed: bool,
    /// Sequence numbers were used up without an acknowledgement: the next transaction needs another epoch.
    raise_epoch: bool,
    /// EndTxn has brought the abort; the epoch is being raised.
    aborted: bool,
    under_way: bool,
    failures: u32,
    not_before: Option<Instant>,
    /// Why the request that is repeated was not answered well.
    last_error: Option<Error>,
}

impl Machine {
    pub(crate) fn new(id: &str) -> Self {
        Machine {
            id: id.into(),
            phase: Phase::New,
            init_told: false,
            number: 0,
            last_end: None,
            offered_v2: false,
            v2: false,
            producer: None,
            wanted: BTreeSet::new(),
            added: BTreeSet::new(),
            groups: BTreeSet::new(),
            offsets: VecDeque::new(),
            next_offsets: 1,
            begun: false,
            confirmed: false,
            raise_epoch: false,
            aborted: false,
            under_way: false,
            failures: 0,
            not_before: None,
            last_error: None,
        }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.v2
    }

    /// True while records are taken.
    pub(crate) fn accepts(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(crate) fn sending(&self) -> Sending {
        match self.phase {
            Phase::Open | Phase::Ending { commit: true, .. } => Sending::All,
            Phase::Failed(_) | Phase::Ending { commit: false, .. } => Sending::Begun,
            _ => Sending::Nothing,
        }
    }

    /// Why records that were never sent are given up, if they are.
    pub(crate) fn giving_up(&self) -> Option<Error> {
        match &self.phase {
            Phase::Failed(error) => Some(error.context("not sent, since the transaction failed")),
            Phase::Fatal(error) => Some(error.context("not sent")),
            Phase::Ending { commit: false, .. } => Some(Error::new(
                ErrorCode::PURGED,
                "the transaction was aborted before the record was sent",
            )),
            _ => None,
        }
    }

    // What callers ask for. Each answers at once whether it is allowed.

    pub(crate) fn init(&mut self) -> Result<()> {
        match &self.phase {
            Phase::New => {
                self.phase = Phase::Initializing;
                Ok(())
            }
            // A call whose time was over is made again.
            Phase::Initializing => Ok(()),
            Phase::Fatal(error) => Err(error.context("init_transactions")),
            // It was done after the time of its call was over.
            _ if !self.init_told => Ok(()),
            _ => Err(self.misuse(
                "init_transactions",
                "it was called before; it is called once for each producer",
            )),
        }
    }

    pub(crate) fn begin(&mut self) -> Result<()> {
        const CALL: &str = "begin_transaction";
        let problem = match &self.phase {
            Phase::Ready => {
                self.phase = Phase::Open;
                self.number += 1;
                self.v2 = self.offered_v2;
                return Ok(());
            }
            Phase::New => "call init_transactions first",
            Phase::Initializing => "init_transactions has not succeeded yet: call it again",
            Phase::Open => "a transaction is open: commit or abort it first",
            Phase::Ending { commit: true, .. } => {
                "the commit of the one before is under way: call commit_transaction again to learn its end"
            }
            Phase::Ending { commit: false, .. } => {
                "the abort of the one before is under way: call abort_transaction again"
            }
            Phase::Ended { commit: true } => {
                "the commit of the one before outlasted its call: call commit_transaction again to learn its end"
            }
            Phase::Ended { commit: false } => {
                self.phase = Phase::Ready;
                return self.begin();
            }
            Phase::Failed(error) => {
                let text = "the transaction before failed and must be aborted first";
                return Err(error.context(format_args!("{CALL}: {text}")).abortable());
            }
            Phase::Fatal(error) => return Err(error.context(CALL)),
        };
        Err(self.misuse(CALL, problem))
    }

    /// Why a record or an offset is not taken now.
    pub(crate) fn refusal(&self, call: &str) -> Error {
        let problem = match &self.phase {
            Phase::Failed(error) => {
                let text = "the transaction failed and must be aborted";
                return error.context(format_args!("{call}: {text}")).abortable();
            }
            Phase::Fatal(error) => return error.context(call),
            Phase::New => {
                "a producer with transactional.id sends within transactions: call init_transactions, then \
                 begin_transaction"
            }
            Phase::Initializing => "init_transactions has not succeeded yet",
            Phase::Ready | Phase::Open | Phase::Ended { .. } => {
                "no transaction is open: call begin_transaction first"
            }
            Phase::Ending { commit: true, .. } => "the transaction is being committed",
            Phase::Ending { commit: false, .. } => "the transaction is being aborted",
        };
        self.misuse(call, problem)
    }

    /// Takes a group's offsets into the transaction; answers the number to wait for.
    pub(crate) fn add_offsets(
        &mut self,
        group: GroupMetadata,
        offsets: Arc<[CommitOffset]>,
    ) -> Result<u64> {
        if !self.accepts() {
            return Err(self.refusal("send_offsets"));
        }
        let number = self.next_offsets;
        self.next_offsets += 1;
        self.offsets.push_back(Offsets {
            number,
            group,
            offsets,
        });
        Ok(number)
    }

    /// How an `add_offsets` of transaction `transaction` has ended; `None` while it has not.
    pub(crate) fn offsets_end(&self, transaction: u64, number: u64) -> Option<Result<()>> {
        match &self.phase {
            Phase::Failed(error) | Phase::Fatal(error) => Some(Err(error.context("send_offsets"))),
            _ if self.number != transaction => Some(Err(self.refusal("send_offsets"))),
            Phase::Ending { commit: false, .. } => Some(Err(self.refusal("send_offsets"))),
            _ if self.offsets.iter().any(|o| o.number == number) => None,
            _ => Some(Ok(())),
        }
    }

    /// Asks for the end of the open transaction; answers its number.
    pub(crate) fn end(&mut self, commit: bool) -> Result<u64> {
        let call = end_call(commit);
        let problem = match &self.phase {
            Phase::Open => {
                self.phase = Phase::Ending {
                    commit,
                    sent: false,
                };
                None
            }
            Phase::Ending {
                commit: under_way, ..
            } if *under_way == commit => None,
            // Nothing of the commit was sent: it can still be taken back.
            Phase::Ending {
                commit: true,
                sent: false,
            } => {
                self.phase = Phase::Ending {
                    commit,
                    sent: false,
                };
                None
            }
            Phase::Ended { commit: ended } if *ended == commit => None,
            Phase::Failed(_) if !commit => {
                self.phase = Phase::Ending {
                    commit,
                    sent: false,
                };
                None
            }
            Phase::Failed(error) => {
                let text =
                    "refused, since a part of the transaction failed: call abort_transaction";
                return Err(error.context(format_args!("{call}: {text}")).abortable());
            }
            Phase::Fatal(error) => return Err(error.context(call)),
            Phase::Ending { commit: true, .. } => Some(
                "the commit is under way and may have been carried out: call commit_transaction again to learn its end",
            ),
            Phase::Ending { .. } => Some("the transaction is being aborted"),
            Phase::Ended { commit: true } => Some(
                "the transaction has been committed: call commit_transaction again to learn so",
            ),
            Phase::Ended { .. } => Some("the transaction has been aborted"),
            Phase::New | Phase::Initializing | Phase::Ready => {
                Some("no transaction is open: call begin_transaction first")
            }
        };
        match problem {
            Some(problem) => Err(self.misuse(call, problem)),
            None => {
                if !commit {
                    self.drop_queue();
                }
                Ok(self.number)
            }
        }
    }

    /// How the end of transaction `number` that was asked for has ended; `None` while it has not.
    pub(crate) fn end_result(&mut self, number: u64, commit: bool) -> Option<Result<()>> {
        let call = end_call(commit);
        if self.last_end == Some((number, commit)) {
            if self.number == number && matches!(self.phase, Phase::Ended { .. }) {
                self.phase = Phase::Ready;
            }
            return Some(Ok(()));
        }
        match &self.phase {
            Phase::Ending {
                commit: under_way, ..
            } if *under_way == commit => None,
            Phase::Failed(error) => Some(Err(error.context(call))),
            Phase::Fatal(error) => Some(Err(error.context(call))),
            _ => Some(Err(
                self.misuse(call, "another call ended the transaction otherwise")
            )),
        }
    }

    /// How `init_transactions` has ended; `None` while it has not.
    pub(crate) fn init_result(&mut self) -> Option<Result<()>> {
        match &self.phase {
            Phase::New | Phase::Initializing => None,
            Phase::Fatal(error) => Some(Err(error.context("init_transactions"))),
            _ => {
                self.init_told = true;
                Some(Ok(()))
            }
        }
    }

    /// What a call waits for that is not done yet: why the last attempt failed, if there was one.
    pub(crate) fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    fn misuse(&self, call: &str, problem: &str) -> Error {
        Error::new(
            ErrorCode::INVALID_TXN_STATE,
            format!("{call}: {problem} (transactional.id '{}')", self.id),
        )
    }

    // What the I/O side tells, and asks.

    /// Which kind of transactions the brokers do, as last heard; counts from the next one on.
    pub(crate) fn offer_v2(&mut self, v2: bool) {
        self.offered_v2 = v2;
    }

    /// A partition has records to send: true if it may be sent to at once, else the coordinator is told first.
    pub(crate) fn may_send_to(&mut self, place: Place) -> bool {
        if self.v2 {
            self.begun = true;
            return true;
        }
        if self.added.contains(&place) {
            return true;
        }
        if self.sending() == Sending::All {
            self.wanted.insert(place);
        }
        false
    }

    /// Records or offsets failed, or a coordinator refused: the transaction can't be committed.
    pub(crate) fn fail(&mut self, error: &Error) {
        match &self.phase {
            Phase::Open | Phase::Ending { commit: true, .. } => {
                self.phase = Phase::Failed(error.abortable());
                self.drop_queue();
            }
            _ => {}
        }
    }

    /// The producer can't go on.
    pub(crate) fn fail_for_good(&mut self, error: &Error) {
        if !matches!(self.phase, Phase::Fatal(_)) {
            self.phase = Phase::Fatal(error.fatal());
            self.drop_queue();
        }
    }

    /// Sequence numbers were used for records whose end is not an acknowledgement.
    pub(crate) fn sequence_lost(&mut self) {
        self.raise_epoch = true;
    }

    /// What was not sent to the coordinators yet is not sent any more. What is under way ends with its answer.
    fn drop_queue(&mut self) {
        self.wanted.clear();
        self.offsets.clear();
        if !self.under_way {
            self.failures = 0;
            self.not_before = None;
        }
    }

    /// The next request to a coordinator. `quiet`: every record taken so far has ended.
    pub(crate) fn next(&mut self, now: Instant, quiet: bool) -> Option<Ask> {
        if self.under_way || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        match self.phase {
            Phase::Initializing => Some(Ask::Init(None)),
            Phase::Open | Phase::Ending { .. } => self.next_part().or_else(|| self.next_end(quiet)),
            _ => None,
        }
    }

    fn next_part(&mut self) -> Option<Ask> {
        if !self.wanted.is_empty() {
            return Some(Ask::AddPartitions(self.wanted.iter().cloned().collect()));
        }
        let offsets = self.offsets.front()?;
        let group: Arc<str> = offsets.group.group_id.as_str().into();
        if !self.v2 && !self.groups.contains(&group) {
            return Some(Ask::AddOffsets(group));
        }
        Some(Ask::Offsets(offsets.clone()))
    }

    fn next_end(&mut self, quiet: bool) -> Option<Ask> {
        let Phase::Ending { commit, .. } = self.phase else {
            return None;
        };
        if !quiet {
            return None;
        }
        if self.begun && !self.aborted {
            return Some(Ask::End { commit });
        }
        if self.raise_epoch && !self.v2 {
            return Some(Ask::Init(self.producer));
        }
        self.ended(commit);
        None
    }

    /// When [`Machine::next`] may answer something though nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.under_way)
    }

    /// A request went out.
    pub(crate) fn sent(&mut self, ask: &Ask) {
        self.under_way = true;
        match ask {
            Ask::AddPartitions(_) | Ask::AddOffsets(_) => self.begun = true,
            Ask::Offsets(_) if self.v2 => self.begun = true,
            Ask::End { commit } => {
                self.phase = Phase::Ending {
                    commit: *commit,
                    sent: true,
                };
            }
            _ => {}
        }
    }

    /// A request was carried out. `producer` is the id and epoch its answer brought.
    pub(crate) fn done(&mut self, ask: &Ask, producer: Option<ProducerId>) {
        self.under_way = false;
        self.failures = 0;
        self.not_before = None;
        self.last_error = None;
        if producer.is_some() {
            self.producer = producer;
        }
        match ask {
            Ask::Init(None) => {
                if matches!(self.phase, Phase::Initializing) {
                    self.phase = Phase::Ready;
                }
            }
            Ask::Init(Some(_)) => {
                self.raise_epoch = false;
                self.ended(false);
            }
            Ask::AddPartitions(places) => {
                self.confirmed = true;
                for place in places.iter() {
                    self.wanted.remove(place);
                    self.added.insert(place.clone());
                }
            }
            Ask::AddOffsets(group) => {
                self.confirmed = true;
                self.groups.insert(group.clone());
            }
            Ask::Offsets(offsets) => {
                self.confirmed = true;
                self.offsets.retain(|o| o.number != offsets.number);
            }
            Ask::End { commit } => {
                if producer.is_some() {
                    // The broker raised the epoch (KIP-890).
                    self.raise_epoch = false;
                }
                if *commit || !self.raise_epoch {
                    self.ended(*commit);
                } else {
                    self.aborted = true;
                }
            }
        }
    }

    fn ended(&mut self, commit: bool) {
        if let Phase::Fatal(_) = self.phase {
            return;
        }
        self.phase = Phase::Ended { commit };
        self.last_end = Some((self.number, commit));
        self.added.clear();
        self.groups.clear();
        self.drop_queue();
        self.begun = false;
        self.confirmed = false;
        self.aborted = false;
        self.raise_epoch = false;
    }

    /// A request had no answer, or one that asks for patience: it is made again from `not_before` on.
    pub(crate) fn again(&mut self, not_before: Option<Instant>, error: &Error) {
        self.under_way = false;
        self.not_before = not_before;
        self.last_error = Some(error.clone());
    }

    /// What the next request waits for.
    pub(crate) fn note(&mut self, why: &Error) {
        self.last_error = Some(why.clone());
    }

    /// Counts a failure in a row; answers how many there are.
    pub(crate) fn count_failure(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// A request was refused.
    pub(crate) fn refused(&mut self, ask: &Ask, verdict: Verdict, error: &Error) {
        self.under_way = false;
        self.failures = 0;
        self.not_before = None;
        self.last_error = Some(error.clone());
        let aborting = matches!(self.phase, Phase::Ending { commit: false, .. });
        match (ask, verdict) {
            (_, Verdict::Fatal) => self.fail_for_good(error),
            (Ask::Init(_), _) => self.fail_for_good(error),
            (Ask::End { commit: true }, _) => self.fail(error),
            // Nothing was begun there, so there is nothing to abort.
            (Ask::End { commit: false }, _)
                if error.code() == ErrorCode::INVALID_TXN_STATE && !self.confirmed && !self.v2 =>
            {
                self.done(ask, None);
            }
            // The coordinator has forgotten the producer, and the transaction with it: only the id is to be renewed.
            (Ask::End { commit: false }, _)
                if error.code() == ErrorCode::INVALID_PRODUCER_ID_MAPPING
                    || error.code() == ErrorCode::UNKNOWN_PRODUCER_ID =>
            {
                self.raise_epoch = true;
                self.v2 = false;
                self.aborted = true;
            }
            (Ask::End { commit: false }, _) => self.fail_for_good(error),
            // The abort that is wanted makes up for it.
            _ if aborting => {}
            _ => self.fail(error),
        }
    }
}

/// The call's name, as users know it.
pub(crate) fn end_call(commit: bool) -> &'static str {
    if commit {
        "commit_transaction"
    } else {
        "abort_transaction"
    }
}
