//! What a consumer of the classic protocol subscribes to, as far as the broker reads it.

use bytes::Bytes;

use crate::protocol::schema::decode_subscription;

/// The topics of a consumer's metadata; `None` if it is something else.
pub(crate) fn topics(metadata: &Bytes) -> Option<Vec<String>> {
    let subscription = decode_subscription(metadata.clone()).ok()?;
    Some(
        subscription
            .topics
            .iter()
            .map(ToString::to_string)
            .collect(),
    )
}
