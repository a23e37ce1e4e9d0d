//! Craton's pages: who may see them, and what a browser may do with them.
//!
//! In dev mode whoever reaches the server sees them; else a cookie that began with a link of
//! somebody who may, or a signature. What a page holds is `api::page`'s.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use wire::fault::Fault;

use crate::body::Body;

/// What pages stand behind; the own door too, which is looked at before.
const PREFIX: &str = "/_craton";

/// Where a link leads.
pub(crate) const OPEN: &str = "/open";

/// The path behind the prefix, if it is a page's.
pub(crate) fn path(raw: &str) -> Option<&str> {
    let rest = raw.strip_prefix(PREFIX)?;
    let is_page = rest == OPEN || rest == "/runs" || rest.starts_with("/runs/");
    is_page.then_some(rest)
}

/// The link that a secret opens; `run` is where it leads to.
pub(crate) fn link(secret: &str, run: Option<&str>) -> String {
    let run = run.map(|run| format!("&run={run}")).unwrap_or_default();
    format!("{PREFIX}{OPEN}?token={secret}{run}")
}

pub(crate) fn html(status: StatusCode, text: String, nonce: &str) -> Response<Body> {
    let mut response = Response::new(Body::Whole(text.into()));
    *response.status_mut() = status;
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src \
         'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    set(&mut response, CONTENT_SECURITY_POLICY, &policy);
    set(&mut response, CONTENT_TYPE, "text/html; charset=utf-8");
    guard(&mut response);
    response
}

/// The page that a link leads to, with the cookie that opens it.
pub(crate) fn entered(run: Option<&str>, cookie: &str) -> Response<Body> {
    let mut response = Response::new(Body::Whole(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let run = run.map(|run| format!("/{run}")).unwrap_or_default();
    set(&mut response, LOCATION, &format!("{PREFIX}/runs{run}"));
    set(&mut response, SET_COOKIE, cookie);
    guard(&mut response);
    response
}

pub(crate) fn used_up() -> Fault {
    Fault::access_denied("this link was used or has lapsed: ask for another")
}

fn guard(response: &mut Response<Body>) {
    set(response, CACHE_CONTROL, "no-store");
    set(response, REFERRER_POLICY, "no-referrer");
    set(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(response, X_FRAME_OPTIONS, "DENY");
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    match HeaderValue::from_str(value) {
        Ok(value) => drop(response.headers_mut().insert(name, value)),
        Err(_) => tracing::warn!(header = %name, "a header's value cannot be sent; left out"),
    }
}
