//! What a partition remembers of the idempotent producers that write to it.

use std::collections::{BTreeMap, VecDeque};

use crate::broker::log::{ProducedBatch, Refused, add_sequence};
use crate::error::ErrorCode;
use crate::protocol::record::BatchHeader;

/// As many batches as an idempotent producer may have in flight.
const REMEMBERED: usize = 5;

/// A batch that was written, as a later duplicate of it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    first_sequence: i32,
    last_sequence: i32,
    pub(crate) base_offset: i64,
    /// The largest timestamp of its records, whoever stamped them.
    pub(crate) timestamp: i64,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Written>,
}

/// What to do with a batch whose producer numbers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Write it.
    Next,
    /// It was written before: answer as then.
    Duplicate(Written),
}

/// The producers of one partition, by producer id.
#[derive(Debug, Default)]
pub(crate) struct ProducerStates(BTreeMap<i64, Producer>);

impl ProducerStates {
    /// Judges `batch` by its producer's epoch and sequence number. A producer that is not known may start anywhere.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch older than one seen, `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap.
    pub(crate) fn check(&self, batch: &ProducedBatch) -> Result<Sequence, Refused> {
        let header = &batch.header;
        let Some(known) = self
            .0
            .get(&header.producer_id)
            .filter(|_| header.producer_id >= 0)
        else {
            return Ok(Sequence::Next);
        };
        let same = |w: &&Written| {
            w.first_sequence == header.base_sequence && w.last_sequence == batch.last_sequence()
        };
        if known.epoch == header.producer_epoch
            && let Some(written) = known.batches.iter().find(same)
        {
            return Ok(Sequence::Duplicate(*written));
        }
        if header.producer_epoch < known.epoch {
            return Err(Refused::plain(ErrorCode::INVALID_PRODUCER_EPOCH));
        }
        let expected = if header.producer_epoch > known.epoch {
            0
        } else {
            known
                .batches
                .back()
                .map_or(0, |last| add_sequence(last.last_sequence, 1))
        };
        if header.base_sequence != expected {
            return Err(Refused::plain(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        }
        Ok(Sequence::Next)
    }

    /// Remembers a batch that was written (its header as it lies in the log).
    pub(crate) fn written(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        let producer = self
            .0
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
            });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: header.base_sequence,
            last_sequence: add_sequence(header.base_sequence, header.record_count - 1),
            base_offset: header.base_offset,
            timestamp: header.max_timestamp,
        });
    }

    /// The largest producer id seen.
    pub(crate) fn max_id(&self) -> Option<i64> {
        self.0.keys().next_back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::log::test_batches::batch;

    fn produced(epoch: i16, sequence: i32, values: usize) -> ProducedBatch {
        let bytes = batch(&vec![b"v".as_slice(); values], (9, epoch, sequence), 0);
        ProducedBatch::check(&bytes, 1 << 20).unwrap()
    }

    fn write(states: &mut ProducerStates, mut batch: ProducedBatch, offset: i64) {
        assert_eq!(states.check(&batch), Ok(Sequence::Next));
        batch.place(offset, 0, None);
        states.written(&batch.header);
    }

    #[test]
    fn duplicates_of_the_last_five_are_known_and_gaps_refused() {
        let mut states = ProducerStates::default();
        for i in 0..6 {
            write(&mut states, produced(0, i * 2, 2), i64::from(i) * 2);
        }
        for i in 1..6 {
            let Ok(Sequence::Duplicate(w)) = states.check(&produced(0, i * 2, 2)) else {
                panic!("batch {i}")
            };
            assert_eq!(w.base_offset, i64::from(i) * 2);
        }
        let code = |b| states.check(&b).unwrap_err().code;
        assert_eq!(
            code(produced(0, 0, 2)),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        );
        assert_eq!(
            code(produced(0, 13, 1)),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        );
        assert_eq!(
            code(produced(1, 12, 1)),
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        );
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old_one() {
        let mut states = ProducerStates::default();
        write(&mut states, produced(0, 7, 1), 0);
        write(&mut states, produced(1, 0, 1), 1);
        assert_eq!(
            states.check(&produced(0, 8, 1)).unwrap_err().code,
            ErrorCode::INVALID_PRODUCER_EPOCH
        );
        write(&mut states, produced(1, 1, 1), 2);
    }

    #[test]
    fn sequences_wrap() {
        let mut states = ProducerStates::default();
        write(&mut states, produced(0, i32::MAX - 1, 2), 0);
        write(&mut states, produced(0, 0, 1), 2);
    }
}
