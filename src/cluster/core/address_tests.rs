//! A name with several addresses, of which not all lead to a broker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ErrorCode;
use crate::admin::Admin;
use crate::broker::{Broker, BrokerOptions};
use crate::config::{AdminConfig, ConsumerConfig};
use crate::consumer::Consumer;
use crate::net::socket::tests::names;

/// What accepts connections and is no broker; ends with the value.
struct Impostor {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Impostor {
    /// Answers whatever comes with these bytes and closes; without any it keeps silent and holds on.
    fn new(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, stopped) = (connections.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                if answer.is_empty() {
                    held.push(stream);
                } else {
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(answer);
                }
            }
        });
        Impostor {
            address,
            connections,
            stop,
            thread: Some(thread),
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn admin(name: &str, setup: &str) -> Admin {
    let pairs = [
        ("bootstrap.servers", name),
        ("socket.connection.setup.timeout.ms", setup),
    ];
    Admin::new(AdminConfig::from_pairs(pairs).unwrap()).unwrap()
}

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn an_attempt_that_fails_at_any_stage_moves_on_to_the_next_address() {
    let broker = Broker::start(BrokerOptions::new().nodes(1)).unwrap();
    let real: SocketAddr = broker.bootstrap_servers().parse().unwrap();
    // A web server, what closes without a word, what speaks garbage, what says nothing.
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0",
        b"\0\0\0\x06\0\0\0\x01\0\0",
        b"",
    ];
    for (i, answer) in answers.into_iter().enumerate() {
        let impostor = Impostor::new(answer);
        let name = format!("several{i}.test");
        names::set(&name, &[impostor.address, real]);
        let admin = admin(&name, "1500");
        let started = Instant::now();
        admin.connect(LIMIT).unwrap();
        assert!(started.elapsed() < Duration::from_secs(5), "{answer:?}");
        assert_eq!(impostor.connections(), 1, "{answer:?}");
        // A call, which gives up after the set-up time where nobody can be reached, waits for the second address too.
        let call = self::admin(&name, "1500");
        call.list_topics(LIMIT, false).unwrap();
        // So does a consumer.
        let pairs = [
            ("bootstrap.servers", &*name),
            ("socket.connection.setup.timeout.ms", "1500"),
        ];
        let consumer = Consumer::new(ConsumerConfig::from_pairs(pairs).unwrap()).unwrap();
        consumer.connect(LIMIT).unwrap();
    }
}

#[test]
fn where_no_address_leads_to_a_broker_the_error_comes_after_each_was_tried() {
    let (one, other) = (
        Impostor::new(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        Impostor::new(b"SSH-2.0-OpenSSH_9.2\r\n"),
    );
    names::set("neither.test", &[one.address, other.address]);
    let admin = admin("neither.test", "10s");
    let started = Instant::now();
    let error = admin.connect(LIMIT).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{error}");
    assert_eq!(error.code(), ErrorCode::PROTOCOL);
    let at = format!("(at {})", other.address);
    assert!(error.message().contains(&at), "{error}");
    assert!(error.message().contains("neither.test"), "{error}");
    assert_eq!((one.connections(), other.connections()), (1, 1));
}

#[test]
fn an_address_that_was_no_good_is_not_tried_again_while_another_is() {
    let broker = Broker::start(BrokerOptions::new().nodes(1)).unwrap();
    let real: SocketAddr = broker.bootstrap_servers().parse().unwrap();
    let impostor = Impostor::new(b"");
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    names::set("some.test", &[impostor.address, closed, real]);
    let pairs = [
        ("bootstrap.servers", "some.test"),
        ("socket.connection.setup.timeout.ms", "300"),
        // The connection to the bootstrap address ends and is made again all the time.
        ("connections.max.idle.ms", "1"),
        ("metadata.max.age.ms", "20"),
    ];
    let admin = Admin::new(AdminConfig::from_pairs(pairs).unwrap()).unwrap();
    admin.connect(LIMIT).unwrap();
    for _ in 0..20 {
        admin.list_topics(LIMIT, false).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(impostor.connections(), 1);
}
