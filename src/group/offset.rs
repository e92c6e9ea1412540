//! Committed offsets, and a consumer's place in its group, as programs see them.

/// An offset to commit, or that was committed: where reading of a partition goes on (the offset after the last record
/// that was worked on), and what is kept with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The offset of the next record to read.
    pub offset: i64,
    /// Leader epoch of the last record that was read, by which a truncated log is noticed (KIP-320); -1 if unknown.
    pub leader_epoch: i32,
    /// Anything the program wants to keep with it; brokers take up to `offset.metadata.max.bytes` (4096).
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset alone.
    pub fn new(offset: i64) -> Self {
        OffsetAndMetadata {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        }
    }
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        OffsetAndMetadata::new(offset)
    }
}

/// A consumer's place in its group, as a producer needs it to commit offsets in a transaction (KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// `group.id`
    pub group_id: String,
    /// Classic groups: the generation; new ones: the member's epoch; -1 outside of a membership.
    pub generation: i32,
    /// The member's id; empty outside of a membership.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
}
