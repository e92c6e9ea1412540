//! What the generated table says, and how it says it.

/// No last version.
pub(super) const ANY: i16 = i16::MAX;

/// An inclusive range of versions; empty if `first > last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Versions {
    pub(super) first: i16,
    pub(super) last: i16,
}

impl Versions {
    const NONE: Versions = Versions {
        first: ANY,
        last: -1,
    };

    pub(super) fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }
}

/// The type of a field, or of an array's elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Type {
    /// So many bytes, whatever they mean.
    Fixed(u8),
    String,
    /// Bytes or records.
    Bytes,
    /// The struct of this number in the table.
    Struct(u16),
}

/// One field of a struct.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) of: Type,
    pub(super) array: bool,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    /// Set if the field stands in the tagged section.
    pub(super) tag: Option<u8>,
}

/// Which message an entry of the table describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Request(i16),
    Response(i16),
    /// Not a request or response, but something within a bytes field of one.
    Embedded(u8),
}

/// A message: its versions and the struct that is its body.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) of: Of,
    pub(super) name: &'static str,
    pub(super) versions: Versions,
    /// From this version on lengths are varints and structs have tagged sections.
    pub(super) flexible_from: i16,
    pub(super) body: u16,
}

impl Message {
    pub(super) fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }
}

pub(super) const fn field(name: &'static str, of: Type, first: i16, last: i16) -> Field {
    Field {
        name,
        of,
        array: false,
        versions: Versions { first, last },
        nullable: Versions::NONE,
        tag: None,
    }
}

pub(super) const fn array(name: &'static str, of: Type, first: i16, last: i16) -> Field {
    Field {
        array: true,
        ..field(name, of, first, last)
    }
}

pub(super) const fn message(
    of: Of,
    name: &'static str,
    first: i16,
    last: i16,
    flexible_from: i16,
    body: u16,
) -> Message {
    Message {
        of,
        name,
        versions: Versions { first, last },
        flexible_from,
        body,
    }
}

impl Field {
    pub(super) const fn nullable(self, first: i16, last: i16) -> Field {
        Field {
            nullable: Versions { first, last },
            ..self
        }
    }

    pub(super) const fn tag(self, tag: u8) -> Field {
        Field {
            tag: Some(tag),
            ..self
        }
    }
}
