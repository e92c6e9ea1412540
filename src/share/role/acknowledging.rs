//! Acknowledgements on their way: queued with the broker that gave the records, and told of when they have ended.

use std::time::Instant;

use crate::client::calls::Reply;
use crate::client::event::{Event, EventKind};
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode, Result};
use crate::group::words::{advice, quoted};
use crate::share::ledger::Said;
use crate::share::node::Parcel;
use crate::share::role::{ShareRole, Tag};
use crate::share::shared::Waits;

/// A call that waits for acknowledgements.
#[derive(Debug)]
pub(super) struct WaitingCall {
    by: Instant,
    reply: Reply<()>,
    left: usize,
    failure: Option<Error>,
}

impl ShareRole {
    /// Queues acknowledgements with the brokers that gave the records.
    pub(super) fn acknowledge(&mut self, core: &Core<Tag>, said: Vec<Said>, waits: Option<Waits>) {
        let call = waits.map(|(by, reply)| {
            self.next_call += 1;
            let call = WaitingCall {
                by,
                reply,
                left: 1,
                failure: None,
            };
            self.calls.insert(self.next_call, call);
            self.next_call
        });
        let mut refused = Vec::new();
        for said in said {
            let id = core.topics.known(&said.key.0).map(|meta| meta.id);
            let parcel = Parcel {
                place: (id.unwrap_or_default(), said.key.1),
                said,
                call,
            };
            if let Some(call) = call.and_then(|id| self.calls.get_mut(&id)) {
                call.left += 1;
            }
            match (id, self.nodes.get_mut(&parcel.said.from.0)) {
                (Some(_), Some(node)) => node.waiting.push(parcel),
                _ => refused.push(parcel),
            }
        }
        for parcel in refused {
            self.lost(parcel);
        }
        if let Some(id) = call {
            self.call_done(id, None);
        }
    }

    pub(super) fn call_done(&mut self, id: u64, failure: Option<Error>) {
        let Some(call) = self.calls.get_mut(&id) else {
            return;
        };
        call.left = call.left.saturating_sub(1);
        if call.failure.is_none() {
            call.failure = failure;
        }
        if call.left == 0
            && let Some(call) = self.calls.remove(&id)
        {
            call.reply.give(call.failure.map_or(Ok(()), Err));
        }
    }

    /// What became of an acknowledgement is told to the call that waits for it; of a failure, to the program otherwise.
    pub(super) fn finish(&mut self, parcel: Parcel, result: Result<()>) {
        let waited = parcel.call.filter(|id| self.calls.contains_key(id));
        match (waited, result) {
            (Some(id), result) => self.call_done(id, result.err()),
            (None, Ok(())) => {}
            (None, Err(error)) => {
                let (topic, partition) = &parcel.said.key;
                self.events.push(Event::of_partition(
                    EventKind::AcknowledgementFailed,
                    topic,
                    *partition,
                    parcel.said.span(),
                    error,
                ));
            }
        }
    }

    pub(super) fn lost(&mut self, parcel: Parcel) {
        let error = refusal(
            &parcel,
            ErrorCode::SHARE_SESSION_NOT_FOUND,
            "the session with the broker they came from has ended; they are delivered again, perhaps to another member",
        );
        self.finish(parcel, Err(error));
    }

    /// Why an acknowledgement was refused, and what follows.
    pub(super) fn explain(&self, parcel: &Parcel, code: ErrorCode, words: Option<&str>) -> Error {
        let words = quoted(words);
        let lock = self.shared.lock_duration().unwrap_or_default().as_millis();
        let why = match code {
            ErrorCode::INVALID_RECORD_STATE => format!(
                "the broker answered INVALID_RECORD_STATE{words}: the lock of some of them had run out, after {lock} ms, or \
                 they were acknowledged before. They are delivered again, perhaps to another member: take fewer records \
                 at a time (max.poll.records), renew what takes long, or raise the group's share.record.lock.duration.ms"
            ),
            _ => format!(
                "the broker answered {}{words}{}; they are delivered again, perhaps to another member",
                code.name(),
                advice(code)
            ),
        };
        refusal(parcel, code, &why)
    }

    /// The client ends.
    pub(super) fn close_calls(&mut self) {
        for call in std::mem::take(&mut self.calls).into_values() {
            call.reply.give(Err(self.shared.inbox.closed_error()));
        }
    }

    pub(super) fn expire_calls(&mut self, now: Instant) -> Option<Instant> {
        let due: Vec<u64> = self
            .calls
            .iter()
            .filter(|(_, call)| call.by <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            if let Some(call) = self.calls.remove(&id) {
                let text = "committing acknowledgements: the brokers have not answered in time; whether they were carried \
                            out is not known, and the attempt goes on";
                call.reply.give(Err(Error::new(ErrorCode::TIMED_OUT, text)));
            }
        }
        self.calls.values().map(|call| call.by).min()
    }
}

/// What was tried.
pub(super) fn trying(parcel: &Parcel) -> String {
    let (topic, partition) = &parcel.said.key;
    let (first, end) = parcel.said.span();
    let last = end - 1;
    let offsets = if first == last {
        format!("offset {first}")
    } else {
        format!("offsets {first} to {last}")
    };
    format!("acknowledging {topic}-{partition}, {offsets}")
}

pub(super) fn refusal(parcel: &Parcel, code: ErrorCode, why: &str) -> Error {
    Error::new(code, why).context(trying(parcel))
}
