//! One connection: bytes in and out, requests and their answers, the process's I/O thread. Knows nothing of topics.

pub(crate) mod aside;
pub(crate) mod conn;
pub(crate) mod frame;
pub(crate) mod io_thread;
pub(crate) mod releases;
pub(crate) mod rpc;
pub(crate) mod socket;
pub(crate) mod write;
