//! Statistics as JSON.

use std::fmt::Write;
use std::sync::Arc;

use super::{Place, Scope, Stats};

/// Text in quotes, with what JSON wants escaped.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    quoted(out, name);
    out.push(':');
}

fn text(out: &mut String, name: &str, value: &str) {
    key(out, name);
    quoted(out, value);
}

fn number(out: &mut String, name: &str, value: impl std::fmt::Display) {
    key(out, name);
    let _ = write!(out, "{value}");
}

/// A scope's figures, as members of an object that is open.
fn figures(out: &mut String, scope: &Scope) {
    for (name, value) in &scope.values {
        number(out, name, value);
    }
    for (name, histogram) in &scope.histograms {
        let s = histogram.summary();
        key(out, name);
        out.push('{');
        for (name, value) in [
            ("count", s.count),
            ("sum", s.sum),
            ("min", s.min),
            ("max", s.max),
            ("p50", s.p50),
            ("p90", s.p90),
            ("p99", s.p99),
            ("p999", s.p999),
        ] {
            number(out, name, value);
        }
        out.push('}');
    }
    key(out, "errors");
    out.push('{');
    for (code, count) in &scope.errors {
        number(out, code.name(), count);
    }
    out.push('}');
}

pub(super) fn write(stats: &Stats) -> String {
    let mut out = String::with_capacity(256 + 256 * stats.scopes.len());
    out.push('{');
    text(&mut out, "client", stats.client);
    text(&mut out, "client_id", &stats.client_id);
    number(&mut out, "time_ms", stats.time_ms);
    number(&mut out, "age_ms", stats.age.as_millis());
    for scope in &stats.scopes {
        if matches!(scope.place, Place::Client) {
            figures(&mut out, scope);
        }
    }
    key(&mut out, "brokers");
    out.push('[');
    let mut first = true;
    for scope in &stats.scopes {
        if let Place::Broker { id, address, state } = &scope.place {
            out.push_str(if first { "{" } else { ",{" });
            first = false;
            number(&mut out, "id", id);
            text(&mut out, "address", address);
            text(&mut out, "state", state);
            figures(&mut out, scope);
            out.push('}');
        }
    }
    out.push(']');
    key(&mut out, "topics");
    out.push('{');
    let mut open: Option<&Arc<str>> = None;
    for scope in &stats.scopes {
        if let Place::Partition {
            topic,
            index,
            leader,
        } = &scope.place
        {
            if open != Some(topic) {
                if open.is_some() {
                    out.push_str("}}");
                }
                key(&mut out, topic);
                out.push_str("{\"partitions\":{");
                open = Some(topic);
            }
            key(&mut out, &index.to_string());
            out.push('{');
            number(&mut out, "leader", leader);
            figures(&mut out, scope);
            out.push('}');
        }
    }
    out.push_str(if open.is_some() { "}}}}" } else { "}}" });
    out
}
