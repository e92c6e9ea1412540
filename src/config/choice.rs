//! The values of keys that take one of a few words, as enums, with Kafka's and librdkafka's words for them.

use super::nearest::nearest;
use crate::log::Level;

/// One allowed word of a key.
#[derive(Debug)]
#[non_exhaustive]
pub struct Choice {
    /// The word, as Kafka spells it.
    pub name: &'static str,
    /// Other accepted words for the same.
    pub aliases: &'static [&'static str],
    /// True for a word Kafka knows and this version cannot do: setting it is refused.
    pub not_yet: bool,
}

impl Choice {
    pub(super) const fn new(name: &'static str, aliases: &'static [&'static str]) -> Self {
        Choice {
            name,
            aliases,
            not_yet: false,
        }
    }

    pub(super) const fn not_yet(name: &'static str) -> Self {
        Choice {
            name,
            aliases: &[],
            not_yet: true,
        }
    }
}

/// An enum whose values are the choices of a key, in the same order.
pub(super) trait FromChoice: Sized + Copy + 'static {
    const VALUES: &'static [Self];
}

macro_rules! choices {
    ($(#[$doc:meta])* $type:ident $list:ident {
        $($(#[$vdoc:meta])* $value:ident = $name:literal $(| $alias:literal)*,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$vdoc])* $value,)*
        }

        impl $type {
            /// The word for it in the configuration.
            pub fn name(self) -> &'static str {
                match self { $($type::$value => $name,)* }
            }
        }

        impl FromChoice for $type {
            const VALUES: &'static [Self] = &[$($type::$value,)*];
        }

        pub(super) static $list: &[Choice] = &[$(Choice::new($name, &[$($alias,)*]),)*];
    };
}

choices! {
    /// Whose acknowledgement a produce request waits for (`acks`).
    Acks ACKS {
        /// Every in-sync replica.
        All = "all" | "-1",
        /// The leader alone.
        Leader = "1",
        /// Nobody's: the broker sends no answer, so records count as written once sent.
        None = "0",
    }
}

impl Acks {
    /// The number in a produce request: -1, 1 or 0.
    pub fn wire(self) -> i16 {
        match self {
            Acks::All => -1,
            Acks::Leader => 1,
            Acks::None => 0,
        }
    }
}

choices! {
    /// How batches are compressed (`compression.type`).
    Compression COMPRESSION {
        /// Not at all.
        None = "none",
        /// gzip (deflate).
        Gzip = "gzip",
        /// Snappy.
        Snappy = "snappy",
        /// LZ4 frames.
        Lz4 = "lz4",
        /// Zstandard.
        Zstd = "zstd",
    }
}

choices! {
    /// How a record without an explicit partition gets one (`partitioner`).
    Partitioner PARTITIONER {
        /// Java's: murmur2 of the key; without a key, uniform sticky batches.
        Default = "default",
        /// Murmur2 of the key; a null key counts as an empty one.
        Murmur2 = "murmur2",
        /// Murmur2 of the key; a random partition for null keys.
        Murmur2Random = "murmur2_random",
        /// CRC-32 of the key; empty and null keys share one partition.
        Consistent = "consistent",
        /// CRC-32 of the key; a random partition for empty and null keys.
        ConsistentRandom = "consistent_random",
        /// FNV-1a of the key; a null key counts as an empty one.
        Fnv1a = "fnv1a",
        /// FNV-1a of the key; a random partition for null keys.
        Fnv1aRandom = "fnv1a_random",
        /// A random partition for every record.
        Random = "random",
        /// One partition after the other.
        RoundRobin = "round_robin",
    }
}

choices! {
    /// How a classic group's leader shares partitions out (`partition.assignment.strategy`).
    Assignor ASSIGNORS {
        /// Each topic's partitions in ranges; side by side for topics with equally many, and by rack where that helps
        /// (KIP-881).
        Range = "range" | "org.apache.kafka.clients.consumer.RangeAssignor",
        /// All partitions one after the other.
        RoundRobin = "roundrobin" | "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        /// Balanced, and as much as possible as it was.
        Sticky = "sticky" | "org.apache.kafka.clients.consumer.StickyAssignor",
        /// The same, and a member goes on reading what it keeps while the rest is moved (KIP-429).
        CooperativeSticky = "cooperative-sticky"
            | "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
    }
}

choices! {
    /// How a group is joined (`group.protocol`).
    GroupProtocol GROUP_PROTOCOL {
        /// By the new protocol where the brokers have it, else by the classic one.
        Auto = "auto",
        /// By the classic protocol.
        Classic = "classic",
        /// By the new protocol (KIP-848).
        Consumer = "consumer",
    }
}

impl Assignor {
    /// True for the name of a strategy, also by its Java class.
    pub(crate) fn is_known(name: &str) -> bool {
        ASSIGNORS
            .iter()
            .any(|c| c.name == name || c.aliases.contains(&name))
    }

    /// The strategies of a list, separated by commas.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut found = Vec::new();
        for word in text.split(',').map(str::trim) {
            let at = ASSIGNORS
                .iter()
                .position(|c| c.name == word || c.aliases.contains(&word));
            let Some(assignor) = at.and_then(|at| Self::VALUES.get(at)) else {
                let meant = nearest(word, ASSIGNORS.iter().map(|c| c.name))
                    .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
                let names: Vec<&str> = ASSIGNORS.iter().map(|c| c.name).collect();
                return Err(format!(
                    "has `{word}`, which is none of {}{meant}",
                    names.join(", ")
                ));
            };
            if found.contains(assignor) {
                return Err(format!("has `{word}` twice"));
            }
            found.push(*assignor);
        }
        Ok(found)
    }
}

choices! {
    /// Which records of transactions are delivered (`isolation.level`).
    IsolationLevel ISOLATION_LEVEL {
        /// All of them, aborted ones too.
        ReadUncommitted = "read_uncommitted",
        /// Those of committed transactions, up to the last stable offset.
        ReadCommitted = "read_committed",
    }
}

choices! {
    /// How a share consumer's records are acknowledged (`share.acknowledgement.mode`).
    AcknowledgementMode ACKNOWLEDGEMENT_MODE {
        /// The next poll or commit accepts those of which nothing else was said.
        Implicit = "implicit",
        /// Each, before the next poll.
        Explicit = "explicit",
    }
}

choices! {
    /// How a share consumer's records are acquired (`share.acquire.mode`).
    AcquireMode ACQUIRE_MODE {
        /// Whole record batches, from all brokers at once.
        BatchOptimized = "batch_optimized",
        /// At most `max.poll.records`, from one broker at a time.
        RecordLimit = "record_limit",
    }
}

choices! {
    /// What is done with a name that has several addresses (`client.dns.lookup`).
    DnsLookup DNS_LOOKUP {
        /// Each address is tried in turn.
        UseAllDnsIps = "use_all_dns_ips",
        /// As above; and each bootstrap address is first replaced by its canonical name.
        ResolveCanonicalBootstrapServersOnly = "resolve_canonical_bootstrap_servers_only",
    }
}

choices! {
    /// What is done when no broker that the cluster has told of answers (`metadata.recovery.strategy`).
    MetadataRecovery METADATA_RECOVERY {
        /// The bootstrap servers are asked again.
        Rebootstrap = "rebootstrap" | "REBOOTSTRAP",
        /// The known brokers are tried on.
        None = "none" | "NONE",
    }
}

choices! {
    /// Which kind of address is used (`broker.address.family`).
    AddressFamily ADDRESS_FAMILY {
        /// Either.
        Any = "any",
        /// IPv4 only.
        V4 = "v4",
        /// IPv6 only.
        V6 = "v6",
    }
}

impl FromChoice for Option<Level> {
    const VALUES: &'static [Self] = &[
        None,
        Some(Level::Error),
        Some(Level::Warn),
        Some(Level::Info),
        Some(Level::Debug),
        Some(Level::Trace),
    ];
}

pub(super) static LOG_LEVEL: &[Choice] = &[
    Choice::new("off", &[]),
    Choice::new("error", &[]),
    Choice::new("warn", &[]),
    Choice::new("info", &[]),
    Choice::new("debug", &[]),
    Choice::new("trace", &[]),
];

pub(super) static SECURITY_PROTOCOL: &[Choice] = &[
    Choice::new("PLAINTEXT", &["plaintext"]),
    Choice::not_yet("SSL"),
    Choice::not_yet("SASL_PLAINTEXT"),
    Choice::not_yet("SASL_SSL"),
];
