//! Where a client gets the time and its randomness from: the operating system, or a simulation.
//!
//! State machines on the I/O thread are handed the monotonic time with each event. This is for everyone else: the
//! callers' side of a client, log lines, and whoever needs a seed. Waits that block a thread stay on the real clock; a
//! simulation has one thread and never blocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::rng::Rng;

/// Monotonic clock, wall clock and source of seeds of one client.
///
/// Without the simulation it has one variant, so that asking it costs no more than asking the system.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    /// The operating system's.
    #[default]
    System,
    /// A simulation's: time passes only when it says so.
    #[cfg(any(test, feature = "simulation"))]
    Virtual(std::sync::Arc<VirtualClock>),
}

impl Clock {
    /// The monotonic time.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        match self {
            Clock::System => Instant::now(),
            #[cfg(any(test, feature = "simulation"))]
            Clock::Virtual(clock) => clock.now(),
        }
    }

    /// The wall clock, which may jump either way.
    #[inline]
    pub(crate) fn wall(&self) -> SystemTime {
        match self {
            Clock::System => SystemTime::now(),
            #[cfg(any(test, feature = "simulation"))]
            Clock::Virtual(clock) => clock.wall(),
        }
    }

    /// Milliseconds since 1970 by the wall clock.
    #[inline]
    pub(crate) fn wall_ms(&self) -> i64 {
        self.wall()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64)
    }

    /// As [`Clock::wall_ms`], but up to a fifth of a millisecond old: for those who ask for every record. `last` is the
    /// thread's.
    #[inline]
    pub(crate) fn recent_wall_ms(&self, last: &mut Recent) -> i64 {
        match self {
            Clock::System => last.get(|| self.wall_ms()),
            #[cfg(any(test, feature = "simulation"))]
            Clock::Virtual(_) => self.wall_ms(),
        }
    }

    /// A generator with a seed of its own.
    pub(crate) fn rng(&self) -> Rng {
        match self {
            Clock::System => Rng::from_os(),
            #[cfg(any(test, feature = "simulation"))]
            Clock::Virtual(clock) => clock.rng(),
        }
    }
}

/// The wall clock as a thread last read it, and when that was by the processor's own counter, which is read in less than
/// half the time.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    ticks: u64,
    wall_ms: i64,
}

impl Recent {
    /// Counters run at 1 to 6 GHz: so many ticks are 33 to 200 microseconds.
    const FRESH_TICKS: u64 = 200_000;

    #[inline]
    fn get(&mut self, read: impl FnOnce() -> i64) -> i64 {
        let Some(ticks) = ticks() else {
            return read();
        };
        // A thread that comes to another processor may meet a counter that is behind: then the difference is huge.
        if ticks.wrapping_sub(self.ticks) > Self::FRESH_TICKS || self.wall_ms == 0 {
            self.wall_ms = read();
            self.ticks = ticks;
        }
        self.wall_ms
    }
}

/// The processor's counter, where there is one that never stands still.
#[inline]
fn ticks() -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__cpuid, _rdtsc};
        use std::sync::atomic::{AtomicU8, Ordering};

        const UNKNOWN: u8 = 0;
        const STEADY: u8 = 1;
        const UNSTEADY: u8 = 2;
        static KIND: AtomicU8 = AtomicU8::new(UNKNOWN);

        #[cold]
        fn find_out() -> u8 {
            /// "Invariant TSC", in the leaf for power management.
            const LEAF: u32 = 0x8000_0007;
            let steady = __cpuid(0x8000_0000).eax >= LEAF && __cpuid(LEAF).edx & 1 << 8 != 0;
            let kind = if steady { STEADY } else { UNSTEADY };
            KIND.store(kind, Ordering::Relaxed);
            kind
        }

        let kind = match KIND.load(Ordering::Relaxed) {
            UNKNOWN => find_out(),
            kind => kind,
        };
        // SAFETY: reads a counter and nothing else; every x86_64 has it.
        (kind == STEADY).then(|| unsafe { _rdtsc() })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

#[cfg(any(test, feature = "simulation"))]
pub(crate) use virtual_clock::VirtualClock;

#[cfg(any(test, feature = "simulation"))]
mod virtual_clock {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use crate::rng::Rng;

    /// Time that is set by hand. One thread uses it; atomics are only there because clients' handles are shared.
    #[derive(Debug)]
    pub(crate) struct VirtualClock {
        /// Stands for the moment zero; an `Instant` can't be made of a number.
        start: Instant,
        nanos: AtomicU64,
        /// The wall clock in milliseconds since 1970 at the moment zero: it moves with the monotonic one, and jumps.
        wall_start: AtomicI64,
        seed: AtomicU64,
    }

    impl VirtualClock {
        /// At the moment zero, `wall_ms` milliseconds after 1970.
        pub(crate) fn new(seed: u64, wall_ms: i64) -> Self {
            VirtualClock {
                start: Instant::now(),
                nanos: AtomicU64::new(0),
                wall_start: AtomicI64::new(wall_ms),
                seed: AtomicU64::new(seed),
            }
        }

        /// Moves on to `at`, counted from the moment zero. Never goes back.
        pub(crate) fn advance_to(&self, at: Duration) {
            self.nanos
                .fetch_max(at.as_nanos() as u64, Ordering::Relaxed);
        }

        /// The time since the moment zero.
        pub(crate) fn elapsed(&self) -> Duration {
            Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
        }

        /// The moment `at` counts from.
        pub(crate) fn start(&self) -> Instant {
            self.start
        }

        pub(crate) fn now(&self) -> Instant {
            self.start + self.elapsed()
        }

        /// Sets the wall clock forward, or back.
        pub(crate) fn jump_wall(&self, ms: i64) {
            self.wall_start.fetch_add(ms, Ordering::Relaxed);
        }

        pub(crate) fn wall(&self) -> SystemTime {
            let start = self.wall_start.load(Ordering::Relaxed).max(0) as u64;
            UNIX_EPOCH + Duration::from_millis(start) + self.elapsed()
        }

        pub(crate) fn rng(&self) -> Rng {
            Rng::new(self.seed.fetch_add(1, Ordering::Relaxed))
        }
    }
}

/// The earlier of two times, where there are any.
pub(crate) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_recent_time_is_the_time() {
        let (clock, mut last) = (Clock::System, Recent::default());
        for _ in 0..2000 {
            let before = clock.wall_ms();
            let recent = clock.recent_wall_ms(&mut last);
            // One millisecond more than it may be old, as both are cut off to whole ones.
            assert!((before - 1..=clock.wall_ms()).contains(&recent));
            std::thread::sleep(Duration::from_micros(50));
        }
        let virtually = Clock::Virtual(Arc::new(VirtualClock::new(7, 5)));
        assert_eq!(virtually.recent_wall_ms(&mut last), 5);
    }

    #[test]
    fn virtual_time_moves_only_when_told_and_the_wall_may_jump() {
        let time = Arc::new(VirtualClock::new(7, 1_000_000));
        let clock = Clock::Virtual(time.clone());
        let before = clock.now();
        assert_eq!(clock.now(), before);
        time.advance_to(Duration::from_millis(1500));
        time.advance_to(Duration::from_millis(200));
        assert_eq!(clock.now() - before, Duration::from_millis(1500));
        assert_eq!(clock.now() - time.start(), time.elapsed());
        assert_eq!(clock.wall_ms(), 1_001_500);
        time.jump_wall(-500_000);
        assert_eq!(clock.wall_ms(), 501_500);
        assert_eq!(clock.now() - before, Duration::from_millis(1500));
        let (mut a, mut b) = (clock.rng(), clock.rng());
        assert_ne!(a.next(), b.next());
        let again = Clock::Virtual(Arc::new(VirtualClock::new(7, 0)));
        assert_eq!(again.rng().next(), Rng::new(7).next());
    }
}
