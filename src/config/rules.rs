//! Rules between keys. A default gives way to what the user set, with a note; two values the user
//! set that contradict each other are an error.

use std::time::Duration;

use super::choice::{Acks, GroupProtocol};
use super::settings::Settings;
use super::value::Value;
use crate::error::{Error, Result};

/// What a fetch response holds beside records: headers of topics and partitions.
const RESPONSE_OVERHEAD: usize = 512;

pub(super) fn common(s: &mut Settings) -> Result<()> {
    not_above(s, "reconnect.backoff.ms", "reconnect.backoff.max.ms")?;
    not_above(s, "retry.backoff.ms", "retry.backoff.max.ms")?;
    not_above(
        s,
        "socket.connection.setup.timeout.ms",
        "socket.connection.setup.timeout.max.ms",
    )
}

/// Java's rule for its admin client: a call lasts at least one request. A shorter limit for calls alone
/// is no contradiction: the request is then given up with the call.
pub(super) fn admin(s: &mut Settings) -> Result<()> {
    if s.is_set("request.timeout.ms") {
        not_above(s, "request.timeout.ms", "default.api.timeout.ms")?;
    }
    Ok(())
}

pub(super) fn producer(s: &mut Settings) -> Result<()> {
    transactions(s)?;
    idempotence(s)?;
    delivery_timeout(s)?;
    size_not_above(s, "max.request.size", "buffer.memory")?;
    size_not_above(s, "batch.size", "max.request.size")?;
    size_not_above(s, "batch.size", "buffer.memory")
}

pub(super) fn consumer(s: &mut Settings) -> Result<()> {
    fetching(s)?;
    group(s)
}

pub(super) fn fetching(s: &mut Settings) -> Result<()> {
    fetch_wait(s)?;
    response_limit(s)?;
    size_not_above(s, "fetch.min.bytes", "fetch.max.bytes")
}

/// What only a group has needs one; and a member is heard of before its time is over.
fn group(s: &mut Settings) -> Result<()> {
    let instance = "group.instance.id";
    if s.text("group.id")?.is_none() && s.text(instance)?.is_some() {
        return Err(Error::config(format!(
            "{} needs a group: set `group.id`",
            s.describe(instance)
        )));
    }
    let (heartbeat, session) = ("heartbeat.interval.ms", "session.timeout.ms");
    let limit = s.duration(session)?;
    if s.duration(heartbeat)? >= limit {
        let both = format!(
            "{} is not less than {}",
            s.describe(heartbeat),
            s.describe(session)
        );
        if s.is_set(heartbeat) {
            return Err(Error::config(format!(
                "{both}: lower `{heartbeat}`, to a third or less, or raise `{session}`"
            )));
        }
        s.adjust(
            heartbeat,
            Value::Duration(limit / 3),
            format!("{both}: `{heartbeat}` is lowered to a third of it"),
        );
    }
    Ok(())
}

/// Keys that only the classic protocol has.
const CLASSIC: [&str; 3] = [
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
];

/// How groups are joined: `auto` is settled by keys that only one protocol has, and the other protocol refuses them, as
/// Java's client does.
pub(super) fn group_protocol(s: &Settings) -> Result<GroupProtocol> {
    const KEY: &str = "group.protocol";
    const REMOTE: &str = "group.remote.assignor";
    let classic = CLASSIC.into_iter().find(|key| s.is_changed(key));
    let modern = s.text(REMOTE)?.map(|_| REMOTE);
    let refuse = |key: &'static str, only: &str, other: &'static str| {
        Err(Error::config(format!(
            "{} is only for group.protocol={only}, and {} is given: remove one",
            s.describe(key),
            s.describe(other)
        )))
    };
    match (s.choice(KEY)?, classic, modern) {
        (GroupProtocol::Consumer, Some(key), _) => refuse(key, "classic", KEY),
        (GroupProtocol::Classic, _, Some(key)) => refuse(key, "consumer", KEY),
        (GroupProtocol::Auto, Some(key), Some(other)) => refuse(key, "classic", other),
        (GroupProtocol::Auto, Some(_), None) => Ok(GroupProtocol::Classic),
        (GroupProtocol::Auto, None, Some(_)) => Ok(GroupProtocol::Consumer),
        (given, _, _) => Ok(given),
    }
}

/// The duration `low` is at most `high`; whichever of the two is a default gives way.
fn not_above(s: &mut Settings, low: &'static str, high: &'static str) -> Result<()> {
    let (low_value, high_value) = (s.duration(low)?, s.duration(high)?);
    if low_value <= high_value {
        return Ok(());
    }
    let both = format!("{} is more than {}", s.describe(low), s.describe(high));
    if !s.is_set(high) {
        s.adjust(
            high,
            Value::Duration(low_value),
            format!("{both}: `{high}` is raised to it"),
        );
    } else if !s.is_set(low) {
        s.adjust(
            low,
            Value::Duration(high_value),
            format!("{both}: `{low}` is lowered to it"),
        );
    } else {
        return Err(Error::config(format!(
            "{both}: lower `{low}` or raise `{high}`"
        )));
    }
    Ok(())
}

/// The size `low` is at most `high`; if `low` is a default it gives way. The upper one never does: it
/// is a limit.
fn size_not_above(s: &mut Settings, low: &'static str, high: &'static str) -> Result<()> {
    let limit = s.size(high)?;
    if s.size(low)? <= limit {
        return Ok(());
    }
    let both = format!("{} is more than {}", s.describe(low), s.describe(high));
    if s.is_set(low) {
        return Err(Error::config(format!(
            "{both}: lower `{low}` or raise `{high}`"
        )));
    }
    s.adjust(
        low,
        Value::Size(limit as u64),
        format!("{both}: `{low}` is lowered to it"),
    );
    Ok(())
}

/// Java's rules: whoever asks for idempotence must not contradict it; whoever does not mention it
/// loses it by asking for less (`acks`, `retries`), but not by asking for more requests in flight, where
/// records would silently change their order.
fn idempotence(s: &mut Settings) -> Result<()> {
    const KEY: &str = "enable.idempotence";
    if !s.bool(KEY)? {
        return Ok(());
    }
    let acks = s.choice::<Acks>("acks")? != Acks::All;
    let retries = s.int::<i64>("retries")? == 0;
    let in_flight = s.int::<i64>("max.in.flight.requests.per.connection")? > 5;
    let (low, needs) = if acks {
        ("acks", "needs acks=all")
    } else if retries {
        ("retries", "needs at least one retry")
    } else if in_flight {
        (
            "max.in.flight.requests.per.connection",
            "allows at most 5 requests in flight",
        )
    } else {
        return Ok(());
    };
    let given = s.describe(low);
    if s.is_set(KEY) || low == "max.in.flight.requests.per.connection" {
        return Err(Error::config(format!(
            "{} {needs}, but {given} is set: change one of them",
            s.describe(KEY)
        )));
    }
    s.adjust(
        KEY,
        Value::Bool(false),
        format!("`{KEY}` is off, because {given} is set and it {needs}"),
    );
    Ok(())
}

/// Java's rule: transactions need idempotence, so what turns it off contradicts them.
fn transactions(s: &mut Settings) -> Result<()> {
    const KEY: &str = "transactional.id";
    if s.text(KEY)?.is_none() {
        return Ok(());
    }
    let acks = s.choice::<Acks>("acks")? != Acks::All;
    let retries = s.int::<i64>("retries")? == 0;
    let (low, needs) = if !s.bool("enable.idempotence")? {
        ("enable.idempotence", "needs idempotence")
    } else if acks {
        ("acks", "needs acks=all")
    } else if retries {
        ("retries", "needs at least one retry")
    } else {
        return Ok(());
    };
    Err(Error::config(format!(
        "{} {needs}, but {} is set: change one of them",
        s.describe(KEY),
        s.describe(low)
    )))
}

/// Java's rule: `delivery.timeout.ms` leaves time for lingering and for one request.
fn delivery_timeout(s: &mut Settings) -> Result<()> {
    const KEY: &str = "delivery.timeout.ms";
    let least: Duration = s
        .duration("linger.ms")?
        .saturating_add(s.duration("request.timeout.ms")?);
    if s.duration(KEY)? >= least {
        return Ok(());
    }
    let sum = format!(
        "{} plus {}",
        s.describe("linger.ms"),
        s.describe("request.timeout.ms")
    );
    let both = format!("{} is less than {sum}", s.describe(KEY));
    if s.is_set(KEY) {
        return Err(Error::config(format!(
            "{both}: raise `{KEY}`, or lower `request.timeout.ms` or `linger.ms`"
        )));
    }
    s.adjust(
        KEY,
        Value::Duration(least),
        format!("{both}: `{KEY}` is raised to their sum"),
    );
    Ok(())
}

/// A fetch that a broker holds back must be answered before it counts as lost.
fn fetch_wait(s: &mut Settings) -> Result<()> {
    let (low, high) = ("fetch.max.wait.ms", "request.timeout.ms");
    let limit = s.duration(high)?;
    if s.duration(low)? < limit {
        return Ok(());
    }
    let both = format!("{} is not less than {}", s.describe(low), s.describe(high));
    if s.is_set(low) {
        return Err(Error::config(format!(
            "{both}: lower `{low}` or raise `{high}`"
        )));
    }
    s.adjust(
        low,
        Value::Duration(limit / 2),
        format!("{both}: `{low}` is lowered to half of it"),
    );
    Ok(())
}

/// A whole fetch response must fit the frame limit.
fn response_limit(s: &mut Settings) -> Result<()> {
    let (low, high) = ("fetch.max.bytes", "receive.message.max.bytes");
    let least = s.size(low)?.saturating_add(RESPONSE_OVERHEAD);
    if least <= s.size(high)? {
        return Ok(());
    }
    let both = format!(
        "{} plus {RESPONSE_OVERHEAD} bytes of headers is more than {}",
        s.describe(low),
        s.describe(high)
    );
    if !s.is_set(high) {
        s.adjust(
            high,
            Value::Size(least as u64),
            format!("{both}: `{high}` is raised to it"),
        );
    } else if !s.is_set(low) {
        let fits = s.size(high)?.saturating_sub(RESPONSE_OVERHEAD).max(1);
        s.adjust(
            low,
            Value::Size(fits as u64),
            format!("{both}: `{low}` is lowered to fit"),
        );
    } else {
        return Err(Error::config(format!(
            "{both}: lower `{low}` or raise `{high}`"
        )));
    }
    Ok(())
}
