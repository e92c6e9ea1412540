//! Sealing: a closed batch gets its checksum and is compressed, without any lock.
//!
//! Whoever fills a batch seals it. What leaves because it is due, or has waited for its topic, would be sealed on the I/O
//! thread, which all clients of the process share: compression that takes long is done beside it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use super::completion::Tokens;
use super::partition::{Batch, ORDINAL_STEP, OpenBatch, Partition, PartitionQueue};
use super::settings::TopicSettings;
use super::shared::{End, Shared};
use crate::error::Error;
use crate::net::aside;
use crate::protocol::compress::Codec;

/// What takes longer, in nanoseconds, is not done on the I/O thread. Handing it on costs about a third of that.
const LONG: usize = 30_000;

/// What is left of a batch that could not be sealed, and why.
struct Unsealed {
    id: u64,
    tokens: Tokens,
    charged: usize,
    error: Error,
}

/// About how long compression takes for a byte, in nanoseconds: by order of magnitude, on a machine of today.
fn nanos_per_byte(codec: Codec, level: Option<i32>) -> usize {
    match (codec, level) {
        (Codec::None, _) => 0,
        (Codec::Gzip, _) => 30,
        (Codec::Snappy, _) => 2,
        // Every level but the default is the slow compressor's.
        (Codec::Lz4, Some(9) | None) => 2,
        (Codec::Lz4, Some(_)) => 30,
        (Codec::Zstd, level) => match level.unwrap_or(3) {
            ..=4 => 4,
            5..=12 => 30,
            _ => 300,
        },
    }
}

/// True if sealing so many bytes would keep the I/O thread, on which this is, for long.
fn keeps_io_thread(settings: &TopicSettings, bytes: usize) -> bool {
    aside::is_io_thread()
        && nanos_per_byte(settings.codec, settings.level).saturating_mul(bytes) > LONG
}

impl Shared {
    /// Seals a closed batch, puts it into its place and announces it; on the I/O thread perhaps a moment later.
    pub(super) fn seal_and_announce(&self, partition: &Arc<Partition>, open: OpenBatch) {
        if keeps_io_thread(partition.settings(), open.builder.size()) {
            return self.seal_aside(partition, open);
        }
        self.fill_place(partition, open, true);
        self.announce(partition, None);
    }

    fn seal_aside(&self, partition: &Arc<Partition>, open: OpenBatch) {
        // Whoever calls this holds the value.
        let Some(shared) = self.me.upgrade() else {
            return;
        };
        let partition = partition.clone();
        aside::hand_on(Box::new(move || {
            shared.fill_place(&partition, open, true);
            shared.announce(&partition, None);
        }));
    }

    /// Takes the open batch of a queue to be sent at once. `None` if there is none, or if it is sealed beside the I/O
    /// thread: it is announced then, and its place in the queue is taken.
    pub(super) fn take_due(
        &self,
        partition: &Arc<Partition>,
        mut queue: MutexGuard<'_, PartitionQueue>,
    ) -> Option<Box<Batch>> {
        let size = queue.open.as_ref()?.builder.size();
        if keeps_io_thread(partition.settings(), size) {
            let open = queue.close_open()?;
            drop(queue);
            self.seal_aside(partition, open);
            return None;
        }
        let open = queue.take_open()?;
        drop(queue);
        let sealed = self.seal(partition, open, true);
        sealed
            .map_err(|unsealed| self.fail_unsealed(partition, unsealed))
            .ok()
    }

    /// Ends a partition's open batch, if there is one, as one that is given up: it is not compressed first.
    pub(super) fn close_to_give_up(&self, partition: &Partition) {
        let open = partition.lock().close_open();
        if let Some(open) = open {
            self.fill_place(partition, open, false);
        }
    }

    fn fill_place(&self, partition: &Partition, open: OpenBatch, compressed: bool) {
        let id = open.id;
        match self.seal(partition, open, compressed) {
            Ok(batch) => partition.lock().fill_place(id, Some(batch)),
            Err(unsealed) => {
                partition.lock().fill_place(id, None);
                self.fail_unsealed(partition, unsealed);
            }
        }
    }

    /// Ends the records of a batch that could not be sealed.
    fn fail_unsealed(&self, partition: &Partition, unsealed: Unsealed) {
        let Unsealed {
            id,
            tokens,
            charged,
            error,
        } = unsealed;
        let mut count = 0;
        tokens.for_each(|_, _, n, _| count += u64::from(n));
        let end = End::not_written((partition.topic(), partition.index), Some(&error));
        self.complete_tokens(id, tokens, charged, count, &end);
        // The I/O thread may wait for this end.
        self.waker.wake();
    }

    fn seal(
        &self,
        partition: &Partition,
        open: OpenBatch,
        compressed: bool,
    ) -> Result<Box<Batch>, Unsealed> {
        let OpenBatch {
            id,
            builder,
            tokens,
            created,
            charged,
            ..
        } = open;
        let settings = partition.settings();
        let codec = if compressed {
            settings.codec
        } else {
            Codec::None
        };
        match builder.seal(codec, settings.level) {
            Ok(sealed) => {
                self.counters.batches.fetch_add(1, Ordering::Relaxed);
                // What the batch holds now may be less (compressed) than what its open buffer was.
                let cost = sealed.body().capacity() + tokens.cost();
                self.recharge(charged, cost);
                self.memory.add_backlog(&partition.backlog, cost);
                Ok(Box::new(Batch {
                    id,
                    sealed,
                    tokens,
                    created,
                    charged: cost,
                    ordinal: 0,
                    span: ORDINAL_STEP,
                    sequence: None,
                    attempts: 0,
                    unanswered: false,
                    last_error: None,
                    request: 0,
                    next: None,
                }))
            }
            Err(error) => Err(Unsealed {
                id,
                tokens,
                charged,
                error,
            }),
        }
    }
}
