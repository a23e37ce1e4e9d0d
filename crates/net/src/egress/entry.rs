//! One line of an allow-list: whom it lets reach.
//!
//! `host:port`, `host` (port 443), `address:port`, `*.domain:port` for what stands below a domain,
//! `*:port` for all. A tag's value cannot hold a star (AWS), so `.domain` says the same. Where an entry counts, and
//! whether it may open somebody's own network, is not decided here.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::Deserialize;

use super::host::Host;

/// What an entry without a port means.
const HTTPS: u16 = 443;

/// A host, all below a domain, or all, at one port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Entry {
    whom: Whom,
    port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Whom {
    Host(Host),
    /// A domain without the dot before it.
    Below(String),
    Any,
}

/// Why a text is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no destination: {why}; {write}")]
pub struct EntryError {
    text: String,
    why: &'static str,
    write: &'static str,
}

const WRITE_ENTRY: &str = "write host:port, host for port 443, or *.domain:port";
const WRITE_URL: &str = "write it as in http://host:8080/path";

impl Entry {
    /// The host and port that an absolute URL goes to.
    pub fn of_url(url: &str) -> Result<Entry, EntryError> {
        let wrong = |why| EntryError { text: url.to_owned(), why, write: WRITE_URL };
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        let (host, port) =
            super::destination(&uri).ok_or(wrong("it is no http:// or https:// URL"))?;
        let whom = Whom::Host(Host::parse(host).map_err(wrong)?);
        Ok(Entry { whom, port })
    }

    /// The host, where it names one; none for many.
    pub fn host(&self) -> Option<String> {
        match &self.whom {
            Whom::Host(host) => Some(host.to_string()),
            Whom::Below(_) | Whom::Any => None,
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it names this host itself.
    pub(crate) fn is(&self, host: &Host, port: u16) -> bool {
        self.port == port && matches!(&self.whom, Whom::Host(own) if own == host)
    }

    /// Whether it names this host, alone or among others.
    pub(crate) fn covers(&self, host: &Host, port: u16) -> bool {
        self.port == port
            && match (&self.whom, host) {
                (Whom::Host(own), host) => own == host,
                (Whom::Below(domain), Host::Name(name)) => is_below(name, domain),
                (Whom::Below(_), Host::Ip(_)) => false,
                (Whom::Any, _) => true,
            }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for Entry {
    type Err = EntryError;

    fn from_str(text: &str) -> Result<Entry, EntryError> {
        let wrong = |why| EntryError { text: text.to_owned(), why, write: WRITE_ENTRY };
        let (host, port) = split(text).map_err(wrong)?;
        if host == "*" {
            return Ok(Entry { whom: Whom::Any, port });
        }
        let domain = host.strip_prefix('*').unwrap_or(host).strip_prefix('.');
        let whom = match domain {
            Some(domain) => match Host::parse(domain).map_err(wrong)? {
                Host::Name(domain) if domain.contains('.') => Whom::Below(domain),
                Host::Name(_) => return Err(wrong("a star covers no whole top-level domain")),
                Host::Ip(_) => return Err(wrong("an address has nothing below it")),
            },
            None => Whom::Host(Host::parse(host).map_err(wrong)?),
        };
        Ok(Entry { whom, port })
    }
}

/// Host and port; an IPv6 address with a port has brackets.
fn split(text: &str) -> Result<(&str, u16), &'static str> {
    if text.contains(['/', '@']) {
        return Err("it has more than a host and a port");
    }
    let bare_ipv6 = !text.starts_with('[') && text.matches(':').count() > 1;
    let after_bracket = text.rfind(']').unwrap_or(0);
    match text[after_bracket..].rfind(':') {
        Some(at) if !bare_ipv6 => {
            let (host, port) = text.split_at(after_bracket + at);
            Ok((host, parse_port(&port[1..])?))
        }
        _ => Ok((text, HTTPS)),
    }
}

fn parse_port(text: &str) -> Result<u16, &'static str> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port > 0);
    port.ok_or("its port is no number from 1 to 65535")
}

impl TryFrom<String> for Entry {
    type Error = EntryError;

    fn try_from(text: String) -> Result<Entry, EntryError> {
        text.parse()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.whom {
            Whom::Host(host) => write!(f, "{host}:{}", self.port),
            Whom::Below(domain) => write!(f, "*.{domain}:{}", self.port),
            Whom::Any => write!(f, "*:{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Entry;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(entries: &[&str], expected: &Expect) {
        let read = |text: &&str| match text.parse::<Entry>() {
            Ok(entry) => format!("{entry}\n"),
            Err(error) => format!("{error}\n"),
        };
        expected.assert_eq(&entries.iter().map(read).collect::<String>());
    }

    #[test]
    fn an_entry_names_a_host_or_a_domain_and_a_port() {
        check(
            &[
                "api.stripe.com",
                "API.stripe.com:8443",
                "*.S3.amazonaws.com",
                ".s3.amazonaws.com:443",
                "10.0.0.5:5432",
                "[fd00::1]:80",
                "fd00::1",
                "localhost:5432",
                "*",
            ],
            &expect![[r#"
                api.stripe.com:443
                api.stripe.com:8443
                *.s3.amazonaws.com:443
                *.s3.amazonaws.com:443
                10.0.0.5:5432
                [fd00::1]:80
                [fd00::1]:443
                localhost:5432
                *:443
            "#]],
        );
    }

    #[test]
    fn what_names_no_destination_is_refused() {
        check(
            &[
                "https://api.stripe.com",
                "api.stripe.com:0",
                "api.stripe.com:+1",
                "api.stripe.com:",
                "*.com",
                "a.*.com",
                "*.1.2.3.4",
                "127.1:80",
                "",
            ],
            &expect![[r#"
                "https://api.stripe.com" names no destination: it has more than a host and a port; write host:port, host for port 443, or *.domain:port
                "api.stripe.com:0" names no destination: its port is no number from 1 to 65535; write host:port, host for port 443, or *.domain:port
                "api.stripe.com:+1" names no destination: its port is no number from 1 to 65535; write host:port, host for port 443, or *.domain:port
                "api.stripe.com:" names no destination: its port is no number from 1 to 65535; write host:port, host for port 443, or *.domain:port
                "*.com" names no destination: a star covers no whole top-level domain; write host:port, host for port 443, or *.domain:port
                "a.*.com" names no destination: a name consists of letters, digits, hyphens and dots; write host:port, host for port 443, or *.domain:port
                "*.1.2.3.4" names no destination: an address has nothing below it; write host:port, host for port 443, or *.domain:port
                "127.1:80" names no destination: it is a number; write an address as four plain decimal numbers; write host:port, host for port 443, or *.domain:port
                "" names no destination: a name has 1 to 253 characters; write host:port, host for port 443, or *.domain:port
            "#]],
        );
    }
}
