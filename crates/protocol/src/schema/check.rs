//! The walk over a body by its schema.

use super::format::{ANY, Field, Message, Type};
use super::reader::{Checked, Fault, Length, Reader};
use super::table::STRUCTS;

/// What the decoder allocates for the first tagged field of a struct that it does not know (a tree node), and
/// about what for each further one.
const FIRST_UNKNOWN_TAG: usize = 408;
const NEXT_UNKNOWN_TAG: usize = 96;
/// Unknown tagged fields may cost this many times the body's length, and this much besides.
const UNKNOWN_TAGS_FACTOR: usize = 42;
const UNKNOWN_TAGS_FREE: usize = 16 << 10;

/// Checks that `body` begins with this message.
pub(super) fn walk(message: &Message, version: i16, body: &[u8]) -> Checked<()> {
    Walk::new(message, version, body).structure(message.body)
}

/// Skips a header's tagged section, in which no field is known.
pub(super) fn skip_tags(reader: Reader<'_>) -> Checked<Reader<'_>> {
    let left = reader.left();
    let mut walk = Walk {
        reader,
        version: ANY,
        flexible: true,
        unknown_tags: UNKNOWN_TAGS_FREE.saturating_add(left.saturating_mul(UNKNOWN_TAGS_FACTOR)),
    };
    walk.tagged_section(&[])?;
    Ok(walk.reader)
}

pub(super) struct Walk<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) version: i16,
    pub(super) flexible: bool,
    /// What unknown tagged fields may still cost the decoder, in bytes.
    unknown_tags: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(message: &Message, version: i16, body: &'a [u8]) -> Self {
        Walk {
            reader: Reader::new(body),
            version,
            flexible: message.is_flexible(version),
            unknown_tags: UNKNOWN_TAGS_FREE
                .saturating_add(body.len().saturating_mul(UNKNOWN_TAGS_FACTOR)),
        }
    }

    /// Depth is bounded by the table: no struct contains itself.
    fn structure(&mut self, number: u16) -> Checked<()> {
        let fields = fields_of(number);
        for field in fields {
            if field.tag.is_none() && field.versions.contains(self.version) {
                self.field(field)
                    .map_err(|fault| fault.in_field(field.name))?;
            }
        }
        if self.flexible {
            self.tagged_section(fields)
        } else {
            Ok(())
        }
    }

    pub(super) fn field(&mut self, field: &Field) -> Checked<()> {
        let nullable = field.nullable.contains(self.version);
        if field.array {
            return self.array(field.of, nullable);
        }
        match field.of {
            Type::Struct(number) if nullable => match self.reader.i8()? {
                -1 => Ok(()),
                1 => self.structure(number),
                n => Err(Fault::new(format!(
                    "{n} where 1 (a struct follows) or -1 (null) must stand"
                ))),
            },
            of => self.value(of, nullable),
        }
    }

    fn value(&mut self, of: Type, nullable: bool) -> Checked<()> {
        match of {
            Type::Fixed(n) => self.reader.take(n.into(), "a value").map(drop),
            Type::String => {
                let length = self.reader.string_length(self.flexible)?;
                self.skip(length, nullable, "a string")
            }
            Type::Bytes => {
                let length = self.reader.length(self.flexible)?;
                self.skip(length, nullable, "a byte field")
            }
            Type::Struct(number) => self.structure(number),
        }
    }

    fn skip(&mut self, length: Length, nullable: bool, what: &str) -> Checked<()> {
        match length {
            Length::Of(n) => self.reader.take(n, what).map(drop),
            Length::Null if nullable => Ok(()),
            Length::Null => Err(Fault::new(format!(
                "{what} that is null, which this version does not allow"
            ))),
        }
    }

    fn array(&mut self, of: Type, nullable: bool) -> Checked<()> {
        let count = match self.reader.length(self.flexible)? {
            Length::Of(n) => n,
            Length::Null if nullable => return Ok(()),
            Length::Null => {
                return Err(Fault::new(
                    "an array that is null, which this version does not allow",
                ));
            }
        };
        let each = self.smallest(of).max(1);
        let left = self.reader.left();
        if count > left / each {
            return Err(Fault::new(format!(
                "an array of {count} elements of at least {each} bytes, but only {left} bytes are left"
            )));
        }
        if let Type::Fixed(_) = of {
            return self.reader.take(count * each, "an array").map(drop);
        }
        for index in 0..count {
            self.value(of, false)
                .map_err(|fault| fault.at_index(index))?;
        }
        Ok(())
    }

    pub(super) fn tagged_section(&mut self, fields: &[Field]) -> Checked<()> {
        let count = self.reader.varint()? as usize;
        // A tagged field is at least its tag and its size.
        if count > self.reader.left() / 2 {
            let left = self.reader.left();
            return Err(Fault::new(format!(
                "{count} tagged fields, but only {left} bytes are left"
            )));
        }
        let mut price = FIRST_UNKNOWN_TAG;
        for _ in 0..count {
            let tag = self.reader.varint()?;
            let size = self.reader.varint()? as usize;
            let is_it = |field: &&Field| field.tag.is_some_and(|known| u32::from(known) == tag);
            let known = fields
                .iter()
                .find(is_it)
                .filter(|field| field.versions.contains(self.version));
            let value = self.reader.take(size, "a tagged field")?;
            match known {
                Some(field) => self
                    .tagged_field(field, value)
                    .map_err(|fault| fault.in_field(field.name))?,
                None => {
                    self.unknown_tags = self.unknown_tags.checked_sub(price).ok_or_else(|| {
                        Fault::new(
                            "more unknown tagged fields than a message of this length can need",
                        )
                    })?;
                    price = NEXT_UNKNOWN_TAG;
                }
            }
        }
        Ok(())
    }

    /// A known tagged field must fill its declared size exactly: the decoder goes by the field, not the size.
    fn tagged_field(&mut self, field: &Field, value: &[u8]) -> Checked<()> {
        let mut inner = Walk {
            reader: Reader::new(value),
            version: self.version,
            flexible: self.flexible,
            unknown_tags: self.unknown_tags,
        };
        inner.field(field)?;
        self.unknown_tags = inner.unknown_tags;
        match inner.reader.left() {
            0 => Ok(()),
            left => Err(Fault::new(format!(
                "{left} of its {} bytes are not part of it",
                value.len()
            ))),
        }
    }

    /// The fewest bytes an array's element can take.
    fn smallest(&self, of: Type) -> usize {
        match of {
            Type::Fixed(n) => n.into(),
            Type::String => {
                if self.flexible {
                    1
                } else {
                    2
                }
            }
            Type::Bytes => {
                if self.flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(number) => {
                let fields = fields_of(number)
                    .iter()
                    .filter(|f| f.tag.is_none() && f.versions.contains(self.version));
                usize::from(self.flexible)
                    + fields
                        .map(|field| self.smallest_field(field))
                        .sum::<usize>()
            }
        }
    }

    fn smallest_field(&self, field: &Field) -> usize {
        match field.of {
            _ if field.array => {
                if self.flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(_) if field.nullable.contains(self.version) => 1,
            of => self.smallest(of),
        }
    }
}

pub(super) fn fields_of(number: u16) -> &'static [Field] {
    STRUCTS
        .get(usize::from(number))
        .copied()
        .unwrap_or_default()
}
