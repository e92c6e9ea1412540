//! What a member of a group wants to read.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::Regex;

use crate::error::{Error, Result};

/// What is subscribed to.
#[derive(Clone, Debug)]
pub(crate) enum Subscription {
    /// These topics.
    Topics(BTreeSet<Arc<str>>),
    /// Every topic whose whole name matches, also those made later.
    Pattern(Pattern),
}

/// A regular expression over the whole name of a topic. Brokers of the new protocol match it by RE2, whose syntax the
/// `regex` crate shares.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// As given, for the brokers.
    pub(crate) text: String,
    whole: Regex,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Result<Self> {
        // Compiled alone first: what is wrong with it is told of the text as it was given.
        let wrong =
            |e: regex::Error| Error::argument(format!("subscribing to the pattern '{text}': {e}"));
        Regex::new(text).map_err(wrong)?;
        Ok(Pattern {
            whole: Regex::new(&format!("^(?:{text})$")).map_err(wrong)?,
            text: text.to_owned(),
        })
    }

    pub(crate) fn matches(&self, topic: &str) -> bool {
        self.whole.is_match(topic)
    }
}
