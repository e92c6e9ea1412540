//! Planted bugs that take more than a word where they are planted; only for the simulation.

use super::super::partition::Batch;
use super::super::shared::End;
use super::Sender;
use crate::error::Error;

impl Sender {
    /// Tells that a batch was not written, and sends it again all the same.
    pub(super) fn send_though_ended(&mut self, slot: usize, mut batch: Box<Batch>, error: &Error) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let partition = part.partition.clone();
        self.shared.begin_batch_as(batch.id);
        let end = End::not_written((partition.topic(), partition.index), Some(error));
        let tokens = std::mem::take(&mut batch.tokens);
        self.shared.complete_tokens(batch.id, tokens, 0, 0, &end);
        batch.sequence = None;
        part.again.push(batch);
    }
}
