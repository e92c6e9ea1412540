//! The table of keys. Adding a key means adding a row here and a field in `typed.rs`.

mod common;
mod consumer;
mod foreign;
mod not_yet;
mod producer;
mod share;

use std::fmt;

use super::choice::Choice;

pub(super) use foreign::FOREIGN;

/// The kind of client a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientKind {
    /// Writes records.
    Producer,
    /// Reads records.
    Consumer,
    /// Administers topics.
    Admin,
    /// Reads records as a member of a share group.
    ShareConsumer,
}

impl fmt::Display for ClientKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientKind::Producer => "producer",
            ClientKind::Consumer => "consumer",
            ClientKind::Admin => "admin client",
            ClientKind::ShareConsumer => "share consumer",
        })
    }
}

/// The kinds of client that have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clients(u8);

impl Clients {
    /// Producers.
    pub const PRODUCER: Clients = Clients(1);
    /// Consumers.
    pub const CONSUMER: Clients = Clients(2);
    /// Admin clients.
    pub const ADMIN: Clients = Clients(4);
    /// Share consumers.
    pub const SHARE_CONSUMER: Clients = Clients(8);
    /// Every kind.
    pub const ALL: Clients = Clients(15);

    pub(super) const fn and(self, other: Clients) -> Clients {
        Clients(self.0 | other.0)
    }

    /// True if this kind of client has the key.
    pub fn contains(self, kind: ClientKind) -> bool {
        let bit = match kind {
            ClientKind::Producer => Clients::PRODUCER,
            ClientKind::Consumer => Clients::CONSUMER,
            ClientKind::Admin => Clients::ADMIN,
            ClientKind::ShareConsumer => Clients::SHARE_CONSUMER,
        };
        self.0 & bit.0 != 0
    }

    /// Each kind of client that has the key.
    pub fn iter(self) -> impl Iterator<Item = ClientKind> {
        [
            ClientKind::Producer,
            ClientKind::Consumer,
            ClientKind::Admin,
            ClientKind::ShareConsumer,
        ]
        .into_iter()
        .filter(move |kind| self.contains(*kind))
    }
}

/// A key's type, with what is allowed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int {
        /// The least allowed.
        min: i64,
        /// The most allowed.
        max: i64,
        /// A number outside that range that is allowed too.
        or: Option<i64>,
    },
    /// A time span; plain numbers are milliseconds.
    Duration {
        /// The least allowed, in milliseconds.
        min_ms: i64,
        /// The most allowed, in milliseconds.
        max_ms: i64,
        /// `inf` or `-1` is allowed, for no limit.
        infinite: bool,
    },
    /// A number of bytes.
    Size {
        /// The least allowed, in bytes.
        min: i64,
        /// The most allowed, in bytes.
        max: i64,
        /// `-1` is allowed, and leaves it to the operating system, as 0 does.
        system: bool,
    },
    /// Any text; empty is the same as not set.
    Text,
    /// One word of a list.
    Choice(&'static [Choice]),
    /// Where to start without a position: one of a few words, or `by_duration:` and a duration.
    Reset,
    /// Brokers, as `host:port`, separated by commas.
    Hosts,
    /// A key Kafka's clients have and this version does not: setting it is refused.
    NotYet,
}

impl Kind {
    /// The type's name: `boolean`, `integer`, `duration`, `size`, `text`, `choice`, `reset`, `hosts` or `not yet`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Bool => "boolean",
            Kind::Int { .. } => "integer",
            Kind::Duration { .. } => "duration",
            Kind::Size { .. } => "size",
            Kind::Text => "text",
            Kind::Choice(_) => "choice",
            Kind::Reset => "reset",
            Kind::Hosts => "hosts",
            Kind::NotYet => "not yet",
        }
    }
}

/// How a value given under another name becomes the key's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Convert {
    /// It is the same.
    Same,
    /// Plain numbers are in units of 1024 bytes.
    Kibibytes,
    /// 0 means no limit.
    ZeroIsInfinite,
    /// The name of a Java class.
    JavaPartitioner,
}

/// Another accepted name of a key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Alias {
    /// The name.
    pub name: &'static str,
    /// How its values differ.
    pub convert: Convert,
}

/// One row of the table.
#[derive(Debug)]
#[non_exhaustive]
pub struct Key {
    /// Kafka's name of it.
    pub name: &'static str,
    /// Other accepted names, mostly librdkafka's.
    pub aliases: &'static [Alias],
    /// The clients that have it.
    pub clients: Clients,
    /// Its type and range.
    pub kind: Kind,
    /// The value when not set, as a user would write it; `None` if there is none.
    pub default: Option<&'static str>,
    /// What it means.
    pub doc: &'static str,
    /// The part of the client it belongs to, for a reader's overview.
    pub group: &'static str,
    /// True where the value must never be shown.
    pub secret: bool,
    /// True if it can also be set for one topic of a producer.
    pub per_topic: bool,
}

impl Key {
    const fn new(
        group: &'static str,
        name: &'static str,
        clients: Clients,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        let aliases = &[];
        Key {
            name,
            aliases,
            clients,
            kind,
            default: Some(default),
            doc,
            group,
            secret: false,
            per_topic: false,
        }
    }

    const fn without_default(mut self) -> Self {
        self.default = None;
        self
    }

    const fn per_topic(mut self) -> Self {
        self.per_topic = true;
        self
    }

    const fn aliases(mut self, aliases: &'static [Alias]) -> Self {
        self.aliases = aliases;
        self
    }
}

const fn same(name: &'static str) -> Alias {
    Alias {
        name,
        convert: Convert::Same,
    }
}

/// The largest of Java's `int`.
const INT: i64 = i32::MAX as i64;
/// The largest of Java's `long`.
const LONG: i64 = i64::MAX;

const fn int(min: i64, max: i64) -> Kind {
    Kind::Int { min, max, or: None }
}

const fn millis(min_ms: i64, max_ms: i64) -> Kind {
    Kind::Duration {
        min_ms,
        max_ms,
        infinite: false,
    }
}

const fn millis_or_infinite(min_ms: i64, max_ms: i64) -> Kind {
    Kind::Duration {
        min_ms,
        max_ms,
        infinite: true,
    }
}

const fn bytes(min: i64, max: i64) -> Kind {
    Kind::Size {
        min,
        max,
        system: false,
    }
}

/// Every key, in the reference page's order.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [
        common::KEYS,
        producer::KEYS,
        consumer::KEYS,
        share::KEYS,
        not_yet::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The key of this name or alias, and how values given under that name convert.
pub(super) fn find(name: &str) -> Option<(&'static Key, Convert)> {
    keys().find_map(|key| {
        if key.name == name {
            return Some((key, Convert::Same));
        }
        let alias = key.aliases.iter().find(|alias| alias.name == name)?;
        Some((key, alias.convert))
    })
}
