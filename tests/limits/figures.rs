//! The figures, each with the limit that was promised for it.

use std::time::Duration;

use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::producer::Wait;

use super::process::Role;
use super::roles::{LIMIT, VALUE, producer, send_columns};

/// How much is done for a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A few seconds, in any build, beside whatever else the machine does.
    Quick,
    /// What the promise says, in a release build.
    #[allow(dead_code, reason = "each of the two programs uses one")]
    Full,
}

/// What was measured, and what was promised.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) limit: f64,
    /// The limit is the least, not the most.
    pub(crate) floor: bool,
}

impl Figure {
    pub(crate) fn holds(&self) -> bool {
        if self.floor {
            self.value >= self.limit
        } else {
            self.value <= self.limit
        }
    }
}

/// A measurement.
pub(crate) type Measure = fn(Extent) -> Vec<Figure>;

/// The measurements by name.
pub(crate) const ALL: [(&str, Measure); 4] = [
    ("slow_broker", slow_broker),
    ("memory", memory),
    ("idle", idle),
    ("threads", threads),
];

/// Those that take a moment.
#[allow(dead_code, reason = "one of the two programs uses it")]
pub(crate) const SOON: [&str; 2] = ["idle", "threads"];

fn at_most(what: impl Into<String>, value: f64, unit: &'static str, limit: f64) -> Figure {
    Figure {
        what: what.into(),
        value,
        unit,
        limit,
        floor: false,
    }
}

fn at_least(what: impl Into<String>, value: f64, unit: &'static str, limit: f64) -> Figure {
    Figure {
        floor: true,
        ..at_most(what, value, unit, limit)
    }
}

fn broker(nodes: usize, memory: u64) -> Broker {
    Broker::start(BrokerOptions::new().nodes(nodes).memory_bytes(memory)).unwrap()
}

/// Puts so many bytes into each partition of a topic.
fn fill(broker: &Broker, topic: &str, partitions: i32, bytes: usize) {
    let producer = producer(&broker.bootstrap_servers(), &[]);
    for partition in 0..partitions {
        let mut calls = bytes / (100 * VALUE);
        send_columns(&producer, topic, partition, 0, Wait::MaxBlock, || {
            calls = calls.saturating_sub(1);
            calls == 0
        });
    }
    producer.close(LIMIT).unwrap();
}

/// Eight partitions on three brokers, one of which answers 200 ms late: the rate of the others' partitions, beside
/// what it is before and after.
fn slow_broker(extent: Extent) -> Vec<Figure> {
    const PARTITIONS: i32 = 8;
    const SLOW: i32 = 3;
    const DELAY: Duration = Duration::from_millis(200);
    let (span, settle, size, rounds, least) = match extent {
        Extent::Quick => ("700", Duration::from_millis(700), 2_000_000, 1, 75.0),
        Extent::Full => ("1500", Duration::from_millis(1500), 40_000_000, 3, 90.0),
    };
    let mut figures = Vec::new();
    for (role, api) in [("produce", api_key::PRODUCE), ("consume", api_key::FETCH)] {
        let broker = broker(3, 500_000_000);
        broker.create_topic("t", PARTITIONS, &[]).unwrap();
        if role == "consume" {
            fill(&broker, "t", PARTITIONS, size);
        }
        let slow: Vec<bool> = (0..PARTITIONS)
            .map(|p| broker.leader("t", p).unwrap() == Some(SLOW))
            .collect();
        let servers = broker.bootstrap_servers();
        let mut child = Role::start(role, &[&servers, "t", &PARTITIONS.to_string(), span]);
        let mut rate = || {
            std::thread::sleep(settle);
            child.go_on();
            let rates = child.answer();
            let others = rates.iter().zip(&slow).filter(|(_, slow)| !**slow);
            let others: f64 = others.map(|(rate, _)| rate).sum();
            (others, rates.iter().sum::<f64>() - others)
        };
        // With and without the delay in turns, as a machine's speed changes; the first turn only warms up.
        let (mut shares, mut told) = (Vec::new(), Vec::new());
        let (mut before, _) = rate();
        for _ in 0..rounds {
            let delay = FaultRule::new(Fault::Delay(DELAY));
            broker
                .add_fault(delay.node(SLOW).api(api).forever())
                .unwrap();
            let (during, late) = rate();
            broker.clear_faults().unwrap();
            let (after, _) = rate();
            shares.push(100.0 * during / ((before + after) / 2.0));
            told.push(format!(
                "{before:.0}, {during:.0} (its own: {late:.0}), {after:.0}"
            ));
            before = after;
        }
        shares.sort_by(f64::total_cmp);
        let share = shares[shares.len() / 2];
        figures.push(at_least(
            format!(
                "{role}: rate of the other brokers' partitions while one answers 200 ms late; records/s before, \
                 during, after: {}",
                told.join("; ")
            ),
            share,
            "%",
            least,
        ));
    }
    figures
}

/// Peaks of a reader that lags and of a producer whose broker doesn't answer, above the bare process.
fn memory(extent: Extent) -> Vec<Figure> {
    /// What a peak may be above the cap, in MB.
    const SLACK: f64 = 32.0;
    let (waiting, cap, buffer) = match extent {
        Extent::Quick => (100_000_000, 32 << 20, 32 << 20),
        Extent::Full => (500_000_000, 32 << 20, 64 << 20),
    };
    let broker = broker(1, 1_000_000_000);
    broker.create_topic("waiting", 64, &[]).unwrap();
    broker.create_topic("t", 1, &[]).unwrap();
    fill(&broker, "waiting", 64, waiting / 64);
    let servers = broker.bootstrap_servers();
    let mb = |bytes: i32| f64::from(bytes) * 1e-6;
    let peak = |figures: &[f64], who: &str, cap: i32| {
        let [bare, peak, buffered] = *figures else {
            panic!("{figures:?}");
        };
        // Otherwise the peak would prove nothing.
        assert!(
            buffered > 0.5 * mb(cap),
            "{who}: only {buffered} MB were buffered"
        );
        let what = format!("{who}: peak above the bare process's {bare:.1} MB");
        at_most(what, peak - bare, "MB", mb(cap) + SLACK)
    };
    let reader = Role::start("lagging-reader", &[&servers, "waiting", &cap.to_string()]);
    let lagging = peak(&reader.answer(), "a reader that lags", cap);
    drop(reader);
    let mut sender = Role::start("stalled-producer", &[&servers, "t", &buffer.to_string()]);
    sender.answer();
    broker.pause_node(1).unwrap();
    sender.go_on();
    let stalled = peak(
        &sender.answer(),
        "a producer whose broker has stopped",
        buffer,
    );
    vec![lagging, stalled]
}

/// What a connected producer and consumer cost that have nothing to do.
fn idle(_: Extent) -> Vec<Figure> {
    let broker = broker(1, 1 << 20);
    broker.create_topic("t", 1, &[]).unwrap();
    let servers = broker.bootstrap_servers();
    let [bare, idle] = *Role::start("idle", &[&servers, "t"]).answer() else {
        panic!("two figures are told");
    };
    let what = format!("an idle producer and consumer above the bare process's {bare:.1} MB");
    vec![at_most(what, idle - bare, "MB", 10.0)]
}

/// Threads of many clients.
fn threads(_: Extent) -> Vec<Figure> {
    let broker = broker(1, 1 << 20);
    let servers = broker.bootstrap_servers();
    let [one, many] = *Role::start("threads", &[&servers, "200"]).answer() else {
        panic!("two figures are told");
    };
    vec![at_most(
        "threads with 200 clients (limit: with one)",
        many,
        "threads",
        one,
    )]
}
