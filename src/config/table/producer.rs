//! Keys of producers alone.

use super::{
    Alias, Clients, Convert, INT, Key, Kind, LONG, bytes, int, millis, millis_or_infinite, same,
};
use crate::config::choice;

const PRODUCER: Clients = Clients::PRODUCER;
const DELIVERY: &str = "Producer: delivery";
const TRANSACTIONS: &str = "Producer: transactions";
const BATCHES: &str = "Producer: batches and memory";
const PARTITIONS: &str = "Producer: partitions";

pub(super) static KEYS: &[Key] = &[
    Key::new(DELIVERY, "acks", PRODUCER, Kind::Choice(choice::ACKS), "all",
        "When a record counts as written: once all in-sync replicas have it (`all`), once the leader has it (`1`), or once it is \
         sent (`0`).")
        .aliases(&[same("request.required.acks")])
        .per_topic(),
    Key::new(DELIVERY, "enable.idempotence", PRODUCER, Kind::Bool, "true",
        "Retries neither duplicate nor reorder records. Needs `acks=all`, at least one retry and at most 5 requests in \
         flight. If it is not set explicitly, other `acks` and `retries=0` turn it off."),
    Key::new(DELIVERY, "delivery.timeout.ms", PRODUCER, millis_or_infinite(0, INT), "2min",
        "The time from the call to the final result of a record, including waiting in its batch, sending and retries. At \
         least `linger.ms` plus `request.timeout.ms`.")
        .aliases(&[Alias { name: "message.timeout.ms", convert: Convert::ZeroIsInfinite }])
        .per_topic(),
    Key::new(DELIVERY, "max.in.flight.requests.per.connection", PRODUCER, int(1, 1_000_000), "5",
        "The most unanswered produce requests per broker. More than one without idempotence can reorder records when a \
         request is retried.")
        .aliases(&[same("max.in.flight")]),
    Key::new(DELIVERY, "max.block.ms", PRODUCER, millis_or_infinite(0, LONG), "1min",
        "How long a send call waits for room in `buffer.memory`, and records wait for the metadata of their topic, unless \
         `delivery.timeout.ms` is less."),
    Key::new(TRANSACTIONS, "transactional.id", PRODUCER, Kind::Text, "",
        "Identifies the producer to the brokers, so that it can use transactions and a later producer with the same id fences \
         it. To be used by one process at a time. Needs `enable.idempotence`. Empty: no transactions."),
    Key::new(TRANSACTIONS, "transaction.timeout.ms", PRODUCER, millis(1, INT), "1min",
        "How long a transaction may stay open before the broker aborts it. The broker's limit is \
         `transaction.max.timeout.ms`, 15 minutes by default."),
    Key::new(BATCHES, "linger.ms", PRODUCER, millis(0, LONG), "5",
        "How long a batch that is not full waits for more records before it is sent.")
        .aliases(&[same("queue.buffering.max.ms")])
        .per_topic(),
    Key::new(BATCHES, "batch.size", PRODUCER, bytes(1, INT), "1000000",
        "A batch of this many bytes is full and is sent at once. Java's default is 16384, because Java allocates all of it \
         for every partition; here an open batch starts small and doubles, so a large limit costs nothing until batches fill."),
    Key::new(BATCHES, "max.request.size", PRODUCER, bytes(1, INT), "1048576",
        "The largest produce request, and therefore the largest record. Brokers have a limit of the same size, \
         `message.max.bytes`.")
        .aliases(&[same("message.max.bytes")]),
    Key::new(BATCHES, "buffer.memory", PRODUCER, bytes(65536, LONG), "64MiB",
        "The most memory for records that are waiting or in flight. If it is full, a call waits up to `max.block.ms`. Java's \
         default is 32 MiB; twice that keeps batches of 1 MB flowing to many partitions.")
        .aliases(&[Alias { name: "queue.buffering.max.kbytes", convert: Convert::Kibibytes }]),
    Key::new(BATCHES, "buffer.records", PRODUCER, Kind::Int { min: 0, max: INT, or: None }, "0",
        "Specific to Ottla: the most records that are waiting or in flight, in addition to `buffer.memory`; 0 means no limit. \
         If it is reached, a call waits up to `max.block.ms`.")
        .aliases(&[same("queue.buffering.max.messages")]),
    Key::new(BATCHES, "compression.type", PRODUCER, Kind::Choice(choice::COMPRESSION), "none",
        "How batches are compressed.")
        .aliases(&[same("compression.codec")])
        .per_topic(),
    Key::new(BATCHES, "compression.gzip.level", PRODUCER, Kind::Int { min: 1, max: 9, or: Some(-1) }, "-1",
        "For `compression.type=gzip`: 1 is fastest, 9 smallest, -1 the compression library's default.")
        .per_topic(),
    Key::new(BATCHES, "compression.lz4.level", PRODUCER, int(1, 17), "9",
        "For `compression.type=lz4`: 9, Kafka's default, is the fast compressor; every other level selects the slow one, \
         which compresses more the higher the level, up to 12.")
        .per_topic(),
    Key::new(BATCHES, "compression.zstd.level", PRODUCER, int(-131_072, 22), "3",
        "For `compression.type=zstd`: 22 is smallest; negative levels are faster still.")
        .per_topic(),
    Key::new(PARTITIONS, "partitioner", PRODUCER, Kind::Choice(choice::PARTITIONER), "default",
        "How a partition is chosen for a record without an explicit one. `default` and `murmur2…` map keys to the same \
         partitions as Java's client, `consistent…` and `fnv1a…` to the same as librdkafka; `…_random` scatters records \
         without a key. `default` sends those to one partition until a batch is full, or for 10 ms if batches don't fill.")
        .aliases(&[Alias { name: "partitioner.class", convert: Convert::JavaPartitioner }])
        .per_topic(),
    Key::new(PARTITIONS, "partitioner.ignore.keys", PRODUCER, Kind::Bool, "false",
        "With the `default` partitioner: records with a key are distributed like those without.")
        .per_topic(),
    Key::new(PARTITIONS, "partitioner.adaptive.partitioning.enable", PRODUCER, Kind::Bool, "true",
        "With the `default` partitioner: records without a key go more often to partitions whose brokers keep up.")
        .per_topic(),
    Key::new(PARTITIONS, "partitioner.availability.timeout.ms", PRODUCER, millis(0, LONG), "0",
        "With adaptive partitioning: a partition whose broker has accepted nothing for this long gets no records without a \
         key. 0 turns it off."),
    Key::new(PARTITIONS, "partitioner.rack.aware", PRODUCER, Kind::Bool, "false",
        "With the `default` partitioner and `client.rack`: records without a key go to partitions whose leader is in the same rack \
         (KIP-1123); to all of them while there is none."),
    Key::new(PARTITIONS, "metadata.max.idle.ms", PRODUCER, millis(5000, LONG), "5min",
        "A topic that is unused for this long is forgotten; its metadata is requested again at its next use."),
];
