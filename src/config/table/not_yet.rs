//! Keys that Kafka's clients have and this version has not: known by name, refused when set.

use super::{Clients, Key, Kind};

const ALL: Clients = Clients::ALL;
const PRODUCER: Clients = Clients::PRODUCER;
const ADMIN: Clients = Clients::ADMIN;

const fn key(name: &'static str, clients: Clients, doc: &'static str) -> Key {
    Key::new("Not there yet", name, clients, Kind::NotYet, "", doc).without_default()
}

/// A key whose value is a password, a token or a private key.
const fn secret(name: &'static str, clients: Clients, doc: &'static str) -> Key {
    let mut row = key(name, clients, doc);
    row.secret = true;
    row
}

pub(super) static KEYS: &[Key] = &[
    key(
        "transaction.two.phase.commit.enable",
        PRODUCER,
        "Transactions that outlive their producer.",
    ),
    key(
        "bootstrap.controllers",
        ADMIN,
        "Controllers to administer directly.",
    ),
    key(
        "metrics.num.samples",
        ALL,
        "The number of samples behind a metric.",
    ),
    key(
        "metrics.sample.window.ms",
        ALL,
        "The time one sample of a metric covers.",
    ),
    key(
        "metrics.recording.level",
        ALL,
        "Which metrics are recorded.",
    ),
    key(
        "sasl.mechanism",
        ALL,
        "How to authenticate: PLAIN, SCRAM, GSSAPI or OAUTHBEARER.",
    ),
    key(
        "sasl.mechanisms",
        ALL,
        "librdkafka's name of `sasl.mechanism`.",
    ),
    secret("sasl.jaas.config", ALL, "Java's log-in settings."),
    key("sasl.username", ALL, "The user for PLAIN and SCRAM."),
    secret("sasl.password", ALL, "The password for PLAIN and SCRAM."),
    key(
        "sasl.client.callback.handler.class",
        ALL,
        "Java's hook into logging in.",
    ),
    key("sasl.login.class", ALL, "Java's log-in class."),
    key(
        "sasl.login.callback.handler.class",
        ALL,
        "Java's hook into logging in.",
    ),
    key(
        "sasl.login.connect.timeout.ms",
        ALL,
        "The connect timeout towards an identity provider.",
    ),
    key(
        "sasl.login.read.timeout.ms",
        ALL,
        "The read timeout towards an identity provider.",
    ),
    key(
        "sasl.login.refresh.buffer.seconds",
        ALL,
        "Log-in refresh: the time kept before the end.",
    ),
    key(
        "sasl.login.refresh.min.period.seconds",
        ALL,
        "Log-in refresh: the least time between two.",
    ),
    key(
        "sasl.login.refresh.window.factor",
        ALL,
        "Log-in refresh: the share of a credential's life.",
    ),
    key(
        "sasl.login.refresh.window.jitter",
        ALL,
        "Log-in refresh: the random part.",
    ),
    key(
        "sasl.login.retry.backoff.ms",
        ALL,
        "The wait before a request to an identity provider is retried.",
    ),
    key(
        "sasl.login.retry.backoff.max.ms",
        ALL,
        "The longest such wait.",
    ),
    key(
        "sasl.kerberos.service.name",
        ALL,
        "Kerberos: the brokers' service name.",
    ),
    key(
        "sasl.kerberos.kinit.cmd",
        ALL,
        "Kerberos: the command that gets a ticket.",
    ),
    key("sasl.kerberos.keytab", ALL, "Kerberos: the key table."),
    key(
        "sasl.kerberos.principal",
        ALL,
        "Kerberos: the client's principal.",
    ),
    key(
        "sasl.kerberos.min.time.before.relogin",
        ALL,
        "Kerberos: the least time between two log-ins.",
    ),
    key(
        "sasl.kerberos.ticket.renew.jitter",
        ALL,
        "Kerberos: the random part of renewal.",
    ),
    key(
        "sasl.kerberos.ticket.renew.window.factor",
        ALL,
        "Kerberos: the share of a ticket's life.",
    ),
    key(
        "sasl.oauthbearer.method",
        ALL,
        "OAuth: librdkafka's choice of the way to a token.",
    ),
    key(
        "sasl.oauthbearer.config",
        ALL,
        "OAuth: librdkafka's free settings.",
    ),
    key("sasl.oauthbearer.client.id", ALL, "OAuth: the client's id."),
    key(
        "sasl.oauthbearer.client.credentials.client.id",
        ALL,
        "OAuth: the client's id.",
    ),
    secret(
        "sasl.oauthbearer.client.secret",
        ALL,
        "OAuth: the client's secret.",
    ),
    secret(
        "sasl.oauthbearer.client.credentials.client.secret",
        ALL,
        "OAuth: the client's secret.",
    ),
    key("sasl.oauthbearer.scope", ALL, "OAuth: the scope asked for."),
    key(
        "sasl.oauthbearer.extensions",
        ALL,
        "OAuth: extensions sent to the broker.",
    ),
    key(
        "sasl.oauthbearer.token.endpoint.url",
        ALL,
        "OAuth: where tokens are issued.",
    ),
    key(
        "sasl.oauthbearer.jwks.endpoint.url",
        ALL,
        "OAuth: where the issuer's keys are.",
    ),
    key(
        "sasl.oauthbearer.expected.audience",
        ALL,
        "OAuth: the audience a token must name.",
    ),
    key(
        "sasl.oauthbearer.expected.issuer",
        ALL,
        "OAuth: the issuer a token must name.",
    ),
    key(
        "sasl.oauthbearer.scope.claim.name",
        ALL,
        "OAuth: the claim that holds the scope.",
    ),
    key(
        "sasl.oauthbearer.sub.claim.name",
        ALL,
        "OAuth: the claim that holds the subject.",
    ),
    key("ssl.protocol", ALL, "TLS: the version to start from."),
    key("ssl.enabled.protocols", ALL, "TLS: the allowed versions."),
    key("ssl.cipher.suites", ALL, "TLS: the allowed cipher suites."),
    key("ssl.provider", ALL, "TLS: Java's provider."),
    key(
        "ssl.endpoint.identification.algorithm",
        ALL,
        "TLS: whether the broker's name is checked.",
    ),
    key(
        "ssl.keystore.type",
        ALL,
        "TLS: the format of the client's key store.",
    ),
    key(
        "ssl.keystore.location",
        ALL,
        "TLS: the file of the client's key store.",
    ),
    secret(
        "ssl.keystore.password",
        ALL,
        "TLS: the key store's password.",
    ),
    secret("ssl.keystore.key", ALL, "TLS: the client's private key."),
    key(
        "ssl.keystore.certificate.chain",
        ALL,
        "TLS: the client's certificates.",
    ),
    secret("ssl.key.password", ALL, "TLS: the private key's password."),
    key(
        "ssl.key.location",
        ALL,
        "TLS: the file of the client's private key.",
    ),
    secret("ssl.key.pem", ALL, "TLS: the client's private key."),
    key(
        "ssl.certificate.location",
        ALL,
        "TLS: the file of the client's certificates.",
    ),
    key(
        "ssl.certificate.pem",
        ALL,
        "TLS: the client's certificates.",
    ),
    key(
        "ssl.ca.location",
        ALL,
        "TLS: the file of the trusted authorities.",
    ),
    key("ssl.ca.pem", ALL, "TLS: the trusted authorities."),
    key(
        "ssl.truststore.type",
        ALL,
        "TLS: the format of the trust store.",
    ),
    key(
        "ssl.truststore.location",
        ALL,
        "TLS: the file of the trust store.",
    ),
    secret(
        "ssl.truststore.password",
        ALL,
        "TLS: the trust store's password.",
    ),
    key(
        "ssl.truststore.certificates",
        ALL,
        "TLS: the trusted authorities.",
    ),
    key(
        "enable.ssl.certificate.verification",
        ALL,
        "TLS: librdkafka's switch for checking certificates.",
    ),
];
