//! Bytes to meaning and back: no sockets, no clocks, no threads.
//!
//! [`record`] is the hot path: record batch v2, encoded straight from the caller's memory and read as positions
//! in the buffer it arrived in. [`compress`] holds the four codecs; [`schema`] checks every length and count of a
//! frame before a decoder that trusts them sees it.
//!
//! A crate of Ottla's own, without stability: programs use it as `ottla::protocol`.

pub mod compress;
pub mod fetch;
pub mod offsets;
pub mod produce;
pub mod record;
pub mod schema;
pub mod share;
pub mod txn_offset_commit;
pub mod wire;
