//! Refuses requests that a browser was tricked into: a foreign `Host` (DNS rebinding), a foreign
//! `Origin` (a page that posts to a loopback port), in dev mode a foreign page that fetches. Runs before anything else looks at a request.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use http::uri::Uri;
use wire::fault::Fault;

use crate::config::Config;

pub(crate) struct Names {
    /// Lower case, without ports.
    hosts: Vec<String>,
    origins: Vec<String>,
    /// Listening on all addresses: any address literal names this server, and no name can be
    /// rebound to a literal.
    any_address: bool,
    /// Nobody signs, so that a page could call as anybody.
    dev: bool,
}

impl Names {
    pub(crate) fn new(config: &Config, listen: IpAddr) -> Self {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(String::from).to_vec();
        hosts.push(match listen {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        hosts.extend(config.hosts.iter().map(|host| host.to_ascii_lowercase()));
        let origins = config.origins.iter().map(|o| o.trim_end_matches('/').to_lowercase());
        Names {
            hosts,
            origins: origins.collect(),
            any_address: listen.is_unspecified(),
            dev: config.dev,
        }
    }

    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
        let host = host(uri, headers);
        // A proxy in between may have looked at the other one.
        if headers.get_all(HOST).iter().count() > 1 {
            return Err(Fault::access_denied(
                "the request has more than one Host header: send one",
            ));
        }
        if !host.is_some_and(|host| self.knows(host)) {
            let host = host.unwrap_or("");
            return Err(Fault::access_denied(format!(
                "craton does not answer for host {host:?}: add it to hosts in craton.toml"
            )));
        }
        if self.dev && !headers.contains_key(ORIGIN) && is_elsewhere(headers) {
            return Err(Fault::access_denied(
                "craton does not answer pages of other sites in dev mode, and the browser says \
                 that one asks",
            ));
        }
        for origin in headers.get_all(ORIGIN) {
            if !origin.to_str().is_ok_and(|origin| self.trusts(origin)) {
                return Err(Fault::access_denied(format!(
                    "craton does not answer pages of origin {origin:?}: add it to origins in \
                     craton.toml"
                )));
            }
        }
        Ok(())
    }

    fn knows(&self, authority: &str) -> bool {
        let name = without_port(authority);
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
            || self.any_address && name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
            || bucket(authority).is_some()
    }

    fn trusts(&self, origin: &str) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| bucket(authority).is_none() && self.knows(authority))
            || self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }
}

/// For images, links and forms with GET, browsers send no `Origin` but this (Fetch Metadata).
fn is_elsewhere(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    sites.any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}

/// HTTP/2 carries it as `:authority`, HTTP/1.1 as a header.
pub(crate) fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(http::uri::Authority::as_str),
    }
}

/// What stands before `localhost` in an authority. S3's clients put the bucket there, and no name
/// below `localhost` can be bound to another machine (RFC 6761).
pub(crate) fn bucket(authority: &str) -> Option<&str> {
    let name = without_port(authority);
    let (before, last) = name.rsplit_once('.')?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(plain);
    (last.eq_ignore_ascii_case("localhost") && before.split('.').all(is_label)).then_some(before)
}

fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if authority[colon + 1..].bytes().all(|b| b.is_ascii_digit()) => {
            &authority[..colon]
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, host: &str, origin: Option<&str>) -> bool {
        let config = Config {
            hosts: vec!["Craton.internal".into()],
            origins: vec!["https://console.example.com".into()],
            ..Config::default()
        };
        let names = Names::new(&config, listen.parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        names.check(&Uri::from_static("/agents/"), &headers).is_ok()
    }

    #[test]
    fn only_known_names_and_addresses_are_answered() {
        for host in ["localhost", "LOCALHOST:4747", "127.0.0.1:1", "[::1]:4747", "craton.internal"]
        {
            assert!(check("127.0.0.1", host, None), "{host}");
        }
        assert!(check("127.0.0.1", "bucket.localhost:4747", None));
        for host in [
            "evil.example",
            "localhost.evil.example:4747",
            ".localhost",
            "b?policy=.localhost",
            "b/...localhost",
            "a..localhost",
            "b#.localhost",
            "10.0.0.9",
            "",
            "127.0.0.1:x",
        ] {
            assert!(!check("127.0.0.1", host, None), "{host}");
        }
        assert!(check("10.0.0.9", "10.0.0.9:4747", None));
        assert!(check("0.0.0.0", "10.0.0.9:4747", None), "an address cannot be rebound");
        assert!(!check("0.0.0.0", "evil.example", None));
    }

    #[test]
    fn only_pages_of_known_origins_may_call() {
        for origin in ["http://localhost:3000", "http://[::1]", "https://console.example.com"] {
            assert!(check("127.0.0.1", "localhost", Some(origin)), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "",
            "http://evil.localhost",
        ] {
            assert!(!check("127.0.0.1", "localhost", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn a_request_with_two_hosts_is_for_nobody() {
        let names = Names::new(&Config::default(), [127, 0, 0, 1].into());
        let mut headers = HeaderMap::from_iter([(HOST, "127.0.0.1".parse().unwrap())]);
        assert!(names.check(&Uri::from_static("/"), &headers).is_ok());
        headers.append(HOST, "evil.example".parse().unwrap());
        assert!(names.check(&Uri::from_static("/"), &headers).is_err());
    }
}
