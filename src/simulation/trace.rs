//! What happened, in order: hashed always, so that two runs can be compared, and printed if asked for.

use std::fmt::Arguments;
use std::time::Duration;

/// The trace of one run.
pub(super) struct Trace {
    hash: u64,
    events: u64,
    print: bool,
}

impl Trace {
    pub(super) fn new(print: bool) -> Self {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,
            events: 0,
            print,
        }
    }

    /// Notes an event with what tells it from others; `text` is for whoever reads the printed trace.
    pub(super) fn note(
        &mut self,
        at: Duration,
        what: &'static str,
        numbers: [u64; 3],
        text: Arguments<'_>,
    ) {
        self.events += 1;
        let at = at.as_nanos() as u64;
        for word in [at, what.len() as u64, numbers[0], numbers[1], numbers[2]] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash ^= self.hash >> 29;
        }
        for byte in what.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.print {
            println!("{:>12.6} {what:<11} {text}", at as f64 / 1e9);
        }
    }

    /// Whether what happens is printed.
    pub(super) fn prints(&self) -> bool {
        self.print
    }

    /// Prints what a program has to tell, which is no event.
    pub(super) fn tell(&self, at: Duration, client: usize, note: &str) {
        println!(
            "{:>12.6} program     client {client}: {note}",
            at.as_nanos() as f64 / 1e9
        );
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }
}
