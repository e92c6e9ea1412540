//! Logs: lines in a bounded ring that the program drains, limited per cause.
//!
//! Nothing is ever written to stderr unless the environment variable `OTTLA_LOG` names a level
//! (`error`, `warn`, `info`, `debug` or `trace`), but for one line at the process's end if records are lost by it;
//! `off` silences that too.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use once_cell::sync::OnceCell;

/// The number of lines that a ring holds by default.
pub const DEFAULT_CAPACITY: usize = 1024;

/// The wait after the first line of a cause; it doubles with each further line.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
/// The longest wait between two lines of a cause, and the quiet after which it counts as new.
const LAST_INTERVAL: Duration = Duration::from_secs(300);
/// How many causes are remembered; the one unseen for longest is forgotten first.
const MAX_CAUSES: usize = 1024;

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// A requested operation failed.
    Error = 1,
    /// Something is wrong, but may recover without intervention.
    Warn = 2,
    /// A noteworthy change.
    Info = 3,
    /// The client's decisions and their reasons.
    Debug = 4,
    /// Every request and response.
    Trace = 5,
}

impl Level {
    /// The name of the level, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }

    fn from_name(name: &str) -> Option<Level> {
        [
            Level::Error,
            Level::Warn,
            Level::Info,
            Level::Debug,
            Level::Trace,
        ]
        .into_iter()
        .find(|level| name.trim().eq_ignore_ascii_case(level.name()))
    }
}

/// Whether `OTTLA_LOG=off` asks for nothing at all on stderr.
pub(crate) fn is_silenced() -> bool {
    std::env::var("OTTLA_LOG").is_ok_and(|level| level.trim().eq_ignore_ascii_case("off"))
}

/// 0 is off; a line is wanted if its level is not above the number.
fn number(level: Option<Level>) -> u8 {
    level.map_or(0, |level| level as u8)
}

/// A log line.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The severity.
    pub level: Level,
    /// When it happened.
    pub time: SystemTime,
    /// The part of the client that logged it, for example `connect`.
    pub facility: &'static str,
    /// The `client.id`.
    pub client_id: Arc<str>,
    /// What happened, without the number of repetitions.
    pub message: String,
    /// The number of lines with the same cause that were left out since the previous one.
    pub repeated: u64,
}

/// As on stderr: seconds since 1970, level, client, facility, message.
impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (level, client) = (self.level.name(), &self.client_id);
        write!(
            f,
            "{}.{:03} {level} ",
            since.as_secs(),
            since.subsec_millis()
        )?;
        write!(f, "[{client}] {}: {}", self.facility, self.message)?;
        match self.repeated {
            0 => Ok(()),
            n => write!(f, " (and {n} more like it before)"),
        }
    }
}

type Hook = Arc<dyn Fn() + Send + Sync>;

/// A client's log: bounded, drained in batches. All methods may be called from any thread.
///
/// When it is full, the oldest lines make room, and the next drain begins with a line that
/// tells how many were lost.
pub struct LogRing {
    client_id: Arc<str>,
    capacity: usize,
    /// What is kept for the program.
    level: AtomicU8,
    /// What is written to stderr.
    stderr: u8,
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
    suppressed: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: VecDeque<LogLine>,
    lost: u64,
    /// When the newest lost line happened.
    lost_until: Option<SystemTime>,
    causes: HashMap<u64, Cause>,
}

struct Cause {
    last_seen: Instant,
    next: Instant,
    interval: Duration,
    suppressed: u64,
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }

    fn count(&self) -> usize {
        self.lines.len() + usize::from(self.lost > 0)
    }

    /// Whether a line of this cause is due, and then how many were left out before it.
    fn admit(&mut self, cause: u64, now: Instant) -> Option<u64> {
        if let Some(known) = self.causes.get_mut(&cause) {
            let quiet = now.saturating_duration_since(known.last_seen);
            known.last_seen = now;
            if quiet >= LAST_INTERVAL {
                known.interval = FIRST_INTERVAL;
            } else if now < known.next {
                known.suppressed += 1;
                return None;
            } else {
                known.interval = (known.interval * 2).min(LAST_INTERVAL);
            }
            known.next = now + known.interval;
            return Some(std::mem::take(&mut known.suppressed));
        }
        if self.causes.len() >= MAX_CAUSES {
            let oldest = self
                .causes
                .iter()
                .min_by_key(|(id, cause)| (cause.last_seen, **id));
            if let Some(oldest) = oldest.map(|(id, _)| *id) {
                self.causes.remove(&oldest);
            }
        }
        let next = now + FIRST_INTERVAL;
        let fresh = Cause {
            last_seen: now,
            next,
            interval: FIRST_INTERVAL,
            suppressed: 0,
        };
        self.causes.insert(cause, fresh);
        Some(0)
    }
}

impl LogRing {
    /// A ring of [`DEFAULT_CAPACITY`] lines that keeps lines up to `level` (`None`: none at all).
    pub fn new(client_id: &str, level: Option<Level>) -> Self {
        static STDERR: OnceCell<Option<Level>> = OnceCell::new();
        let stderr = *STDERR.get_or_init(|| Level::from_name(&std::env::var("OTTLA_LOG").ok()?));
        Self::with(client_id, level, DEFAULT_CAPACITY, stderr)
    }

    fn with(client_id: &str, level: Option<Level>, capacity: usize, stderr: Option<Level>) -> Self {
        LogRing {
            client_id: client_id.into(),
            capacity: capacity.max(1),
            level: AtomicU8::new(number(level)),
            stderr: number(stderr),
            state: Mutex::default(),
            hook: Mutex::default(),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Changes what is kept from now on.
    pub fn set_level(&self, level: Option<Level>) {
        self.level.store(number(level), Ordering::Relaxed);
    }

    /// True if a line of this level would go anywhere.
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.stderr.max(self.level.load(Ordering::Relaxed))
    }

    /// Calls `hook` whenever the ring becomes non-empty, and at once if it is not empty now. It runs on
    /// the thread that logs, so it only wakes somebody; spurious calls are possible.
    pub fn set_hook(&self, hook: impl Fn() + Send + Sync + 'static) {
        let hook: Hook = Arc::new(hook);
        *lock(&self.hook) = Some(hook.clone());
        if !lock(&self.state).is_empty() {
            hook();
        }
    }

    /// Logs a line, unless one of the same facility and cause was logged a short while ago: the first goes
    /// out at once, further ones after 1 s, 2 s, 4 s and so on up to 5 minutes, with the number left
    /// out between. After 5 quiet minutes a cause counts as new.
    ///
    /// `now` drives the limit, `wall` is the line's time. `message` is called only if the line goes out.
    pub fn log(
        &self,
        level: Level,
        facility: &'static str,
        cause: impl Hash,
        now: Instant,
        wall: SystemTime,
        message: impl FnOnce() -> String,
    ) {
        if !self.enabled(level) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        (facility, level, cause).hash(&mut hasher);
        let Some(repeated) = lock(&self.state).admit(hasher.finish(), now) else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let client_id = self.client_id.clone();
        // Outside the lock: it is the caller's code, and may itself log.
        let message = message();
        let line = LogLine {
            level,
            time: wall,
            facility,
            client_id,
            message,
            repeated,
        };
        if level as u8 <= self.stderr {
            // A closed stderr is nothing to report, least of all on stderr.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        if level as u8 <= self.level.load(Ordering::Relaxed) {
            self.push(line);
        }
    }

    fn push(&self, line: LogLine) {
        let was_empty = {
            let mut state = lock(&self.state);
            let was_empty = state.is_empty();
            if state.lines.len() >= self.capacity
                && let Some(oldest) = state.lines.pop_front()
            {
                state.lost += 1;
                state.lost_until = Some(oldest.time);
            }
            state.lines.push_back(line);
            was_empty
        };
        if was_empty {
            let hook = lock(&self.hook).clone();
            if let Some(hook) = hook {
                hook();
            }
        }
    }

    /// Appends up to `max` of the oldest lines to `out`, and returns how many are left.
    pub fn drain(&self, max: usize, out: &mut Vec<LogLine>) -> usize {
        let mut state = lock(&self.state);
        let mut room = max;
        if room > 0 && state.lost > 0 {
            let lost = std::mem::take(&mut state.lost);
            out.push(LogLine {
                level: Level::Warn,
                time: state.lost_until.take().unwrap_or(UNIX_EPOCH),
                facility: "log",
                client_id: self.client_id.clone(),
                message: format!(
                    "{lost} older log lines were lost, because the log holds {} and was not drained in time",
                    self.capacity
                ),
                repeated: 0,
            });
            room -= 1;
        }
        let count = room.min(state.lines.len());
        out.extend(state.lines.drain(..count));
        state.count()
    }

    /// How many lines wait to be drained.
    pub fn len(&self) -> usize {
        lock(&self.state).count()
    }

    /// True if nothing waits to be drained.
    pub fn is_empty(&self) -> bool {
        lock(&self.state).is_empty()
    }

    /// How many lines were left out since the client began, because their cause had just been logged.
    pub fn suppressed(&self) -> u64 {
        self.suppressed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for LogRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRing")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves the state whole: no method panics half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// A ring with a clock of its own, in seconds.
    struct Mock {
        ring: LogRing,
        start: Instant,
    }

    impl Mock {
        fn new(level: Option<Level>, capacity: usize) -> Self {
            Mock {
                ring: LogRing::with("me", level, capacity, None),
                start: Instant::now(),
            }
        }

        fn log(&self, at: f64, level: Level, cause: u32, message: &str) {
            let after = Duration::from_secs_f64(at);
            let (now, wall) = (self.start + after, UNIX_EPOCH + after);
            self.ring
                .log(level, "connect", cause, now, wall, || message.to_owned());
        }

        fn drain(&self, max: usize) -> Vec<LogLine> {
            let mut out = Vec::new();
            self.ring.drain(max, &mut out);
            out
        }
    }

    #[test]
    fn a_cause_is_logged_at_growing_intervals() {
        let mock = Mock::new(Some(Level::Info), 100_000);
        for tenth in 0..20_000_u32 {
            mock.log(f64::from(tenth) / 10.0, Level::Warn, 1, "refused");
        }
        let lines = mock.drain(usize::MAX);
        let times: Vec<u64> = lines
            .iter()
            .map(|line| line.time.duration_since(UNIX_EPOCH).unwrap().as_secs())
            .collect();
        assert_eq!(
            times,
            [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711]
        );
        let left_out: Vec<u64> = lines.iter().map(|line| line.repeated).collect();
        assert_eq!(left_out[..4], [0, 9, 19, 39]);
        assert_eq!(left_out[13], 2999);
        let after_the_last = 20_000 - 17_110 - 1;
        assert_eq!(
            left_out.iter().sum::<u64>() + after_the_last,
            mock.ring.suppressed()
        );
        assert_eq!(mock.ring.suppressed() + 14, 20_000);
        assert_eq!(
            lines[1].to_string(),
            "1.000 warn [me] connect: refused (and 9 more like it before)"
        );
        assert_eq!(lines[0].to_string(), "0.000 warn [me] connect: refused");
    }

    #[test]
    fn after_a_quiet_time_a_cause_is_new() {
        let mock = Mock::new(Some(Level::Info), 100);
        for at in [0.0, 0.5, 1.0, 1.5, 310.0, 310.5, 311.0, 311.5] {
            mock.log(at, Level::Warn, 1, "refused");
        }
        let seen: Vec<(u64, u64)> = mock
            .drain(100)
            .iter()
            .map(|line| {
                (
                    line.time.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64,
                    line.repeated,
                )
            })
            .collect();
        assert_eq!(seen, [(0, 0), (1000, 1), (310_000, 1), (311_000, 1)]);
    }

    #[test]
    fn causes_levels_and_facilities_are_limited_apart() {
        let mock = Mock::new(Some(Level::Info), 100);
        mock.log(0.0, Level::Warn, 1, "a");
        mock.log(0.0, Level::Warn, 2, "b");
        mock.log(0.0, Level::Info, 1, "c");
        mock.ring
            .log(Level::Warn, "fetch", 1_u32, mock.start, UNIX_EPOCH, || {
                "d".to_owned()
            });
        mock.log(0.0, Level::Warn, 1, "left out");
        let messages: Vec<String> = mock
            .drain(100)
            .into_iter()
            .map(|line| line.message)
            .collect();
        assert_eq!(messages, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_line_below_the_level_is_never_built() {
        let mock = Mock::new(Some(Level::Warn), 100);
        let build = || -> String { panic!("built though nobody wants it") };
        mock.ring
            .log(Level::Info, "connect", 1, mock.start, UNIX_EPOCH, build);
        mock.ring.set_level(None);
        mock.ring
            .log(Level::Error, "connect", 1, mock.start, UNIX_EPOCH, build);
        assert!(mock.ring.is_empty() && !mock.ring.enabled(Level::Error));
        mock.ring.set_level(Some(Level::Trace));
        mock.log(0.0, Level::Trace, 1, "all");
        assert_eq!(mock.ring.len(), 1);
    }

    #[test]
    fn overflow_loses_the_oldest_and_says_so() {
        let mock = Mock::new(Some(Level::Info), 3);
        for cause in 0..10 {
            mock.log(f64::from(cause), Level::Info, cause, &cause.to_string());
        }
        assert_eq!(mock.ring.len(), 4);
        let mut lines = Vec::new();
        assert_eq!(mock.ring.drain(2, &mut lines), 2);
        assert_eq!(mock.ring.drain(2, &mut lines), 0);
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "7 older log lines were lost, because the log holds 3 and was not drained in time",
                "7",
                "8",
                "9"
            ]
        );
        assert_eq!(lines[0].level, Level::Warn);
        assert!(lines.is_sorted_by_key(|line| line.time));
        assert!(mock.ring.is_empty());
        assert_eq!(mock.ring.drain(0, &mut lines), 0);
    }

    #[test]
    fn the_hook_runs_when_the_ring_becomes_non_empty() {
        let mock = Mock::new(Some(Level::Info), 2);
        let calls = Arc::new(AtomicUsize::new(0));
        let count = |calls: &Arc<AtomicUsize>| calls.load(Ordering::SeqCst);
        mock.log(0.0, Level::Info, 0, "before the hook");
        let hook = calls.clone();
        mock.ring.set_hook(move || {
            hook.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(count(&calls), 1);
        for cause in 1..5 {
            mock.log(0.0, Level::Info, cause, "more");
        }
        assert_eq!(count(&calls), 1);
        mock.drain(1);
        mock.log(0.0, Level::Info, 6, "not empty yet");
        assert_eq!(count(&calls), 1);
        mock.drain(100);
        mock.log(0.0, Level::Info, 7, "again");
        assert_eq!(count(&calls), 2);
    }

    #[test]
    fn remembered_causes_are_bounded() {
        let mock = Mock::new(Some(Level::Info), 1);
        for cause in 0..3000 {
            mock.log(f64::from(cause) / 1e6, Level::Info, cause, "x");
        }
        assert_eq!(lock(&mock.ring.state).causes.len(), MAX_CAUSES);
        mock.drain(100);
        mock.log(0.5, Level::Info, 2999, "remembered");
        assert!(mock.ring.is_empty());
        mock.log(0.5, Level::Info, 0, "forgotten, so new");
        assert_eq!(mock.ring.len(), 1);
    }

    #[test]
    fn a_message_may_log_itself_and_threads_may_log_at_once() {
        let mock = Mock::new(Some(Level::Info), 100_000);
        mock.ring
            .log(Level::Info, "outer", 1, mock.start, UNIX_EPOCH, || {
                mock.log(0.0, Level::Info, 1, "inner");
                "outer".to_owned()
            });
        assert_eq!(mock.drain(10).len(), 2);
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let mock = &mock;
                scope.spawn(move || {
                    for n in 0..200 {
                        mock.log(1.0, Level::Info, 1000 + thread * 200 + n, "x");
                        mock.log(1.0, Level::Info, 5, "shared");
                    }
                });
            }
        });
        assert_eq!(mock.drain(usize::MAX).len(), 801);
        assert_eq!(mock.ring.suppressed(), 799);
    }

    /// Also run by the next test in a process of its own, with other environments.
    #[test]
    fn a_new_ring_keeps_lines_up_to_its_level() {
        let ring = LogRing::new("stderr-test", Some(Level::Error));
        for level in [Level::Error, Level::Warn, Level::Info] {
            ring.log(level, "here", 0, Instant::now(), UNIX_EPOCH, || {
                "written".to_owned()
            });
        }
        assert_eq!(ring.len(), 1);
    }

    #[test]
    fn stderr_is_silent_unless_asked_for() {
        let stderr = |level: Option<&str>| {
            let mut test = std::process::Command::new(std::env::current_exe().unwrap());
            test.args([
                "--exact",
                "log::tests::a_new_ring_keeps_lines_up_to_its_level",
            ]);
            test.arg("--nocapture").env_remove("OTTLA_LOG");
            if let Some(level) = level {
                test.env("OTTLA_LOG", level);
            }
            let output = test.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("1 passed"),
                "{output:?}"
            );
            String::from_utf8(output.stderr).unwrap()
        };
        assert_eq!(stderr(None), "");
        assert_eq!(stderr(Some("nonsense")), "");
        assert_eq!(
            stderr(Some("warn")),
            "0.000 error [stderr-test] here: written\n0.000 warn [stderr-test] here: written\n"
        );
    }

    #[test]
    fn levels_by_name() {
        assert_eq!(Level::from_name(" WARN "), Some(Level::Warn));
        assert_eq!(Level::from_name("verbose"), None);
        assert_eq!(Level::from_name(""), None);
    }
}
