//! What requests of a consumer's client are for.

use crate::group::tag::Ask;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Fetch,
    /// A fetch beside the one that is under way.
    Aside,
    Offsets,
    Group(Ask),
}

impl From<Ask> for Tag {
    fn from(ask: Ask) -> Self {
        Tag::Group(ask)
    }
}
