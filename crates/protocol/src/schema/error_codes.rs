//! Where the error codes of a response stand, for a broker that is to answer with any.

use super::check::{Walk, fields_of};
use super::format::{Field, Of, Type};
use super::reader::{Checked, Length};

/// The positions of the error codes within `body` at this level: 0 is the response's own, 1 those of the elements of its
/// lists (topics, groups, coordinators), 2 those of the elements of theirs (partitions).
pub fn error_codes(api_key: i16, version: i16, body: &[u8], level: u8) -> Vec<usize> {
    let Some(message) = super::find(Of::Response(api_key)) else {
        return Vec::new();
    };
    let mut search = Search {
        walk: Walk::new(message, version, body),
        length: body.len(),
        level,
        found: Vec::new(),
    };
    match search.structure(message.body, 0) {
        Ok(()) => search.found,
        Err(_) => Vec::new(),
    }
}

/// The levels at which responses of this kind have error codes.
pub fn error_levels(api_key: i16) -> std::collections::BTreeSet<u8> {
    fn collect(number: u16, level: u8, into: &mut std::collections::BTreeSet<u8>) {
        for field in fields_of(number) {
            if is_error_code(field) {
                into.insert(level);
            }
            if let Type::Struct(inner) = field.of {
                collect(inner, level + u8::from(field.array), into);
            }
        }
    }
    let mut levels = std::collections::BTreeSet::new();
    if let Some(message) = super::find(Of::Response(api_key)) {
        collect(message.body, 0, &mut levels);
    }
    levels
}

fn is_error_code(field: &Field) -> bool {
    matches!(field.of, Type::Fixed(2)) && !field.array && field.name.ends_with("ErrorCode")
}

struct Search<'a> {
    walk: Walk<'a>,
    length: usize,
    level: u8,
    found: Vec<usize>,
}

impl Search<'_> {
    fn structure(&mut self, number: u16, level: u8) -> Checked<()> {
        let fields = fields_of(number);
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.walk.version) {
                self.field(field, level)?;
            }
        }
        if self.walk.flexible {
            self.walk.tagged_section(fields)?;
        }
        Ok(())
    }

    fn field(&mut self, field: &Field, level: u8) -> Checked<()> {
        if level == self.level && is_error_code(field) {
            self.found.push(self.length - self.walk.reader.left());
        }
        match field.of {
            Type::Struct(number) if field.array => {
                let count = match self.walk.reader.length(self.walk.flexible)? {
                    Length::Of(count) => count,
                    Length::Null => 0,
                };
                (0..count).try_for_each(|_| self.structure(number, level + 1))
            }
            Type::Struct(number) if !field.nullable.contains(self.walk.version) => {
                self.structure(number, level)
            }
            _ => self.walk.field(field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_of_a_response_are_found_by_their_level() {
        // DeleteTopics v5: throttle time, two topics (name, code, message), tags.
        let body = [
            &[0, 0, 0, 9, 3][..],
            &[2, b'a', 0, 3, 0, 0],
            &[2, b'b', 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(error_codes(20, 5, &body, 1), [7, 13]);
        assert_eq!(error_codes(20, 5, &body, 0), [0; 0]);
        // Heartbeat v4: throttle time, code, tags.
        assert_eq!(error_codes(12, 4, &[0, 0, 0, 0, 0, 27, 0], 0), [4]);
        assert_eq!(error_codes(12, 4, &[0, 0], 0), [0; 0]);
    }
}
