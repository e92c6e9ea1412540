use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

use super::*;
use crate::cluster::connect::ConnectCalls;
use crate::cluster::driver::Waker;
use crate::cluster::engine::{Engine, Role};
use crate::cluster::rig::{self, Brokers, Dial, Rig, Seen, Serve};
use crate::config::AdminConfig;

/// A role that only connects.
struct Idle(Arc<ConnectCalls>);

impl Role for Idle {
    type Tag = ();

    fn on_event(&mut self, _core: &mut Core<()>, _now: Instant, _event: Event<()>) {}

    fn poll(&mut self, core: &mut Core<()>, now: Instant) -> Option<Instant> {
        self.0.poll(core, now)
    }

    fn finished(&self) -> bool {
        false
    }
}

type Trace = Vec<(Duration, String)>;

/// Brokers given by two functions; keeps who was dialled and what was asked when.
struct Scripted<D, S> {
    dial: D,
    serve: S,
    dialled: Trace,
    asked: Trace,
}

impl<D: FnMut(&str) -> Dial, S: FnMut(&Seen) -> Serve> Brokers for Scripted<D, S> {
    fn dial(&mut self, at: Duration, address: &str) -> Dial {
        self.dialled.push((at, address.to_owned()));
        (self.dial)(address)
    }

    fn serve(&mut self, request: &Seen) -> Serve {
        self.asked.push((
            request.at,
            format!("{:?} v{} {}", request.key, request.version, request.address),
        ));
        (self.serve)(request)
    }
}

fn rig<D: FnMut(&str) -> Dial, S: FnMut(&Seen) -> Serve>(
    bootstrap: &str,
    dial: D,
    serve: S,
) -> Rig<Idle, Scripted<D, S>> {
    let config = AdminConfig::from_pairs([("bootstrap.servers", bootstrap)]).unwrap();
    let now = Instant::now();
    let log = Arc::new(LogRing::new("test", Some(Level::Info)));
    let core = Core::new(Arc::new(config.common), log, Rng::new(7), now);
    let brokers = Scripted {
        dial,
        serve,
        dialled: Vec::new(),
        asked: Vec::new(),
    };
    Rig::new(now, Engine::new(core, Idle(Arc::default())), brokers)
}

const APIS: &[(ApiKey, i16, i16)] = &[(ApiKey::ApiVersions, 0, 4), (ApiKey::Metadata, 0, 12)];

/// A sound cluster of these brokers.
fn sound(request: &Seen, brokers: &[(i32, &str, i32)]) -> Serve {
    match request.key {
        ApiKey::ApiVersions => rig::api_versions(request.version, APIS),
        ApiKey::Metadata => rig::metadata(request.version, brokers, Vec::new()),
        other => panic!("{other:?} was not to be asked"),
    }
}

/// The pauses between the entries, in milliseconds.
fn pauses(trace: &Trace) -> Vec<u128> {
    trace
        .windows(2)
        .map(|w| (w[1].0 - w[0].0).as_millis())
        .collect()
}

fn grow_as_configured(pauses: &[u128]) {
    for (i, pause) in pauses.iter().enumerate() {
        let middle = (50u128 << i.min(10)).min(1000);
        let (least, most) = (middle * 8 / 10 - 1, middle * 12 / 10 + 1);
        assert!((least..=most).contains(pause), "pause {i} of {pauses:?}");
    }
}

#[test]
fn a_refusing_broker_is_tried_at_growing_intervals() {
    let mut rig = rig("a:1", |_| Dial::Refuse, |_| Serve::Silence);
    assert!(!rig.run(Duration::from_secs(60), || false));
    let pauses = pauses(&rig.brokers.dialled);
    grow_as_configured(&pauses);
    assert!(
        (55..=70).contains(&pauses.len()),
        "{} in a minute",
        pauses.len()
    );
    // 0, 1, 3, 7, 15, 31 s.
    let mut lines = Vec::new();
    rig.engine.core.log.drain(1000, &mut lines);
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert_eq!(
        lines.iter().map(|l| l.repeated).max(),
        lines.last().map(|l| l.repeated)
    );
}

#[test]
fn so_is_one_that_greets_and_hangs_up() {
    let serve = |request: &Seen| match request.key {
        ApiKey::ApiVersions => rig::api_versions(request.version, APIS),
        _ => Serve::Close,
    };
    let mut rig = rig("a:1", |_| Dial::Accept, serve);
    assert!(!rig.run(Duration::from_secs(30), || false));
    grow_as_configured(&pauses(&rig.brokers.dialled));
    let e = rig.engine.core.last_error(Node::Bootstrap(0)).unwrap();
    assert_eq!(
        e.message(),
        "bootstrap server a:1: Metadata: the broker closed the connection"
    );
}

#[test]
fn a_silent_broker_does_not_keep_others_from_being_tried() {
    let dial = |address: &str| {
        if address == "good:1" {
            Dial::Accept
        } else {
            Dial::Silence
        }
    };
    let mut rig = rig("bad:1,worse:1,good:1", dial, |r| {
        sound(r, &[(1, "good", 1)])
    });
    rig.run(Duration::from_millis(1001), || false);
    assert!(rig.engine.core.contacted(), "{:?}", rig.brokers.dialled);
    for (at, address) in rig
        .brokers
        .dialled
        .iter()
        .take_while(|(_, address)| address != "good:1")
    {
        assert!(at.as_millis().is_multiple_of(500), "{address} at {at:?}");
    }
}

#[test]
fn an_old_broker_is_asked_in_its_own_version() {
    let mut refused = 0;
    let serve = |request: &Seen| match (request.key, request.version) {
        (ApiKey::ApiVersions, 3..) => {
            refused += 1;
            let apis = vec![
                kafka_protocol::messages::api_versions_response::ApiVersion::default()
                    .with_api_key(ApiKey::ApiVersions as i16)
                    .with_max_version(2),
            ];
            let code = ErrorCode::UNSUPPORTED_VERSION.0 as i16;
            rig::reply(
                &ApiVersionsResponse::default()
                    .with_error_code(code)
                    .with_api_keys(apis),
                0,
            )
        }
        (ApiKey::ApiVersions, 2) => {
            rig::api_versions(2, &[(ApiKey::ApiVersions, 0, 2), (ApiKey::Metadata, 0, 5)])
        }
        (ApiKey::Metadata, 5) => rig::metadata(5, &[(1, "a", 1)], Vec::new()),
        other => panic!("{other:?}"),
    };
    let mut rig = rig("a:1", |_| Dial::Accept, serve);
    rig.run(Duration::from_millis(1), || false);
    assert!(rig.engine.core.contacted());
    assert_eq!(rig.brokers.asked.len(), 3, "{:?}", rig.brokers.asked);
    drop(rig);
    assert_eq!(refused, 1);
}

#[test]
fn connect_goes_to_an_advertised_address() {
    let mut rig = rig("boot:1", |_| Dial::Accept, |r| sound(r, &[(7, "inner", 9)]));
    let calls = rig.engine.role.0.clone();
    let caller =
        std::thread::spawn(move || calls.connect(&Waker::default(), Duration::from_secs(30)));
    let start = Instant::now();
    while !caller.is_finished() {
        assert!(start.elapsed() < Duration::from_secs(20));
        rig.now = Instant::now();
        rig.run(Duration::ZERO, || false);
    }
    caller.join().unwrap().unwrap();
    assert!(
        rig.brokers
            .dialled
            .iter()
            .any(|(_, address)| address == "inner:9"),
        "{:?}",
        rig.brokers.dialled
    );
}

#[test]
fn a_broker_that_left_is_no_longer_dialled() {
    let mut asked = 0;
    let serve = |request: &Seen| {
        asked += i32::from(request.key == ApiKey::Metadata);
        if asked < 2 {
            sound(request, &[(1, "one", 1), (2, "two", 2)])
        } else {
            sound(request, &[(2, "two", 2)])
        }
    };
    let mut rig = rig("boot:1", |_| Dial::Accept, serve);
    rig.run(Duration::from_secs(1), || false);
    assert_eq!(
        rig.engine.core.brokers().map(|b| b.0).collect::<Vec<_>>(),
        [1, 2]
    );
    rig.engine.core.conn(rig.now, Node::Id(1), Purpose::Control);
    rig.engine.core.refresh_metadata();
    rig.run(Duration::from_secs(2), || false);
    assert_eq!(
        rig.engine.core.brokers().map(|b| b.0).collect::<Vec<_>>(),
        [2]
    );
    assert!(
        rig.engine
            .core
            .conn(rig.now, Node::Id(1), Purpose::Control)
            .is_none()
    );
    assert_eq!(
        rig.engine.core.address(Node::Id(1)),
        "a broker that has left"
    );
}
