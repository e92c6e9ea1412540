//! Subscriptions by regular expression, in RE2's syntax, which must match the whole name of a topic.

use ottla_base::error::ErrorCode;

use ::regex::Regex;

use crate::log::Refused;

/// A compiled expression.
pub(super) struct TopicRegex(Regex);

impl TopicRegex {
    /// # Errors
    /// `INVALID_REGULAR_EXPRESSION`.
    pub(super) fn new(text: &str) -> Result<Self, Refused> {
        // Checked by itself first, so that it can't reach out of the group it is put into.
        let compiled = Regex::new(text).and_then(|_| Regex::new(&format!("^(?:{text})$")));
        compiled.map(Self).map_err(|why| {
            Refused::new(
                ErrorCode::INVALID_REGULAR_EXPRESSION,
                format!("SubscribedTopicRegex `{text}` is not a valid regular expression: {why}."),
            )
        })
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic)
    }
}
