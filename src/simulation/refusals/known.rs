//! Combinations that fail, and that somebody is about to mend: an empty list is the aim.

use super::roles::RefusedRole;
use super::{Combination, Place};

/// Combinations of one role, request and place.
pub(super) struct Known {
    role: RefusedRole,
    api: i16,
    place: Option<Place>,
    codes: &'static [i32],
}

impl Known {
    pub(super) fn is(&self, combination: &Combination) -> bool {
        self.role == combination.role
            && self.api == combination.api
            && self.place.is_none_or(|place| place == combination.place)
            && self.codes.contains(&combination.code)
    }
}

pub(super) const FAILING: &[Known] = &[];
