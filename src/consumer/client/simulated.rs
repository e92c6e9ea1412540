//! What a simulation needs of a consumer beside its public calls.

use std::time::Duration;

use crate::consumer::client::Consumer;

impl Consumer {
    /// Closing, cut at the point where it waits.
    pub(crate) fn begin_closing(&self, timeout: Duration) {
        drop(self.closing(timeout));
    }
}
