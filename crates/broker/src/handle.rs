//! The handle of a running broker: every call is carried out on the broker's thread and waited for, with a limit.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use ottla_base::error::{Error, ErrorCode, Result};

use super::api::telemetry::{PushedMetrics, TelemetrySubscription};
use super::core::cluster::{Node, Placement};
use super::core::coordinators::CoordinatorKind;
use super::core::fault::FaultRule;
use super::options::BrokerOptions;
use super::server::{self, Command, Commands, Server};

/// A running embedded broker, or a cluster of several. Dropping it stops it; clients' connections are closed.
pub struct Broker {
    commands: Commands,
    thread: Option<JoinHandle<()>>,
    /// Only `drop` listens; the lock makes the handle one that threads can share.
    finished: Mutex<mpsc::Receiver<()>>,
    nodes: Vec<Node>,
    timeout: Duration,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.bootstrap_servers())
    }
}

impl Broker {
    /// Starts a broker; when this returns, its nodes accept connections.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for invalid options, `IO` if a port is not available, the directory can't be read, or no
    /// thread can be started.
    pub fn start(options: BrokerOptions) -> Result<Broker> {
        let timeout = options.timeout;
        let server::Started {
            nodes,
            commands,
            thread,
            finished,
        } = server::start(options)?;
        Ok(Broker {
            commands,
            thread: Some(thread),
            finished: Mutex::new(finished),
            nodes,
            timeout,
        })
    }

    /// Returns the addresses of all nodes in the format of a client's `bootstrap.servers`. They are those listened
    /// on, even if others are advertised.
    pub fn bootstrap_servers(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .iter()
            .map(|n| server::address(&n.host, n.port))
            .collect();
        addresses.join(",")
    }

    /// The address a node listens on, by its id (1 for the first).
    pub fn node_address(&self, node: i32) -> Option<String> {
        self.nodes
            .iter()
            .find(|n| n.id == node)
            .map(|n| server::address(&n.host, n.port))
    }

    /// Creates a topic with a replica on every node. Node 1 leads partition 0, node 2 partition 1, and so on in turn.
    /// `configs` is the topic's configuration.
    ///
    /// # Errors
    /// Kafka's codes for an invalid name, number or setting, or a topic that exists.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let topic = name.to_owned();
        let configs: BTreeMap<String, String> = configs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let placement = Placement::Counts {
            partitions,
            replication_factor: -1,
        };
        self.call(move |server| {
            server
                .core()
                .create_topic(&topic, &placement, configs, false)
                .map(|_| ())
        })?
        .map_err(|refused| {
            let why = refused.message.unwrap_or_default();
            Error::new(
                refused.code,
                format!("creating topic {name} on the embedded broker: {why}"),
            )
        })
    }

    /// Deletes a topic and its records. Returns false if there was no topic with this name.
    ///
    /// # Errors
    /// `TIMED_OUT` or `CLOSED` if the broker's thread does not respond.
    pub fn delete_topic(&self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        self.call(move |server| {
            server.act(|core, now, out| {
                let deleted = core.delete_topic(&name);
                core.leaders_changed(now, out);
                deleted
            })
        })
    }

    /// Compacts the partitions of a topic now, including the newest records, as if all segments were closed and
    /// dirty: only the last record of each key is kept, with its offset. Without this call logs are compacted every
    /// 15 s (`log.cleaner.backoff.ms`) where Kafka would do it: closed segments (`segment.bytes`, `segment.ms`) that
    /// are dirty enough (`min.cleanable.dirty.ratio`, `max.compaction.lag.ms`).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is no such topic, or its `cleanup.policy` has no `compact`; `IO`, with the file.
    pub fn compact_topic(&self, name: &str) -> Result<()> {
        let topic = name.to_owned();
        let done = self.call(move |server| {
            server.act(|core, now, _| {
                let policy = core
                    .cluster
                    .topic(&topic)
                    .map(|t| t.config.get("cleanup.policy").0.to_owned());
                (policy, core.compact_topic(now, &topic))
            })
        })?;
        match done {
            (_, Some(Ok(()))) => Ok(()),
            (_, Some(Err(e))) => Err(Error::new(
                ErrorCode::IO,
                format!("compacting topic {name} of the embedded broker: {e}"),
            )),
            (None, None) => self.argument(false, || {
                format!("compacting topic {name}: there is no such topic")
            }),
            (Some(policy), None) => self.argument(false, || {
                format!(
                    "compacting topic {name}: its cleanup.policy is {policy}; set it to compact, or compact,delete"
                )
            }),
        }
    }

    /// Adds a fault. Faults are applied in the order in which they were added; several can apply to one request.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn add_fault(&self, rule: FaultRule) -> Result<()> {
        self.call(move |server| server.core().add_fault(rule))
    }

    /// Removes all faults.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn clear_faults(&self) -> Result<()> {
        self.call(|server| server.core().clear_faults())
    }

    /// Makes `node` the leader of a partition, with a new leader epoch.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is no such partition, or the node is stopped or unknown.
    pub fn move_leader(&self, topic: &str, partition: i32, node: i32) -> Result<()> {
        let name = topic.to_owned();
        let moved = self.call(move |server| {
            server.act(|core, now, out| core.move_leader(now, &name, partition, node, out))
        })?;
        self.argument(moved, || format!("moving the leader of {topic}-{partition} to node {node}: no such partition, or the node does not run"))
    }

    /// Makes `node` the coordinator of a group or transactional id; the others then return `NOT_COORDINATOR`. Until
    /// `loading` is over the new one returns `COORDINATOR_LOAD_IN_PROGRESS`, like a broker that is loading the state.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the node is stopped or unknown.
    pub fn move_coordinator(
        &self,
        kind: CoordinatorKind,
        key: &str,
        node: i32,
        loading: Duration,
    ) -> Result<()> {
        let owned = key.to_owned();
        let moved = self.call(move |server| {
            server
                .act(|core, now, out| core.move_coordinator(now, kind, &owned, node, loading, out))
        })?;
        self.argument(moved, || {
            format!("moving the coordinator of `{key}` to node {node}: the node does not run")
        })
    }

    /// The node that coordinates a group or transactional id, or `None` if no node runs.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Option<i32>> {
        let key = key.to_owned();
        self.call(move |server| server.core().coordinator(kind, &key).map(|node| node.id))
    }

    /// The node that leads a partition, or `None` if there is no such partition or all its replicas are stopped.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn leader(&self, topic: &str, partition: i32) -> Result<Option<i32>> {
        let topic = topic.to_owned();
        let leader = self.call(move |server| {
            server
                .core()
                .cluster
                .partition(&topic, partition)
                .map(|p| p.leader)
        })?;
        Ok(leader.filter(|&node| node >= 0))
    }

    /// First offset and end offset of a partition, or `None` if there is no such partition.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<Option<(i64, i64)>> {
        let topic = topic.to_owned();
        self.call(move |server| {
            let core = server.core();
            core.cluster
                .partition(&topic, partition)
                .map(|p| (p.log.start_offset(), p.log.end_offset()))
        })
    }

    /// Stops a node: its connections are closed, its port no longer accepts any, and its partitions move to other
    /// nodes. So do its groups; if it is the last node, they wait for its return: members that come back within their
    /// session timeout, which then starts over, keep their id, their generation or epoch, and their assignment.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is no such node.
    pub fn stop_node(&self, node: i32) -> Result<()> {
        let known = self.call(move |server| server.stop_node(node))?;
        self.argument(known, || {
            format!("stopping node {node}: there is no such node")
        })
    }

    /// Starts a stopped node again, on the same port.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is no such node, `IO` if its port is in use.
    pub fn start_node(&self, node: i32) -> Result<()> {
        let started = self.call(move |server| server.start_node(node))?;
        let started = started.map_err(|e| {
            Error::new(
                ErrorCode::IO,
                format!("starting node {node} of the embedded broker: {e}"),
            )
        })?;
        self.argument(started, || {
            format!("starting node {node}: there is no such node")
        })
    }

    /// Pauses a node: it accepts requests without answering any, like a stopped process (SIGSTOP), until
    /// [`resume_node`](Self::resume_node).
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn pause_node(&self, node: i32) -> Result<()> {
        self.call(move |server| server.act(|core, now, out| core.pause(now, node, true, out)))
    }

    /// Resumes a paused node.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn resume_node(&self, node: i32) -> Result<()> {
        self.call(move |server| server.act(|core, now, out| core.pause(now, node, false, out)))
    }

    /// The node that coordinates a group, or `None` if no node runs.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn group_coordinator(&self, group: &str) -> Result<Option<i32>> {
        self.coordinator(CoordinatorKind::Group, group)
    }

    /// The ids of a group's members, in order; none if there is no such group.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn group_members(&self, group: &str) -> Result<Vec<String>> {
        let group = group.to_owned();
        self.call(move |server| server.core().groups.members(&group))
    }

    /// Makes a group rebalance now, as if a member had joined or left.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the group has no members.
    pub fn force_rebalance(&self, group: &str) -> Result<()> {
        let name = group.to_owned();
        let forced = self.call(move |server| {
            server.act(|core, now, out| core.force_rebalance(now, &name, out))
        })?;
        self.argument(forced, || {
            format!("forcing group {group} to rebalance: nobody is in it")
        })
    }

    /// Expires the session of a member now, as if it had sent no heartbeat for too long.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is no such member.
    pub fn expire_member(&self, group: &str, member: &str) -> Result<()> {
        let (name, id) = (group.to_owned(), member.to_owned());
        let known = self.call(move |server| {
            server.act(|core, now, out| core.expire_member(now, &name, &id, out))
        })?;
        self.argument(known, || {
            format!(
                "ending the session of member {member} of group {group}: there is no such member"
            )
        })
    }

    /// Requests metrics from clients (KIP-714), or stops doing so. Clients that are already connected don't learn
    /// that they can push metrics; those that are subscribed learn of the change at their next push.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn subscribe_telemetry(&self, subscription: Option<TelemetrySubscription>) -> Result<()> {
        self.call(move |server| server.core().telemetry.subscribe(subscription))
    }

    /// Returns the metrics that clients have pushed since the last call, in order.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn take_telemetry(&self) -> Result<Vec<PushedMetrics>> {
        self.call(|server| std::mem::take(&mut server.core().telemetry.pushed))
    }

    /// Expires the sessions of all members of a group now.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if there is none.
    pub fn expire_members(&self, group: &str) -> Result<()> {
        let name = group.to_owned();
        let any = self.call(move |server| {
            server.act(|core, now, out| {
                let members = core.groups.members(&name);
                for id in &members {
                    core.expire_member(now, &name, id, out);
                }
                !members.is_empty()
            })
        })?;
        self.argument(any, || {
            format!("ending the sessions of group {group}: nobody is in it")
        })
    }

    /// Returns the number of requests of a kind (see [`api_key`](super::api_key)) received by a node, or by all.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn requests_seen(&self, node: Option<i32>, api: i16) -> Result<u64> {
        self.call(move |server| server.core().requests_seen(node, api))
    }

    /// Returns the number of open connections.
    ///
    /// # Errors
    /// As [`delete_topic`](Self::delete_topic).
    pub fn connections(&self) -> Result<usize> {
        self.call(|server| server.connections())
    }

    fn argument(&self, good: bool, why: impl FnOnce() -> String) -> Result<()> {
        if good {
            Ok(())
        } else {
            Err(Error::new(ErrorCode::INVALID_ARGUMENT, why()))
        }
    }

    fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Server) -> T + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = mpsc::sync_channel(1);
        let command: Command = Box::new(move |server| {
            // Nobody listens any more if the caller's limit has passed.
            let _ = tell.send(act(server));
        });
        let closed = || {
            Error::new(
                ErrorCode::CLOSED,
                "calling the embedded broker: its thread has ended",
            )
        };
        self.commands.send(command).map_err(|_| closed())?;
        told.recv_timeout(self.timeout)
            .map_err(|error| match error {
                mpsc::RecvTimeoutError::Disconnected => closed(),
                mpsc::RecvTimeoutError::Timeout => Error::new(
                    ErrorCode::TIMED_OUT,
                    format!(
                        "calling the embedded broker: no answer from its thread within {:?}",
                        self.timeout
                    ),
                ),
            })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.commands.send(Box::new(|server| server.stop()));
        // A thread that does not end in time is left to itself rather than waited for without a limit.
        let finished = self
            .finished
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let ended = finished.recv_timeout(self.timeout) != Err(mpsc::RecvTimeoutError::Timeout);
        if let Some(thread) = self.thread.take().filter(|_| ended) {
            let _ = thread.join();
        }
    }
}
