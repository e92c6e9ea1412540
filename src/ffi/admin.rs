//! Topics
//!
//! Creates, deletes, lists and describes topics. Calls wait until they are done or their timeout is over; connection
//! failures are retried within it. A call on several topics succeeds as a whole, and writes one result for each
//! topic, with the topic's own error if there is one.
//!
//! ```c
//! ottla_new_topic topic = {0};
//! topic.name = "orders";
//! topic.partitions = 8;
//! topic.replication_factor = -1;
//! ottla_topic_results *results = NULL;
//! status = ottla_admin_create_topics(admin, &topic, 1, false, 10000, &results, &error);
//! ```

use std::ffi::c_char;

use libc::size_t;

use super::admin_results::{
    TopicDescriptions, TopicRow, ottla_cluster, ottla_topic_descriptions, ottla_topic_list,
    ottla_topic_results,
};
use super::basics::ottla_status;
use super::config::{ottla_config, typed};
use super::error::ottla_error;
use super::guard::{self, Call, Guarded, Live, opaque};
use super::log::{lines as lines_handle, ottla_log_lines};
use crate::admin::{Admin, NewPartitions, NewTopic, TopicResult};
use crate::config::AdminConfig;
use crate::error::{Error, ErrorCode, Result};

/// An admin client. All its functions except `_free` may be called from many threads at once.
pub struct ottla_admin(Guarded<Live<Admin>>);
opaque!(ottla_admin, Live<Admin>, "admin");

/// A topic to create.
#[repr(C)]
pub struct ottla_new_topic {
    /// 1 to 249 letters, digits, '.', '_' and '-'.
    pub name: *const c_char,
    /// The topic's configuration, for example "retention.ms", "60000": keys and values in turn; NULL for none.
    pub configs: *const *const c_char,
    /// The number of settings, each a pair of key and value.
    pub config_count: size_t,
    /// The number of partitions; -1 for the broker's default.
    pub partitions: i32,
    /// The number of replicas of each partition; -1 for the broker's default.
    pub replication_factor: i16,
}

/// Creates an admin client and writes its handle, which the caller frees with `ottla_admin_free`. It connects when
/// needed.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_new(
    config: *const ottla_config,
    admin: *mut *mut ottla_admin,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_admin_new", error, |call| {
            call.out("admin", admin)?;
            let config = typed(call, config, |pairs| AdminConfig::from_pairs(pairs))?;
            let made = Live::new(|| Admin::new(config))?;
            guard::write(admin, guard::handle(made));
            Ok(())
        })
    }
}

/// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
/// other calls.
///
/// Errors: as `ottla_producer_connect`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_connect(
    admin: *const ottla_admin,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_connect", admin, error, |call, live| {
            live.get()?.connect(call.timeout(timeout_ms)?)
        })
    }
}

/// # Safety
/// What `topic` points to is as the header says.
unsafe fn new_topic(call: Call, topic: &ottla_new_topic) -> Result<NewTopic> {
    // SAFETY: the caller's promise.
    let (name, configs) = unsafe {
        let strings = topic.config_count.saturating_mul(2);
        (
            call.text("a topic's name", topic.name)?,
            call.texts(
                ("a topic's configs", "a topic's configs"),
                topic.configs,
                strings,
            )?,
        )
    };
    let mut new = NewTopic::new(name, topic.partitions, topic.replication_factor);
    new.configs = configs
        .chunks_exact(2)
        .map(|pair| (pair[0].to_owned(), pair[1].to_owned()))
        .collect();
    Ok(new)
}

/// # Safety
/// `topics` is NULL or points to `count` of them, as the header says.
pub(super) unsafe fn new_topics(
    call: Call,
    topics: *const ottla_new_topic,
    count: usize,
) -> Result<Vec<NewTopic>> {
    // SAFETY: the caller's promise.
    let given = unsafe { call.slice("topics", topics, count) }?;
    // SAFETY: the same.
    let each = given.iter().map(|topic| unsafe { new_topic(call, topic) });
    each.collect()
}

/// What became of the one topic of a call.
pub(super) fn only_result(results: Vec<TopicResult>) -> Result<()> {
    match results.into_iter().next() {
        Some(result) => result.error.map_or(Ok(()), Err),
        None => Err(Error::new(
            ErrorCode::PROTOCOL,
            "adding partitions: the answer tells of no topic",
        )),
    }
}

/// Creates topics (Kafka's CreateTopics request) and writes a result for each, in order, for the caller to free with
/// `ottla_topic_results_free`. When it returns, the metadata of the broker that was asked shows the new topics with
/// their leaders. With `validate_only` the request is checked and nothing is created.
///
/// Errors: of the call as a whole, if no broker could be reached or the timeout is over; in the result of a topic,
/// OTTLA_ERR_TOPIC_ALREADY_EXISTS and other codes of Kafka's.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_create_topics(
    admin: *const ottla_admin,
    topics: *const ottla_new_topic,
    count: size_t,
    validate_only: bool,
    timeout_ms: i64,
    results: *mut *mut ottla_topic_results,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_create_topics", admin, error, |call, live| {
            call.out("results", results)?;
            let admin = live.get()?;
            let topics = new_topics(call, topics, count)?;
            let done = admin.create_topics(&topics, call.timeout(timeout_ms)?, validate_only)?;
            guard::write(
                results,
                guard::handle(done.into_iter().map(TopicRow::from).collect()),
            );
            Ok(())
        })
    }
}

/// Deletes topics with all their records (Kafka's DeleteTopics request) and writes a result for each, in order, for
/// the caller to free with `ottla_topic_results_free`.
///
/// Errors: as `ottla_admin_create_topics`; OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION in the result of a topic that does
/// not exist.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_delete_topics(
    admin: *const ottla_admin,
    names: *const *const c_char,
    count: size_t,
    timeout_ms: i64,
    results: *mut *mut ottla_topic_results,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_delete_topics", admin, error, |call, live| {
            call.out("results", results)?;
            let names = call.texts(("names", "names"), names, count)?;
            let done = live
                .get()?
                .delete_topics(&names, call.timeout(timeout_ms)?)?;
            guard::write(
                results,
                guard::handle(done.into_iter().map(TopicRow::from).collect()),
            );
            Ok(())
        })
    }
}

/// Increases the number of partitions of a topic to `total` (Kafka's CreatePartitions request). Records with keys may
/// then go to different partitions than before.
///
/// Errors: the topic's error, for example OTTLA_ERR_INVALID_PARTITIONS if it already has that many partitions or
/// more; otherwise as `ottla_admin_create_topics`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_create_partitions(
    admin: *const ottla_admin,
    topic: *const c_char,
    total: i32,
    validate_only: bool,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_admin_create_partitions",
            admin,
            error,
            |call, live| {
                let name = call.text("topic", topic)?.to_owned();
                let topics = [NewPartitions { name, total }];
                let done = live.get()?.create_partitions(
                    &topics,
                    call.timeout(timeout_ms)?,
                    validate_only,
                )?;
                only_result(done)
            },
        )
    }
}

/// Lists topics, sorted by name (Kafka's Metadata request), internal ones only if `include_internal` is true. Writes
/// the list for the caller to free with `ottla_topic_list_free`.
///
/// Errors: if no broker could be reached or the timeout is over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_list_topics(
    admin: *const ottla_admin,
    include_internal: bool,
    timeout_ms: i64,
    list: *mut *mut ottla_topic_list,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_list_topics", admin, error, |call, live| {
            call.out("list", list)?;
            let found = live
                .get()?
                .list_topics(call.timeout(timeout_ms)?, include_internal)?;
            guard::write(
                list,
                guard::handle(found.into_iter().map(Into::into).collect()),
            );
            Ok(())
        })
    }
}

/// Describes topics, in order (Kafka's Metadata request), and writes the descriptions for the caller to free with
/// `ottla_topic_descriptions_free`. A topic that doesn't exist has an error in its description, and is not created.
///
/// Errors: of the call as a whole, if no broker could be reached or the timeout is over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_describe_topics(
    admin: *const ottla_admin,
    names: *const *const c_char,
    count: size_t,
    timeout_ms: i64,
    descriptions: *mut *mut ottla_topic_descriptions,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_describe_topics", admin, error, |call, live| {
            call.out("descriptions", descriptions)?;
            let names = call.texts(("names", "names"), names, count)?;
            let found = live
                .get()?
                .describe_topics(&names, call.timeout(timeout_ms)?)?;
            guard::write(descriptions, guard::handle(TopicDescriptions::new(found)));
            Ok(())
        })
    }
}

/// Describes the cluster and writes the description for the caller to free with `ottla_cluster_free`.
///
/// Errors: if no broker could be reached or the timeout is over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_describe_cluster(
    admin: *const ottla_admin,
    timeout_ms: i64,
    cluster: *mut *mut ottla_cluster,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_admin_describe_cluster",
            admin,
            error,
            |call, live| {
                call.out("cluster", cluster)?;
                let found = live.get()?.describe_cluster(call.timeout(timeout_ms)?)?;
                guard::write(cluster, guard::handle(found.into()));
                Ok(())
            },
        )
    }
}

/// Takes up to `max` log lines (0: all there are); see `ottla_producer_logs`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_logs(
    admin: *const ottla_admin,
    max: size_t,
    lines: *mut *mut ottla_log_lines,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_logs", admin, error, |call, live| {
            call.out("lines", lines)?;
            let max = if max == 0 { usize::MAX } else { max };
            let mut own = Vec::new();
            live.get()?.log_lines(max, &mut own);
            guard::write(lines, lines_handle(own));
            Ok(())
        })
    }
}

/// Stops accepting calls, waits up to the timeout for those of other threads to end, after which they return
/// OTTLA_ERR_CLOSED, and closes the connections. Closing twice does nothing.
///
/// Errors: OTTLA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_close(
    admin: *const ottla_admin,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_close", admin, error, |call, live| {
            live.get()?.close(call.timeout(timeout_ms)?)
        })
    }
}

/// Frees an admin client, once all calls with it have returned. Results stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_admin_free(admin: *mut ottla_admin) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(admin) }
}
