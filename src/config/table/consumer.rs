//! Keys of consumers alone.

use super::{Alias, Clients, Convert, INT, Key, Kind, LONG, bytes, int, millis, same};
use crate::config::choice;

const CONSUMER: Clients = Clients::CONSUMER;
const BOTH: Clients = CONSUMER.and(Clients::SHARE_CONSUMER);
const FETCHING: &str = "Consumer: fetching";
const POSITIONS: &str = "Consumer: positions and groups";

pub(super) static KEYS: &[Key] = &[
    Key::new(FETCHING, "fetch.min.bytes", BOTH, bytes(1, INT), "1",
        "A broker answers a fetch once it has this many bytes, or after `fetch.max.wait.ms`."),
    Key::new(FETCHING, "fetch.max.wait.ms", BOTH, millis(0, INT), "500",
        "How long a broker may hold a fetch back while it has less than `fetch.min.bytes`. Less than `request.timeout.ms`.")
        .aliases(&[same("fetch.wait.max.ms")]),
    Key::new(FETCHING, "fetch.max.bytes", BOTH, bytes(1, INT), "50MiB",
        "The most one fetch may bring from a broker. A single larger batch still comes whole."),
    Key::new(FETCHING, "max.partition.fetch.bytes", CONSUMER, bytes(1, INT), "1MiB",
        "The most one fetch may bring of a partition. A single larger batch still comes whole.")
        .aliases(&[same("fetch.message.max.bytes")]),
    Key::new(FETCHING, "fetch.memory.bytes", CONSUMER, bytes(65536, LONG), "64MiB",
        "Ottla's own: the most memory for data that is fetched and not yet polled. A single larger batch still passes. What the program \
         holds is not counted.")
        .aliases(&[Alias { name: "queued.max.messages.kbytes", convert: Convert::Kibibytes }]),
    Key::new(FETCHING, "max.poll.records", BOTH, int(1, INT), "10000",
        "The most records one poll returns. Java's default is 500, because Java makes an object of each; here a poll returns \
         views, and more of them a call cost less. A share consumer has 500 unless told otherwise, as the lock of each runs."),
    Key::new(FETCHING, "check.crcs", BOTH, Kind::Bool, "true",
        "Checks every batch's checksum before anything of it is delivered."),
    Key::new(FETCHING, "decompression.max.bytes", BOTH, bytes(1024, LONG), "256MiB",
        "Ottla's own: the most one compressed batch may expand to. Guards against a small batch that fills the memory."),
    Key::new(POSITIONS, "auto.offset.reset", CONSUMER, Kind::Reset, "latest",
        "Where to start where there is no position, or none the broker's log still holds. By duration (KIP-1106): at the oldest \
         record that is no older than this at that moment, after the newest where all are older."),
    Key::new(POSITIONS, "isolation.level", CONSUMER, Kind::Choice(choice::ISOLATION_LEVEL), "read_uncommitted",
        "Whether records of transactions are delivered only once committed."),
    Key::new(POSITIONS, "group.id", BOTH, Kind::Text, "",
        "The consumer group. Subscribing needs one; with assigned partitions it keeps their committed offsets. For a share consumer \
         the share group, and required."),
    Key::new(POSITIONS, "group.instance.id", CONSUMER, Kind::Text, "",
        "Makes the member a static one (KIP-345): it may be away for `session.timeout.ms` and comes back to what it had. Unique \
         in its group."),
    Key::new(POSITIONS, "group.protocol", CONSUMER, Kind::Choice(choice::GROUP_PROTOCOL), "auto",
        "How a group is joined: `consumer` by the new protocol (KIP-848), `classic` by the old one. Ottla's own `auto`: by the new one \
         where the brokers have it, unless a key is set that only the old one has; by the old one otherwise, which the log tells."),
    Key::new(POSITIONS, "group.remote.assignor", CONSUMER, Kind::Text, "",
        "The brokers' strategy for sharing partitions out in the new protocol, `uniform` or `range`; theirs by default."),
    Key::new(POSITIONS, "partition.assignment.strategy", CONSUMER, Kind::Text, "range,cooperative-sticky",
        "How partitions are shared out among a group's members: `range`, `roundrobin`, `sticky`, `cooperative-sticky` (or the names of \
         Java's classes), the favourite first; the group uses one that all members have, and a program may add one of its own. Members keep what they keep through a \
         rebalance where only `cooperative-sticky` is given."),
    Key::new(POSITIONS, "session.timeout.ms", CONSUMER, millis(1, INT), "45s",
        "A member that is not heard of for so long is taken for dead. The brokers limit it by `group.min.session.timeout.ms` and \
         `group.max.session.timeout.ms`."),
    Key::new(POSITIONS, "heartbeat.interval.ms", CONSUMER, millis(1, INT), "3s",
        "How often a member is heard of, and learns of rebalances. Less than `session.timeout.ms`."),
    Key::new(POSITIONS, "max.poll.interval.ms", CONSUMER, millis(1, INT), "5min",
        "A member that does not poll for so long leaves its group, so that others get its partitions. Also how long a rebalance waits \
         for members to give partitions up."),
    Key::new(POSITIONS, "enable.auto.commit", CONSUMER, Kind::Bool, "true",
        "Where `group.id` is set: commits in the background what counts as read, also before partitions are given up and on close. A \
         record counts as read once the next message or batch is asked for, or it is marked or committed."),
    Key::new(POSITIONS, "auto.commit.interval.ms", CONSUMER, millis(1, INT), "5s",
        "How often that is done."),
    Key::new(POSITIONS, "exclude.internal.topics", CONSUMER, Kind::Bool, "true",
        "Leaves Kafka's internal topics out of subscriptions by pattern."),
];
