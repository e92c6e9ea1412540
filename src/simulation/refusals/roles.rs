//! The clients whose requests are refused, and what their programs do all the time.

use std::sync::Arc;
use std::time::Duration;

use super::super::transactions::Transactions;
use super::super::world::World;
use super::{PARTITIONS, TOPIC, Watched};
use crate::admin::Admin;
use crate::admin::simulated::Begun;
use crate::broker::api_key::*;
use crate::client::waker::Waker;
use crate::clock::{Clock, VirtualClock};
use crate::config::{AdminConfig, ConsumerConfig, ProducerConfig, ShareConfig};
use crate::consumer::{Consumer, GroupMetadata, OffsetAndMetadata, Polled, Start};
use crate::producer::{Producer, Record, Wait};
use crate::rng::Rng;
use crate::share::ShareConsumer;

/// Batches that each partition holds from the start.
pub(super) const BATCHES: usize = 100;
/// A producing program sends at every so many-th step.
const SENDS_EVERY: u64 = 4;
/// Records of one transaction.
const TRANSACTION: usize = 5;
const GROUP: &str = "g";

macro_rules! roles {
    ($($(#[doc = $doc:literal])* $role:ident: [$($api:ident),* $(,)?];)*) => {
        /// A kind of client.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RefusedRole {
            $($(#[doc = $doc])* $role,)*
        }

        impl RefusedRole {
            /// All of them.
            pub const ALL: &[RefusedRole] = &[$(RefusedRole::$role),*];

            /// What it sends.
            pub fn requests(self) -> &'static [i16] {
                match self {
                    $(RefusedRole::$role => &[
                        API_VERSIONS, METADATA, GET_TELEMETRY_SUBSCRIPTIONS, PUSH_TELEMETRY, $($api),*
                    ],)*
                }
            }
        }
    };
}

roles! {
    /// A producer without idempotence.
    PlainProducer: [PRODUCE];
    /// As producers are by default.
    IdempotentProducer: [INIT_PRODUCER_ID, PRODUCE];
    /// With transactions, and brokers of transaction version 1.
    OldTransactions: [
        FIND_COORDINATOR, INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, TXN_OFFSET_COMMIT, PRODUCE, END_TXN,
    ];
    /// With transactions, and brokers of transaction version 2.
    NewTransactions: [FIND_COORDINATOR, INIT_PRODUCER_ID, TXN_OFFSET_COMMIT, PRODUCE, END_TXN];
    /// A consumer with a topic assigned.
    Assigned: [FETCH, LIST_OFFSETS];
    /// The same, whose program soon stops polling.
    AssignedUnpolled: [FETCH, LIST_OFFSETS];
    /// A member of a classic group.
    ClassicGroup: [
        FIND_COORDINATOR, JOIN_GROUP, SYNC_GROUP, HEARTBEAT, OFFSET_FETCH, OFFSET_COMMIT, LIST_OFFSETS, FETCH,
    ];
    /// A member of a group of the new protocol.
    NewGroup: [FIND_COORDINATOR, CONSUMER_GROUP_HEARTBEAT, OFFSET_FETCH, OFFSET_COMMIT, LIST_OFFSETS, FETCH];
    /// The same, whose program soon stops polling.
    NewGroupUnpolled: [FIND_COORDINATOR, CONSUMER_GROUP_HEARTBEAT, OFFSET_FETCH, OFFSET_COMMIT, LIST_OFFSETS, FETCH];
    /// A member of a share group.
    ShareGroup: [FIND_COORDINATOR, SHARE_GROUP_HEARTBEAT, SHARE_FETCH, SHARE_ACKNOWLEDGE];
    /// One that makes every administrative call in turn.
    Administrator: [CREATE_TOPICS, CREATE_PARTITIONS, DELETE_TOPICS];
}

impl RefusedRole {
    pub(super) fn transaction_version(self) -> i16 {
        match self {
            RefusedRole::OldTransactions => 1,
            _ => 2,
        }
    }

    pub(super) fn polls(self) -> bool {
        !matches!(
            self,
            RefusedRole::AssignedUnpolled | RefusedRole::NewGroupUnpolled
        )
    }

    fn pairs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            RefusedRole::PlainProducer => &[("enable.idempotence", "false"), DELIVERY],
            RefusedRole::IdempotentProducer => &[DELIVERY],
            RefusedRole::OldTransactions | RefusedRole::NewTransactions => {
                &[("transactional.id", "payments"), DELIVERY]
            }
            RefusedRole::Assigned | RefusedRole::AssignedUnpolled => &[EARLIEST],
            RefusedRole::ClassicGroup => {
                &[EARLIEST, ("group.id", GROUP), ("group.protocol", "classic")]
            }
            RefusedRole::NewGroup | RefusedRole::NewGroupUnpolled => &[
                EARLIEST,
                ("group.id", GROUP),
                ("group.protocol", "consumer"),
            ],
            RefusedRole::ShareGroup => &[("group.id", GROUP)],
            RefusedRole::Administrator => &[],
        }
    }
}

/// So that records end within the time that is watched.
const DELIVERY: (&str, &str) = ("delivery.timeout.ms", "15s");
const EARLIEST: (&str, &str) = ("auto.offset.reset", "earliest");

/// A client in its program's hands.
pub(super) enum Client {
    Producer {
        producer: Producer,
        transactions: Option<Transactions>,
        rng: Rng,
        steps: u64,
    },
    Consumer {
        consumer: Box<Consumer>,
        in_group: bool,
        begun: bool,
    },
    Share {
        consumer: ShareConsumer,
        begun: bool,
    },
    Admin {
        admin: Admin,
        call: Option<Begun>,
        number: u64,
    },
}

/// Puts the client of a role into the world.
pub(super) fn enter(
    world: &mut World,
    role: RefusedRole,
    bootstrap: &str,
    clock: &Arc<VirtualClock>,
    program: impl FnOnce(Client) -> Watched,
) -> Result<(), String> {
    let wrong = |e: crate::error::Error| format!("a wrong configuration: {e}");
    let pairs = || {
        let own = role.pairs().iter().copied();
        let common = [
            ("bootstrap.servers", bootstrap),
            ("request.timeout.ms", "10s"),
        ];
        common.into_iter().chain(own)
    };
    let (now, virtual_clock) = (clock.start(), Clock::Virtual(clock.clone()));
    match role {
        RefusedRole::PlainProducer
        | RefusedRole::IdempotentProducer
        | RefusedRole::OldTransactions
        | RefusedRole::NewTransactions => {
            let config = ProducerConfig::from_pairs(pairs()).map_err(wrong)?;
            let transactional = config.transactional_id.is_some();
            let waker = Waker::default();
            let (producer, make) = Producer::parts(config, virtual_clock, waker.clone());
            let client = Client::Producer {
                producer,
                transactions: transactional.then(Transactions::new),
                rng: Rng::new(11),
                steps: 0,
            };
            world.add_client(make(now), Box::new(program(client)), waker, Duration::ZERO);
        }
        RefusedRole::ShareGroup => {
            let config = ShareConfig::from_pairs(pairs()).map_err(wrong)?;
            let (consumer, waker, make) = ShareConsumer::parts(config, virtual_clock);
            let client = Client::Share {
                consumer,
                begun: false,
            };
            world.add_client(make(now), Box::new(program(client)), waker, Duration::ZERO);
        }
        RefusedRole::Administrator => {
            let config = AdminConfig::from_pairs(pairs()).map_err(wrong)?;
            let (admin, make) = Admin::parts(config, virtual_clock);
            let waker = admin.waker().clone();
            let client = Client::Admin {
                admin,
                call: None,
                number: 0,
            };
            world.add_client(make(now), Box::new(program(client)), waker, Duration::ZERO);
        }
        _ => {
            let config = ConsumerConfig::from_pairs(pairs()).map_err(wrong)?;
            let in_group = config.group_id.is_some();
            let (consumer, waker, make) = Consumer::parts(config, virtual_clock);
            let client = Client::Consumer {
                consumer: Box::new(consumer),
                in_group,
                begun: false,
            };
            world.add_client(make(now), Box::new(program(client)), waker, Duration::ZERO);
        }
    }
    Ok(())
}

impl Client {
    /// Does what a program does next, whatever it is told; how many events that were.
    pub(super) fn go_on(&mut self, now: Duration, polls: bool) -> u64 {
        match self {
            Client::Producer {
                producer,
                transactions,
                rng,
                steps,
            } => {
                *steps += 1;
                produce(producer, transactions.as_mut(), rng, *steps);
                0
            }
            Client::Consumer {
                consumer,
                in_group,
                begun,
            } => {
                if !std::mem::replace(begun, true) {
                    let _ = match in_group {
                        true => consumer.subscribe(&[TOPIC]),
                        false => consumer.assign_topic(TOPIC, Start::Earliest),
                    };
                }
                if !polls {
                    return 0;
                }
                count(|| {
                    let polled = consumer.poll(1, Duration::ZERO);
                    if let Ok(Polled::Batch(batch)) = &polled
                        && *in_group
                        && now.as_millis() % 1000 < 100
                    {
                        let _ = consumer.commit_batch_async(batch);
                    }
                    polled
                })
            }
            Client::Share { consumer, begun } => {
                if !std::mem::replace(begun, true) {
                    let _ = consumer.subscribe(&[TOPIC]);
                }
                let told = count(|| consumer.poll(Duration::ZERO));
                let _ = consumer.commit_async();
                told
            }
            Client::Admin {
                admin,
                call,
                number,
            } => {
                if call.as_ref().is_none_or(|has_ended| has_ended()) {
                    *call = admin.begin(*number, Duration::from_secs(4)).ok();
                    *number += 1;
                }
                0
            }
        }
    }
}

/// Polls until there is nothing but records; the events.
fn count(mut poll: impl FnMut() -> crate::Result<Polled>) -> u64 {
    let mut events = 0;
    while let Ok(Polled::Event(_)) = poll() {
        events += 1;
    }
    events
}

fn produce(
    producer: &Producer,
    transactions: Option<&mut Transactions>,
    rng: &mut Rng,
    steps: u64,
) {
    let mut out = Vec::new();
    let _ = producer.completions(1000, Duration::ZERO, &mut out);
    let mut in_transaction = None;
    if let Some(transactions) = transactions {
        // What is told of failures is not what is looked at here.
        let _ = transactions.go_on(producer, TRANSACTION);
        if transactions.open().is_none() {
            return;
        }
        in_transaction = Some(transactions);
    }
    if !steps.is_multiple_of(SENDS_EVERY) {
        return;
    }
    let record = Record {
        topic: TOPIC,
        partition: Some((steps / SENDS_EVERY % PARTITIONS as u64) as i32),
        value: Some(b"value"),
        token: steps,
        ..Record::default()
    };
    let sent = producer.send(&record, Wait::UpTo(Duration::ZERO));
    let Some(transactions) = in_transaction else {
        return;
    };
    let offset = OffsetAndMetadata::from(steps as i64);
    let group = GroupMetadata {
        group_id: GROUP.to_owned(),
        generation: -1,
        member_id: String::new(),
        instance_id: None,
    };
    let offsets = producer.send_offsets(&[(TOPIC, 0, offset)], &group, Duration::ZERO);
    for result in [sent, offsets] {
        if let Err(e) = result {
            transactions.failed(&e);
        }
    }
    transactions.accepted(1, rng);
}
