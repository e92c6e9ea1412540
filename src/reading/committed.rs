//! Leaving out the records of aborted transactions (`isolation.level=read_committed`).

use std::collections::HashSet;

use crate::protocol::record::{BatchHeader, ControlType};

/// The aborted transactions of one fetched chunk, followed as its batches pass in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Aborted {
    /// (producer id, first offset), the last first.
    upcoming: Vec<(i64, i64)>,
    /// Producers inside an aborted transaction.
    active: HashSet<i64>,
}

impl Aborted {
    /// From a fetch response's list of (producer id, first offset).
    pub(crate) fn new(mut list: Vec<(i64, i64)>) -> Self {
        list.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
        Aborted {
            upcoming: list,
            active: HashSet::new(),
        }
    }

    /// Follows a batch; true if its records are to be left out. `marker` is what a control batch says.
    pub(crate) fn passes_over(
        &mut self,
        header: &BatchHeader,
        marker: Option<ControlType>,
    ) -> bool {
        if header.producer_id < 0 {
            return false;
        }
        while let Some((producer, first)) = self.upcoming.last()
            && *first <= header.last_offset()
        {
            self.active.insert(*producer);
            self.upcoming.pop();
        }
        if marker == Some(ControlType::Abort) {
            self.active.remove(&header.producer_id);
            return false;
        }
        let overlooked = planted!("deliver-aborted")
            && header
                .attributes
                .codec()
                .is_ok_and(|c| c != crate::protocol::compress::Codec::None);
        header.attributes.is_transactional()
            && !overlooked
            && self.active.contains(&header.producer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::compress::Codec;
    use crate::protocol::record::Attributes;

    fn batch(producer_id: i64, base_offset: i64, count: i32, transactional: bool) -> BatchHeader {
        BatchHeader {
            base_offset,
            batch_length: 100,
            partition_leader_epoch: 0,
            magic: 2,
            crc: 0,
            attributes: Attributes::produced(Codec::None, transactional),
            last_offset_delta: count - 1,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            record_count: count,
        }
    }

    #[test]
    fn aborted_spans_end_at_their_markers() {
        // Producer 7 aborts twice, 8 commits in between, 9 is not transactional.
        let mut aborted = Aborted::new(vec![(7, 20), (7, 3)]);
        let abort = Some(ControlType::Abort);
        assert!(
            !aborted.passes_over(&batch(7, 0, 2, true), None),
            "an earlier, committed transaction"
        );
        assert!(!aborted.passes_over(&batch(7, 2, 1, true), Some(ControlType::Commit)));
        assert!(aborted.passes_over(&batch(7, 3, 2, true), None));
        assert!(!aborted.passes_over(&batch(8, 5, 2, true), None));
        assert!(
            !aborted.passes_over(&batch(7, 7, 2, false), None),
            "not part of the transaction"
        );
        assert!(aborted.passes_over(&batch(7, 9, 1, true), None));
        assert!(!aborted.passes_over(&batch(7, 10, 1, true), abort));
        assert!(
            !aborted.passes_over(&batch(7, 11, 1, true), None),
            "after its marker"
        );
        assert!(aborted.passes_over(&batch(7, 20, 1, true), None));
        assert!(!aborted.passes_over(&batch(-1, 21, 1, false), None));
        assert!(!aborted.passes_over(&batch(7, 22, 1, true), abort));
    }
}
