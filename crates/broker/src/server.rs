//! The broker's thread: a runtime of its own, one listener per node, and the core they feed.

use std::cell::{Cell, RefCell, RefMut};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, ToSocketAddrs};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::thread;
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::{Notify, mpsc as commands};
use tokio::task::{JoinHandle as Task, LocalSet, spawn_local};

use super::core::cluster::{Cluster, MAX_NEW_PARTITIONS, Node};
use super::core::random::Random;
use super::core::share::Reset;
use super::core::storage::Storage;
use super::core::{Action, BrokerCore, ConnId, CoreOptions, Now};
use super::options::BrokerOptions;

mod connection;

use connection::Outbox;

/// Something to do on the broker's thread.
pub(super) type Command = Box<dyn FnOnce(&Server) + Send>;
/// The way there.
pub(super) type Commands = commands::UnboundedSender<Command>;

const MAX_NODES: usize = 100;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;

/// A broker that runs.
pub(super) struct Started {
    /// With the addresses listened on.
    pub(super) nodes: Vec<Node>,
    pub(super) commands: Commands,
    pub(super) thread: JoinHandle<()>,
    /// Disconnected when the thread has ended.
    pub(super) finished: mpsc::Receiver<()>,
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Binds the listeners, reads the directory, starts the thread.
pub(super) fn start(options: BrokerOptions) -> Result<Started> {
    if options.share_deliveries < 1 {
        return Err(Error::new(
            ErrorCode::INVALID_ARGUMENT,
            format!(
                "starting an embedded broker: share_deliveries = {} must be at least 1",
                options.share_deliveries
            ),
        ));
    }
    if !matches!(options.transaction_version, 1 | 2) {
        return Err(Error::new(
            ErrorCode::INVALID_ARGUMENT,
            format!(
                "starting an embedded broker: transaction_version = {} must be 1 or 2",
                options.transaction_version
            ),
        ));
    }
    let partitions = usize::try_from(options.default_partitions).unwrap_or(0);
    if !(1..=MAX_NODES).contains(&options.nodes) || !(1..=MAX_NEW_PARTITIONS).contains(&partitions)
    {
        return Err(Error::new(
            ErrorCode::INVALID_ARGUMENT,
            format!(
                "starting an embedded broker: nodes = {} must be 1 to {MAX_NODES} and default_partitions = {} must be \
                 1 to {MAX_NEW_PARTITIONS}",
                options.nodes, options.default_partitions
            ),
        ));
    }
    let (listeners, listening) = bind_all(&options)?;
    let advertised = listening.iter().enumerate().map(|(at, node)| Node {
        host: options
            .advertised_host
            .clone()
            .unwrap_or_else(|| node.host.clone()),
        port: *options
            .advertised_ports
            .get(at)
            .or(options.advertised_port.as_ref())
            .unwrap_or(&node.port),
        ..node.clone()
    });
    let core = new_core(&options, advertised.collect()).map_err(|e| {
        let directory = options.directory.clone().unwrap_or_default();
        Error::new(
            ErrorCode::IO,
            format!(
                "starting an embedded broker in {}: {e}",
                directory.display()
            ),
        )
    })?;
    let (commands, received) = commands::unbounded_channel();
    let (_running, finished) = mpsc::channel();
    let addresses = listening
        .iter()
        .map(|n| (n.id, (n.host.clone(), n.port)))
        .collect();
    let thread = thread::spawn("ottla-broker", move || {
        let _running = _running;
        run(core, listeners, addresses, received);
    })
    .map_err(|e| {
        Error::new(
            ErrorCode::IO,
            format!("starting an embedded broker: no thread: {e}"),
        )
    })?;
    Ok(Started {
        nodes: listening,
        commands,
        thread,
        finished,
    })
}

fn new_core(options: &BrokerOptions, nodes: Vec<Node>) -> io::Result<BrokerCore> {
    let seed = options
        .seed
        .unwrap_or_else(|| RandomState::new().hash_one(std::process::id()));
    let mut random = Random::new(seed);
    let storage = match &options.directory {
        Some(directory) => Storage::in_directory(directory.clone())?,
        None => Storage::default(),
    };
    let saved = storage.load()?;
    let cluster = Cluster::new(
        random.uuid().simple().to_string(),
        nodes,
        options.default_partitions,
        random,
    );
    let core_options = CoreOptions {
        auto_create_topics: options.auto_create_topics,
        memory_bytes: options.memory_bytes,
        transaction_version: options.transaction_version,
        new_group_protocol: options.new_group_protocol,
    };
    let mut core = BrokerCore::new(cluster, core_options, storage);
    core.share.options.lock = options.share_lock;
    core.share.options.max_deliveries = options.share_deliveries;
    if options.share_from_earliest {
        core.share.options.reset = Reset::Earliest;
    }
    core.groups.options.initial_rebalance_delay = options.initial_rebalance_delay;
    core.groups.options.modern.session_timeout = options.consumer_session_timeout;
    core.groups.options.modern.heartbeat_interval = options.consumer_heartbeat_interval;
    if let Some(saved) = saved {
        core.restore(saved)?;
    }
    Ok(core)
}

fn bind_all(options: &BrokerOptions) -> Result<(Vec<StdListener>, Vec<Node>)> {
    let mut listeners = Vec::with_capacity(options.nodes);
    let mut nodes = Vec::with_capacity(options.nodes);
    for i in 0..options.nodes {
        let port = match (options.ports.get(i), options.ports.first()) {
            (Some(&port), _) => port,
            (None, Some(&first)) if first != 0 => first.saturating_add(i as u16),
            _ => 0,
        };
        let bound = bind(&options.host, port).and_then(|l| Ok((l.local_addr()?.port(), l)));
        let (port, listener) = bound.map_err(|e| {
            let at = address(&options.host, port);
            Error::new(ErrorCode::IO, format!("starting an embedded broker: can't listen on {at}: {e}; choose another port, or 0 for a free one"))
        })?;
        listeners.push(listener);
        nodes.push(Node {
            id: i as i32 + 1,
            host: options.host.clone(),
            port,
            alive: true,
        });
    }
    Ok((listeners, nodes))
}

fn bind(host: &str, port: u16) -> io::Result<StdListener> {
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs()?.collect();
    let listener = StdListener::bind(addresses.as_slice())?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Keeps an address that was listened on until a moment ago; whoever connects to it is refused.
fn reserve(host: &str, port: u16) -> io::Result<Socket> {
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in (host, port).to_socket_addrs()? {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Connections of the node that are just ending are in nobody's way.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        match socket.bind(&address.into()) {
            Ok(()) => return Ok(socket),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn run(
    core: BrokerCore,
    listeners: Vec<StdListener>,
    addresses: BTreeMap<i32, (String, u16)>,
    mut received: commands::UnboundedReceiver<Command>,
) {
    // Without a runtime there is no broker; its handle says so at the next call.
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let local = LocalSet::new();
    local.block_on(&runtime, async move {
        let server = Server(Rc::new(Shared {
            core: RefCell::new(core),
            started: Instant::now(),
            timer: Notify::new(),
            connections: RefCell::default(),
            listeners: RefCell::default(),
            reserved: RefCell::default(),
            addresses,
            stopped: Cell::new(false),
        }));
        for (listener, id) in listeners.into_iter().zip(1..) {
            // A listener the runtime won't take leaves its node unreachable, like a stopped one.
            let _ = server.listen(id, listener);
        }
        let timer = spawn_local(server.clone().keep_time());
        while !server.0.stopped.get()
            && let Some(command) = received.recv().await
        {
            command(&server);
        }
        timer.abort();
    });
}

/// A node that runs.
struct Listening {
    /// Here and not in the task, which ends some time after it is told to: the port is free at once when this is dropped.
    listener: TcpListener,
    accepting: Task<()>,
}

struct Shared {
    core: RefCell<BrokerCore>,
    started: Instant,
    /// The core's deadline may have changed.
    timer: Notify,
    connections: RefCell<BTreeMap<ConnId, Rc<Outbox>>>,
    listeners: RefCell<BTreeMap<i32, Listening>>,
    /// The ports of stopped nodes, bound and refusing, so that nothing else gets them before the node starts again.
    reserved: RefCell<BTreeMap<i32, Socket>>,
    /// Where each node listens.
    addresses: BTreeMap<i32, (String, u16)>,
    stopped: Cell<bool>,
}

/// What the broker's thread has, for its tasks and for commands.
#[derive(Clone)]
pub(super) struct Server(Rc<Shared>);

impl Server {
    /// The core, for looking and for changes that nobody waits for. Not to be held across a call of this type.
    pub(super) fn core(&self) -> RefMut<'_, BrokerCore> {
        self.0.core.borrow_mut()
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: self.0.started.elapsed(),
            wall_ms: wall.as_millis() as i64,
        }
    }

    /// Does something with the core and carries out what comes of it.
    pub(super) fn act<T>(
        &self,
        act: impl FnOnce(&mut BrokerCore, Now, &mut Vec<Action>) -> T,
    ) -> T {
        let mut out = Vec::new();
        let now = self.now();
        let (result, changed) = {
            let mut core = self.core();
            let before = core.deadline();
            let result = act(&mut core, now, &mut out);
            (result, core.deadline() != before)
        };
        if changed {
            self.0.timer.notify_one();
        }
        for action in out {
            let (Action::Reply { conn, .. } | Action::Close { conn }) = &action;
            let outbox = self.0.connections.borrow().get(conn).cloned();
            if let Some(outbox) = outbox {
                match action {
                    Action::Reply { parts, .. } => outbox.send(parts),
                    Action::Close { .. } => outbox.close(),
                }
            }
        }
        result
    }

    /// Ticks the core when it wants to.
    async fn keep_time(self) {
        loop {
            let deadline = self.core().deadline();
            let wait = deadline.map(|at| at.saturating_sub(self.0.started.elapsed()));
            match wait {
                Some(Duration::ZERO) => self.act(|core, now, out| core.tick(now, out)),
                Some(wait) => {
                    // Whichever comes first.
                    let _ = tokio::time::timeout(wait, self.0.timer.notified()).await;
                }
                None => self.0.timer.notified().await,
            }
        }
    }

    fn listen(&self, node: i32, listener: StdListener) -> io::Result<()> {
        let listening = Listening {
            listener: TcpListener::from_std(listener)?,
            accepting: spawn_local(accept(self.clone(), node)),
        };
        self.0.listeners.borrow_mut().insert(node, listening);
        Ok(())
    }

    /// The next connection to a node; none when it was stopped.
    async fn accepted(&self, node: i32) -> Option<io::Result<TcpStream>> {
        std::future::poll_fn(|cx| match self.0.listeners.borrow().get(&node) {
            Some(listening) => listening
                .listener
                .poll_accept(cx)
                .map(|accepted| Some(accepted.map(|(stream, _)| stream))),
            None => Poll::Ready(None),
        })
        .await
    }

    /// Stops a node; false if it is not known.
    pub(super) fn stop_node(&self, node: i32) -> bool {
        let Some((host, port)) = self.0.addresses.get(&node) else {
            return false;
        };
        let listening = self.0.listeners.borrow_mut().remove(&node);
        if let Some(Listening {
            listener,
            accepting,
        }) = listening
        {
            accepting.abort();
            drop(listener);
            // Without a reservation the port is most likely still free when it is wanted again.
            if let Ok(socket) = reserve(host, *port) {
                self.0.reserved.borrow_mut().insert(node, socket);
            }
        }
        self.act(|core, now, out| core.set_alive(now, node, false, out));
        true
    }

    /// Starts a node again; false if it is not known.
    pub(super) fn start_node(&self, node: i32) -> io::Result<bool> {
        let Some((host, port)) = self.0.addresses.get(&node) else {
            return Ok(false);
        };
        if self.0.listeners.borrow().contains_key(&node) {
            return Ok(true);
        }
        let reserved = self.0.reserved.borrow_mut().remove(&node);
        let listener = match reserved {
            Some(socket) => {
                socket.listen(BACKLOG)?;
                socket.into()
            }
            None => bind(host, *port)?,
        };
        self.listen(node, listener)?;
        self.act(|core, now, out| core.set_alive(now, node, true, out));
        Ok(true)
    }

    /// Connections that are open.
    pub(super) fn connections(&self) -> usize {
        self.0.connections.borrow().len()
    }

    /// Ends the broker.
    pub(super) fn stop(&self) {
        self.0.stopped.set(true);
    }
}

async fn accept(server: Server, node: i32) {
    while let Some(accepted) = server.accepted(node).await {
        match accepted {
            Ok(stream) => {
                spawn_local(connection::serve(server.clone(), node, stream));
            }
            // Out of descriptors, for one: not a reason to give up, nor to spin.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
