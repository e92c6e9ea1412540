//! Broker addresses as users write them.

use std::fmt;
use std::net::Ipv6Addr;

/// The port used where an address has none.
const DEFAULT_PORT: u16 = 9092;

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Parses addresses separated by commas; blanks between commas are skipped, as Java does.
///
/// The error is the rest of a sentence that begins with the key.
pub(super) fn parse_list(text: &str) -> Result<Vec<HostPort>, String> {
    let mut hosts: Vec<HostPort> = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let host = parse_one(part)?;
        let known = |other: &HostPort| {
            other.port == host.port && other.host.eq_ignore_ascii_case(&host.host)
        };
        if !hosts.iter().any(known) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(
            "is empty: give at least one broker as host:port, for example \
                    `localhost:9092`"
                .to_owned(),
        );
    }
    Ok(hosts)
}

fn parse_one(part: &str) -> Result<HostPort, String> {
    // What stands before an `@` may be a password: it is not repeated.
    if let Some((_, after)) = part.rsplit_once('@') {
        return Err(format!(
            "has an entry with user or password before `@{after}`: give host:port alone"
        ));
    }
    let address = without_scheme(part)?;
    let (host, port) = split_port(address, part)?;
    if host.is_empty() {
        return Err(format!(
            "has the entry `{part}` without a host: give host:port"
        ));
    }
    if let Some(bad) = host
        .chars()
        .find(|c| c.is_whitespace() || "/\\[]?#\"'".contains(*c))
    {
        return Err(format!(
            "has the entry `{part}` with `{}` in the host: give host:port, several separated by commas",
            bad.escape_debug()
        ));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => match text.parse::<u16>() {
            Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => {
                return Err(format!(
                    "has the entry `{part}` with port `{text}`: ports are 1 to 65535"
                ));
            }
        },
    };
    Ok(HostPort {
        host: host.to_owned(),
        port,
    })
}

fn without_scheme(part: &str) -> Result<&str, String> {
    let Some((scheme, rest)) = part.split_once("://") else {
        return Ok(part);
    };
    match scheme.to_ascii_uppercase().as_str() {
        "PLAINTEXT" => Ok(rest),
        "SSL" | "SASL_PLAINTEXT" | "SASL_SSL" => Err(format!(
            "has the entry `{part}`: {scheme} is not there yet in this version; use a PLAINTEXT listener"
        )),
        "HTTP" | "HTTPS" => Err(format!(
            "has the web address `{part}`: brokers do not speak HTTP; give the host and port of a \
             broker's own listener, for example `localhost:9092`"
        )),
        _ => Err(format!(
            "has the entry `{part}` with the unknown scheme `{scheme}`: give host:port, for \
             example `localhost:9092`"
        )),
    }
}

fn split_port<'a>(address: &'a str, part: &str) -> Result<(&'a str, Option<&'a str>), String> {
    if let Some(rest) = address.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(format!("has the entry `{part}` with `[` but no `]`"));
        };
        let plain = host
            .split_once('%')
            .map_or(host, |(address, _zone)| address);
        if plain.parse::<Ipv6Addr>().is_err() {
            return Err(format!(
                "has the entry `{part}` with no IPv6 address in the brackets"
            ));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!(
                "has the entry `{part}` with `{after}` after `]`: give [address]:port"
            )),
        };
    }
    match address.split_once(':') {
        None => Ok((address, None)),
        Some((_, rest)) if rest.contains(':') => Err(format!(
            "has the entry `{part}` with several colons: an IPv6 address needs brackets, as in \
             `[::1]:9092`; several brokers are separated by commas"
        )),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse_list(text) {
            Ok(hosts) => hosts
                .iter()
                .map(HostPort::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Err(problem) => problem,
        }
    }

    #[test]
    fn accepts_what_users_write() {
        assert_eq!(shown("a:1,b:2"), "a:1 b:2");
        assert_eq!(shown(" a:1 ,, b , "), "a:1 b:9092");
        assert_eq!(
            shown("[::1]:19092,[fe80::1%eth0]"),
            "[::1]:19092 [fe80::1%eth0]:9092"
        );
        assert_eq!(shown("PLAINTEXT://h:1,plaintext://[::1]:2"), "h:1 [::1]:2");
        assert_eq!(shown("10.0.0.1:65535"), "10.0.0.1:65535");
        assert_eq!(shown("a:1,A:1,a:2,a:1"), "a:1 a:2");
        assert_eq!(parse_list("[::1]").unwrap()[0].host, "::1");
    }

    #[test]
    fn refuses_with_advice() {
        let empty = "is empty: give at least one broker as host:port, for example `localhost:9092`";
        assert_eq!(shown(""), empty);
        assert_eq!(shown(" , "), empty);
        for port in ["99999", "0", "", "+5", "http", "-1"] {
            assert_eq!(
                shown(&format!("a:1,h:{port}")),
                format!("has the entry `h:{port}` with port `{port}`: ports are 1 to 65535")
            );
        }
        assert_eq!(
            shown(":9092"),
            "has the entry `:9092` without a host: give host:port"
        );
        assert_eq!(
            shown("http://h:8082"),
            "has the web address `http://h:8082`: brokers do not speak HTTP; give the host and port of a \
             broker's own listener, for example `localhost:9092`"
        );
        assert_eq!(
            shown("SASL_SSL://h:1"),
            "has the entry `SASL_SSL://h:1`: SASL_SSL is not there yet in this version; use a PLAINTEXT listener"
        );
        assert_eq!(
            shown("kafka://h:1"),
            "has the entry `kafka://h:1` with the unknown scheme `kafka`: give host:port, for example `localhost:9092`"
        );
        assert_eq!(
            shown("::1:9092"),
            "has the entry `::1:9092` with several colons: an IPv6 address needs brackets, as in \
             `[::1]:9092`; several brokers are separated by commas"
        );
        assert_eq!(
            shown("[::1:9092"),
            "has the entry `[::1:9092` with `[` but no `]`"
        );
        assert_eq!(
            shown("[host]:1"),
            "has the entry `[host]:1` with no IPv6 address in the brackets"
        );
        assert_eq!(
            shown("[::1]9092"),
            "has the entry `[::1]9092` with `9092` after `]`: give [address]:port"
        );
        assert_eq!(
            shown("a b:1"),
            "has the entry `a b:1` with ` ` in the host: give host:port, several separated by commas"
        );
        assert_eq!(
            shown("h:1/path"),
            "has the entry `h:1/path` with port `1/path`: ports are 1 to 65535"
        );
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let problem = shown("http://me:hunter2@h:1");
        assert_eq!(
            problem,
            "has an entry with user or password before `@h:1`: give host:port alone"
        );
    }
}
