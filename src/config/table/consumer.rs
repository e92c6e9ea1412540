//! Keys of consumers alone.

use super::{Alias, Clients, Convert, INT, Key, Kind, LONG, bytes, int, millis, same};
use crate::config::choice;

const CONSUMER: Clients = Clients::CONSUMER;
const FETCHING: &str = "Consumer: fetching";
const POSITIONS: &str = "Consumer: positions and groups";

pub(super) static KEYS: &[Key] = &[
    Key::new(FETCHING, "fetch.min.bytes", CONSUMER, bytes(1, INT), "1",
        "A broker answers a fetch once it has this many bytes, or after `fetch.max.wait.ms`."),
    Key::new(FETCHING, "fetch.max.wait.ms", CONSUMER, millis(0, INT), "500",
        "How long a broker may hold a fetch back while it has less than `fetch.min.bytes`. Less than `request.timeout.ms`.")
        .aliases(&[same("fetch.wait.max.ms")]),
    Key::new(FETCHING, "fetch.max.bytes", CONSUMER, bytes(1, INT), "50MiB",
        "The most one fetch may bring from a broker. A single larger batch still comes whole."),
    Key::new(FETCHING, "max.partition.fetch.bytes", CONSUMER, bytes(1, INT), "1MiB",
        "The most one fetch may bring of a partition. A single larger batch still comes whole.")
        .aliases(&[same("fetch.message.max.bytes")]),
    Key::new(FETCHING, "fetch.memory.bytes", CONSUMER, bytes(65536, LONG), "64MiB",
        "Ottla's own: the most memory for data that is fetched and not yet polled. A single larger batch still passes. What the program \
         holds is not counted.")
        .aliases(&[Alias { name: "queued.max.messages.kbytes", convert: Convert::Kibibytes }]),
    Key::new(FETCHING, "max.poll.records", CONSUMER, int(1, INT), "10000",
        "The most records one poll returns. Java's default is 500, because Java makes an object of each; here a poll returns \
         views, and more of them a call cost less."),
    Key::new(FETCHING, "check.crcs", CONSUMER, Kind::Bool, "true",
        "Checks every batch's checksum before anything of it is delivered."),
    Key::new(FETCHING, "decompression.max.bytes", CONSUMER, bytes(1024, LONG), "256MiB",
        "Ottla's own: the most one compressed batch may expand to. Guards against a small batch that fills the memory."),
    Key::new(POSITIONS, "auto.offset.reset", CONSUMER, Kind::Choice(choice::AUTO_OFFSET_RESET), "latest",
        "Where to start where there is no position, or none the broker's log still holds."),
    Key::new(POSITIONS, "isolation.level", CONSUMER, Kind::Choice(choice::ISOLATION_LEVEL), "read_uncommitted",
        "Whether records of transactions are delivered only once committed."),
    Key::new(POSITIONS, "group.id", CONSUMER, Kind::Text, "",
        "The consumer group. Assigned partitions need none; subscribing with a group comes in a later version."),
    Key::new(POSITIONS, "enable.auto.commit", CONSUMER, Kind::Choice(choice::ONLY_FALSE), "false",
        "Commits positions in the background. Kafka's default is `true`; this version commits nothing."),
    Key::new(POSITIONS, "exclude.internal.topics", CONSUMER, Kind::Bool, "true",
        "Leaves Kafka's internal topics out of subscriptions by pattern, which come in a later version."),
];
