//! A member of a consumer group as a process of its own, which can be killed and stopped: it tells on its standard output
//! what it is given and what it has read, each line with the time, and leaves when its standard input ends.
//!
//!     NANOSECONDS assigned|revoked|lost PARTITION...
//!     NANOSECONDS read PARTITION OFFSET...
//!     NANOSECONDS left
//!
//! A line is out before the poll that has its records count as read, or acknowledges a revocation.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla::config::ConsumerConfig;
use ottla::consumer::{Consumer, EventKind, Polled};

use super::ground::LIMIT;

/// Time that every process of the machine counts alike.
pub(crate) fn monotonic() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is writable; the clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn tell(word: &str, numbers: impl Iterator<Item = i64>) {
    let mut line = format!("{} {word}", monotonic());
    for number in numbers {
        line.push_str(&format!(" {number}"));
    }
    line.push('\n');
    let mut out = std::io::stdout().lock();
    // Nobody listens any more: the parent has gone.
    if out.write_all(line.as_bytes()).is_err() || out.flush().is_err() {
        std::process::exit(0);
    }
}

/// What `--member` does: bootstrap servers, topic, group, protocol.
pub(crate) fn run(arguments: &[String]) {
    let [servers, topic, group, protocol] = arguments else {
        panic!("--member SERVERS TOPIC GROUP PROTOCOL");
    };
    let mut pairs = vec![
        ("bootstrap.servers", &**servers),
        ("group.id", &**group),
        ("group.protocol", &**protocol),
        ("auto.offset.reset", "earliest"),
        ("auto.commit.interval.ms", "200"),
        ("request.timeout.ms", "3000"),
        ("reconnect.backoff.max.ms", "250"),
    ];
    if protocol == "classic" {
        pairs.push(("session.timeout.ms", "6000"));
        pairs.push(("heartbeat.interval.ms", "500"));
    }
    let consumer = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
    consumer.subscribe(&[topic]).unwrap();
    static LEAVE: AtomicBool = AtomicBool::new(false);
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        LEAVE.store(true, Ordering::Relaxed);
    });
    while !LEAVE.load(Ordering::Relaxed) {
        match consumer.poll(500, Duration::from_millis(100)) {
            Ok(Polled::Batch(batch)) => {
                for segment in batch.segments() {
                    let offsets = &batch.columns().offsets[segment.rows()];
                    let partition = i64::from(segment.partition());
                    tell(
                        "read",
                        std::iter::once(partition).chain(offsets.iter().copied()),
                    );
                }
            }
            Ok(Polled::Event(event)) => {
                let word = match event.kind {
                    EventKind::PartitionsAssigned => "assigned",
                    EventKind::PartitionsRevoked => "revoked",
                    EventKind::PartitionsLost => "lost",
                    _ => continue,
                };
                tell(word, event.partitions.iter().map(|(_, p)| i64::from(*p)));
            }
            Ok(Polled::Nothing) => {}
            // Brokers that are down while this starts are not its end.
            Err(e) if e.is_retriable() => std::thread::sleep(Duration::from_millis(100)),
            Err(e) => panic!("{e}"),
        }
    }
    // Nothing is read from here on; others may have the partitions before this one is told that it has left.
    tell("left", std::iter::empty());
    let _ = consumer.close(LIMIT);
}
