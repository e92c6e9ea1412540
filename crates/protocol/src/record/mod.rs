//! Record batch v2 (magic 2), the hot path: records are encoded straight from the caller's memory, and read as
//! positions in the buffer they arrived in. Nothing here allocates per record. Older formats are read too ([`legacy`]).
//!
//! - [`varint`], [`crc`]: the two primitives.
//! - [`header`]: the 61 bytes in front of every batch, and the walk over consecutive batches.
//! - Out: columns of a call ([`Records`]) go into the open batch of their partition ([`BatchBuilder`]), which is sealed
//!   ([`SealedBatch`]) and gets a header for each [`Attempt`] to send it.
//! - In: a [`RecordCursor`] indexes the records of a batch into [`Columns`] of positions.

pub mod crc;
pub mod header;
pub mod legacy;
pub mod varint;

mod builder;
mod columns;
mod control;
mod cursor;
mod parse;
mod sealed;
mod source;

pub use builder::{BatchBuilder, MAX_RECORDS_LEN};
pub use columns::{ColumnSet, Columns, HeaderIter};
#[doc(hidden)]
#[cfg(unix)]
pub use columns::{ColumnsLock, hold_columns};
pub use control::ControlType;
pub use cursor::RecordCursor;
pub use header::{
    Attributes, BatchHeader, BatchRef, Batches, HEADER_LEN, TimestampType, verify_crc,
};
pub use sealed::{Attempt, SealedBatch};
pub use source::{Blob, Bytes, HeaderBlob, Pointers, Records, Timestamps};
