//! What is said when the cluster can't be reached, for each way in which it can't.

#![cfg(feature = "broker")]
// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ottla::admin::{Admin, NewTopic};
use ottla::broker::{Broker, BrokerOptions, Fault, FaultRule, api_key};
use ottla::config::AdminConfig;
use ottla::{Error, ErrorCode};

fn admin(bootstrap: &str, more: &[(&str, &str)]) -> Admin {
    let pairs = [("bootstrap.servers", bootstrap)]
        .into_iter()
        .chain(more.iter().copied());
    Admin::new(AdminConfig::from_pairs(pairs).unwrap()).unwrap()
}

fn says(error: &Error, code: ErrorCode, parts: &[&str]) {
    assert_eq!(error.code(), code, "{error}");
    for part in parts {
        assert!(error.message().contains(part), "no {part:?} in: {error}");
    }
}

/// A server that treats each connection as it is told; ends with the value.
struct Fake {
    address: String,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Fake {
    fn new(serve: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (connections, stop) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, stopped) = (connections.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                serve(stream.unwrap());
            }
        });
        Fake {
            address,
            connections,
            stop,
            thread: Some(thread),
        }
    }

    /// Answers the first request with these bytes, whatever it is, and closes.
    fn answering(bytes: &'static [u8]) -> Self {
        Fake::new(move |mut stream| {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(bytes);
        })
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A port where nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn nobody_listens() {
    let (a, b) = (
        format!("127.0.0.1:{}", closed_port()),
        format!("localhost:{}", closed_port()),
    );
    let admin = admin(
        &format!("{a},{b}"),
        &[("socket.connection.setup.timeout.ms", "500")],
    );
    let start = Instant::now();
    let e = admin.connect(Duration::from_secs(1)).unwrap_err();
    assert!(
        (1.0..4.0).contains(&start.elapsed().as_secs_f64()),
        "{:?}",
        start.elapsed()
    );
    let (a, b) = (
        format!("bootstrap server {a}: TCP connect to"),
        format!("bootstrap server {b}: TCP connect to"),
    );
    says(
        &e,
        ErrorCode::CONNECT,
        &[
            "connect: no broker could be reached within 1.",
            &a,
            &b,
            "refused",
            "running there",
        ],
    );

    // Until the first contact a call fails after the connect timeout, however long its own is.
    let start = Instant::now();
    let e = admin
        .list_topics(Duration::from_secs(60), false)
        .unwrap_err();
    assert!(
        (0.5..4.0).contains(&start.elapsed().as_secs_f64()),
        "{:?}",
        start.elapsed()
    );
    says(
        &e,
        ErrorCode::CONNECT,
        &[
            "list_topics: ",
            "socket.connection.setup.timeout.ms",
            &a,
            "refused",
        ],
    );
}

#[test]
fn a_name_that_is_not_known() {
    let admin = admin("no-such-host.invalid:9092", &[]);
    let e = admin.connect(Duration::from_secs(3)).unwrap_err();
    let parts = [
        "bootstrap server no-such-host.invalid:9092",
        "name look-up",
        "bootstrap.servers",
    ];
    // A resolver may take longer than the time given.
    if e.code() == ErrorCode::TIMED_OUT {
        says(&e, ErrorCode::TIMED_OUT, &parts[..2]);
    } else {
        says(&e, ErrorCode::DNS, &parts);
    }
}

#[test]
fn a_web_server() {
    let fake = Fake::answering(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let start = Instant::now();
    let e = admin(&fake.address, &[])
        .connect(Duration::from_secs(30))
        .unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "waiting can't cure this"
    );
    says(
        &e,
        ErrorCode::PROTOCOL,
        &[
            &fake.address,
            "ApiVersions",
            "HTTP",
            "web server",
            "host and port",
        ],
    );
}

#[test]
fn a_tls_port() {
    // Fatal alert: protocol version, as TLS servers answer to what isn't TLS.
    let fake = Fake::answering(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46]);
    let start = Instant::now();
    let e = admin(&fake.address, &[])
        .connect(Duration::from_secs(30))
        .unwrap_err();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "waiting can't cure this"
    );
    says(
        &e,
        ErrorCode::TLS,
        &[&fake.address, "ApiVersions", "TLS", "security.protocol=SSL"],
    );

    // Some just hang up.
    let fake = Fake::answering(b"");
    let e = admin(&fake.address, &[])
        .connect(Duration::from_millis(500))
        .unwrap_err();
    let parts = [
        &fake.address,
        "ApiVersions",
        "closed the connection",
        "before it answered",
        "TLS",
        "security.protocol",
    ];
    says(&e, ErrorCode::CONNECT, &parts);
}

#[test]
fn a_server_that_says_nothing() {
    // The system accepts connections for a listener that never does.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let e = admin(&address, &[])
        .connect(Duration::from_millis(700))
        .unwrap_err();
    says(
        &e,
        ErrorCode::TIMED_OUT,
        &[
            &address,
            "TCP connected, but ApiVersions has not been answered",
            "a Kafka broker's",
        ],
    );

    let e = admin(&address, &[("socket.connection.setup.timeout.ms", "300")])
        .connect(Duration::from_secs(1))
        .unwrap_err();
    says(
        &e,
        ErrorCode::TIMED_OUT,
        &[
            &address,
            "no answer to ApiVersions within",
            "a Kafka broker's",
        ],
    );
}

#[test]
fn metadata_that_never_comes() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    broker
        .add_fault(FaultRule::new(Fault::Drop).api(api_key::METADATA).forever())
        .unwrap();
    let e = admin(&broker.bootstrap_servers(), &[])
        .connect(Duration::from_millis(600))
        .unwrap_err();
    says(
        &e,
        ErrorCode::CONNECT,
        &[
            &broker.bootstrap_servers(),
            "Metadata: the broker closed the connection",
        ],
    );
    let asked = broker.requests_seen(None, api_key::METADATA).unwrap();
    assert!((2..=6).contains(&asked), "asked {asked} times in 600 ms");

    broker.clear_faults().unwrap();
    broker
        .add_fault(
            FaultRule::new(Fault::SwallowReply { close: false })
                .api(api_key::METADATA)
                .forever(),
        )
        .unwrap();
    let e = admin(&broker.bootstrap_servers(), &[])
        .connect(Duration::from_millis(600))
        .unwrap_err();
    says(
        &e,
        ErrorCode::TIMED_OUT,
        &[
            &broker.bootstrap_servers(),
            "Metadata has not been answered for",
        ],
    );
}

#[test]
fn advertised_listeners_that_cannot_be_reached() {
    let port = closed_port();
    let broker = Broker::start(BrokerOptions::new().advertised_port(port)).unwrap();
    let given = broker.bootstrap_servers();
    let admin = admin(&given, &[("socket.connection.setup.timeout.ms", "500")]);
    let advertised =
        format!("broker 1 advertises 127.0.0.1:{port}, which cannot be reached from here");
    let given = format!("found through bootstrap.servers={given}");
    let parts = [
        advertised.as_str(),
        "TCP connect",
        "refused",
        &given,
        "advertised.listeners",
    ];
    says(
        &admin.connect(Duration::from_millis(500)).unwrap_err(),
        ErrorCode::CONNECT,
        &parts,
    );
    let e = admin
        .create_topics(&[NewTopic::new("x", 1, 1)], Duration::from_secs(60), false)
        .unwrap_err();
    says(&e, ErrorCode::CONNECT, &parts);
    assert_eq!(
        broker.requests_seen(None, api_key::CREATE_TOPICS).unwrap(),
        0
    );

    let broker = Broker::start(BrokerOptions::new().advertised_host("inside.invalid")).unwrap();
    let given = broker.bootstrap_servers();
    let e = self::admin(&given, &[])
        .connect(Duration::from_secs(2))
        .unwrap_err();
    assert!(
        matches!(e.code(), ErrorCode::DNS | ErrorCode::TIMED_OUT),
        "{e}"
    );
    assert!(
        e.message().contains("inside.invalid:") && e.message().contains("name look-up"),
        "{e}"
    );
}

#[test]
fn one_good_server_is_enough() {
    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = Fake::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let refusing = closed_port();
    let list = format!(
        "127.0.0.1:{refusing},{},{},{}",
        silent.local_addr().unwrap(),
        web.address,
        broker.bootstrap_servers()
    );
    for _ in 0..5 {
        // Each client begins with another server by chance.
        admin(&list, &[]).connect(Duration::from_secs(8)).unwrap();
    }
}

#[test]
fn a_cluster_that_comes_up_late() {
    let port = closed_port();
    let admin = admin(&format!("127.0.0.1:{port}"), &[]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| admin.connect(Duration::from_secs(20)));
        // Only once it was refused the broker starts.
        let start = Instant::now();
        let mut lines = Vec::new();
        while lines.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10));
            admin.log_lines(100, &mut lines);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(lines[0].message.contains("refused"), "{}", lines[0]);
        let _broker = Broker::start(BrokerOptions::new().port(port)).unwrap();
        waiting.join().unwrap().unwrap();
        admin.log_lines(100, &mut lines);
        assert!(lines.iter().any(|l| l.message.contains(&format!(
            "connected to bootstrap server 127.0.0.1:{port} again"
        ))));
    });
}

#[test]
fn a_refusing_broker_is_left_alone_for_longer_and_longer() {
    let fake = Fake::answering(b"");
    let admin = admin(&fake.address, &[]);
    admin.connect(Duration::from_millis(2000)).unwrap_err();
    // Pauses of 50, 100, 200, 400, 800 ms, each ±20 %: the fifth or sixth attempt is the last in two seconds.
    let attempts = fake.connections.load(Ordering::SeqCst);
    assert!((3..=7).contains(&attempts), "{attempts} attempts");
    let mut lines = Vec::new();
    admin.log_lines(1000, &mut lines);
    // At 0 s, and with the first attempt after 1 s.
    assert!((1..=2).contains(&lines.len()), "{lines:#?}");
    assert!(
        lines[0].message.contains(&fake.address)
            && lines[0].message.contains("closed the connection"),
        "{}",
        lines[0]
    );
}

#[test]
fn a_port_that_cannot_be() {
    let e = AdminConfig::from_pairs([("bootstrap.servers", "localhost:99999")]).unwrap_err();
    says(
        &e,
        ErrorCode::CONFIG,
        &["bootstrap.servers", "99999", "1 to 65535"],
    );
}
