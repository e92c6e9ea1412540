//! Record batch v2 (magic 2), the hot path: records are encoded straight from the caller's memory, and read as
//! positions in the buffer they arrived in. Nothing here allocates per record.
//!
//! - [`varint`], [`crc`]: the two primitives.
//! - [`header`]: the 61 bytes in front of every batch, and the walk over consecutive batches.

pub mod crc;
pub mod header;
pub mod varint;

pub use header::{
    Attributes, BatchHeader, BatchRef, Batches, HEADER_LEN, TimestampType, verify_crc,
};
