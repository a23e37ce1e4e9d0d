//! The resolver of a jail: which loopback address a host has, in the words of DNS over TCP.
//!
//! Hosts that are named one by one stand in the jail's hosts file too, and seldom come here. This is
//! for those below a domain, which cannot be listed, and for those that are not allowed: that one was
//! asked for is said in the function's log, with what to do. Nobody outside is asked.
//!
//! RFC 1035 for the messages; RFC 7766 for TCP. libc asks by TCP because resolv.conf has `use-vc`.

use std::net::Ipv4Addr;

const HEADER: usize = 12;
const TYPE_A: u16 = 1;
const CLASS_IN: u16 = 1;

/// Seconds for which an answer holds. It holds as long as the process.
const LIVES: u32 = 300;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    NoError = 0,
    Malformed = 1,
    NoSuchName = 3,
    NotServed = 4,
}

/// The answer to a query; `None` if it is not even one. `look_up` finds the address of a host, in
/// lower case, and hears whether it is the address that is asked for.
pub(crate) fn answer(
    query: &[u8],
    look_up: impl FnOnce(&str, bool) -> Option<Ipv4Addr>,
) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let flags = u16::from_be_bytes([header[2], header[3]]);
    if flags & 0x8000 != 0 {
        return None;
    }
    let is_standard = flags & 0x7800 == 0;
    let Some(question) = Question::read(query) else {
        let code = if is_standard { Code::Malformed } else { Code::NotServed };
        return Some(reply(header, &[], code, None));
    };
    let found = look_up(&question.name, question.wants_address);
    let (code, address) = match found {
        None => (Code::NoSuchName, None),
        Some(address) => (Code::NoError, question.wants_address.then_some(address)),
    };
    Some(reply(header, question.text, code, address))
}

struct Question<'a> {
    /// As it stands in the query.
    text: &'a [u8],
    name: String,
    /// Of IPv4; the only thing there is to know about a host.
    wants_address: bool,
}

impl<'a> Question<'a> {
    /// Of a standard query with one question.
    fn read(query: &'a [u8]) -> Option<Question<'a>> {
        let is_standard = query[2] & 0x78 == 0;
        if !is_standard || query[4..6] != [0, 1] {
            return None;
        }
        let mut at = HEADER;
        let mut labels = Vec::new();
        loop {
            let length = usize::from(*query.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            // A longer one would be a pointer, which no question has.
            let label = query.get(at..at + length).filter(|_| length < 64)?;
            labels.push(std::str::from_utf8(label).ok()?);
            at += length;
        }
        let rest = query.get(at..at + 4)?;
        let kind = u16::from_be_bytes([rest[0], rest[1]]);
        let class = u16::from_be_bytes([rest[2], rest[3]]);
        Some(Question {
            text: &query[HEADER..at + 4],
            name: labels.join(".").to_ascii_lowercase(),
            wants_address: kind == TYPE_A && class == CLASS_IN,
        })
    }
}

fn reply(header: &[u8], question: &[u8], code: Code, address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut reply = Vec::with_capacity(HEADER + question.len() + 16);
    reply.extend(&header[..2]);
    // A response, authoritative, with the query's kind and its wish for recursion, which is there.
    reply.push(0x80 | 0x04 | (header[2] & 0x79));
    reply.push(0x80 | code as u8);
    reply.extend([0, u8::from(!question.is_empty()), 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    reply.extend(question);
    if let Some(address) = address {
        // The name stands at the question.
        reply.extend([0xc0, HEADER as u8]);
        reply.extend(TYPE_A.to_be_bytes());
        reply.extend(CLASS_IN.to_be_bytes());
        reply.extend(LIVES.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    reply
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use expect_test::{Expect, expect};

    use super::answer;

    /// A query for `name`, by type; the parts of the answer that differ.
    fn check(name: &str, kind: u16, expected: &Expect) {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend(label.bytes());
        }
        query.push(0);
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        let known = |name: &str, _| (name == "api.example").then_some(Ipv4Addr::new(127, 83, 0, 1));
        let reply = answer(&query, known).unwrap();
        assert_eq!(reply[..2], query[..2]);
        assert_eq!(reply[12..query.len()], query[12..]);
        let told = (&reply[2..12], &reply[query.len()..]);
        expected.assert_eq(&format!("{told:02x?}"));
    }

    #[test]
    fn a_host_has_an_address_or_does_not_exist() {
        check(
            "API.example",
            1,
            &expect![
                "([85, 80, 00, 01, 00, 01, 00, 00, 00, 00], [c0, 0c, 00, 01, 00, 01, 00, 00, 01, 2c, 00, 04, 7f, 53, 00, 01])"
            ],
        );
        check("api.example", 28, &expect!["([85, 80, 00, 01, 00, 00, 00, 00, 00, 00], [])"]);
        check("evil.example", 1, &expect!["([85, 83, 00, 01, 00, 00, 00, 00, 00, 00], [])"]);
    }

    #[test]
    fn what_is_no_question_gets_no_address() {
        let nobody = |_: &str, _| -> Option<Ipv4Addr> { panic!("nobody is looked up") };
        let said = |query: &[u8]| answer(query, nobody).map(|reply| reply[3] & 0xf);
        assert_eq!(said(&[0; 11]), None);
        // A response.
        assert_eq!(said(&[0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]), None);
        // No question, two questions, a name without an end, a name that points at itself.
        assert_eq!(said(&[0; 12]), Some(1));
        assert_eq!(said(&[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]), Some(1));
        assert_eq!(said(&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 5, b'a']), Some(1));
        assert_eq!(said(&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1]), Some(1));
        // A notification.
        assert_eq!(said(&[0, 0, 0x20, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1]), Some(4));
    }
}
