//! Transactions on the I/O side: asks the coordinators what the state machine wants asked, takes their answers, and
//! holds back or gives up records that must not be sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId,
    InitProducerIdRequest, ProducerId as WireProducerId, TopicName, TransactionalId,
    TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};

use super::super::completion::Outcome;
use super::super::sequence::{Identity, ProducerId};
use super::super::shared::Shared;
use super::super::transaction::answers::{Verdict, advice, verdict};
use super::super::transaction::state::{Ask, Machine, Offsets, Phase, Place, Sending};
use super::{Part, Sender, Tag};
use crate::cluster::core::{Coordinator, CoordinatorKind, Core, Purpose};
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::txn_offset_commit;
use crate::protocol::wire::{TopicId, string};

/// The first wait for the end of the transaction before: its markers are written in a moment.
const TRANSACTION_BACKOFF: Duration = Duration::from_millis(20);
/// From these versions on coordinators take partitions and groups into a transaction by themselves, and EndTxn raises
/// the epoch (KIP-890).
const V2_END_TXN: i16 = 5;
const V2_TXN_OFFSET_COMMIT: i16 = 5;

/// How far transactions are, as the sender last saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    number: u64,
    pub(super) v2: bool,
    sending: Sending,
}

impl View {
    pub(super) fn of(machine: &Machine) -> Self {
        View {
            number: machine.number(),
            v2: machine.is_v2(),
            sending: machine.sending(),
        }
    }

    fn allows(&self, begun: bool) -> bool {
        match self.sending {
            Sending::All => true,
            Sending::Begun => begun,
            Sending::Nothing => false,
        }
    }

    /// True if what a partition would send next is held back.
    pub(super) fn holds_back(&self, part: &Part) -> bool {
        let begun = part.again.first().is_some_and(|b| b.sequence.is_some());
        !self.allows(begun) || part.in_transaction != self.number
    }
}

/// True if a partition's next batch may be sent; where its coordinator must be told of the partition first, has that done.
/// `begun`: the batch has its sequence numbers.
pub(super) fn may_send(shared: &Shared, view: &Option<View>, part: &mut Part, begun: bool) -> bool {
    let Some(view) = view else {
        return true;
    };
    if !view.allows(begun) {
        return false;
    }
    if part.in_transaction == view.number {
        return true;
    }
    let place = (part.partition.topic().clone(), part.partition.index);
    let may = shared.transact(|machine| machine.may_send_to(place)) == Some(true);
    if may {
        part.in_transaction = view.number;
    }
    may
}

/// An answer, as far as it counts: its worst error code and what that was about.
struct Answer {
    code: ErrorCode,
    about: String,
    throttle_ms: i32,
    producer: Option<ProducerId>,
}

impl Answer {
    fn new(code: i16, throttle_ms: i32) -> Self {
        Answer {
            code: ErrorCode(i32::from(code)),
            about: String::new(),
            throttle_ms,
            producer: None,
        }
    }

    /// Of many codes the one that matters most.
    fn worst(ask: &Ask, throttle_ms: i32, parts: impl Iterator<Item = (String, i32, i16)>) -> Self {
        let mut worst = Answer::new(0, throttle_ms);
        let rank = |code| {
            (
                verdict(ask, code),
                code != ErrorCode::OPERATION_NOT_ATTEMPTED,
            )
        };
        for (topic, partition, code) in parts {
            let code = ErrorCode(i32::from(code));
            if code != ErrorCode::NONE && rank(code) > rank(worst.code) {
                worst.code = code;
                worst.about = format!(" of {topic}-{partition}");
            }
        }
        worst
    }
}

impl Sender {
    /// Sequence numbers were used up for records that have no acknowledgement: what comes next needs another epoch.
    pub(super) fn leave_epoch(&mut self, slot: usize) {
        if self.transaction.is_some() {
            self.shared.transact(Machine::sequence_lost);
        } else if let Some(part) = self.parts.get_mut(slot) {
            part.leaving = true;
        }
    }

    /// Does for transactions what can be done now; answers when there may be more though nothing else happens.
    pub(super) fn poll_transaction(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
    ) -> Option<Instant> {
        self.transaction?;
        loop {
            let shared = self.shared.clone();
            let offered = core.feature("transaction.version") >= 2;
            let (view, giving_up, fatal, ask, deadline) = shared.transact(|machine| {
                machine.offer_v2(offered);
                // Counted under the lock under which the gate shuts: none begins after this while a transaction ends.
                // Counted before, it could be of the time before the transaction's first record.
                let quiet = shared.live_batches() == 0;
                let ask = machine.next(now, quiet);
                let fatal = matches!(machine.phase(), Phase::Fatal(_));
                // A time that is over is nothing to wait for: what is in the way now ends with an event.
                let deadline = machine.deadline().filter(|at| *at > now);
                (View::of(machine), machine.giving_up(), fatal, ask, deadline)
            })?;
            self.transaction = Some(view);
            if let Some(error) = giving_up
                && self.give_up_unsent(&error, fatal)
            {
                continue;
            }
            match ask {
                Some(ask) => {
                    if !self.ask(core, now, ask) {
                        return deadline;
                    }
                }
                None => return deadline,
            }
        }
    }

    /// Gives up what has no sequence numbers yet, or everything that is not under way. True if there was anything.
    fn give_up_unsent(&mut self, error: &Error, all: bool) -> bool {
        let before = self.shared.live_batches();
        if before == 0 {
            return false;
        }
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            self.shared
                .fail_pending(&mut pending, topic, error, |_| true);
        }
        for part in &mut self.parts {
            self.shared.close_to_give_up(&part.partition);
            let mut over = part.again.take_all(|b| all || b.sequence.is_none());
            let mut queue = part.partition.lock();
            over.extend(std::iter::from_fn(|| queue.pop_ready()));
            drop(queue);
            for batch in over {
                let outcome = if batch.unanswered {
                    Outcome::PossiblyWritten
                } else {
                    Outcome::NotWritten
                };
                self.shared
                    .complete(&part.partition, batch, outcome, -1, -1, Some(error));
            }
        }
        self.shared.live_batches() != before
    }

    /// Sends a request to its coordinator, if that can be had; true if something has changed at once.
    fn ask(&mut self, core: &mut Core<Tag>, now: Instant, ask: Ask) -> bool {
        let (kind, key) = self.addressee(&ask);
        let (node, conn) = match core.coordinator(now, kind, &key, Purpose::Control) {
            Coordinator::Ready(node, conn) => (node, conn),
            Coordinator::Waiting => {
                let why = core.describe_coordinator(now, kind, &key);
                self.shared.transact(|machine| machine.note(&why));
                return false;
            }
            Coordinator::Refused(error) => {
                self.refused(&ask, verdict(&ask, error.code()), &error);
                return true;
            }
        };
        let limit = self.shared.config.common.request_timeout;
        match self.encode(core, conn, &ask) {
            Ok(call) => {
                core.send(now, conn, call, limit, Tag::Transaction, true);
                self.shared.transact(|machine| machine.sent(&ask));
                self.asking = Some(ask);
                false
            }
            Err(e) => {
                let e = e.context(format_args!("{}: {}", ask.name(), core.address(node)));
                self.refused(&ask, verdict(&ask, e.code()), &e);
                true
            }
        }
    }

    fn addressee(&self, ask: &Ask) -> (CoordinatorKind, Arc<str>) {
        match ask {
            Ask::Offsets(offsets) => (
                CoordinatorKind::Group,
                offsets.group.group_id.as_str().into(),
            ),
            _ => {
                let id = self.shared.transaction(|machine| machine.id().clone());
                (
                    CoordinatorKind::Transaction,
                    id.unwrap_or_else(|| "".into()),
                )
            }
        }
    }

    fn encode(&self, core: &Core<Tag>, conn: ConnId, ask: &Ask) -> Result<Call> {
        let config = &self.shared.config;
        let v2 = self.transaction.is_some_and(|view| view.v2);
        let id = config.transactional_id.clone().unwrap_or_default();
        let id = TransactionalId(StrBytes::from_string(id));
        let ProducerId {
            id: producer,
            epoch,
        } = self
            .identity
            .current()
            .unwrap_or(ProducerId { id: -1, epoch: -1 });
        let producer = WireProducerId(producer);
        match ask {
            Ask::Init(old) => {
                let timeout = config.transaction_timeout.as_millis();
                let versions = (0, 5);
                // An epoch can be raised by name from version 3 on (KIP-360; version 6 is for two-phase commit). Before it, a
                // request without the old id has the coordinator raise it just so, as nothing of a transaction is left.
                let named = core.version(conn, InitProducerIdRequest::KEY, versions)? >= 3;
                let old = old.filter(|_| named);
                let old = old.unwrap_or(ProducerId { id: -1, epoch: -1 });
                let request = InitProducerIdRequest::default()
                    .with_transactional_id(Some(id))
                    .with_transaction_timeout_ms(i32::try_from(timeout).unwrap_or(i32::MAX))
                    .with_producer_id(WireProducerId(old.id))
                    .with_producer_epoch(old.epoch);
                encode(core, conn, &request, versions)
            }
            Ask::AddPartitions(places) => {
                let request = AddPartitionsToTxnRequest::default()
                    .with_v3_and_below_transactional_id(id)
                    .with_v3_and_below_producer_id(producer)
                    .with_v3_and_below_producer_epoch(epoch)
                    .with_v3_and_below_topics(topics_to_add(places));
                // Later versions are for brokers among themselves.
                encode(core, conn, &request, (0, 3))
            }
            Ask::AddOffsets(group) => {
                let request = AddOffsetsToTxnRequest::default()
                    .with_transactional_id(id)
                    .with_producer_id(producer)
                    .with_producer_epoch(epoch)
                    .with_group_id(GroupId(StrBytes::from_string(group.to_string())));
                encode(core, conn, &request, (0, 4))
            }
            Ask::Offsets(offsets) => {
                let group = &offsets.group;
                let text = |text: &str| string(text);
                let request = TxnOffsetCommitRequest::default()
                    .with_transactional_id(id)
                    .with_producer_id(producer)
                    .with_producer_epoch(epoch)
                    .with_group_id(GroupId(text(&group.group_id)))
                    .with_generation_id(group.generation)
                    .with_member_id(text(&group.member_id))
                    .with_group_instance_id(group.instance_id.as_deref().map(text))
                    .with_topics(topics_to_commit(offsets));
                if v2 && let Some(ids) = known_ids(core, &request) {
                    let versions = (V2_TXN_OFFSET_COMMIT, txn_offset_commit::TOPIC_ID_VERSION);
                    let version = core.version(conn, TxnOffsetCommitRequest::KEY, versions)?;
                    if version == txn_offset_commit::TOPIC_ID_VERSION {
                        let key = TxnOffsetCommitRequest::KEY;
                        let mut call = Call::begin(&core.config.client_id, key, version, 2)?;
                        txn_offset_commit::write_request(&mut call.frame.meta, &request, &ids);
                        call.frame.finish();
                        return Ok(call);
                    }
                }
                let versions = if v2 {
                    (V2_TXN_OFFSET_COMMIT, V2_TXN_OFFSET_COMMIT)
                } else {
                    // The membership is told, and checked, from version 3 on (KIP-447).
                    let member = group.generation >= 0 || !group.member_id.is_empty();
                    (if member { 3 } else { 0 }, V2_TXN_OFFSET_COMMIT - 1)
                };
                encode(core, conn, &request, versions)
            }
            Ask::End { commit } => {
                let request = EndTxnRequest::default()
                    .with_transactional_id(id)
                    .with_producer_id(producer)
                    .with_producer_epoch(epoch)
                    .with_committed(*commit);
                let versions = if v2 {
                    (V2_END_TXN, V2_END_TXN)
                } else {
                    (0, V2_END_TXN - 1)
                };
                encode(core, conn, &request, versions)
            }
        }
    }

    pub(super) fn on_transaction_answer(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
    ) {
        let Some(ask) = self.asking.take() else {
            return;
        };
        let place = core.address(node);
        let answer = match read(core, &ask, version, body) {
            Ok(answer) => answer,
            Err(e) => {
                self.asking = Some(ask);
                let e = e.context(format_args!("the answer of {place}"));
                return self.transaction_unanswered(core, now, &e);
            }
        };
        core.throttle(now, node, Purpose::Control, answer.throttle_ms);
        let (kind, key) = self.addressee(&ask);
        let what = verdict(&ask, answer.code);
        let code = answer.code;
        let error = || {
            let text = format!(
                "{} refused {}{} for {kind} '{key}': {}{}",
                place,
                ask.name(),
                answer.about,
                code.name(),
                advice(&ask, code)
            );
            Error::new(code, text)
        };
        match what {
            Verdict::Done => {
                core.coordinator_answered(kind, &key);
                self.answered(core, now, &ask, answer.producer);
            }
            Verdict::Elsewhere => {
                let error = error();
                core.coordinator_lost(now, kind, &key, &error);
                self.shared.transact(|machine| machine.again(None, &error));
            }
            Verdict::Again => self.ask_again(core, now, &error()),
            Verdict::Abort | Verdict::Fatal => {
                if code == ErrorCode::UNKNOWN_TOPIC_ID {
                    core.refresh_metadata();
                }
                let error = error();
                self.refused(&ask, what, &error);
            }
        }
    }

    fn answered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        ask: &Ask,
        producer: Option<ProducerId>,
    ) {
        if matches!(ask, Ask::End { .. }) {
            self.settling.ended(now);
        }
        if let Some(producer) = producer {
            // Nothing is under way: an id comes before the first transaction or after the end of one.
            self.identity = Identity::Have(producer);
            for part in &mut self.parts {
                part.next_sequence = 0;
                part.id = None;
                part.acknowledged = false;
            }
        }
        let number = self.shared.transact(|machine| {
            machine.done(ask, producer);
            machine.number()
        });
        if let (Ask::AddPartitions(places), Some(number)) = (ask, number) {
            for slot in 0..self.parts.len() {
                let part = &mut self.parts[slot];
                let own = (part.partition.topic().clone(), part.partition.index);
                if places.binary_search(&own).is_ok() {
                    part.in_transaction = number;
                    self.look_at(core, now, slot);
                }
            }
        }
    }

    fn refused(&mut self, ask: &Ask, verdict: Verdict, error: &Error) {
        self.shared
            .transact(|machine| machine.refused(ask, verdict, error));
    }

    /// A request got no answer, or none to be understood: it is made again, for each of them may be.
    pub(super) fn transaction_unanswered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        error: &Error,
    ) {
        if self.asking.take().is_some() {
            self.ask_again(core, now, error);
        }
    }

    /// The waits after this error: shorter where the transaction before is in the way.
    pub(super) fn backoff_for(&mut self, error: &Error) -> Backoff {
        let mut backoff = self.backoff();
        // Without transactions of its own, nobody knows how soon the one that is in the way ends.
        if error.code() == ErrorCode::CONCURRENT_TRANSACTIONS && self.transaction.is_some() {
            backoff.first = backoff.first.min(TRANSACTION_BACKOFF);
            self.settling.too_soon();
        }
        backoff
    }

    fn ask_again(&mut self, core: &mut Core<Tag>, now: Instant, error: &Error) {
        let backoff = self.backoff_for(error);
        self.shared.transact(|machine| {
            let wait = backoff.after(machine.count_failure(), &mut core.rng);
            machine.again(Some(now + wait), error);
        });
    }
}

/// Encodes a request in the highest common version within `versions`.
fn encode<R: Request>(
    core: &Core<Tag>,
    conn: ConnId,
    request: &R,
    versions: (i16, i16),
) -> Result<Call> {
    let version = core.version(conn, R::KEY, versions)?;
    Call::encode(&core.config.client_id, version, request)
}

fn topic_name(name: &str) -> TopicName {
    TopicName(string(name))
}

/// Partitions, which are sorted, by topic.
fn topics_to_add(places: &[Place]) -> Vec<AddPartitionsToTxnTopic> {
    let by_topic = places.chunk_by(|a, b| a.0 == b.0);
    by_topic
        .map(|of_one| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(&of_one[0].0))
                .with_partitions(of_one.iter().map(|place| place.1).collect())
        })
        .collect()
}

fn topics_to_commit(offsets: &Offsets) -> Vec<TxnOffsetCommitRequestTopic> {
    let mut topics: Vec<TxnOffsetCommitRequestTopic> = Vec::new();
    for own in offsets.offsets.iter() {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(own.partition)
            .with_committed_offset(own.offset.offset)
            .with_committed_leader_epoch(own.offset.leader_epoch)
            .with_committed_metadata(Some(StrBytes::from_string(own.offset.metadata.clone())));
        match topics.iter_mut().find(|t| *t.name.0 == *own.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(
                TxnOffsetCommitRequestTopic::default()
                    .with_name(topic_name(&own.topic))
                    .with_partitions(vec![partition]),
            ),
        }
    }
    topics
}

/// The ids of a request's topics, if all of them are known: a producer knows those that it has written to.
fn known_ids(core: &Core<Tag>, request: &TxnOffsetCommitRequest) -> Option<Vec<TopicId>> {
    let id = |name: &str| core.topics.known(name).map(|meta| meta.id);
    request
        .topics
        .iter()
        .map(|topic| id(&topic.name).filter(|id| *id != TopicId::default()))
        .collect()
}

/// Reads the answer to `ask`.
fn read(core: &Core<Tag>, ask: &Ask, version: i16, body: Bytes) -> Result<Answer> {
    Ok(match ask {
        Ask::Offsets(_) if version >= txn_offset_commit::TOPIC_ID_VERSION => {
            let r = txn_offset_commit::read_response(&rpc::strip_header(1, body)?)?;
            let name = |id| core.topics.name_of(id).map_or("a topic", |name| &**name);
            let parts = r.partitions.iter();
            let parts = parts.map(|(id, index, code)| (name(id).to_owned(), *index, *code));
            Answer::worst(ask, r.throttle_ms, parts)
        }
        Ask::Init(_) => {
            let r = rpc::decode::<InitProducerIdRequest>(version, body)?;
            let mut answer = Answer::new(r.error_code, r.throttle_time_ms);
            if answer.code == ErrorCode::NONE {
                answer.producer = Some(ProducerId {
                    id: r.producer_id.0,
                    epoch: r.producer_epoch,
                });
            }
            answer
        }
        Ask::AddPartitions(_) => {
            let r = rpc::decode::<AddPartitionsToTxnRequest>(version, body)?;
            let parts = r.results_by_topic_v3_and_below.iter().flat_map(|topic| {
                topic.results_by_partition.iter().map(|p| {
                    let name = topic.name.to_string();
                    (name, p.partition_index, p.partition_error_code)
                })
            });
            Answer::worst(ask, r.throttle_time_ms, parts)
        }
        Ask::AddOffsets(_) => {
            let r = rpc::decode::<AddOffsetsToTxnRequest>(version, body)?;
            Answer::new(r.error_code, r.throttle_time_ms)
        }
        Ask::Offsets(_) => {
            let r = rpc::decode::<TxnOffsetCommitRequest>(version, body)?;
            let parts = r.topics.iter().flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|p| (topic.name.to_string(), p.partition_index, p.error_code))
            });
            Answer::worst(ask, r.throttle_time_ms, parts)
        }
        Ask::End { .. } => {
            let r = rpc::decode::<EndTxnRequest>(version, body)?;
            let mut answer = Answer::new(r.error_code, r.throttle_time_ms);
            if answer.code == ErrorCode::NONE && r.producer_id.0 >= 0 {
                answer.producer = Some(ProducerId {
                    id: r.producer_id.0,
                    epoch: r.producer_epoch,
                });
            }
            answer
        }
    })
}
