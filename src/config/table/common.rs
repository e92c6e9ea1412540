//! Keys of every kind of client.

use super::{Clients, INT, Key, Kind, LONG, bytes, int, millis, millis_or_infinite, same};
use crate::config::choice;

const ALL: Clients = Clients::ALL;
const CLIENT: &str = "Client";
const CONNECTIONS: &str = "Connections";
const TIMEOUTS: &str = "Timeouts and retries";

pub(super) static KEYS: &[Key] = &[
    Key::new(CLIENT, "bootstrap.servers", ALL, Kind::Hosts, "",
        "Brokers to connect to first, as `host:port` separated by commas; they report the rest of the cluster. The default \
         port is 9092; IPv6 addresses are written in brackets. Required.")
        .without_default()
        .aliases(&[same("metadata.broker.list")]),
    Key::new(CLIENT, "client.id", ALL, Kind::Text, "ottla",
        "The name of this client, which brokers use in their logs, metrics and quotas."),
    Key::new(CLIENT, "client.rack", ALL, Kind::Text, "",
        "Where this client runs, in the terms of the brokers' `broker.rack`, so that it can read from a replica nearby."),
    Key::new(CLIENT, "log.level", ALL, Kind::Choice(choice::LOG_LEVEL), "info",
        "The least severe log lines that are kept for the program to take. Nothing is logged to stderr unless the environment \
         variable `OTTLA_LOG` names a level; the one exception is a line if records are lost at the end of the process, which \
         `off` silences."),
    Key::new(CLIENT, "allow.auto.create.topics", Clients::PRODUCER.and(Clients::CONSUMER), Kind::Bool, "true",
        "Lets the broker create a topic that is used before it exists, if the broker is configured to do so."),
    Key::new(CLIENT, "metadata.max.age.ms", ALL, millis_or_infinite(0, LONG), "5min",
        "Metadata of topics is requested again after this time even if nothing seems to have changed.")
        .aliases(&[same("topic.metadata.refresh.interval.ms")]),
    Key::new(CLIENT, "statistics.interval.ms", Clients::PRODUCER.and(Clients::CONSUMER), millis(0, 86_400_000), "0",
        "How often the client records statistics for the program to take; 0 means never. The program can also request them at \
         any time."),
    Key::new(CLIENT, "enable.metrics.push", ALL, Kind::Bool, "true",
        "Sends metrics of the client to the brokers if they request them (KIP-714), which Kafka does only with a plugin."),
    Key::new(CONNECTIONS, "security.protocol", ALL, Kind::Choice(choice::SECURITY_PROTOCOL), "PLAINTEXT",
        "How to connect to brokers: in plain text or over TLS, with or without SASL."),
    Key::new(CONNECTIONS, "client.dns.lookup", ALL, Kind::Choice(choice::DNS_LOOKUP), "use_all_dns_ips",
        "What to do with a host name that has several addresses: try each in turn, or first replace bootstrap addresses with \
         their canonical names."),
    Key::new(CONNECTIONS, "broker.address.family", ALL, Kind::Choice(choice::ADDRESS_FAMILY), "any",
        "Use only addresses of this family."),
    Key::new(CONNECTIONS, "bootstrap.resolve.timeout.ms", ALL, millis(0, LONG), "0",
        "How long looking up the names in `bootstrap.servers` may fail before calls end with that error, which is not \
         retriable. With 0 the lookup is retried for as long as the calls themselves wait. Creating a client never waits for \
         it or fails because of it: unlike in Java, names are looked up when they are first connected to."),
    Key::new(CONNECTIONS, "metadata.recovery.strategy", ALL, Kind::Choice(choice::METADATA_RECOVERY), "rebootstrap",
        "What to do when none of the known brokers responds, or when a broker asks for it: start over with \
         `bootstrap.servers`, or keep trying the known brokers (KIP-899)."),
    Key::new(CONNECTIONS, "metadata.recovery.rebootstrap.trigger.ms", ALL, millis(0, LONG), "5min",
        "If requested metadata has not arrived for this long, the known brokers are forgotten and the client starts over with \
         `bootstrap.servers`, if `metadata.recovery.strategy` allows it (KIP-1102)."),
    Key::new(CONNECTIONS, "metadata.cluster.check.enable", ALL, Kind::Bool, "true",
        "Sends each broker the cluster and broker id that the client expects, so that one at a wrong address (an IP address \
         given to another cluster, a misconfigured proxy) reports it, and the client starts over with `bootstrap.servers`. \
         Needs Kafka 4.4 (KIP-1242); no effect with `metadata.recovery.strategy=none`."),
    Key::new(CONNECTIONS, "connections.max.idle.ms", ALL, millis_or_infinite(0, LONG), "9min",
        "A connection that is unused for this long is closed, and opened again when needed. 0 means never."),
    Key::new(CONNECTIONS, "socket.connection.setup.timeout.ms", ALL, millis(1, LONG), "10s",
        "How long opening a connection may take at first; it doubles with every consecutive failure."),
    Key::new(CONNECTIONS, "socket.connection.setup.timeout.max.ms", ALL, millis(1, LONG), "30s",
        "The most `socket.connection.setup.timeout.ms` may grow to."),
    Key::new(CONNECTIONS, "send.buffer.bytes", ALL, Kind::Size { min: 0, max: INT, system: true }, "-1",
        "The socket's send buffer (SO_SNDBUF). Java's default is 131072; here the operating system decides, since it adapts \
         the size to the connection.")
        .aliases(&[same("socket.send.buffer.bytes")]),
    Key::new(CONNECTIONS, "receive.buffer.bytes", ALL, Kind::Size { min: 0, max: INT, system: true }, "-1",
        "The socket's receive buffer (SO_RCVBUF). Java's default is 32768 or 65536; here the operating system decides, since \
         it adapts the size to the connection.")
        .aliases(&[same("socket.receive.buffer.bytes")]),
    Key::new(CONNECTIONS, "receive.message.max.bytes", ALL, bytes(1000, INT), "100MiB",
        "The largest response accepted from a broker; a larger one closes the connection. Guards against a peer that does not \
         speak Kafka's protocol."),
    Key::new(TIMEOUTS, "request.timeout.ms", ALL, millis(1, INT), "30s",
        "How long to wait for a broker's response to a request before the request counts as failed.")
        .aliases(&[same("socket.timeout.ms")])
        .per_topic(),
    Key::new(TIMEOUTS, "default.api.timeout.ms", Clients::CONSUMER.and(Clients::ADMIN).and(Clients::SHARE_CONSUMER), millis(0, INT), "1min",
        "How long a call without a timeout argument may take, including retries."),
    Key::new(TIMEOUTS, "reconnect.backoff.ms", ALL, millis(0, LONG), "50",
        "The wait before connecting again to a broker that failed; it doubles with every consecutive failure."),
    Key::new(TIMEOUTS, "reconnect.backoff.max.ms", ALL, millis(0, LONG), "1s",
        "The most `reconnect.backoff.ms` may grow to."),
    Key::new(TIMEOUTS, "retry.backoff.ms", ALL, millis(0, LONG), "100",
        "The wait before a failed request is retried; it doubles with every consecutive failure."),
    Key::new(TIMEOUTS, "retry.backoff.max.ms", ALL, millis(0, LONG), "1s",
        "The most `retry.backoff.ms` may grow to."),
    Key::new(TIMEOUTS, "retries", Clients::PRODUCER.and(Clients::ADMIN), int(0, INT), "2147483647",
        "How often a failed request may be retried. Best left at its default: the time limits (`delivery.timeout.ms`, \
         `default.api.timeout.ms`) end the retries.")
        .aliases(&[same("message.send.max.retries")]),
];
