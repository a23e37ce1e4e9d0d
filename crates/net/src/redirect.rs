//! Where a redirect leads, for callers that follow one.
//!
//! Each hop is a request like any other and goes through the same guard. To another origin go no
//! headers but those that say what is understood, since a key may stand in a header of any name, and
//! no body. From https nothing leads back to http.
//!
//! Methods change as in the Fetch standard ("HTTP-redirect fetch"): 303 becomes GET, and so do 301
//! and 302 of a POST; 307 and 308 repeat the request as it is.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Method, Request, Response, StatusCode};

/// Headers that may go to a host for which they were not written.
const HARMLESS: [HeaderName; 4] =
    [header::ACCEPT, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::USER_AGENT];

/// What describes a body, and leaves with it.
const OF_A_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// What a response asks for instead of the request it answers.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is the answer.
    Answer,
    Hop(Box<Request<Bytes>>),
    /// It leads where no request follows; the words say why.
    Refused(&'static str),
}

/// `asked` is the request as it was sent.
pub(crate) fn next<B>(asked: &Request<Bytes>, answer: &Response<B>) -> Next {
    if !is_redirect(answer.status()) {
        return Next::Answer;
    }
    let Some(location) = answer.headers().get(header::LOCATION) else { return Next::Answer };
    let Some(uri) = location.to_str().ok().and_then(|to| redirect_target(asked.uri(), to)) else {
        return Next::Refused("its location is no plain URL");
    };
    hop(asked, answer.status(), uri)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn hop(asked: &Request<Bytes>, status: StatusCode, uri: Uri) -> Next {
    if asked.uri().scheme() == Some(&Scheme::HTTPS) && uri.scheme() != Some(&Scheme::HTTPS) {
        return Next::Refused("it leads from https to http");
    }
    let same = origin(asked.uri()) == origin(&uri);
    let gets = becomes_get(status, asked.method());
    if !gets && !same && !asked.body().is_empty() {
        return Next::Refused("it would take the request's body to another host");
    }
    let mut request = Request::new(if gets { Bytes::new() } else { asked.body().clone() });
    *request.method_mut() = if gets { Method::GET } else { asked.method().clone() };
    *request.uri_mut() = uri;
    *request.headers_mut() = kept(asked.headers(), same, gets);
    Next::Hop(Box::new(request))
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => !matches!(*method, Method::GET | Method::HEAD),
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

fn kept(headers: &HeaderMap, same: bool, bodyless: bool) -> HeaderMap {
    let stays = |name: &HeaderName| {
        let about_body = bodyless && OF_A_BODY.contains(name);
        *name != header::HOST && !about_body && (same || HARMLESS.contains(name))
    };
    let kept = headers.iter().filter(|(name, _)| stays(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn origin(uri: &Uri) -> Option<(Option<&Scheme>, String, u16)> {
    let (host, port) = crate::egress::destination(uri)?;
    Some((uri.scheme(), host.to_ascii_lowercase(), port))
}

/// `location` as seen from `base` (RFC 3986, 5.2), if it is written plainly: no character that
/// readers of URLs drop or turn into another one.
pub fn redirect_target(base: &Uri, location: &str) -> Option<Uri> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if location.is_empty() || !location.bytes().all(plain) {
        return None;
    }
    let location = location.split('#').next().unwrap_or(location);
    let (scheme, authority) = (base.scheme()?, base.authority()?);
    let target = if let Some((scheme, _)) = absolute(location) {
        let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        return location.parse().ok().filter(|uri: &Uri| known && uri.authority().is_some());
    } else if let Some(rest) = location.strip_prefix("//") {
        return format!("{scheme}://{rest}").parse().ok();
    } else if location.is_empty() {
        base.path_and_query().map_or("/", PathAndQuery::as_str).to_owned()
    } else if location.starts_with('/') {
        location.to_owned()
    } else if location.starts_with('?') {
        format!("{}{location}", base.path())
    } else {
        let folder = base.path().rfind('/').map_or("/", |slash| &base.path()[..=slash]);
        format!("{folder}{location}")
    };
    at(scheme, authority, &target)
}

/// Scheme and rest of a reference that has a scheme.
fn absolute(location: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = location.split_once(':')?;
    let mut bytes = scheme.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    (begins && bytes.all(fits)).then_some((scheme, rest))
}

fn at(scheme: &Scheme, authority: &Authority, target: &str) -> Option<Uri> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut target = without_dots(path);
    if let Some(query) = query {
        target = format!("{target}?{query}");
    }
    let uri = Uri::builder().scheme(scheme.clone()).authority(authority.clone());
    uri.path_and_query(target).build().ok()
}

/// RFC 3986, 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." | ".." => {
                if *segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use expect_test::{Expect, expect};
    use http::{Request, Response};

    use super::{Next, next};

    /// Each line: method, URL, status, location.
    #[track_caller]
    fn check(lines: &[&str], expected: &Expect) {
        let told = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let asked = Request::builder()
                .method(words[0])
                .uri(words[1])
                .header("authorization", "Bearer secret")
                .header("x-api-key", "secret")
                .header("accept", "application/json")
                .header("content-type", "text/plain")
                .body(Bytes::from_static(if words[0] == "GET" { b"" } else { b"body" }))
                .unwrap();
            let answer = Response::builder().status(words[2]).header("location", words[3]);
            match next(&asked, &answer.body(()).unwrap()) {
                Next::Answer => "answer\n".to_owned(),
                Next::Refused(why) => format!("refused: {why}\n"),
                Next::Hop(hop) => {
                    let names: Vec<&str> =
                        hop.headers().keys().map(http::HeaderName::as_str).collect();
                    let (method, uri, body) = (hop.method(), hop.uri(), hop.body().len());
                    format!("{method} {uri} {} {body} bytes\n", names.join(","))
                }
            }
        };
        expected.assert_eq(&lines.iter().map(told).collect::<String>());
    }

    #[test]
    fn the_method_and_the_body_follow_the_status() {
        check(
            &[
                "GET http://a.example/x 301 /y",
                "POST http://a.example/x 302 /y",
                "POST http://a.example/x 303 /y",
                "POST http://a.example/x 307 /y",
                "PUT http://a.example/x 301 /y",
                "PUT http://a.example/x 303 /y",
                "GET http://a.example/x 304 /y",
                "GET http://a.example/x 200 /y",
            ],
            &expect![[r#"
                GET http://a.example/y authorization,x-api-key,accept,content-type 0 bytes
                GET http://a.example/y authorization,x-api-key,accept 0 bytes
                GET http://a.example/y authorization,x-api-key,accept 0 bytes
                POST http://a.example/y authorization,x-api-key,accept,content-type 4 bytes
                PUT http://a.example/y authorization,x-api-key,accept,content-type 4 bytes
                GET http://a.example/y authorization,x-api-key,accept 0 bytes
                answer
                answer
            "#]],
        );
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        check(
            &[
                "GET https://a.example/x 302 https://A.example:443/y",
                "GET https://a.example/x 302 https://b.example/y",
                "GET https://a.example/x 302 https://a.example:8443/y",
                "GET https://a.example/x 302 https://sub.a.example/y",
                "GET http://a.example/x 302 https://a.example/y",
                "GET https://a.example/x 302 http://a.example/y",
                "POST https://a.example/x 307 https://b.example/y",
                "POST https://a.example/x 303 https://b.example/y",
            ],
            &expect![[r#"
                GET https://A.example:443/y authorization,x-api-key,accept,content-type 0 bytes
                GET https://b.example/y accept 0 bytes
                GET https://a.example:8443/y accept 0 bytes
                GET https://sub.a.example/y accept 0 bytes
                GET https://a.example/y accept 0 bytes
                refused: it leads from https to http
                refused: it would take the request's body to another host
                GET https://b.example/y accept 0 bytes
            "#]],
        );
    }

    #[test]
    fn a_location_is_seen_from_where_it_stands() {
        check(
            &[
                "GET http://a.example/x/y?q=1 302 z",
                "GET http://a.example/x/y?q=1 302 ../../../z?r",
                "GET http://a.example/x/y?q=1 302 ?r=2",
                "GET http://a.example/x/y?q=1 302 #part",
                "GET http://a.example/x/y?q=1 302 //b.example/z",
                "GET http://a.example/x/y 302 ./a:b",
                "GET http://a.example/x/y 302 HTTPS://b.example",
            ],
            &expect![[r#"
                GET http://a.example/x/z authorization,x-api-key,accept,content-type 0 bytes
                GET http://a.example/z?r authorization,x-api-key,accept,content-type 0 bytes
                GET http://a.example/x/y?r=2 authorization,x-api-key,accept,content-type 0 bytes
                GET http://a.example/x/y?q=1 authorization,x-api-key,accept,content-type 0 bytes
                GET http://b.example/z accept 0 bytes
                GET http://a.example/x/a:b authorization,x-api-key,accept,content-type 0 bytes
                GET https://b.example/ accept 0 bytes
            "#]],
        );
    }

    #[test]
    fn a_location_that_is_not_plain_is_refused() {
        check(
            &[
                "GET http://a.example/ 302 http:/b.example",
                "GET http://a.example/ 302 http:\\\\b.example",
                "GET http://a.example/ 302 /\\b.example",
                "GET http://a.example/ 302 file:///etc/passwd",
                "GET http://a.example/ 302 gopher://b.example/",
                "GET http://a.example/ 302 javascript:alert(1)",
                "GET http://a.example/ 302 http://b\tc.example/",
            ],
            &expect![[r#"
                refused: its location is no plain URL
                refused: its location is no plain URL
                refused: its location is no plain URL
                refused: its location is no plain URL
                refused: its location is no plain URL
                refused: its location is no plain URL
                refused: its location is no plain URL
            "#]],
        );
    }
}
