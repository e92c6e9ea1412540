//! Bugs on demand: each is a mistake that a client could make, and several are mistakes that clients did make. The
//! tests plant one after another and show that the simulation finds it. Without the feature `simulation` none of this
//! is compiled, and [`planted!`](crate::planted) is `false`.

use std::cell::Cell;

/// A deliberate bug, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bug {
    /// What is done wrong.
    pub what: &'static str,
    /// Where a real client did so; empty where none is known.
    pub seen_in: &'static str,
    /// How it is named on the command line.
    pub name: &'static str,
}

thread_local! {
    static PLANTED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Plants the bug of this name in every client that this thread simulates from now on, or none.
pub(super) fn plant(name: Option<&'static str>) {
    PLANTED.set(name);
}

/// True where the bug of this name is planted.
pub(crate) fn is_planted(name: &'static str) -> bool {
    PLANTED.get() == Some(name)
}

/// All bugs that can be planted.
pub const BUGS: &[Bug] = &[
    Bug {
        name: "reuse-sequence",
        what: "the sequence range of a batch that was given up is used for the next one",
        seen_in: "Java's client, https://github.com/apache/kafka/pull/3743",
    },
    Bug {
        name: "epoch-in-flight",
        what: "the epoch is raised and sequences begin anew while requests of the old epoch are on their way",
        seen_in: "Java's client, https://github.com/apache/kafka/pull/13796 (KAFKA-14034)",
    },
    Bug {
        name: "resend-unknown",
        what: "a batch with an unknown end is sent again in a new epoch, where brokers can't tell a duplicate",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/4953",
    },
    Bug {
        name: "retry-behind",
        what: "a batch that goes again is put behind those that were closed after it",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/1092",
    },
    Bug {
        name: "sequence-by-batch",
        what: "sequences are counted by the batch, not by the record",
        seen_in: "KafkaJS, https://github.com/tulios/kafkajs/issues/598",
    },
    Bug {
        name: "lost-completion",
        what: "a batch whose connection ends at its second attempt is forgotten",
        seen_in: "Sarama, https://github.com/IBM/sarama/pull/3691",
    },
    Bug {
        name: "memory-leak",
        what: "buffer.memory gets half of a failed batch back",
        seen_in: "kafka-python, https://github.com/dpkp/kafka-python/issues/985",
    },
    Bug {
        name: "flush-forgets-split",
        what: "a flush does not wait for the second half of a batch that was split",
        seen_in: "Java's client, https://github.com/apache/kafka/pull/20254 (KAFKA-19479)",
    },
    Bug {
        name: "unknown-is-not-written",
        what: "a batch that is given up after an attempt without an answer is told as not written",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/pull/2188",
    },
    Bug {
        name: "after-append-is-refusal",
        what: "NOT_ENOUGH_REPLICAS_AFTER_APPEND and the like are taken for a certain refusal",
        seen_in: "",
    },
    Bug {
        name: "retry-after-not-written",
        what: "a batch is told as not written and sent again",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/1476",
    },
    Bug {
        name: "duplicate-is-error",
        what: "DUPLICATE_SEQUENCE_NUMBER is told as an error",
        seen_in: "",
    },
    Bug {
        name: "offset-of-duplicate",
        what: "a batch that was sent again is told a wrong offset",
        seen_in: "",
    },
    Bug {
        name: "completion-twice",
        what: "a batch that was sent again is completed twice",
        seen_in: "",
    },
    Bug {
        name: "split-out-of-order",
        what: "the halves of a batch that was too large change places",
        seen_in: "",
    },
    Bug {
        name: "partial-write",
        what: "of a frame that was written in part, a part is written twice",
        seen_in: "",
    },
    Bug {
        name: "commit-handed-out",
        what: "what was handed out is committed in the background before the program is done with it",
        seen_in: "Java's client, https://github.com/apache/kafka/pull/623 (KAFKA-2942)",
    },
    Bug {
        name: "deliver-revoked",
        what: "records of a revoked partition that were fetched before are still delivered",
        seen_in: "Alpakka Kafka, https://github.com/akka/alpakka-kafka/issues/872",
    },
    Bug {
        name: "deliver-sought-away",
        what: "records that were fetched before a seek are delivered after it",
        seen_in: "KafkaJS, https://github.com/tulios/kafkajs/pull/367",
    },
    Bug {
        name: "deliver-aborted",
        what: "records of aborted transactions are delivered where they are compressed",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/3020",
    },
    Bug {
        name: "commit-lost-at-close",
        what: "a commit in the background is dropped when partitions are given up or the consumer is closed",
        seen_in: "Java's client, https://github.com/apache/kafka/pull/15613 (KAFKA-16103)",
    },
    Bug {
        name: "late-topic-unseen",
        what: "a topic that is created after its group was shared out is never read",
        seen_in: "kafka-go, https://github.com/segmentio/kafka-go/issues/1314",
    },
    Bug {
        name: "spins-while-connecting",
        what: "the I/O thread turns in circles while a broker is being connected to",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/1569",
    },
    Bug {
        name: "recreation-unseen",
        what: "a topic that was deleted and created again is read on at the old offset",
        seen_in: "librdkafka, https://github.com/confluentinc/librdkafka/issues/3255",
    },
    Bug {
        name: "truncation-unseen",
        what: "brokers are not told the epoch of what was read last, so that a truncated log goes unnoticed",
        seen_in: "",
    },
    Bug {
        name: "loss-untold",
        what: "a position that is moved because records are gone is moved without a word",
        seen_in: "",
    },
    Bug {
        name: "retry-on-old-news",
        what: "a refused batch goes again at once where the answer names a leader, also one that was known",
        seen_in: "",
    },
    Bug {
        name: "shrink-unseen",
        what: "a topic that was created anew with fewer partitions keeps those it had",
        seen_in: "",
    },
    Bug {
        name: "absence-untold",
        what: "a program that has an absent partition assigned is not told so",
        seen_in: "",
    },
    Bug {
        name: "revoke-unasked",
        what: "partitions are given up without waiting for the program's acknowledgement",
        seen_in: "",
    },
    Bug {
        name: "send-in-lockstep",
        what: "nothing is sent to a broker while another has not answered",
        seen_in: "",
    },
    Bug {
        name: "fetch-in-lockstep",
        what: "nothing is fetched from a broker while another has not answered",
        seen_in: "",
    },
    Bug {
        name: "crc-unchecked",
        what: "a damaged batch is delivered",
        seen_in: "",
    },
];
