//! What every client has, whichever it is: the [`engine`] that joins the cluster's core with the client's role, the
//! [`driver`] that runs it, the [`waker`]; one way for programs to ask ([`calls`]) and one to be told ([`mailbox`]), with what
//! goes through them for every client: [`connect`], [`stats_hub`], [`event`]; [`inbox`] is the mailbox of those who read.

pub(crate) mod at_exit;
pub(crate) mod calls;
pub(crate) mod connect;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod inbox;
pub(crate) mod mailbox;
#[cfg(test)]
pub(crate) mod rig;
pub(crate) mod stats_hub;
pub(crate) mod to_assign;
pub(crate) mod waker;
