//! Bodies made from the same table the checker walks.

use crate::format::{Field, Of, Type};
use crate::table::{MESSAGES, STRUCTS};
use ottla::protocol::schema::Kind;

/// A small generator, so that a failure can be repeated.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// What a body is filled with.
#[derive(Clone, Copy)]
pub(crate) enum Fill {
    /// A few of everything.
    Random,
    /// As little as possible, but arrays of that many elements at this depth of nesting (and of one above it).
    Wide { depth: usize, count: usize },
    /// The same with one unknown tagged field in every struct.
    Tagged { depth: usize, count: usize },
}

struct Writer<'r> {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
    fill: Fill,
    depth: usize,
    random: &'r mut Random,
}

/// The body of a message, or `None` if the table does not have it in this version.
pub(crate) fn body(
    key: i16,
    kind: Kind,
    version: i16,
    fill: Fill,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let of = match kind {
        Kind::Request => Of::Request(key),
        Kind::Response => Of::Response(key),
    };
    let message = MESSAGES.iter().find(|message| message.of == of)?;
    if !message.versions.contains(version) {
        return None;
    }
    let flexible = message.is_flexible(version);
    let mut writer = Writer {
        out: Vec::new(),
        version,
        flexible,
        fill,
        depth: 0,
        random,
    };
    writer.structure(message.body);
    Some(writer.out)
}

impl Writer<'_> {
    fn structure(&mut self, number: u16) {
        let present = |field: &&Field| field.versions.contains(self.version);
        let fields: Vec<&Field> = STRUCTS[usize::from(number)]
            .iter()
            .filter(present)
            .collect();
        for field in fields.iter().filter(|field| field.tag.is_none()) {
            self.field(field);
        }
        if self.flexible {
            self.tagged_section(&fields);
        }
    }

    fn tagged_section(&mut self, fields: &[&Field]) {
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        match self.fill {
            Fill::Random => {
                for field in fields {
                    if let Some(tag) = field.tag
                        && self.random.below(2) == 0
                    {
                        let before = std::mem::take(&mut self.out);
                        self.field(field);
                        tagged.push((tag.into(), std::mem::replace(&mut self.out, before)));
                    }
                }
                if self.random.below(4) == 0 {
                    tagged.push((1000, vec![7; self.random.below(9)]));
                }
            }
            Fill::Tagged { .. } => tagged.push((100, Vec::new())),
            Fill::Wide { .. } => {}
        }
        tagged.sort();
        self.varint(tagged.len() as u32);
        for (tag, value) in tagged {
            self.varint(tag);
            self.varint(value.len() as u32);
            self.out.extend_from_slice(&value);
        }
    }

    fn field(&mut self, field: &Field) {
        let nullable = field.nullable.contains(self.version);
        let null = nullable
            && match self.fill {
                Fill::Random => self.random.below(3) == 0,
                _ => !field.array,
            };
        if field.array {
            self.array(field.of, null);
            return;
        }
        match field.of {
            Type::Struct(_) if null => self.out.push(0xff),
            Type::Struct(number) => {
                if nullable {
                    self.out.push(1);
                }
                self.structure(number);
            }
            of => self.value(of, null),
        }
    }

    fn value(&mut self, of: Type, null: bool) {
        match of {
            Type::Fixed(n) => {
                for _ in 0..n {
                    // Small enough not to make a floating-point number that is unequal to itself.
                    let byte = self.random.below(0x40) as u8;
                    self.out.push(byte);
                }
            }
            Type::String => self.bytes(null, |writer, n| {
                if writer.flexible {
                    writer.compact(n)
                } else {
                    writer.out.extend(n.map_or(-1, |n| n as i16).to_be_bytes())
                }
            }),
            Type::Bytes => self.bytes(null, Self::length),
            Type::Struct(number) => self.structure(number),
        }
    }

    fn bytes(&mut self, null: bool, length: fn(&mut Self, Option<usize>)) {
        if null {
            return length(self, None);
        }
        let n = match self.fill {
            Fill::Random if self.random.below(20) == 0 => self.random.below(300),
            Fill::Random => self.random.below(12),
            _ => 0,
        };
        length(self, Some(n));
        for _ in 0..n {
            let letter = b'a' + self.random.below(26) as u8;
            self.out.push(letter);
        }
    }

    fn array(&mut self, of: Type, null: bool) {
        if null {
            return self.length(None);
        }
        let n = match self.fill {
            Fill::Random => self.random.below(4),
            Fill::Wide { depth, count } | Fill::Tagged { depth, count } => {
                match self.depth.cmp(&depth) {
                    std::cmp::Ordering::Less => 1,
                    std::cmp::Ordering::Equal => count,
                    std::cmp::Ordering::Greater => 0,
                }
            }
        };
        self.length(Some(n));
        self.depth += 1;
        for _ in 0..n {
            self.value(of, false);
        }
        self.depth -= 1;
    }

    fn length(&mut self, n: Option<usize>) {
        if self.flexible {
            self.compact(n);
        } else {
            self.out.extend(n.map_or(-1, |n| n as i32).to_be_bytes());
        }
    }

    fn compact(&mut self, n: Option<usize>) {
        self.varint(n.map_or(0, |n| n as u32 + 1));
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
