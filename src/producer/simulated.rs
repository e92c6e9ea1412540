//! What a simulation needs of a producer beside its public calls: those that wait, cut at the point where they do.

use std::sync::atomic::Ordering;

use super::Producer;
use super::completion::{Outcome, Tokens};
use super::partition::{Batch, Partition};
use super::shared::{End, Shared};

impl Producer {
    /// The first half of a flush; its mark.
    pub(crate) fn begin_flush(&self) -> u64 {
        self.shared.begin_flush()
    }

    /// Whether what a flush with this mark waits for has ended.
    pub(crate) fn is_flushed(&self, mark: u64) -> bool {
        self.shared.flushed(mark)
    }

    /// What a flush has to tell.
    pub(crate) fn take_silent(&self) -> crate::error::Result<()> {
        self.shared.take_silent()
    }

    /// The first half of closing.
    pub(crate) fn begin_close(&self) {
        self.shared.stop_taking();
    }

    /// The second half of closing.
    pub(crate) fn give_up(&self) {
        self.shared.give_up();
    }

    /// Whether the I/O side has ended, which closing waits for.
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.ended.load(Ordering::Acquire)
    }
}

impl Shared {
    /// For a planted bug: tells that a batch was written, though it is about to be told again.
    pub(super) fn complete_beforehand(&self, partition: &Partition, batch: &Batch, offset: i64) {
        self.begin_batch_as(batch.id);
        let end = End {
            partition: (partition.topic(), partition.index),
            outcome: Outcome::Written,
            base_offset: offset,
            timestamp: batch.sealed.base_timestamp(),
            error: None,
        };
        let mut tokens = Tokens::default();
        batch
            .tokens
            .for_each(|token, first, count, indices| match indices {
                Some(indices) => tokens.add_scattered(token, indices),
                None => tokens.add(token, first, count),
            });
        self.complete_tokens(batch.id, tokens, 0, 0, &end);
    }
}
