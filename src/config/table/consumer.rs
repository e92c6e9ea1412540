//! Keys of consumers alone.

use super::{Alias, Clients, Convert, INT, Key, Kind, LONG, bytes, int, millis, same};
use crate::config::choice;

const CONSUMER: Clients = Clients::CONSUMER;
const BOTH: Clients = CONSUMER.and(Clients::SHARE_CONSUMER);
const FETCHING: &str = "Consumer: fetching";
const POSITIONS: &str = "Consumer: positions and groups";

pub(super) static KEYS: &[Key] = &[
    Key::new(FETCHING, "fetch.min.bytes", BOTH, bytes(1, INT), "1",
        "A broker responds to a fetch once it has this many bytes, or after `fetch.max.wait.ms`."),
    Key::new(FETCHING, "fetch.max.wait.ms", BOTH, millis(0, INT), "500",
        "How long a broker may delay the response to a fetch while it has less than `fetch.min.bytes`. Must be less than \
         `request.timeout.ms`.")
        .aliases(&[same("fetch.wait.max.ms")]),
    Key::new(FETCHING, "fetch.max.bytes", BOTH, bytes(1, INT), "50MiB",
        "The most bytes that one fetch returns from a broker. A single larger batch is still returned whole."),
    Key::new(FETCHING, "max.partition.fetch.bytes", CONSUMER, bytes(1, INT), "1MiB",
        "The most bytes that one fetch returns from a partition. A single larger batch is still returned whole.")
        .aliases(&[same("fetch.message.max.bytes")]),
    Key::new(FETCHING, "fetch.memory.bytes", CONSUMER, bytes(65536, LONG), "64MiB",
        "Specific to Ottla: the most memory for data that is fetched and not yet polled. A single larger batch is still \
         accepted. What the program holds is not counted.")
        .aliases(&[Alias { name: "queued.max.messages.kbytes", convert: Convert::Kibibytes }]),
    Key::new(FETCHING, "max.poll.records", BOTH, int(1, INT), "10000",
        "The most records that one poll returns. Java's default is 500, because Java creates an object for each; here a poll \
         returns views, and more per call is cheaper. The default for share consumers is 500, because the lock of each record \
         is limited in time."),
    Key::new(FETCHING, "check.crcs", BOTH, Kind::Bool, "true",
        "Checks the checksum of every batch before its records are returned."),
    Key::new(FETCHING, "decompression.max.bytes", BOTH, bytes(1024, LONG), "256MiB",
        "Specific to Ottla: the most bytes to which one compressed batch may expand. Guards against a small batch that fills \
         the memory."),
    Key::new(POSITIONS, "auto.offset.reset", CONSUMER, Kind::Reset, "latest",
        "Where to start if there is no position, or if the log no longer holds it. By duration (KIP-1106): at the oldest \
         record that is at most this old at that moment, or after the newest if all are older."),
    Key::new(POSITIONS, "isolation.level", CONSUMER, Kind::Choice(choice::ISOLATION_LEVEL), "read_uncommitted",
        "Whether records of transactions are returned only once they are committed."),
    Key::new(POSITIONS, "group.id", BOTH, Kind::Text, "",
        "The consumer group. Required for subscribing; with assigned partitions it is only used for committed offsets. For a \
         share consumer it names the share group, and is required."),
    Key::new(POSITIONS, "group.instance.id", CONSUMER, Kind::Text, "",
        "Makes this a static member (KIP-345): it may be away for `session.timeout.ms` and gets the same assignment when it \
         returns. Must be unique in the group."),
    Key::new(POSITIONS, "group.protocol", CONSUMER, Kind::Choice(choice::GROUP_PROTOCOL), "auto",
        "The protocol of the group: `consumer` is the new protocol (KIP-848), `classic` the old one. `auto`, which is \
         specific to Ottla, uses the new one if the brokers support it and no key is set that only the old one has; otherwise \
         it uses the old one, and logs that."),
    Key::new(POSITIONS, "group.remote.assignor", CONSUMER, Kind::Text, "",
        "The brokers' assignor for the new protocol, `uniform` or `range`; by default the brokers choose."),
    Key::new(POSITIONS, "partition.assignment.strategy", CONSUMER, Kind::Text, "range,cooperative-sticky",
        "The assignors for the classic protocol: `range`, `roundrobin`, `sticky`, `cooperative-sticky` (or the names of \
         Java's classes), in order of preference. The group uses one that all members have; a program can add a custom one. \
         With `cooperative-sticky` alone, members keep reading the partitions that they keep during a rebalance."),
    Key::new(POSITIONS, "session.timeout.ms", CONSUMER, millis(1, INT), "45s",
        "A member that sends no heartbeat for this long is removed from the group. The brokers limit it with \
         `group.min.session.timeout.ms` and `group.max.session.timeout.ms`."),
    Key::new(POSITIONS, "heartbeat.interval.ms", CONSUMER, millis(1, INT), "3s",
        "How often a member sends heartbeats, which is also how it learns of rebalances. Must be less than \
         `session.timeout.ms`."),
    Key::new(POSITIONS, "max.poll.interval.ms", CONSUMER, millis(1, INT), "5min",
        "A member that does not poll for this long leaves its group, so that others get its partitions. Also how long a \
         rebalance waits for members to give up partitions."),
    Key::new(POSITIONS, "enable.auto.commit", CONSUMER, Kind::Bool, "true",
        "With `group.id`: commits in the background what counts as read, also before partitions are given up and on close. A \
         record counts as read when the next record or batch is requested, or when it is marked or committed."),
    Key::new(POSITIONS, "auto.commit.interval.ms", CONSUMER, millis(1, INT), "5s",
        "How often that is done."),
    Key::new(POSITIONS, "exclude.internal.topics", CONSUMER, Kind::Bool, "true",
        "Excludes Kafka's internal topics from subscriptions by pattern."),
];
