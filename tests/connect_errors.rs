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

/// Reads one request: its API key, version and correlation id.
fn request(stream: &mut TcpStream) -> Option<(i16, i16, [u8; 4])> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut frame).ok()?;
    let number = |at: usize| i16::from_be_bytes([frame[at], frame[at + 1]]);
    Some((number(0), number(2), frame[4..8].try_into().unwrap()))
}

/// A broker that answers requests by what this makes of API key and version; ends a connection where there is nothing.
fn speaking(answer: impl Fn(i16, i16, u16) -> Option<Vec<u8>> + Send + Sync + 'static) -> Fake {
    let answer = Arc::new(answer);
    Fake::new(move |mut stream| {
        let answer = answer.clone();
        std::thread::spawn(move || {
            let port = stream.local_addr().unwrap().port();
            while let Some((key, version, correlation)) = request(&mut stream) {
                let Some(body) = answer(key, version, port) else {
                    return;
                };
                let frame = [&correlation[..], &body].concat();
                let size = (frame.len() as u32).to_be_bytes();
                if stream.write_all(&[&size[..], &frame].concat()).is_err() {
                    return;
                }
            }
        });
    })
}

/// An ApiVersions answer in version 0.
fn versions_v0(error: i16, keys: &[(i16, i16, i16)]) -> Vec<u8> {
    let mut body = error.to_be_bytes().to_vec();
    body.extend((keys.len() as u32).to_be_bytes());
    for (key, min, max) in keys {
        for number in [key, min, max] {
            body.extend(number.to_be_bytes());
        }
    }
    body
}

#[test]
fn a_broker_before_0_11_is_told_as_what_it_is_and_at_once() {
    // As Kafka 0.10.2 does.
    let fake = speaking(|key, version, _| match (key, version) {
        (18, 0) => Some(versions_v0(
            0,
            &[(0, 0, 2), (1, 0, 3), (3, 0, 2), (18, 0, 0)],
        )),
        (18, _) => Some(versions_v0(35, &[])),
        _ => None,
    });
    let told = [
        &fake.address,
        "this broker is too old (its ApiVersions says Produce 0 to 2, Fetch 0 to 3, Metadata 0 to 2)",
        "Ottla needs Kafka 0.11 or later",
    ];
    let start = Instant::now();
    let admin = admin(&fake.address, &[]);
    let e = admin.connect(Duration::from_secs(30)).unwrap_err();
    says(&e, ErrorCode::UNSUPPORTED, &told);
    let e = admin
        .list_topics(Duration::from_secs(30), false)
        .unwrap_err();
    says(&e, ErrorCode::UNSUPPORTED, &told);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_controller_is_told_as_what_it_is() {
    let fake =
        speaking(|key, _, _| (key == 18).then(|| versions_v0(35, &[(18, 0, 0), (62, 0, 4)])));
    let refused = speaking(|key, version, _| match (key, version) {
        (18, 0) => Some(versions_v0(0, &[(18, 0, 4), (62, 0, 4)])),
        (18, _) => Some(versions_v0(35, &[])),
        _ => None,
    });
    let e = admin(&refused.address, &[])
        .connect(Duration::from_secs(30))
        .unwrap_err();
    says(
        &e,
        ErrorCode::UNSUPPORTED,
        &[&refused.address, "controller (KRaft)"],
    );
    // One that refuses version 0 too is asked no further.
    let e = admin(&fake.address, &[])
        .connect(Duration::from_secs(30))
        .unwrap_err();
    says(
        &e,
        ErrorCode::UNSUPPORTED_VERSION,
        &[&fake.address, "ApiVersions"],
    );
}

#[test]
fn a_refusal_of_api_versions_in_any_form_and_bytes_behind_answers_do_no_harm() {
    // As librdkafka's mock broker does: the refusal in the version asked for, and a byte behind each answer.
    let fake = speaking(|key, version, port| {
        let mut body = match (key, version) {
            (18, 0) => versions_v0(0, &[(0, 0, 7), (1, 0, 11), (3, 0, 8), (18, 0, 2)]),
            (18, _) => vec![0, 35, 1, 0, 0, 0, 0, 0],
            (3, 8) => {
                let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
                body.extend(b"127.0.0.1");
                body.extend(u32::from(port).to_be_bytes());
                // No rack, no cluster id, controller 1, no topics, no operations.
                body.extend([255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0, 128, 0, 0, 0]);
                body
            }
            _ => return None,
        };
        body.push(0);
        Some(body)
    });
    let admin = admin(&fake.address, &[("log.level", "trace")]);
    admin.connect(Duration::from_secs(10)).unwrap();
    let listed = admin.list_topics(Duration::from_secs(10), false).unwrap();
    assert!(listed.is_empty());
    let mut lines = Vec::new();
    admin.log_lines(1000, &mut lines);
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    for part in [
        "debug [ottla] connect: connecting to bootstrap server",
        "does not speak ApiVersions v4; asking in v0",
        "connected to bootstrap server",
        "debug [ottla] metadata: asking bootstrap server",
        "metadata v8: cluster without id, 1 brokers, controller 1, topics: none",
        "trace [ottla] request: Metadata v8 to ",
        "Metadata answered by broker 1 at ",
    ] {
        assert!(
            lines.iter().any(|l| l.contains(part)),
            "no {part:?} in {lines:#?}"
        );
    }
}

#[test]
fn what_may_still_come_is_said_only_where_it_may() {
    let hint = "it may still be carried out";
    let refusing = closed_port();
    let topic = [NewTopic::new("x", 1, 1)];
    let short = [("socket.connection.setup.timeout.ms", "300")];
    let admin = admin(&format!("127.0.0.1:{refusing}"), &short);
    let e = admin
        .create_topics(&topic, Duration::from_secs(1), false)
        .unwrap_err();
    assert!(!e.message().contains(hint), "nothing was sent: {e}");

    let broker = Broker::start(BrokerOptions::new()).unwrap();
    let silent = FaultRule::new(Fault::SwallowReply { close: false });
    broker
        .add_fault(silent.api(api_key::CREATE_TOPICS).forever())
        .unwrap();
    let admin = self::admin(&broker.bootstrap_servers(), &[]);
    let e = admin
        .create_topics(&topic, Duration::from_millis(500), false)
        .unwrap_err();
    assert!(e.message().contains(hint), "{e}");
}

#[test]
fn numbers_left_to_a_broker_that_can_not_fill_them_in_are_refused_with_the_release_that_can() {
    // As Kafka 2.3: CreateTopics goes up to version 3.
    let fake = speaking(|key, version, port| match (key, version) {
        (18, 0) => Some(versions_v0(
            0,
            &[(0, 0, 7), (1, 0, 11), (3, 0, 8), (18, 0, 2), (19, 0, 3)],
        )),
        (18, _) => Some(versions_v0(35, &[])),
        (3, 8) => {
            let mut body = vec![0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 9];
            body.extend(b"127.0.0.1");
            body.extend(u32::from(port).to_be_bytes());
            body.extend([255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 0, 128, 0, 0, 0]);
            Some(body)
        }
        _ => None,
    });
    let admin = admin(&fake.address, &[]);
    let e = admin
        .create_topics(
            &[NewTopic::new("x", -1, -1)],
            Duration::from_secs(10),
            false,
        )
        .unwrap_err();
    let told = [
        "create_topics: broker 1 at ",
        "(-1) needs Kafka 2.4 or later (CreateTopics version 4); this broker speaks 0 to 3",
        "give both as numbers",
    ];
    says(&e, ErrorCode::UNSUPPORTED, &told);
    assert!(!e.message().contains("may still be carried out"), "{e}");
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
