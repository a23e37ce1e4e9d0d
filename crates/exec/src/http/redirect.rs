//! Which redirects are followed, and with what.
//!
//! A request that only reads goes where it is sent. One that may change something goes on only where
//! HTTP keeps its meaning: 303 to read the result, 307 and 308 with method and body if it may be
//! repeated. A body never goes to another origin, and nothing goes from TLS to plain text.

use http::{Method, Uri};

use super::api::ApiReply;
use super::origin::Origin;

/// One request of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: String,
    /// It goes to the API's own origin, the only one that gets credentials.
    pub(super) home: bool,
    pub(super) with_body: bool,
}

pub(super) struct Answer {
    pub(super) reply: ApiReply,
    /// Empty where there is none.
    pub(super) location: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Leads {
    Nowhere,
    To(Hop),
}

pub(super) fn next(hop: &Hop, answer: &Answer, may_repeat: bool, home: &Origin) -> Leads {
    let Some((url, origin)) = target(hop, &answer.location) else { return Leads::Nowhere };
    let reads = matches!(hop.method, Method::GET | Method::HEAD);
    let (method, with_body) = match answer.reply.status {
        301 | 302 | 307 | 308 if reads => (hop.method.clone(), hop.with_body),
        303 if reads => (hop.method.clone(), false),
        303 => (Method::GET, false),
        307 | 308 if may_repeat => (hop.method.clone(), hop.with_body),
        _ => return Leads::Nowhere,
    };
    // Once away from home nothing goes along that was not asked for again there.
    let is_home = hop.home && origin == *home;
    if !is_home && !matches!(method, Method::GET | Method::HEAD) {
        return Leads::Nowhere;
    }
    Leads::To(Hop { method, url, home: is_home, with_body: with_body && is_home })
}

/// The absolute URL of a `Location`.
fn target(hop: &Hop, location: &str) -> Option<(String, Origin)> {
    let from: Uri = hop.url.parse().ok()?;
    let to = net::redirect_target(&from, location)?;
    let (before, after) = (Origin::of(&from).ok()?, Origin::of(&to).ok()?);
    if before.tls && !after.tls {
        return None;
    }
    Some((to.to_string(), after))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use http::Method;

    use super::{Answer, Hop, Leads, next};
    use crate::http::api::ApiReply;
    use crate::http::origin::Origin;

    const HOME: &str = "https://api.example.com/v1/orders?page=1";

    fn check(method: Method, may_repeat: bool, status: u16, location: &str, expect: &Expect) {
        let hop = Hop { method, url: HOME.to_owned(), home: true, with_body: true };
        let reply = ApiReply {
            status,
            media: String::new(),
            coding: String::new(),
            body: Vec::new(),
            cut: false,
            retry_after: None,
            duration: std::time::Duration::ZERO,
            log: String::new(),
        };
        let home = Origin::of(&HOME.parse().unwrap()).unwrap();
        let answer = Answer { reply, location: location.to_owned() };
        let said = match next(&hop, &answer, may_repeat, &home) {
            Leads::Nowhere => "nowhere".to_owned(),
            Leads::To(hop) => {
                let body = if hop.with_body { " with its body" } else { "" };
                let home = if hop.home { " and credentials" } else { "" };
                format!("{} {}{body}{home}", hop.method, hop.url)
            }
        };
        expect.assert_eq(&said);
    }

    #[test]
    fn a_request_that_reads_goes_where_it_is_sent() {
        for status in [301, 302, 307, 308] {
            let there = expect!["GET https://api.example.com/v2 with its body and credentials"];
            check(Method::GET, true, status, "/v2", &there);
        }
        let get = |location, expect: Expect| check(Method::GET, true, 302, location, &expect);
        get("next", expect!["GET https://api.example.com/v1/next with its body and credentials"]);
        get(
            "?page=2#top",
            expect!["GET https://api.example.com/v1/orders?page=2 with its body and credentials"],
        );
        get(
            "https://API.example.com:443/x",
            expect!["GET https://API.example.com:443/x with its body and credentials"],
        );
        get("https://other.example.com/x", expect!["GET https://other.example.com/x"]);
        get("//other.example.com/x", expect!["GET https://other.example.com/x"]);
        get("https://api.example.com:8443/x", expect!["GET https://api.example.com:8443/x"]);
        get("http://api.example.com/x", expect!["nowhere"]);
        get("https://user@api.example.com/x", expect!["nowhere"]);
        get("file:///etc/passwd", expect!["nowhere"]);
        get("", expect!["nowhere"]);
        check(Method::GET, true, 304, "/x", &expect!["nowhere"]);
        check(Method::GET, true, 200, "/x", &expect!["nowhere"]);
    }

    #[test]
    fn a_request_that_changes_something_goes_on_only_with_its_meaning() {
        let done = expect!["GET https://api.example.com/orders/1 and credentials"];
        check(Method::POST, false, 303, "/orders/1", &done);
        check(
            Method::PUT,
            true,
            303,
            "https://cdn.example.com/1",
            &expect!["GET https://cdn.example.com/1"],
        );
        for status in [301, 302] {
            check(Method::POST, true, status, "/v2", &expect!["nowhere"]);
        }
        for status in [307, 308] {
            check(Method::POST, false, status, "/v2", &expect!["nowhere"]);
            let again = expect!["PUT https://api.example.com/v2 with its body and credentials"];
            check(Method::PUT, true, status, "/v2", &again);
            check(Method::PUT, true, status, "https://other.example.com/v2", &expect!["nowhere"]);
        }
    }
}
