//! Getting a producer id, and raising its epoch, partition by partition.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId as WireProducerId};

use super::super::completion::Outcome;
use super::super::sequence::{Identity, ProducerId};
use super::{Sender, Tag};
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode};
use crate::net::rpc;

impl Sender {
    /// Asks for a producer id where one is wanted.
    pub(super) fn check_identity(&mut self, core: &mut Core<Tag>, now: Instant) {
        if self.transaction.is_some() {
            // Its id comes with the transactional one.
            return;
        }
        let Identity::Wanted { not_before } = self.identity else {
            return;
        };
        if not_before.is_some_and(|at| at > now) {
            return;
        }
        let Some((_, conn)) = core.any_conn(now) else {
            return;
        };
        let timeout = self.shared.config.common.request_timeout;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(0)
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1);
        match core.call(now, conn, &request, i16::MAX, timeout, Tag::InitProducerId) {
            Ok(()) => self.identity = Identity::Asking,
            Err(e) => self.identity_failed(core, now, &e),
        }
    }

    /// Begins another epoch of a partition of which nothing is under way: its sequences start at 0 again. Batches with
    /// an unknown end can't be sent under it, where the broker would not recognise them as duplicates. False while no
    /// id can be had for it.
    pub(super) fn begin_epoch(&mut self, slot: usize) -> bool {
        let (Some(given), Some(part)) = (self.identity.current(), self.parts.get_mut(slot)) else {
            return false;
        };
        let next = match part.id {
            Some(old) if old.id == given.id => old.raised(),
            // Another id was given since: its epochs begin anew.
            _ => Some(given),
        };
        let Some(next) = next else {
            self.identity = Identity::Wanted { not_before: None };
            return false;
        };
        part.id = Some(next);
        part.acknowledged = false;
        part.leaving = false;
        part.next_sequence = 0;
        let unknown = part
            .again
            .take_all(|b| b.unanswered && !planted!("resend-unknown"));
        part.again.for_each_mut(|batch| batch.sequence = None);
        for mut batch in unknown {
            batch.sequence = None;
            let cause = batch
                .last_error
                .clone()
                .map_or_else(String::new, |e| format!(": {}", e.message()));
            let error = Error::new(
                ErrorCode::NETWORK_EXCEPTION,
                format!(
                    "no answer told whether the records were written, and they can't be sent again safely{cause}"
                ),
            );
            self.give_up(slot, batch, Outcome::PossiblyWritten, &error);
        }
        true
    }

    pub(super) fn identity_failed(&mut self, core: &mut Core<Tag>, now: Instant, error: &Error) {
        self.id_failures += 1;
        let wait = self.backoff().after(self.id_failures, &mut core.rng);
        self.identity = Identity::Wanted {
            not_before: Some(now + wait),
        };
        let wall = core.clock.wall();
        core.log.log(
            crate::log::Level::Warn,
            "producer",
            "init producer id",
            now,
            wall,
            || {
                format!(
                    "getting a producer id failed, trying again: {}",
                    error.message()
                )
            },
        );
        // Where it can't succeed, waiting on would be silent: what is waiting fails.
        if !error.code().is_retriable() {
            for leader in self.queues.keys().copied().collect::<Vec<_>>() {
                self.fail_queue(
                    leader,
                    &error.context("getting a producer id (enable.idempotence=true)"),
                );
            }
        }
    }

    pub(super) fn on_identity(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        version: i16,
        body: Bytes,
    ) {
        let answer = rpc::decode::<InitProducerIdRequest>(version, body).and_then(|r| {
            match ErrorCode(i32::from(r.error_code)) {
                ErrorCode::NONE => Ok(ProducerId {
                    id: r.producer_id.0,
                    epoch: r.producer_epoch,
                }),
                code => Err(Error::new(
                    code,
                    format!("the broker refused InitProducerId: {}", code.name()),
                )),
            }
        });
        match answer {
            Ok(id) => {
                self.id_failures = 0;
                self.identity = Identity::Have(id);
                for slot in 0..self.parts.len() {
                    self.look_at(core, now, slot);
                }
            }
            Err(e) => self.identity_failed(core, now, &e),
        }
    }
}
