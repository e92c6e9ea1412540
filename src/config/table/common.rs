//! Keys of every kind of client.

use super::{Clients, INT, Key, Kind, LONG, bytes, int, millis, millis_or_infinite, same};
use crate::config::choice;

const ALL: Clients = Clients::ALL;
const CLIENT: &str = "Client";
const CONNECTIONS: &str = "Connections";
const TIMEOUTS: &str = "Timeouts and retries";

pub(super) static KEYS: &[Key] = &[
    Key::new(CLIENT, "bootstrap.servers", ALL, Kind::Hosts, "",
        "Brokers to ask first, as `host:port` separated by commas; the rest of the cluster is learnt from them. \
         The port is 9092 where it is left out; IPv6 addresses stand in brackets. Required.")
        .without_default()
        .aliases(&[same("metadata.broker.list")]),
    Key::new(CLIENT, "client.id", ALL, Kind::Text, "ottla",
        "The name this client gives itself; brokers use it in their logs, metrics and quotas."),
    Key::new(CLIENT, "client.rack", ALL, Kind::Text, "",
        "Where this client runs, in the words of the brokers' `broker.rack`, so that a near replica can serve it."),
    Key::new(CLIENT, "log.level", ALL, Kind::Choice(choice::LOG_LEVEL), "info",
        "The least severe log lines that are kept for the program to drain. Nothing goes to stderr unless the environment \
         variable `OTTLA_LOG` names a level, but for one line if records are lost because the process ends, which `off` \
         silences."),
    Key::new(CLIENT, "allow.auto.create.topics", Clients::PRODUCER.and(Clients::CONSUMER), Kind::Bool, "true",
        "Lets the broker create a topic that is used before it exists, if the broker is set up to do so."),
    Key::new(CLIENT, "metadata.max.age.ms", ALL, millis_or_infinite(0, LONG), "5min",
        "Topics' metadata is asked for again after this time even if nothing seems to have changed.")
        .aliases(&[same("topic.metadata.refresh.interval.ms")]),
    Key::new(CLIENT, "statistics.interval.ms", Clients::PRODUCER.and(Clients::CONSUMER), millis(0, 86_400_000), "0",
        "How often the client makes statistics of itself for the program to take; 0 means never. It can ask for them at any time."),
    Key::new(CLIENT, "enable.metrics.push", ALL, Kind::Bool, "true",
        "Sends metrics of the client to the brokers, if these ask for them (KIP-714); Kafka asks only with a plugin for it."),
    Key::new(CONNECTIONS, "security.protocol", ALL, Kind::Choice(choice::SECURITY_PROTOCOL), "PLAINTEXT",
        "How to talk to brokers: in the open or over TLS, with or without SASL."),
    Key::new(CONNECTIONS, "client.dns.lookup", ALL, Kind::Choice(choice::DNS_LOOKUP), "use_all_dns_ips",
        "What to do with a host name that has several addresses: try each in turn, or first replace bootstrap \
         addresses by their canonical names."),
    Key::new(CONNECTIONS, "broker.address.family", ALL, Kind::Choice(choice::ADDRESS_FAMILY), "any",
        "Use only addresses of this family."),
    Key::new(CONNECTIONS, "bootstrap.resolve.timeout.ms", ALL, millis(0, LONG), "0",
        "For how long the names in `bootstrap.servers` may fail to be looked up before calls end with that error, which \
         trying again does not cure. With 0 the look-up is tried again for as long as the calls themselves wait. It never \
         delays making a client, nor fails it: unlike in Java, names are looked up when they are first connected to."),
    Key::new(CONNECTIONS, "metadata.recovery.strategy", ALL, Kind::Choice(choice::METADATA_RECOVERY), "rebootstrap",
        "What to do when no broker that the cluster has told of answers, or a broker asks for it: begin anew with \
         `bootstrap.servers`, or go on trying the known ones (KIP-899)."),
    Key::new(CONNECTIONS, "metadata.recovery.rebootstrap.trigger.ms", ALL, millis(0, LONG), "5min",
        "After this time without metadata though it was asked for, the known brokers are forgotten, and the client begins anew \
         with `bootstrap.servers`, as far as `metadata.recovery.strategy` allows (KIP-1102)."),
    Key::new(CONNECTIONS, "metadata.cluster.check.enable", ALL, Kind::Bool, "true",
        "Tells each broker that is connected to which broker of which cluster is meant, so that one at a wrong address \
         (an IP address given to another cluster, a proxy set up wrongly) says so, and the client begins anew with \
         `bootstrap.servers`. Brokers do this since Kafka 4.4 (KIP-1242); of no effect with `metadata.recovery.strategy=none`."),
    Key::new(CONNECTIONS, "connections.max.idle.ms", ALL, millis_or_infinite(0, LONG), "9min",
        "A connection unused for this long is closed; it is opened again when needed. 0 means never."),
    Key::new(CONNECTIONS, "socket.connection.setup.timeout.ms", ALL, millis(1, LONG), "10s",
        "How long opening a connection may take at first; it doubles with every failure in a row."),
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
        "How long to wait for a broker's answer to one request before it counts as failed.")
        .aliases(&[same("socket.timeout.ms")])
        .per_topic(),
    Key::new(TIMEOUTS, "default.api.timeout.ms", Clients::CONSUMER.and(Clients::ADMIN).and(Clients::SHARE_CONSUMER), millis(0, INT), "1min",
        "How long a call may take, retries included, when it is given no timeout of its own."),
    Key::new(TIMEOUTS, "reconnect.backoff.ms", ALL, millis(0, LONG), "50",
        "The wait before connecting again to a broker that failed; it doubles with every failure in a row."),
    Key::new(TIMEOUTS, "reconnect.backoff.max.ms", ALL, millis(0, LONG), "1s",
        "The most `reconnect.backoff.ms` may grow to."),
    Key::new(TIMEOUTS, "retry.backoff.ms", ALL, millis(0, LONG), "100",
        "The wait before a failed request is tried again; it doubles with every failure in a row."),
    Key::new(TIMEOUTS, "retry.backoff.max.ms", ALL, millis(0, LONG), "1s",
        "The most `retry.backoff.ms` may grow to."),
    Key::new(TIMEOUTS, "retries", Clients::PRODUCER.and(Clients::ADMIN), int(0, INT), "2147483647",
        "How often a failed request may be tried again. Better left alone: time limits (`delivery.timeout.ms`, \
         `default.api.timeout.ms`) end the retries.")
        .aliases(&[same("message.send.max.retries")]),
];
