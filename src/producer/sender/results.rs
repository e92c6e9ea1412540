//! What answers mean: which batches have ended, which go again, which in halves.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::completion::Outcome;
use super::super::partition::Batch;
use super::super::sequence::advance;
use super::{Request, Sender, Tag};
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};
use crate::net::rpc;
use crate::protocol::compress::Codec;
use crate::protocol::produce::{self, PartitionResult};

/// `socket.request.max.bytes` of brokers where nobody has set it.
const REQUEST_LIMIT: usize = 100 << 20;
/// Attempts without an answer after which a batch above that counts as refused.
const LARGE_ATTEMPTS: u32 = 3;

/// What to do where a topic may keep its records in the message format of Kafka 0.9 or 0.10. `numbered`: what the records'
/// sequence numbers are for, if they have some.
fn old_format_advice(code: ErrorCode, numbered: Option<&str>) -> String {
    const OLD: &str = "message format 0 or 1 (message.format.version before 0.11.0)";
    match (code, numbered) {
        (ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, _) => "; compression.type=zstd needs brokers of Kafka 2.1 or later \
             (inter.broker.protocol.version too) and a topic whose message.format.version is at least 2.1"
            .to_owned(),
        (ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT, Some(what)) => format!(
            "; the topic keeps {OLD}, which has no room for {what}: raise message.format.version to 0.11.0 or later, or \
             leave it and set enable.idempotence=false"
        ),
        _ => format!(
            "; the broker's own log says why. A topic that keeps {OLD} takes no headers: raise message.format.version to \
             0.11.0 or later, or send none"
        ),
    }
}

/// What a broker answered for one batch.
pub(super) struct Answer<'a> {
    node: Node,
    /// Of the request.
    version: i16,
    /// It named a leader that was not known yet.
    redirected: bool,
    result: &'a PartitionResult,
}

impl Sender {
    pub(super) fn fail_request(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        request: u64,
        slots: Vec<usize>,
        error: &Error,
    ) {
        for slot in slots {
            if let Some(batch) = self.take_sent(slot, request) {
                self.give_up(slot, batch, Outcome::NotWritten, error);
            }
            self.look_at(core, now, slot);
        }
    }

    pub(super) fn take_sent(&mut self, slot: usize, request: u64) -> Option<Box<Batch>> {
        let part = self.parts.get_mut(slot)?;
        part.inflight.take(|batch| batch.request == request)
    }

    pub(super) fn give_up(
        &mut self,
        slot: usize,
        batch: Box<Batch>,
        outcome: Outcome,
        error: &Error,
    ) {
        // Its sequences were used, or skipped: those behind it would be out of order for ever.
        if batch.sequence.is_some() && !planted!("reuse-sequence") {
            self.leave_epoch(slot);
        }
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        planted!("reuse-sequence" => if let Some(sequence) = batch.sequence {
            part.next_sequence = sequence;
        });
        // The wait was for this batch; those behind it have not failed.
        if part.again.is_empty() {
            part.not_before = None;
        }
        planted!("retry-after-not-written" => if outcome == Outcome::NotWritten && !batch.unanswered && (1..9).contains(&batch.attempts) {
            return self.send_though_ended(slot, batch, error);
        });
        let unknown = batch.unanswered && !planted!("unknown-is-not-written");
        let outcome = if unknown && outcome == Outcome::NotWritten {
            Outcome::PossiblyWritten
        } else {
            outcome
        };
        let partition = part.partition.clone();
        self.note_ended(None, slot, &batch, outcome, Some(error));
        self.shared
            .complete(&partition, batch, outcome, -1, -1, Some(error));
    }

    /// Puts a batch back in line, in its old place.
    pub(super) fn send_again(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        slot: usize,
        mut batch: Box<Batch>,
        error: &Error,
        wait: bool,
    ) {
        let Some(part) = self.parts.get(slot) else {
            return;
        };
        let limit = part.partition.settings().delivery_timeout;
        if batch.attempts > self.shared.config.retries || now >= batch.created + limit {
            let text = format!(
                "{} (given up after {} attempts in {:.1?}; delivery.timeout.ms is {limit:?}, retries {})",
                error.message(),
                batch.attempts,
                now.saturating_duration_since(batch.created),
                self.shared.config.retries
            );
            return self.give_up(
                slot,
                batch,
                Outcome::NotWritten,
                &Error::new(error.code(), text),
            );
        }
        batch.last_error = Some(error.clone());
        let backoff = self.backoff_for(error).after(batch.attempts, &mut core.rng);
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        if wait {
            part.not_before = Some(now + backoff);
        }
        let cause = (part.partition.topic(), part.partition.index, error.code().0);
        core.debug(now, "produce", cause, || {
            format!(
                "{}-{}: sending a batch of {} records again after attempt {}: {}",
                part.partition.topic(),
                part.partition.index,
                batch.sealed.count(),
                batch.attempts,
                error.message()
            )
        });
        let ordinal = batch.ordinal;
        part.again
            .insert_before(batch, |b| b.ordinal > ordinal && !planted!("retry-behind"));
    }

    pub(super) fn on_produced(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        number: u64,
        body: Bytes,
    ) {
        let Some(request) = self.requests.remove(&number) else {
            return;
        };
        self.settling.answered(now, number);
        let header = i16::from(request.version >= 9);
        let parsed = rpc::strip_header(header, body)
            .and_then(|body| produce::read_response(request.version, &body));
        let response = match parsed {
            Ok(response) => response,
            Err(e) => return self.unanswered(core, now, number, request, &e),
        };
        core.throttle(now, request.node, Purpose::Produce, response.throttle_ms);
        let mut slots = request.slots;
        for topic in &response.topics {
            let name: Arc<str> = if request.version >= produce::TOPIC_ID_VERSION {
                match request.names.iter().find(|(id, _)| *id == topic.id) {
                    Some((_, name)) => name.clone(),
                    None => continue,
                }
            } else {
                Arc::from(topic.topic.as_str())
            };
            for result in &topic.partitions {
                let found = slots.iter().position(|s| {
                    self.parts.get(*s).is_some_and(|p| {
                        p.partition.index == result.partition && *p.partition.topic() == name
                    })
                });
                let Some(slot) = found.map(|i| slots.swap_remove(i)) else {
                    continue;
                };
                // A hint that is known already would have the batch refused again at once.
                let redirected = result.current_leader.is_some_and(|leader| {
                    core.leader_hint(&name, result.partition, leader, &response.endpoints)
                        || planted!("retry-on-old-news")
                });
                if let Some(batch) = self.take_sent(slot, number) {
                    let answer = Answer {
                        node: request.node,
                        version: request.version,
                        redirected,
                        result,
                    };
                    self.on_result(core, now, slot, batch, &answer);
                }
                self.look_at(core, now, slot);
            }
        }
        if !slots.is_empty() {
            let e = Error::protocol(format!(
                "{} did not answer for every partition of a Produce request",
                core.address(request.node)
            ));
            self.unanswered(core, now, number, Request { slots, ..request }, &e);
        }
    }

    /// A request that was sent and got no answer, or none to be understood: its batches may have been written.
    pub(super) fn unanswered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        number: u64,
        request: Request,
        error: &Error,
    ) {
        core.refresh_metadata();
        for slot in request.slots {
            if let Some(mut batch) = self.take_sent(slot, number) {
                if planted!("lost-completion") && batch.attempts > 1 {
                    continue;
                }
                batch.unanswered = true;
                let e = error.context(format_args!("sending to {}", core.address(request.node)));
                if batch.sealed.wire_len() > REQUEST_LIMIT && batch.attempts >= LARGE_ATTEMPTS {
                    self.too_large_a_request(slot, batch, &e);
                } else {
                    self.send_again(core, now, slot, batch, &e, true);
                }
            }
            self.look_at(core, now, slot);
        }
    }

    /// A batch above brokers' usual limit for a request, of which no attempt was answered: brokers end the connection that
    /// brings a larger one, without a word.
    fn too_large_a_request(&mut self, slot: usize, batch: Box<Batch>, error: &Error) {
        if batch.sealed.count() > 1 {
            return self.split(slot, batch, error);
        }
        let text = format!(
            "a record of {} bytes was not taken in {} attempts: {}; brokers close the connection at a request above \
             socket.request.max.bytes ({REQUEST_LIMIT} unless it was set): raise that, or send less",
            batch.sealed.wire_len(),
            batch.attempts,
            error.message()
        );
        let error = Error::new(ErrorCode::RECORD_TOO_LARGE, text);
        self.give_up(slot, batch, Outcome::NotWritten, &error);
    }

    pub(super) fn on_result(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        slot: usize,
        mut batch: Box<Batch>,
        answer: &Answer<'_>,
    ) {
        let Answer { node, result, .. } = *answer;
        let refused = ErrorCode(i32::from(result.error_code));
        if refused == ErrorCode::NONE || refused == ErrorCode::DUPLICATE_SEQUENCE_NUMBER {
            self.note_ended(Some(now), slot, &batch, Outcome::Written, None);
        } else {
            self.note_refused(slot, refused);
            core.node_stats(node).errors.add(refused);
        }
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let place = format!("{}-{}", part.partition.topic(), part.partition.index);
        let code = ErrorCode(i32::from(result.error_code));
        let told = |advice: &str| {
            let words = result
                .error_message
                .as_deref()
                .map_or_else(String::new, |m| format!(" (\"{m}\")"));
            Error::new(
                code,
                format!(
                    "{} refused a batch of {} records for {place}: {}{words}{advice}",
                    core.address(node),
                    batch.sealed.count(),
                    code.name()
                ),
            )
        };
        // A broker whose wait for its replicas ends badly tells why (too few of them are left, it is no longer the leader,
        // its disk has failed), and where the batch lies all the same: it may or may not survive there.
        let appended = code != ErrorCode::NONE && result.base_offset >= 0
            || code == ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
            || code == ErrorCode::REQUEST_TIMED_OUT;
        if appended && !planted!("after-append-is-refusal") {
            batch.unanswered = true;
        }
        match code {
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER if planted!("duplicate-is-error") => {
                let error = told("");
                batch.unanswered = false;
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            // A duplicate is a batch whose earlier attempt was written.
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                part.not_before = None;
                part.acknowledged = part.id.is_some();
                let offset = if code == ErrorCode::NONE {
                    result.base_offset
                } else {
                    -1
                };
                // For a batch that it has already, a broker answers with the batch's largest timestamp in the place of the
                // append time, also where records keep the time they were made.
                let is_duplicate =
                    batch.attempts > 1 && result.log_append_time == batch.sealed.max_timestamp();
                let append_time = if is_duplicate {
                    -1
                } else {
                    result.log_append_time
                };
                let offset = if planted!("offset-of-duplicate") && batch.attempts > 1 && offset >= 0
                {
                    offset + i64::from(batch.sealed.count())
                } else {
                    offset
                };
                planted!("completion-twice" => if batch.attempts > 1 {
                    self.shared.complete_beforehand(&part.partition, &batch, offset);
                });
                self.shared.complete(
                    &part.partition,
                    batch,
                    Outcome::Written,
                    offset,
                    append_time,
                    None,
                );
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE
                if batch.sealed.count() > 1 =>
            {
                let error = told("");
                self.split(slot, batch, &error);
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                let error = told(&format!(
                    "; the record takes {} bytes, more than the topic's max.message.bytes (or the broker's \
                     message.max.bytes) allows: raise it, or send less",
                    batch.sealed.wire_len()
                ));
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID => {
                let error = told("");
                let earlier = part
                    .inflight
                    .iter()
                    .chain(part.again.iter())
                    .map(|b| b.ordinal);
                if earlier.min().is_some_and(|o| o < batch.ordinal) {
                    // An earlier batch failed and is on its way again; this one follows it.
                    self.send_again(core, now, slot, batch, &error, false);
                } else if self.transaction.is_some() {
                    // A part of the transaction is missing there, so all of it is to be aborted.
                    self.give_up(slot, batch, Outcome::NotWritten, &error);
                } else {
                    // The broker has lost what came before: a new epoch begins anew. This batch itself was refused,
                    // so it may go again, unless an earlier attempt of it has an unknown end.
                    part.leaving = part.id.is_some();
                    if batch.unanswered {
                        self.give_up(slot, batch, Outcome::PossiblyWritten, &error);
                    } else {
                        self.send_again(core, now, slot, batch, &error, true);
                    }
                }
            }
            ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED
                if self.transaction.is_some() =>
            {
                let error = told(
                    "; the transaction outlived transaction.timeout.ms, or another producer has taken the \
                     transactional.id over: abort_transaction tells which",
                );
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => {
                let error = told("");
                part.leaving = part.id.is_some();
                self.send_again(core, now, slot, batch, &error, true);
            }
            _ if code.is_retriable() => {
                let error = told("");
                // A leader that waits for the end of the transaction before is the right one.
                if code != ErrorCode::CONCURRENT_TRANSACTIONS || self.transaction.is_none() {
                    core.refresh_metadata();
                }
                self.send_again(core, now, slot, batch, &error, !answer.redirected);
            }
            _ => {
                let numbered = match (&self.transaction, part.id) {
                    (Some(_), _) => Some("transactions (transactional.id)"),
                    (None, Some(_)) => Some("an idempotent producer (enable.idempotence=true)"),
                    (None, None) => None,
                };
                let advice = match code {
                    // Formats 0 and 1 can be had of brokers before Kafka 4.0, whose Produce ends with version 11.
                    ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
                    | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE
                    | ErrorCode::UNKNOWN_SERVER_ERROR
                        if answer.version < produce::IMPLICIT_TRANSACTION_VERSION =>
                    {
                        &old_format_advice(code, numbered)
                    }
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                        "; this client may not write to the topic: check its ACLs"
                    }
                    ErrorCode::INVALID_RECORD => {
                        "; a record breaks a rule of the topic (a compacted topic needs keys)"
                    }
                    ErrorCode::INVALID_TIMESTAMP => {
                        "; a timestamp is outside what the topic allows (message.timestamp.before.max.ms, ...after.max.ms)"
                    }
                    _ => "",
                };
                let refused: Vec<String> = result
                    .record_errors
                    .iter()
                    .take(3)
                    .map(|(i, m)| {
                        format!(
                            " record {i} of the batch: {}",
                            m.as_deref().unwrap_or("refused")
                        )
                    })
                    .collect();
                let error = told(&format!("{advice}{}", refused.join(";")));
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
        }
    }

    /// Gives a batch up that a broker of this Produce version can't take; `None` where it was given up.
    pub(super) fn check_codec(
        &mut self,
        core: &Core<Tag>,
        node: Node,
        version: i16,
        slot: usize,
        batch: Box<Batch>,
    ) -> Option<Box<Batch>> {
        let part = self.parts.get(slot)?;
        if version >= produce::ZSTD_VERSION || part.partition.settings().codec != Codec::Zstd {
            return Some(batch);
        }
        let error = Error::new(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            format!(
                "{} does not know zstd (compression.type=zstd needs Kafka 2.1 or later, whose Produce requests go up to \
                 version {}; this broker's go up to {version}): {} records for {}-{} were not sent; set compression.type to \
                 lz4, snappy or gzip",
                core.address(node),
                produce::ZSTD_VERSION,
                batch.sealed.count(),
                part.partition.topic(),
                part.partition.index
            ),
        );
        self.give_up(slot, batch, Outcome::NotWritten, &error);
        None
    }

    /// A batch too large for the broker goes again in two halves, in its place.
    pub(super) fn split(&mut self, slot: usize, mut batch: Box<Batch>, error: &Error) {
        match batch.sealed.split() {
            Ok((first, second)) => {
                let tail = batch.tokens.split_off(first.count() as u32);
                if !planted!("flush-forgets-split") {
                    self.shared.begin_batch_as(batch.id);
                }
                let charged = second.body().capacity() + tail.cost();
                self.shared.memory.force_charge(charged);
                if let Some(part) = self.parts.get(slot) {
                    let backlog = &part.partition.backlog;
                    self.shared.memory.add_backlog(backlog, charged);
                }
                // Its sequence range covers both halves: each keeps its part of it.
                let sequence = batch.sequence.map(|s| advance(s, first.count()));
                let mut other = Box::new(Batch {
                    id: batch.id,
                    sealed: second,
                    tokens: tail,
                    created: batch.created,
                    charged,
                    ordinal: batch.ordinal + batch.span / 2,
                    span: batch.span / 2,
                    sequence,
                    attempts: 0,
                    unanswered: batch.unanswered,
                    last_error: None,
                    request: 0,
                    next: None,
                });
                batch.sealed = first;
                batch.attempts = 0;
                batch.span /= 2;
                let Some(part) = self.parts.get_mut(slot) else {
                    return;
                };
                let ordinal = batch.ordinal;
                if planted!("split-out-of-order") {
                    std::mem::swap(&mut batch.ordinal, &mut other.ordinal);
                    std::mem::swap(&mut batch, &mut other);
                }
                part.again.insert_before(other, |b| b.ordinal >= ordinal);
                part.again.insert_before(batch, |b| b.ordinal >= ordinal);
            }
            Err(e) => self.give_up(
                slot,
                batch,
                Outcome::NotWritten,
                &e.context(error.message()),
            ),
        }
    }
}
