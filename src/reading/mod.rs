//! What reads records for a program, whichever client they are for: the memory they may take ([`buffer`]), leaving out
//! aborted transactions ([`committed`]), the [`batch`] that a [`poll`] returns, brokers that don't answer ([`reach`]).

pub(crate) mod batch;
pub(crate) mod buffer;
pub(crate) mod committed;
pub(crate) mod poll;
pub(crate) mod reach;
#[cfg(test)]
pub(crate) mod testing;
