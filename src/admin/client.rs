//! What programs hold.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::change::{Change, ChangeTopics};
use super::describe::{Cluster, Describe, List, Named, View};
use super::role::{AdminRole, NewCall, Operation, Shared};
use super::types::{
    ClusterDescription, NewPartitions, NewTopic, TopicDescription, TopicListing, TopicResult,
};
use crate::client::calls::{Call, GRACE, Reply, later, question};
use crate::client::driver;
use crate::client::engine::Engine;
use crate::client::mailbox::Answer;
use crate::client::waker::Waker;
use crate::clock::Clock;
use crate::cluster;
use crate::cluster::core::Core;
use crate::config::AdminConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::log::{LogLine, LogRing};
use crate::net::io_thread;
use crate::net::socket::SocketOptions;

/// An administration client: creates, deletes, lists and describes topics.
///
/// All methods may be called from many threads at once; each blocks until it is done or its timeout is over.
/// Connection failures, and failures of controllers, are retried within it, at growing intervals. Until a broker has
/// been reached for the first time, calls fail after `socket.connection.setup.timeout.ms` even if their timeout is
/// longer.
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
    clock: Clock,
    default_timeout: Duration,
    /// The fork generation this client belongs to.
    born: u32,
}

impl Admin {
    /// Creates a client. It connects when needed; see [`Admin::connect`].
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
        let (log, ours) = (cluster::client_log(&common, &clock), clock.clone());
        let (shared, waker) = (Arc::new(Shared::default()), Waker::default());
        let (role, core_log) = (AdminRole::new(shared.clone(), config.retries), log.clone());
        let make = move |now| Engine::new(Core::new(common, core_log, clock, now), role);
        let admin = Admin {
            shared,
            waker,
            log,
            clock: ours,
            default_timeout: config.default_api_timeout,
            born: io_thread::generation(),
        };
        (admin, make)
    }

    /// Returns `default.api.timeout.ms`: the timeout for callers without a timeout of theirs.
    pub fn default_timeout(&self) -> Duration {
        self.default_timeout
    }

    /// Waits until the cluster has reported its brokers and a connection to one of them is established, at its
    /// advertised address. Not needed before other calls; it lets a program find out early.
    ///
    /// # Errors
    /// After `timeout`, or as soon as further waiting cannot help: each broker tried, as configured and as
    /// advertised, with the stage that failed (name lookup, TCP connect, ApiVersions, Metadata) and the reason.
    pub fn connect(&self, timeout: Duration) -> Result<()> {
        self.connect_async(timeout)?.wait()
    }

    /// [`Admin::connect`] without waiting.
    ///
    /// # Errors
    /// CLOSED, FORKED; the call's are those of [`Admin::connect`].
    pub fn connect_async(&self, timeout: Duration) -> Result<Call<()>> {
        io_thread::check_generation(self.born)?;
        self.shared
            .connects
            .ask(&self.waker, self.clock.now(), timeout)
    }

    /// Has the answer to a call put into the mailbox, under `token`.
    pub(crate) fn answered<T: Send + Sync + 'static>(
        &self,
        call: Call<T>,
        token: u64,
    ) -> Result<()> {
        call.answer_to(&self.shared, |shared| &shared.mailbox, token);
        Ok(())
    }

    /// Waits up to `timeout` for an answer to an asynchronous call; `None` if none comes in time.
    ///
    /// # Errors
    /// CLOSED if the client is closed and no answer will come.
    pub fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
        io_thread::check_generation(self.born)?;
        self.shared.mailbox.next_answer(timeout)
    }

    /// Returns a descriptor that is readable while answers are available. It is owned by the client: only wait on it.
    ///
    /// # Errors
    /// IO if the operating system has none left.
    pub fn descriptor(&self) -> Result<isize> {
        io_thread::check_generation(self.born)?;
        self.shared.mailbox.descriptor()
    }

    /// Creates topics, and returns a result for each, in order.
    ///
    /// When it returns, the metadata of the broker that was asked shows the new topics with a leader for each
    /// partition, so that later calls can use them; brokers learn of new topics a moment after the controllers. (If
    /// the timeout ends that wait, a topic that was created is still a success.) With `validate_only` the request is
    /// checked and nothing is created.
    ///
    /// # Errors
    /// Of the call as a whole: no broker reached, timeout, a topic given twice. Of one topic, in its result:
    /// TOPIC_ALREADY_EXISTS, INVALID_REPLICATION_FACTOR, INVALID_TOPIC_EXCEPTION and others of Kafka's.
    pub fn create_topics(
        &self,
        topics: &[NewTopic],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Vec<TopicResult>> {
        self.create_topics_async(topics, timeout, validate_only)?
            .wait()
    }

    /// [`Admin::create_topics`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::create_topics`].
    pub fn create_topics_async(
        &self,
        topics: &[NewTopic],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Call<Vec<TopicResult>>> {
        self.change(
            Change::Create {
                topics: topics.to_vec(),
                validate_only,
            },
            topics.is_empty(),
            timeout,
        )
    }

    /// Deletes topics with all their records, and returns a result for each, in order. When it returns, the metadata
    /// of the broker that was asked no longer shows them.
    ///
    /// # Errors
    /// As [`Admin::create_topics`]; UNKNOWN_TOPIC_OR_PARTITION for a topic that does not exist.
    pub fn delete_topics<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Vec<TopicResult>> {
        self.delete_topics_async(names, timeout)?.wait()
    }

    /// [`Admin::delete_topics`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::delete_topics`].
    pub fn delete_topics_async<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Call<Vec<TopicResult>>> {
        self.change(Change::Delete(owned(names)), names.is_empty(), timeout)
    }

    /// Increases the number of partitions of topics, and returns a result for each, in order. Records with keys may
    /// then go to different partitions than before. When it returns, the metadata of the broker that was asked shows
    /// the new partitions with leaders.
    ///
    /// # Errors
    /// As [`Admin::create_topics`]; INVALID_PARTITIONS if a topic already has that many partitions or more.
    pub fn create_partitions(
        &self,
        topics: &[NewPartitions],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Vec<TopicResult>> {
        self.create_partitions_async(topics, timeout, validate_only)?
            .wait()
    }

    /// [`Admin::create_partitions`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::create_partitions`].
    pub fn create_partitions_async(
        &self,
        topics: &[NewPartitions],
        timeout: Duration,
        validate_only: bool,
    ) -> Result<Call<Vec<TopicResult>>> {
        self.change(
            Change::Grow {
                topics: topics.to_vec(),
                validate_only,
            },
            topics.is_empty(),
            timeout,
        )
    }

    /// Lists topics, sorted by name; internal topics only if `include_internal` is true.
    ///
    /// # Errors
    /// No broker reached, timeout.
    pub fn list_topics(
        &self,
        timeout: Duration,
        include_internal: bool,
    ) -> Result<Vec<TopicListing>> {
        self.list_topics_async(timeout, include_internal)?.wait()
    }

    /// [`Admin::list_topics`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::list_topics`].
    pub fn list_topics_async(
        &self,
        timeout: Duration,
        include_internal: bool,
    ) -> Result<Call<Vec<TopicListing>>> {
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
    /// Of the call as a whole: no broker reached, timeout.
    pub fn describe_topics<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Vec<TopicDescription>> {
        self.describe_topics_async(names, timeout)?.wait()
    }

    /// [`Admin::describe_topics`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::describe_topics`].
    pub fn describe_topics_async<S: AsRef<str>>(
        &self,
        names: &[S],
        timeout: Duration,
    ) -> Result<Call<Vec<TopicDescription>>> {
        if names.is_empty() {
            io_thread::check_generation(self.born)?;
            return Ok(Call::done("describe_topics", Ok(Vec::new())));
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
    /// No broker reached, timeout.
    pub fn describe_cluster(&self, timeout: Duration) -> Result<ClusterDescription> {
        self.describe_cluster_async(timeout)?.wait()
    }

    /// [`Admin::describe_cluster`] without waiting.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, CLOSED, FORKED; the call's are those of [`Admin::describe_cluster`].
    pub fn describe_cluster_async(&self, timeout: Duration) -> Result<Call<ClusterDescription>> {
        self.describe(Cluster, timeout)
    }

    /// Moves up to `max` log lines into `out`, and returns how many are left.
    pub fn log_lines(&self, max: usize, out: &mut Vec<LogLine>) -> usize {
        self.log.drain(max, out)
    }

    /// Stops accepting calls, waits up to `timeout` for those of other threads to end (after which they fail with
    /// CLOSED), and closes the connections. From any thread; calling it again does nothing.
    ///
    /// # Errors
    /// FORKED in a child process; the parent's connections are unaffected. TIMED_OUT if the I/O thread hangs.
    pub fn close(&self, timeout: Duration) -> Result<()> {
        let call = self.close_async(timeout)?;
        let closed = call.wait_for(timeout.saturating_add(GRACE));
        if closed.is_some() {
            self.waker.wait_ended();
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::TIMED_OUT,
            format!("close: the I/O thread has not ended the client within {timeout:?}"),
        ))
    }

    /// [`Admin::close`] without waiting; the connections may be closed a moment after its answer.
    ///
    /// # Errors
    /// FORKED.
    pub fn close_async(&self, timeout: Duration) -> Result<Call<()>> {
        io_thread::check_generation(self.born)?;
        let (reply, call) = question("close", timeout);
        self.shared.close(later(self.clock.now(), timeout), reply);
        self.waker.wake();
        Ok(call)
    }

    fn change(
        &self,
        change: Change,
        empty: bool,
        timeout: Duration,
    ) -> Result<Call<Vec<TopicResult>>> {
        if empty {
            io_thread::check_generation(self.born)?;
            return Ok(Call::done(change.call(), Ok(Vec::new())));
        }
        let (reply, call) = question(change.call(), timeout);
        self.push(Box::new(ChangeTopics::new(change, reply)?), timeout)?;
        Ok(call)
    }

    fn describe<V: View + 'static>(&self, view: V, timeout: Duration) -> Result<Call<V::Output>> {
        let (reply, call) = question(view.name(), timeout);
        self.push(Box::new(Describe::new(view, reply)), timeout)?;
        Ok(call)
    }

    fn push(&self, operation: Box<dyn Operation>, timeout: Duration) -> Result<()> {
        io_thread::check_generation(self.born)?;
        let since = self.clock.now();
        self.shared.push(NewCall {
            operation,
            since,
            deadline: later(since, timeout),
        })?;
        self.waker.wake();
        Ok(())
    }
}

fn owned<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    names.iter().map(|n| n.as_ref().to_owned()).collect()
}

impl Drop for Admin {
    fn drop(&mut self) {
        // In a forked child the I/O side is the parent's, and its locks may be held for ever.
        if io_thread::check_generation(self.born).is_ok() {
            self.shared.close(self.clock.now(), Reply::unheard());
            self.waker.wake();
            self.waker.leave();
        }
    }
}
