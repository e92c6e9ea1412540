//! The producer id and its epoch (KIP-98, KIP-360): without it nothing is sent where idempotence is on.

use std::time::Instant;

/// An id the broker gave, with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerId {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

/// Where the producer stands with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Idempotence is off.
    Unneeded,
    /// None yet, or the present one is used up; asked for from `not_before` on.
    Wanted {
        not_before: Option<Instant>,
    },
    Asking,
    Have(ProducerId),
}

impl Identity {
    pub(crate) fn new(idempotent: bool) -> Self {
        if idempotent {
            Identity::Wanted { not_before: None }
        } else {
            Identity::Unneeded
        }
    }

    /// True if batches may be sent.
    pub(crate) fn may_send(&self) -> bool {
        matches!(self, Identity::Unneeded | Identity::Have(_))
    }

    pub(crate) fn current(&self) -> Option<ProducerId> {
        match self {
            Identity::Have(id) => Some(*id),
            _ => None,
        }
    }
}

impl ProducerId {
    /// The epoch after this one (KIP-360: an idempotent producer raises it by itself); `None` where they are used up.
    pub(crate) fn raised(self) -> Option<ProducerId> {
        let epoch = self.epoch.checked_add(1).filter(|e| *e < i16::MAX)?;
        Some(ProducerId { epoch, ..self })
    }
}

/// The sequence `by` records after `sequence`; it runs from 0 to 2^31-1 and around.
pub(crate) fn advance(sequence: i32, by: i32) -> i32 {
    (i64::from(sequence) + i64::from(by)).rem_euclid(1 << 31) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_end() {
        let id = |epoch| ProducerId { id: 7, epoch };
        assert_eq!(id(0).raised(), Some(id(1)));
        assert_eq!(id(i16::MAX - 1).raised(), None);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        assert_eq!(advance(i32::MAX, 1), 0);
        assert_eq!(advance(i32::MAX - 1, 3), 1);
        assert_eq!(advance(0, 5), 5);
    }
}
