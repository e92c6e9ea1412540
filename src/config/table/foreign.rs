//! Keys of other clients that have no counterpart here, and what to do instead.

pub(in crate::config) static FOREIGN: &[(&str, &str)] = &[
    (
        "key.serializer",
        "keys are bytes here: serialize before sending",
    ),
    (
        "value.serializer",
        "values are bytes here: serialize before sending",
    ),
    (
        "key.deserializer",
        "keys are bytes here: deserialize what the poll returns",
    ),
    (
        "value.deserializer",
        "values are bytes here: deserialize what the poll returns",
    ),
    (
        "interceptor.classes",
        "there are no interceptors: wrap the calls in your own code",
    ),
    ("metric.reporters", "classes of Java cannot be loaded here"),
    (
        "batch.num.messages",
        "batches are bounded by bytes alone: set `batch.size`",
    ),
    (
        "compression.level",
        "set `compression.gzip.level`, `compression.lz4.level` or `compression.zstd.level`",
    ),
    (
        "queued.min.messages",
        "what is fetched ahead is bounded by bytes alone: set `fetch.memory.bytes`",
    ),
    (
        "sticky.partitioning.linger.ms",
        "the `default` partitioner moves on after `batch.size` bytes, or every 10 ms where batches don't fill: leave the key out",
    ),
    (
        "socket.nagle.disable",
        "Nagle's algorithm is always off: leave the key out",
    ),
    (
        "socket.keepalive.enable",
        "connections are watched by requests' own timeouts: leave the key out",
    ),
    (
        "api.version.request",
        "versions are always negotiated: leave the key out",
    ),
    (
        "broker.version.fallback",
        "versions are always negotiated: leave the key out",
    ),
    ("debug", "set `log.level` to `debug` or `trace`"),
    (
        "log_level",
        "set `log.level` to a word: off, error, warn, info, debug or trace",
    ),
];
