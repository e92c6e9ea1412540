//! What programs hold.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::change::{Change, ChangeTopics};
use super::describe::{Cluster, Describe, List, Named, View};
use super::role::{AdminRole, NewCall, Operation, Shared};
use super::types::{
    ClusterDescription, NewPartitions, NewTopic, TopicDescription, TopicListing, TopicResult,
};
use crate::client::driver;
use crate::client::engine::Engine;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::cluster;
use crate::cluster::core::Core;
use crate::config::{AdminConfig, FOREVER};
use crate::error::{Error, ErrorCode, Result};
use crate::log::{LogLine, LogRing};
use crate::net::io_thread;
use crate::net::socket::SocketOptions;

/// How much later than its deadline a caller gives up on an I/O thread that doesn't answer.
const SLACK: Duration = Duration::from_secs(5);

/// An administration client: topics are created, deleted, listed, described.
///
/// All methods may be called from many threads at once; each blocks until it is done or its timeout is over.
/// Failures of connections and of controllers are tried again within it, with growing pauses. Until a broker has
/// been reached for the first time, calls fail after `socket.connection.setup.timeout.ms` even if their timeout
/// is longer.
///
/// ```no_run
/// use std::time::Duration;
/// use ottla::admin::{Admin, NewTopic};
/// use ottla::config::AdminConfig;
///
/// # fn main() -> ottla::Result<()> {
/// let admin = Admin::new(AdminConfig::from_pairs([("bootstrap.servers", "localhost:9092")])?)?;
/// for topic in admin.create_topics(&[NewTopic::new("orders", 8, -1)], Duration::from_secs(10), false)? {
///     match topic.error {
///         None => println!("{} has {} partitions", topic.name, topic.partitions),
///         Some(error) => println!("{error}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Admin {
    pub(super) shared: Arc<Shared>,
    pub(super) waker: Waker,
    log: Arc<LogRing>,
    default_timeout: Duration,
    /// The fork generation this client belongs to.
    born: u32,
}

impl Admin {
    /// Makes a client. Nothing is connected yet; see [`Admin::connect`].
    ///
    /// # Errors
    /// IO if the I/O thread cannot be started.
    pub fn new(config: AdminConfig) -> Result<Admin> {
        let options = SocketOptions::of(&config.common);
        let (admin, make) = Self::parts(config, Clock::System);
        driver::spawn(admin.waker.clone(), options, make)?;
        Ok(admin)
    }

    /// A client, and what makes its I/O side.
    pub(crate) fn parts(
        config: AdminConfig,
        clock: Clock,
    ) -> (
        Admin,
        impl FnOnce(Instant) -> Engine<AdminRole> + Send + 'static,
    ) {
        let common = Arc::new(config.common);
        let log = cluster::client_log(&common, &clock);
        let (shared, waker) = (Arc::new(Shared::default()), Waker::default());
        let (role, core_log) = (AdminRole::new(shared.clone(), config.retries), log.clone());
        let make = move |now| Engine::new(Core::new(common, core_log, clock, now), role);
        let admin = Admin {
            shared,
            waker,
            log,
            default_timeout: config.default_api_timeout,
            born: io_thread::generation(),
        };
        (admin, make)
    }

    /// `default.api.timeout.ms`: the timeout for callers that have no wish of their own.
    pub fn default_timeout(&self) -> Duration {
        self.default_timeout
    }

    /// Waits until the cluster has told its brokers and a connection to one of them stands, at its advertised
    /// address. Other calls do this by themselves; it is for finding out early.
    ///
    /// # Errors
    /// After `timeout`, or as soon as waiting is of no use: each broker tried, as given and as advertised, with the
    /// stage that failed (name look-up, TCP connect, ApiVersions, Metadata) and the reason.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        io_thread::check_generation(self.born)?;
        self.shared.connects.connect(&self.waker, timeout)
    }

    /// Creates topics. There is a result for each, in order.
    ///
    /// When it returns, the metadata of the broker that was asked shows the new topics with a leader for each
    /// partition, so that what comes next can use them; brokers learn of new topics a moment after the controllers.
    /// (If the timeout ends that wait, a topic that was created is a success nevertheless.) With `validate_only`
    /// nothing is created, only checked.
    ///
    /// # Errors
    /// Of the call as a whole: no broker reached, out of time, a topic given twice. Of one topic, in its result:
    /// TOPIC_ALREADY_EXISTS, INVALID_REPLICATION_FACTOR, INVALID_TOPIC_EXCEPTION and others of Kafka's.
    pub fn create_topics(
        &self,
        topics: &[NewTopic],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Vec<TopicResult>> {
        self.change(
            Change::Create {
                topics: topics.to_vec(),
                validate_only,
            },
            topics.is_empty(),
            timeout,
        )
    }

    /// Deletes topics with all they hold. There is a result for each, in order. When it returns, the metadata of
    /// the broker that was asked no longer shows them.
    ///
    /// # Errors
    /// As [`Admin::create_topics`]; UNKNOWN_TOPIC_OR_PARTITION for a topic that is not there.
    pub fn delete_topics<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Vec<TopicResult>> {
        self.change(Change::Delete(owned(names)), names.is_empty(), timeout)
    }

    /// Gives topics more partitions. There is a result for each, in order. Records with keys go to other partitions
    /// than before. When it returns, the metadata of the broker that was asked shows the new partitions with
    /// leaders.
    ///
    /// # Errors
    /// As [`Admin::create_topics`]; INVALID_PARTITIONS if a topic has as many or more already.
    pub fn create_partitions(
        &self,
        topics: &[NewPartitions],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Vec<TopicResult>> {
        self.change(
            Change::Grow {
                topics: topics.to_vec(),
                validate_only,
            },
            topics.is_empty(),
            timeout,
        )
    }

    /// Lists topics, sorted by name; Kafka's own only if `include_internal`.
    ///
    /// # Errors
    /// No broker reached, out of time.
    pub fn list_topics(
        &self,
        timeout: Duration,
        include_internal: bool,
    ) -> Result<Vec<TopicListing>> {
        self.describe(
            List {
                internal: include_internal,
            },
            timeout,
        )
    }

    /// Describes topics, in order. One that doesn't exist has an error in its description, and is not created.
    ///
    /// # Errors
    /// Of the call as a whole: no broker reached, out of time.
    pub fn describe_topics<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Vec<TopicDescription>> {
        if names.is_empty() {
            io_thread::check_generation(self.born)?;
            return Ok(Vec::new());
        }
        self.describe(
            Named {
                names: owned(names),
            },
            timeout,
        )
    }

    /// Describes the cluster: id, controller, brokers.
    ///
    /// # Errors
    /// No broker reached, out of time.
    pub fn describe_cluster(&self, timeout: Duration) -> Result<ClusterDescription> {
        self.describe(Cluster, timeout)
    }

    /// Moves up to `max` log lines into `out`; answers how many are left.
    pub fn log_lines(&self, max: usize, out: &mut Vec<LogLine>) -> usize {
        self.log.drain(max, out)
    }

    /// Takes no more calls, gives those of other threads up to `timeout` to end (then they fail with CLOSED), and
    /// closes the connections. From any thread; calling it again does nothing.
    ///
    /// # Errors
    /// FORKED in a child process; the parent's connections are left alone. TIMED_OUT if the I/O thread hangs.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        io_thread::check_generation(self.born)?;
        let by = Instant::now() + timeout.min(FOREVER);
        self.shared.close(by);
        self.waker.wake();
        if self.shared.wait_ended(by + SLACK) {
            self.waker.wait_ended();
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::TIMED_OUT,
            format!("close: the I/O thread has not ended the client within {timeout:?}"),
        ))
    }

    fn change(&self, change: Change, empty: bool, timeout: Duration) -> Result<Vec<TopicResult>> {
        if empty {
            io_thread::check_generation(self.born)?;
            return Ok(Vec::new());
        }
        self.call(timeout, |answer| {
            Ok(Box::new(ChangeTopics::new(change, answer)?))
        })
    }

    fn describe<V: View + 'static>(&self, view: V, timeout: Duration) -> Result<V::Output> {
        self.call(timeout, |answer| Ok(Box::new(Describe::new(view, answer))))
    }

    fn call<T>(
        &self,
        timeout: Duration,
        make: impl FnOnce(SyncSender<Result<T>>) -> Result<Box<dyn Operation>>,
    ) -> Result<T> {
        io_thread::check_generation(self.born)?;
        let timeout = timeout.min(FOREVER);
        let (answer, reply) = sync_channel(1);
        let operation = make(answer)?;
        let name = operation.name();
        let since = Instant::now();
        self.shared.push(NewCall {
            operation,
            since,
            deadline: since + timeout,
        })?;
        self.waker.wake();
        reply.recv_timeout(timeout + SLACK).unwrap_or_else(|why| {
            let what = match why {
                RecvTimeoutError::Timeout => format!("has not answered within {timeout:?}"),
                RecvTimeoutError::Disconnected => "has dropped the call".to_owned(),
            };
            Err(Error::new(
                ErrorCode::TIMED_OUT,
                format!("{name}: the I/O thread {what}"),
            ))
        })
    }
}

fn owned<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    names.iter().map(|n| n.as_ref().to_owned()).collect()
}

impl Drop for Admin {
    fn drop(&mut self) {
        // In a forked child the I/O side is the parent's, and its locks may be held for ever.
        if io_thread::check_generation(self.born).is_ok() {
            self.shared.close(Instant::now());
            self.waker.wake();
            self.waker.leave();
        }
    }
}
