//! Requests through the `kafka-protocol` crate: version choice, framing, checked decoding.

use std::collections::BTreeMap;
use std::fmt;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

use super::releases::since;
use crate::error::{Error, ErrorCode, Result};
use crate::protocol::produce::OutFrame;
use crate::protocol::schema::{self, api_name};
use crate::protocol::wire::{Writer, string};
use crate::protocol::{fetch, produce};

/// The API versions a broker told us it speaks.
#[derive(Debug, Default, Clone)]
pub(crate) struct Versions(BTreeMap<i16, (i16, i16)>);

impl Versions {
    pub(crate) fn from_response(response: &ApiVersionsResponse) -> Self {
        Versions(
            response
                .api_keys
                .iter()
                .map(|a| (a.api_key, (a.min_version, a.max_version)))
                .collect(),
        )
    }

    /// The versions of `key` that the broker speaks, the lowest and the highest.
    pub(crate) fn offered(&self, key: i16) -> Option<(i16, i16)> {
        self.0.get(&key).copied()
    }

    /// The highest version of `key` that both sides speak, ours being `min..=max`.
    pub(crate) fn pick(&self, key: i16, (min, max): (i16, i16)) -> Result<i16> {
        let name = api_name(key);
        let Some((their_min, their_max)) = self.offered(key) else {
            let since = since(key, min).map_or_else(
                || "it may be too old for this call".to_owned(),
                |release| format!("Kafka has it since {release}"),
            );
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                format!("the broker does not offer {name} (API key {key}); {since}"),
            ));
        };
        let version = max.min(their_max);
        if version < min.max(their_min) {
            let since = match since(key, min) {
                _ if their_min > max => "; this client is too old for the broker".to_owned(),
                Some(release) => format!("; Kafka has version {min} since {release}"),
                None => String::new(),
            };
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                format!(
                    "no common version of {name}: the broker speaks {their_min} to {their_max}, this client {min} to \
                     {max}{since}"
                ),
            ));
        }
        Ok(version)
    }

    /// An error unless the broker speaks `key` in `version` or a later one, which `what` needs.
    pub(crate) fn need(&self, key: i16, version: i16, what: impl fmt::Display) -> Result<()> {
        let offered = self.offered(key);
        if offered.is_some_and(|(_, max)| max >= version) {
            return Ok(());
        }
        let name = api_name(key);
        let needed = since(key, version).map_or_else(
            || format!("a broker with {name} version {version}"),
            |release| format!("Kafka {release} or later ({name} version {version})"),
        );
        let has = offered.map_or_else(
            || format!("this broker does not offer {name}"),
            |(min, max)| format!("this broker speaks {min} to {max}"),
        );
        Err(Error::new(
            ErrorCode::UNSUPPORTED,
            format!("{what} needs {needed}; {has}"),
        ))
    }

    /// An error where the peer is no broker that this client can work with: one before 0.11, or no broker at all.
    pub(crate) fn check_age(&self) -> Result<()> {
        // What Kafka 0.11 brought: record batches, and metadata that creates no topics.
        const NEEDED: [(i16, i16); 3] = [(0, 3), (1, 4), (3, 4)];
        if NEEDED.iter().all(|(key, _)| self.offered(*key).is_none()) {
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                "the peer offers neither Produce nor Fetch nor Metadata; is it a controller (KRaft)? \
                 Give the address of a broker",
            ));
        }
        let too_old = |(key, version): &(i16, i16)| {
            self.offered(*key)
                .is_some_and(|(_, their_max)| their_max < *version)
        };
        if !NEEDED.iter().any(too_old) {
            return Ok(());
        }
        let says: Vec<String> = NEEDED
            .iter()
            .map(|(key, _)| match self.offered(*key) {
                Some((min, max)) => format!("{} {min} to {max}", api_name(*key)),
                None => format!("no {}", api_name(*key)),
            })
            .collect();
        Err(Error::new(
            ErrorCode::UNSUPPORTED,
            format!(
                "this broker is too old (its ApiVersions says {}); Ottla needs Kafka 0.11 or later",
                says.join(", ")
            ),
        ))
    }
}

/// A request ready to go out but for its correlation id.
pub(crate) struct Call {
    pub(crate) key: i16,
    pub(crate) version: i16,
    pub(crate) frame: OutFrame,
}

/// Position of the correlation id in a frame: length, API key, version come before it.
const CORRELATION_AT: usize = 8;

impl Call {
    /// Encodes `request` in `version`.
    pub(crate) fn encode<R: Request>(client_id: &str, version: i16, request: &R) -> Result<Call> {
        let mut frame = start_frame(client_id, R::KEY, version, R::header_version(version))?;
        let mut body = BytesMut::new();
        request.encode(&mut body, version).map_err(|e| {
            Error::argument(format!(
                "{} cannot be encoded in version {version}: {e}",
                api_name(R::KEY)
            ))
        })?;
        frame.meta.extend_from_slice(&body);
        frame.finish();
        Ok(Call {
            key: R::KEY,
            version,
            frame,
        })
    }

    /// Starts a Produce request; the caller writes its body and calls [`OutFrame::finish`].
    pub(crate) fn produce(client_id: &str, version: i16) -> Result<Call> {
        let header = if version >= 9 { 2 } else { 1 };
        Call::begin(client_id, produce::KEY, version, header)
    }

    /// Starts a Fetch request; the caller writes its body and calls [`OutFrame::finish`].
    pub(crate) fn fetch(client_id: &str, version: i16) -> Result<Call> {
        let header = if version >= 12 { 2 } else { 1 };
        Call::begin(client_id, fetch::KEY, version, header)
    }

    /// Starts a request whose body the caller writes before it calls [`OutFrame::finish`].
    pub(crate) fn begin(
        client_id: &str,
        key: i16,
        version: i16,
        header_version: i16,
    ) -> Result<Call> {
        let frame = start_frame(client_id, key, version, header_version)?;
        Ok(Call {
            key,
            version,
            frame,
        })
    }

    pub(crate) fn set_correlation(&mut self, id: i32) {
        if let Some(at) = self.frame.meta.get_mut(CORRELATION_AT..CORRELATION_AT + 4) {
            at.copy_from_slice(&id.to_be_bytes());
        }
    }
}

/// The newest version of ApiVersions that is spoken; its request names whom it is meant for (KIP-1242).
pub(crate) const GREETING: i16 = 5;

/// ApiVersions, the first request of a connection; `meant` is the cluster's and the broker's id, where they are known.
pub(crate) fn greeting(client_id: &str, version: i16, meant: Option<(&str, i32)>) -> Result<Call> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("ottla"))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    if version < GREETING {
        return Call::encode(client_id, version, &request);
    }
    let mut body = BytesMut::new();
    request
        .encode(&mut body, GREETING - 1)
        .map_err(|e| Error::argument(format!("ApiVersions cannot be encoded: {e}")))?;
    let mut call = Call::begin(client_id, ApiVersionsRequest::KEY, GREETING, 2)?;
    // The fields of version 4 without its (empty) tags, then those of version 5.
    let common = body.len().saturating_sub(1);
    call.frame.meta.extend_from_slice(&body[..common]);
    let mut writer = Writer {
        out: &mut call.frame.meta,
        flexible: true,
    };
    writer.nullable_string(meant.map(|(cluster, _)| cluster));
    writer.i32(meant.map_or(-1, |(_, broker)| broker));
    writer.no_tags();
    call.frame.finish();
    Ok(call)
}

fn start_frame(client_id: &str, key: i16, version: i16, header_version: i16) -> Result<OutFrame> {
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_client_id(Some(string(client_id)));
    let mut buf = BytesMut::from(&[0u8; 4][..]);
    header
        .encode(&mut buf, header_version)
        .map_err(|e| Error::argument(format!("the request header cannot be encoded: {e}")))?;
    Ok(OutFrame {
        meta: buf.to_vec(),
        bodies: Vec::new(),
    })
}

/// Decodes what followed a response's correlation id, checking its structure first.
pub(crate) fn decode<R: Request>(version: i16, body: Bytes) -> Result<R::Response>
where
    R::Response: Decodable + HeaderVersion,
{
    let body = strip_header(R::Response::header_version(version), body)?;
    schema::decode_response::<R::Response>(R::KEY, version, body)
}

/// Skips the tags of a flexible response header (v1).
pub(crate) fn strip_header(header_version: i16, body: Bytes) -> Result<Bytes> {
    if header_version < 1 {
        return Ok(body);
    }
    let at = crate::protocol::wire::skip_tags("response header", &body)?;
    Ok(body.slice(at..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(keys: &[(i16, i16, i16)]) -> Versions {
        Versions(
            keys.iter()
                .map(|(k, min, max)| (*k, (*min, *max)))
                .collect(),
        )
    }

    #[test]
    fn what_a_broker_is_too_old_for_is_told_with_the_release_that_has_it() {
        let old = versions(&[(11, 0, 4), (10, 0, 0), (3, 14, 15)]);
        let told = |result: Result<()>| {
            let error = result.unwrap_err();
            assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
            error.message().to_owned()
        };
        let static_member = old.need(11, 5, "`group.instance.id`");
        assert_eq!(
            told(static_member),
            "`group.instance.id` needs Kafka 2.3 or later (JoinGroup version 5); this broker speaks 0 to 4"
        );
        assert_eq!(
            told(old.need(78, 1, "a share group")),
            "a share group needs Kafka 4.1 or later (ShareFetch version 1); this broker does not offer ShareFetch"
        );
        old.need(11, 4, "anything").unwrap();
        assert_eq!(
            told(old.pick(10, (1, 6)).map(drop)),
            "no common version of FindCoordinator: the broker speaks 0 to 0, this client 1 to 6; Kafka has version 1 \
             since 0.11"
        );
        assert_eq!(
            told(old.pick(3, (4, 13)).map(drop)),
            "no common version of Metadata: the broker speaks 14 to 15, this client 4 to 13; this client is too old for \
             the broker"
        );
        assert_eq!(
            told(old.pick(78, (1, 2)).map(drop)),
            "the broker does not offer ShareFetch (API key 78); Kafka has it since 4.1"
        );
        assert_eq!(old.pick(11, (0, 9)).unwrap(), 4);
    }
}
