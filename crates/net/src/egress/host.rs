//! What a host may look like before anything is resolved or connected.
//!
//! One form for each host: four plain decimal numbers, an IPv6 address in brackets, or a name of
//! ASCII labels. The other forms that URLs allow (decimal, octal, hexadecimal and short addresses,
//! percent-encoding, digits of other scripts, a dot at the end) are refused and not translated:
//! whoever writes a host so wants two readers to read two things.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host in its one form.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// An address; one of IPv4 that came in IPv6's form is IPv4's again.
    Ip(IpAddr),
    /// In lower case.
    Name(String),
}

impl Host {
    /// `text` as it stands in a URL; the brackets of an IPv6 address may be missing.
    pub(crate) fn parse(text: &str) -> Result<Host, &'static str> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("its brackets do not match")?;
            return ipv6(inner);
        }
        if text.contains(':') {
            return ipv6(text);
        }
        if let Ok(plain) = text.parse::<Ipv4Addr>() {
            return Ok(Host::Ip(plain.into()));
        }
        name(text)
    }
}

fn ipv6(text: &str) -> Result<Host, &'static str> {
    let address: Ipv6Addr = text.parse().map_err(|_| "it is no IPv6 address")?;
    Ok(Host::Ip(IpAddr::V6(address).to_canonical()))
}

fn name(text: &str) -> Result<Host, &'static str> {
    if !text.is_ascii() {
        return Err("it is not ASCII; write the name in its xn-- form");
    }
    if text.is_empty() || text.len() > 253 {
        return Err("a name has 1 to 253 characters");
    }
    if text.ends_with('.') {
        return Err("it ends in a dot; leave that out");
    }
    let mut last = text;
    for label in text.split('.') {
        check_label(label)?;
        last = label;
    }
    // Browsers and resolvers read a name whose last label is a number as an address (WHATWG URL,
    // "ends in a number").
    if is_number(last) {
        return Err("it is a number; write an address as four plain decimal numbers");
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

fn check_label(label: &str) -> Result<(), &'static str> {
    // The underscore is in no host name by the book, and in many of Docker's.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() || label.len() > 63 {
        return Err("a part between dots has 1 to 63 characters");
    }
    if !label.bytes().all(fits) || label.starts_with('-') || label.ends_with('-') {
        return Err("a name consists of letters, digits, hyphens and dots");
    }
    Ok(())
}

fn is_number(label: &str) -> bool {
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Host::Ip(address) => address.fmt(f),
            Host::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Host;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(hosts: &[&str], expected: &Expect) {
        let read = |host: &&str| match Host::parse(host) {
            Ok(host) => format!("{host}\n"),
            Err(why) => format!("refused: {why}\n"),
        };
        expected.assert_eq(&hosts.iter().map(read).collect::<String>());
    }

    #[test]
    fn a_plain_host_is_read_into_one_form() {
        check(
            &[
                "API.Example.com",
                "redis",
                "my_service.internal",
                "xn--bcher-kva.example",
                "1.2.3.4",
                "[2001:DB8::0:1]",
                "2001:db8::1",
                "[::ffff:127.0.0.1]",
                "0x7f.example",
                "1password.com",
            ],
            &expect![[r#"
                api.example.com
                redis
                my_service.internal
                xn--bcher-kva.example
                1.2.3.4
                [2001:db8::1]
                [2001:db8::1]
                127.0.0.1
                0x7f.example
                1password.com
            "#]],
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        check(
            &[
                "2130706433",
                "0x7f000001",
                "0x7f.1",
                "127.1",
                "0177.0.0.1",
                "127.0.0.01",
                "1.2.3.4.5",
                "example.com.",
                "127.0.0.1.",
                "bücher.example",
                "１２７.0.0.1",
                "ex%61mple.com",
                "a b",
                "-a.example",
                "a..b",
                "",
                "[::1",
                "[fe80::1%25eth0]",
                "1::2::3",
            ],
            &expect![[r#"
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it is a number; write an address as four plain decimal numbers
                refused: it ends in a dot; leave that out
                refused: it ends in a dot; leave that out
                refused: it is not ASCII; write the name in its xn-- form
                refused: it is not ASCII; write the name in its xn-- form
                refused: a name consists of letters, digits, hyphens and dots
                refused: a name consists of letters, digits, hyphens and dots
                refused: a name consists of letters, digits, hyphens and dots
                refused: a part between dots has 1 to 63 characters
                refused: a name has 1 to 253 characters
                refused: its brackets do not match
                refused: it is no IPv6 address
                refused: it is no IPv6 address
            "#]],
        );
    }
}
