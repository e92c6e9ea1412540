//! Pairs of key and value, checked one by one against the table.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use super::choice::FromChoice;
use super::hosts::HostPort;
use super::nearest::nearest;
use super::reset::AutoOffsetReset;
use super::table::{self, ClientKind, Clients, Convert, FOREIGN, Key, Kind, keys};
use super::value::{self, Value, Wrong};
use crate::error::{Error, Result};

/// The values of every key a client has: what the user set, else the default.
pub(super) struct Settings {
    client: ClientKind,
    values: HashMap<&'static str, Setting>,
    notes: Vec<String>,
}

struct Setting {
    value: Value,
    /// The name and the text the user gave; `None` for a default.
    given: Option<(String, String)>,
    /// A default that a rule has changed.
    adjusted: bool,
}

impl Settings {
    /// Checks every pair, and fills in the defaults.
    pub(super) fn read<'a>(
        client: ClientKind,
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let mut settings = Settings {
            client,
            values: HashMap::new(),
            notes: Vec::new(),
        };
        for (name, text) in pairs {
            settings.set(name, text)?;
        }
        for key in keys().filter(|key| key.clients.contains(client)) {
            if let (Some(default), false) = (key.default, settings.values.contains_key(key.name)) {
                let value = parse(key, key.name, Convert::Same, default)?;
                settings.values.insert(
                    key.name,
                    Setting {
                        value,
                        given: None,
                        adjusted: false,
                    },
                );
            }
        }
        if !settings.values.contains_key("bootstrap.servers") {
            return Err(Error::config(
                "`bootstrap.servers` is not set: give at least one broker as host:port, for \
                 example `localhost:9092`",
            ));
        }
        Ok(settings)
    }

    fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let Some((key, convert)) = table::find(name) else {
            return Err(unknown(name, self.client));
        };
        if !key.clients.contains(self.client) {
            return Err(Error::config(format!(
                "`{}` is a key of {}, and this is {}: remove it",
                shown(name),
                owners(key.clients),
                article(self.client),
            )));
        }
        if matches!(key.kind, Kind::NotYet) {
            return Err(Error::config(format!(
                "`{name}` is known, but not there yet in this version: remove it"
            )));
        }
        if let Some((before, _)) = self.given(key.name) {
            return Err(Error::config(if before == name {
                format!("`{name}` is set twice: keep one")
            } else {
                format!("`{before}` and `{name}` are two names of one key: keep one")
            }));
        }
        let value = parse(key, name, convert, text)?;
        let given = Some((name.to_owned(), text.to_owned()));
        self.values.insert(
            key.name,
            Setting {
                value,
                given,
                adjusted: false,
            },
        );
        Ok(())
    }

    fn given(&self, key: &str) -> Option<&(String, String)> {
        self.values.get(key)?.given.as_ref()
    }

    pub(super) fn client(&self) -> ClientKind {
        self.client
    }

    /// True if the user set the key, under any of its names.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.given(key).is_some()
    }

    /// True if the user set the key, and not to its default.
    pub(super) fn is_changed(&self, key: &'static str) -> bool {
        let default = table::find(key).and_then(|(key, _)| {
            parse(
                key,
                key.name,
                Convert::Same,
                key.default.unwrap_or_default(),
            )
            .ok()
        });
        let setting = self.values.get(key).filter(|s| s.given.is_some());
        setting.is_some_and(|s| default.is_none_or(|default| s.value != default))
    }

    /// The key and its value for a message, under the name the user chose: `` `linger.ms` (5ms) ``.
    pub(super) fn describe(&self, key: &'static str) -> String {
        let Some(setting) = self.values.get(key) else {
            return format!("`{key}`");
        };
        if let Some((name, text)) = &setting.given {
            return format!("`{name}` ({})", shown(text.trim()));
        }
        let default = match &setting.value {
            Value::Duration(value) => format!("{} ms", value.as_millis()),
            Value::Size(value) => format!("{value} bytes"),
            _ => table::find(key)
                .and_then(|(key, _)| key.default)
                .unwrap_or("")
                .to_owned(),
        };
        let how = if setting.adjusted {
            "adjusted"
        } else {
            "the default"
        };
        format!("`{key}` ({default}, {how})")
    }

    /// Replaces a default that contradicts what the user set, and notes why.
    pub(super) fn adjust(&mut self, key: &'static str, value: Value, note: String) {
        self.values.insert(
            key,
            Setting {
                value,
                given: None,
                adjusted: true,
            },
        );
        self.notes.push(note);
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    fn value(&self, key: &str) -> Result<&Value> {
        match self.values.get(key) {
            Some(setting) => Ok(&setting.value),
            None => Err(misread(key)),
        }
    }

    pub(super) fn bool(&self, key: &str) -> Result<bool> {
        match self.value(key)? {
            Value::Bool(value) => Ok(*value),
            _ => Err(misread(key)),
        }
    }

    pub(super) fn int<T: TryFrom<i64>>(&self, key: &str) -> Result<T> {
        match self.value(key)? {
            Value::Int(value) => T::try_from(*value).map_err(|_| misread(key)),
            _ => Err(misread(key)),
        }
    }

    pub(super) fn duration(&self, key: &str) -> Result<Duration> {
        match self.value(key)? {
            Value::Duration(value) => Ok(*value),
            _ => Err(misread(key)),
        }
    }

    /// Bytes; more than the machine can address is cut to that.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        match self.value(key)? {
            Value::Size(value) => Ok(usize::try_from(*value).unwrap_or(usize::MAX)),
            _ => Err(misread(key)),
        }
    }

    /// The text, `None` if it is empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>> {
        match self.value(key)? {
            Value::Text(value) => Ok(Some(value.clone()).filter(|text| !text.is_empty())),
            _ => Err(misread(key)),
        }
    }

    pub(super) fn choice<T: FromChoice>(&self, key: &str) -> Result<T> {
        match self.value(key)? {
            Value::Choice(at) => T::VALUES.get(*at).copied().ok_or_else(|| misread(key)),
            _ => Err(misread(key)),
        }
    }

    pub(super) fn reset(&self, key: &str) -> Result<AutoOffsetReset> {
        match self.value(key)? {
            Value::Reset(value) => Ok(*value),
            _ => Err(misread(key)),
        }
    }

    pub(super) fn hosts(&self, key: &str) -> Result<Vec<HostPort>> {
        match self.value(key)? {
            Value::Hosts(hosts) => Ok(hosts.clone()),
            _ => Err(misread(key)),
        }
    }
}

/// A field and the table disagree about a key, which the tests of every kind of client rule out.
fn misread(key: &str) -> Error {
    Error::config(format!(
        "`{key}` is read as another type than the table says (a bug in Ottla)"
    ))
}

fn parse(key: &Key, name: &str, convert: Convert, text: &str) -> Result<Value> {
    value::parse(key, convert, text).map_err(|wrong| {
        let other = if name == key.name {
            String::new()
        } else {
            format!(" (another name of `{}`)", key.name)
        };
        let text = if key.secret {
            Cow::Borrowed("(hidden)")
        } else {
            shown(text.trim())
        };
        Error::config(match wrong {
            Wrong::Value(problem) => format!("`{name}`{other} is set to `{text}`, which {problem}"),
            Wrong::Hosts(problem) => format!("`{name}`{other} {problem}"),
        })
    })
}

/// A user's text for a message: short, and without control characters.
fn shown(text: &str) -> Cow<'_, str> {
    const LIMIT: usize = 100;
    if text.len() <= LIMIT && !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut cut: String = text
        .chars()
        .take(LIMIT)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > LIMIT {
        cut.push('…');
    }
    Cow::Owned(cut)
}

fn article(client: ClientKind) -> &'static str {
    match client {
        ClientKind::Producer => "a producer",
        ClientKind::Consumer => "a consumer",
        ClientKind::Admin => "an admin client",
        ClientKind::ShareConsumer => "a share consumer",
    }
}

fn owners(clients: Clients) -> String {
    let names: Vec<String> = clients.iter().map(|kind| format!("the {kind}")).collect();
    names.join(" and ")
}

fn unknown(name: &str, client: ClientKind) -> Error {
    if name.trim().is_empty() {
        return Error::config("a configuration key is empty");
    }
    if let Some((_, advice)) = FOREIGN.iter().find(|(foreign, _)| *foreign == name) {
        return Error::config(format!("`{name}` is not a key of Ottla: {advice}"));
    }
    let names = |key: &'static Key| {
        std::iter::once(key.name).chain(key.aliases.iter().map(|alias| alias.name))
    };
    // This client's own keys come first, so that they win over equally near ones of others.
    let own = keys()
        .filter(|key| key.clients.contains(client))
        .flat_map(names);
    let others = keys()
        .filter(|key| !key.clients.contains(client))
        .flat_map(names);
    let name_shown = shown(name);
    let Some(meant) = nearest(name, own.chain(others)) else {
        return Error::config(format!(
            "`{name_shown}` is not a known key, and none is like it; docs/configuration.md lists them all"
        ));
    };
    let owner = match table::find(meant) {
        Some((key, _)) if !key.clients.contains(client) => {
            format!(
                " (a key of {}, and this is {})",
                owners(key.clients),
                article(client)
            )
        }
        _ => String::new(),
    };
    Error::config(format!(
        "`{name_shown}` is not a known key: did you mean `{meant}`{owner}?"
    ))
}
