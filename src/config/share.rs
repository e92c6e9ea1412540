//! A share consumer's configuration.

use std::time::Duration;

use super::choice::{AcknowledgementMode, AcquireMode};
use super::rules;
use super::settings::Settings;
use super::table::ClientKind;
use super::typed::CommonConfig;
use crate::error::{Error, Result};

/// Records of one poll unless `max.poll.records` is set: Java's number. The lock of each runs from the fetch on, and what one
/// member has no other one gets.
const POLL_RECORDS: usize = 500;

/// A share consumer's configuration.
#[derive(Clone, Debug)]
pub struct ShareConfig {
    /// What every kind of client has.
    pub common: CommonConfig,
    /// `group.id`
    pub group_id: String,
    /// `share.acknowledgement.mode`
    pub acknowledgement: AcknowledgementMode,
    /// `share.acquire.mode`
    pub acquire: AcquireMode,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: usize,
    /// `fetch.max.bytes`; less than `receive_message_max_bytes`.
    pub fetch_max_bytes: usize,
    /// `fetch.max.wait.ms`; less than the request timeout.
    pub fetch_max_wait: Duration,
    /// `max.poll.records`
    pub max_poll_records: usize,
    /// `check.crcs`
    pub check_crcs: bool,
    /// `decompression.max.bytes`: the most one batch may expand to.
    pub decompression_max_bytes: usize,
    /// `default.api.timeout.ms`: the limit of calls that are given none.
    pub default_api_timeout: Duration,
}

impl ShareConfig {
    /// Reads a share consumer's configuration from pairs of key and value.
    ///
    /// # Errors
    /// `CONFIG` for the first mistake found; the message names the key, the value and what is allowed.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut s = Settings::read(ClientKind::ShareConsumer, pairs)?;
        rules::common(&mut s)?;
        rules::fetching(&mut s)?;
        let group_id = s.text("group.id")?.ok_or_else(|| {
            Error::config(
                "`group.id` is not set: a share consumer needs the name of its share group",
            )
        })?;
        Ok(ShareConfig {
            common: CommonConfig::read(&s)?,
            group_id,
            acknowledgement: s.choice("share.acknowledgement.mode")?,
            acquire: s.choice("share.acquire.mode")?,
            fetch_min_bytes: s.size("fetch.min.bytes")?,
            fetch_max_bytes: s.size("fetch.max.bytes")?,
            fetch_max_wait: s.duration("fetch.max.wait.ms")?,
            max_poll_records: if s.is_set("max.poll.records") {
                s.int("max.poll.records")?
            } else {
                POLL_RECORDS
            },
            check_crcs: s.bool("check.crcs")?,
            decompression_max_bytes: s.size("decompression.max.bytes")?,
            default_api_timeout: s.duration("default.api.timeout.ms")?,
        })
    }
}
