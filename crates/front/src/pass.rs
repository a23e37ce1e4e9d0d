//! How a browser gets in where callers sign: a link that works once, then a cookie.
//!
//! Whoever may use Craton's own door asks for a link (`POST /_craton/v1/links`) and opens it; the
//! browser gets a cookie that shows pages and their streams, and can do nothing. Both are kept in
//! memory, by digest, for a short time: a server that begins anew knows none.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use api::Caller;
use http::HeaderMap;
use http::header::COOKIE;
use net::sigv4::sha256;

use crate::limits;

const NAME: &str = "craton-pass";

#[derive(Default)]
pub(crate) struct Passes(Mutex<Table>);

#[derive(Default)]
struct Table {
    links: HashMap<String, Pass>,
    cookies: HashMap<String, Pass>,
}

struct Pass {
    caller: Caller,
    /// In milliseconds.
    until: i64,
}

impl Passes {
    /// From now on `secret` opens the door once.
    pub(crate) fn give(&self, caller: Caller, secret: &str, now: i64) {
        let until = now + limits::LINK_MS;
        put(&mut self.table().links, secret, Pass { caller, until }, (now, limits::LINKS));
    }

    /// Takes a link's secret and gives the cookie that stands for its caller, if it is good.
    pub(crate) fn take(&self, secret: &str, fresh: &str, now: i64) -> Option<String> {
        let mut table = self.table();
        let pass =
            table.links.remove(&sha256(secret.as_bytes())).filter(|pass| pass.until > now)?;
        let pass = Pass { until: now + limits::COOKIE_MS, ..pass };
        put(&mut table.cookies, fresh, pass, (now, limits::COOKIES));
        let seconds = limits::COOKIE_MS / 1000;
        // Not `Secure`: Craton speaks plain HTTP, and TLS is a proxy's.
        Some(format!("{NAME}={fresh}; Path=/_craton; Max-Age={seconds}; HttpOnly; SameSite=Strict"))
    }

    /// Who the cookie of a request stands for.
    pub(crate) fn caller(&self, headers: &HeaderMap, now: i64) -> Option<Caller> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).map(str::trim);
        let secret = pairs.find_map(|pair| pair.strip_prefix(NAME)?.strip_prefix('='))?;
        let table = self.table();
        let pass = table.cookies.get(&sha256(secret.as_bytes()))?;
        (pass.until > now).then(|| pass.caller.clone())
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// Keeps at most `most`: those that lapse first give way.
fn put(passes: &mut HashMap<String, Pass>, secret: &str, pass: Pass, (now, most): (i64, usize)) {
    passes.retain(|_, pass| pass.until > now);
    if passes.len() >= most {
        let first = passes.iter().min_by_key(|(_, pass)| pass.until).map(|(key, _)| key.clone());
        first.map(|key| passes.remove(&key));
    }
    passes.insert(sha256(secret.as_bytes()), pass);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        let text = || name.to_owned();
        Caller { account: text(), region: text(), access_key: text(), arn: text() }
    }

    fn seen(passes: &Passes, cookie: &str, now: i64) -> Option<String> {
        let headers = HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
        passes.caller(&headers, now).map(|caller| caller.account)
    }

    #[test]
    fn a_link_works_once_and_its_cookie_for_a_time() {
        let passes = Passes::default();
        passes.give(caller("ada"), "link", 0);
        assert_eq!(passes.take("other", "x", 1), None);
        let cookie = passes.take("link", "fresh", 1).unwrap();
        assert!(cookie.contains("; Path=/_craton; "), "{cookie}");
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        assert_eq!(passes.take("link", "again", 2), None);
        assert_eq!(seen(&passes, "a=b; craton-pass=fresh", 3).as_deref(), Some("ada"));
        for wrong in
            ["craton-pass=link", "craton-pass=", "xcraton-pass=fresh", "a=craton-pass=fresh"]
        {
            assert_eq!(seen(&passes, wrong, 3), None, "{wrong}");
        }
        assert_eq!(seen(&passes, "craton-pass=fresh", 1 + limits::COOKIE_MS), None);
        passes.give(caller("ada"), "late", 0);
        assert_eq!(passes.take("late", "x", limits::LINK_MS), None);
    }

    #[test]
    fn no_more_are_kept_than_the_limit_says() {
        let passes = Passes::default();
        for n in 0..limits::LINKS as i64 + 1 {
            passes.give(caller("ada"), &n.to_string(), n);
        }
        assert_eq!(passes.take("0", "x", 200), None);
        assert!(passes.take("1", "x", 200).is_some());
    }
}
