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
];
