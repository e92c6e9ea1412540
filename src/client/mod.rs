//! What every client has, whichever it is: the [`engine`] that joins the cluster's core with the client's role, the
//! [`driver`] that runs it, the [`waker`], the ways in which callers ask ([`calls`], [`connect`]) and in which they are told
//! ([`event`], [`inbox`]).

pub(crate) mod at_exit;
pub(crate) mod calls;
pub(crate) mod connect;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod inbox;
#[cfg(test)]
pub(crate) mod rig;
pub(crate) mod to_assign;
pub(crate) mod waker;
