//! What a partition remembers of the idempotent and transactional producers that write to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ottla_base::error::ErrorCode;
use ottla_protocol::record::BatchHeader;

use super::transactions::Identity;

use crate::log::{ProducedBatch, Refused, add_sequence};

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
    /// Offset of the first record of its transaction under way.
    open_since: Option<i64>,
    /// Of its last batch or marker.
    timestamp: i64,
    /// Whether a marker of it was seen; Kafka tells the epoch of the coordinator that wrote it, which is 0 here.
    has_marker: bool,
}

/// A transaction that was aborted, as a fetch tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Where the marker lies.
    last_offset: i64,
}

/// One producer as DescribeProducers tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) producer: Identity,
    pub(crate) last_sequence: i32,
    pub(crate) last_timestamp: i64,
    pub(crate) coordinator_epoch: i32,
    pub(crate) open_since: i64,
}

/// What to do with a batch whose producer numbers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Write it.
    Next,
    /// It was written before: answer as then.
    Duplicate(Written),
}

/// The producers of one partition, by producer id, and their transactions.
#[derive(Debug, Default)]
pub struct ProducerStates {
    producers: BTreeMap<i64, Producer>,
    /// First offset and producer id of each transaction under way.
    open: BTreeSet<(i64, i64)>,
    /// Aborted transactions, by where their markers lie.
    aborted: VecDeque<Aborted>,
    /// Producers whose first batch of a transaction the coordinator was asked about, without a batch written yet.
    awaited: BTreeMap<i64, Awaited>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    epoch: i16,
    /// The smallest sequence number seen. What follows a batch that was refused must not slip in before it.
    lowest: i32,
    /// Its transactions begin with sequence number 0 (version 2).
    bumps: bool,
}

impl ProducerStates {
    /// Judges `batch` by its producer's epoch and sequence number. A producer that is not known may start anywhere.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch older than one seen, `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap,
    /// `INVALID_TXN_STATE` for a batch outside of a transaction while one is under way.
    pub(crate) fn check(&self, batch: &ProducedBatch) -> Result<Sequence, Refused> {
        let header = &batch.header;
        if header.producer_id < 0 {
            return Ok(Sequence::Next);
        }
        let nothing_known = self
            .producers
            .get(&header.producer_id)
            .is_none_or(|known| known.batches.is_empty());
        let too_early = || {
            self.awaited.get(&header.producer_id).is_some_and(|a| {
                header.base_sequence > a.lowest
                    || (a.bumps && nothing_known && header.base_sequence != 0)
            })
        };
        let Some(known) = self.producers.get(&header.producer_id) else {
            return if too_early() {
                Err(Refused::plain(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER))
            } else {
                Ok(Sequence::Next)
            };
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
        if header.base_sequence != expected || too_early() {
            return Err(Refused::plain(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        }
        if known.open_since.is_some() && !header.attributes.is_transactional() {
            return Err(Refused::plain(ErrorCode::INVALID_TXN_STATE));
        }
        Ok(Sequence::Next)
    }

    /// Whether a producer's transaction has records here, so that the coordinator need not be asked about the next.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch older than one seen.
    pub(crate) fn is_in_transaction(&self, producer: Identity) -> Result<bool, Refused> {
        match self.producers.get(&producer.id) {
            Some(known) if producer.epoch < known.epoch => {
                Err(Refused::plain(ErrorCode::INVALID_PRODUCER_EPOCH))
            }
            Some(known) => Ok(known.epoch == producer.epoch && known.open_since.is_some()),
            None => Ok(false),
        }
    }

    /// The coordinator is asked about the first batch of a transaction of version 2 (`bumps`) or 1.
    pub(crate) fn awaits(&mut self, producer: Identity, sequence: i32, bumps: bool) {
        let awaited = self.awaited.entry(producer.id).or_insert(Awaited {
            epoch: producer.epoch,
            lowest: sequence,
            bumps,
        });
        if producer.epoch > awaited.epoch {
            (awaited.epoch, awaited.lowest) = (producer.epoch, sequence);
        } else if producer.epoch == awaited.epoch {
            awaited.lowest = sequence.min(awaited.lowest);
        }
    }

    /// Remembers a batch that was written (its header as it lies in the log).
    pub(crate) fn written(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        let producer = Self::producer(&mut self.producers, header);
        producer.timestamp = header.max_timestamp;
        if header.attributes.is_transactional() {
            self.awaited.remove(&header.producer_id);
            if producer.open_since.is_none() {
                producer.open_since = Some(header.base_offset);
                self.open.insert((header.base_offset, header.producer_id));
            }
        }
        if producer.batches.len() == REMEMBERED {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Written {
            first_sequence: header.base_sequence,
            // Of a compacted batch there may be fewer records.
            last_sequence: add_sequence(header.base_sequence, header.last_offset_delta),
            base_offset: header.base_offset,
            timestamp: header.max_timestamp,
        });
    }

    fn producer<'a>(
        producers: &'a mut BTreeMap<i64, Producer>,
        header: &BatchHeader,
    ) -> &'a mut Producer {
        let producer = producers
            .entry(header.producer_id)
            .or_insert_with(|| Producer {
                epoch: header.producer_epoch,
                batches: VecDeque::new(),
                open_since: None,
                timestamp: -1,
                has_marker: false,
            });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        producer
    }

    /// A transaction's end was written: `header` is the marker's, `log_start` where the log begins.
    pub(crate) fn ended(&mut self, header: &BatchHeader, committed: bool, log_start: i64) {
        let producer = Self::producer(&mut self.producers, header);
        producer.timestamp = header.max_timestamp;
        producer.has_marker = true;
        self.awaited.remove(&header.producer_id);
        let Some(first_offset) = producer.open_since.take() else {
            return;
        };
        self.open.remove(&(first_offset, header.producer_id));
        if !committed {
            self.aborted.retain(|a| a.last_offset >= log_start);
            self.aborted.push_back(Aborted {
                producer_id: header.producer_id,
                first_offset,
                last_offset: header.base_offset,
            });
        }
    }

    /// Forgets what producers wrote last, as after an unclean restart, but of those in a transaction.
    #[cfg(feature = "simulation")]
    pub fn forget(&mut self) {
        self.producers.retain(|_, p| p.open_since.is_some());
    }

    /// The offset of the first record of a transaction under way: what lies before it is decided.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.first().map(|&(offset, _)| offset)
    }

    /// The aborted transactions that have records or their marker from `from` on and records before `to`.
    pub(crate) fn aborted(&self, from: i64, to: i64) -> impl Iterator<Item = &Aborted> {
        self.aborted
            .iter()
            .filter(move |a| a.last_offset >= from && a.first_offset < to)
    }

    /// Whether a batch of the log was written in a transaction that was aborted.
    pub(crate) fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.attributes.is_transactional()
            && self.aborted.iter().any(|a| {
                a.producer_id == header.producer_id
                    && (a.first_offset..a.last_offset).contains(&header.base_offset)
            })
    }

    /// Whether a batch of the log is the last one that is remembered of its producer.
    pub(crate) fn is_last(&self, header: &BatchHeader) -> bool {
        self.producers.get(&header.producer_id).is_some_and(|p| {
            p.batches
                .back()
                .is_some_and(|last| last.base_offset == header.base_offset)
        })
    }

    /// All producers, by id.
    pub(crate) fn describe(&self) -> impl Iterator<Item = Described> {
        self.producers.iter().map(|(&id, p)| Described {
            producer: Identity { id, epoch: p.epoch },
            last_sequence: p.batches.back().map_or(-1, |b| b.last_sequence),
            last_timestamp: p.timestamp,
            coordinator_epoch: if p.has_marker { 0 } else { -1 },
            open_since: p.open_since.unwrap_or(-1),
        })
    }

    /// The largest producer id seen.
    pub(crate) fn max_id(&self) -> Option<i64> {
        self.producers.keys().next_back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::test_batches::batch;

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
