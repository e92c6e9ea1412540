//! Producers on an embedded broker.

use std::time::{Duration, Instant};

use ottla::broker::{Broker, BrokerOptions};
use ottla::config::ProducerConfig;
use ottla::producer::{Completion, Producer};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn broker(nodes: usize) -> Broker {
    Broker::start(BrokerOptions::new().nodes(nodes)).unwrap()
}

pub(crate) fn producer(broker: &Broker, more: &[(&str, &str)]) -> Producer {
    let servers = broker.bootstrap_servers();
    let pairs = [("bootstrap.servers", servers.as_str())]
        .into_iter()
        .chain(more.iter().copied());
    Producer::new(ProducerConfig::from_pairs(pairs).unwrap()).unwrap()
}

/// Drains completions until `records` have ended.
pub(crate) fn ends(producer: &Producer, records: u64) -> Vec<Completion> {
    let by = Instant::now() + LIMIT;
    let mut out = Vec::new();
    let count = |c: &[Completion]| c.iter().map(|c| u64::from(c.count)).sum::<u64>();
    while count(&out) < records {
        assert!(Instant::now() < by, "{} of {records} ended", count(&out));
        producer
            .completions(1000, Duration::from_millis(200), &mut out)
            .unwrap();
    }
    assert_eq!(count(&out), records, "no record ends twice");
    out
}
