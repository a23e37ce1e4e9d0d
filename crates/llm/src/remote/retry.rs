//! How long a provider asks to be left alone.
//!
//! `Retry-After` has seconds or a date. Beside it there are OpenAI's `retry-after-ms` and
//! `x-ratelimit-reset-…` ("6m0s"), Anthropic's `anthropic-ratelimit-…-reset` (a time), and the
//! `retryDelay` ("34s") of Google's error details. Where a budget is not used up, its reset is no
//! reason to wait.

use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;
use serde_json::Value as Json;

pub(super) fn after(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let exact = || Some(Duration::from_millis(text("retry-after-ms")?.parse().ok()?));
    let asked = || retry_after(text(header::RETRY_AFTER.as_str())?, now);
    exact().or_else(asked).or_else(|| delay_in(body)).or_else(|| reset(headers, now))
}

fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
            Some(until(date, now))
        }
    }
}

/// A time that has passed asks for no wait.
fn until(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

/// Google's `RetryInfo` (google.rpc.RetryInfo; Gemini API, "Rate limits").
fn delay_in(body: &[u8]) -> Option<Duration> {
    let body: Json = serde_json::from_slice(body).ok()?;
    let details = body.pointer("/error/details").or_else(|| body.pointer("/0/error/details"))?;
    details.as_array()?.iter().find_map(|detail| span(detail["retryDelay"].as_str()?))
}

/// The longest of the budgets that are used up.
fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let waits = headers.iter().filter_map(|(name, value)| {
        let value = value.to_str().ok()?.trim();
        let (left, wait) = match name.as_str() {
            openai if openai.starts_with("x-ratelimit-reset-") => {
                (openai.replacen("-reset-", "-remaining-", 1), span(value)?)
            }
            own if own.starts_with("anthropic-ratelimit-") && own.ends_with("-reset") => {
                let left = own.strip_suffix("reset").unwrap_or(own).to_owned() + "remaining";
                (left, until(value.parse().ok()?, now))
            }
            _ => return None,
        };
        let left = headers.get(left)?.to_str().ok()?.trim().parse::<f64>().ok()?;
        (left <= 0.0).then_some(wait)
    });
    waits.max()
}

/// `6m0s`, `1.5s`, `20ms`, `1h2m`.
fn span(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let units = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(units);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        let piece = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(piece).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(headers: &[(&str, &str)], body: &str, expected: &Expect) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let now = "2026-11-20T10:00:00Z".parse().unwrap();
        expected.assert_eq(&format!("{:?}", after(&map, body.as_bytes(), now)));
    }

    #[test]
    fn a_wait_is_read_in_every_form_that_providers_write() {
        check(&[("retry-after", "12")], "", &expect!["Some(12s)"]);
        check(&[("retry-after", "0.5")], "", &expect!["Some(500ms)"]);
        let date = ("retry-after", "Fri, 20 Nov 2026 10:00:30 GMT");
        check(&[date], "", &expect!["Some(30s)"]);
        let passed = ("retry-after", "Fri, 20 Nov 2026 09:00:30 GMT");
        check(&[passed], "", &expect!["Some(0ns)"]);
        check(&[("retry-after", "12"), ("retry-after-ms", "250")], "", &expect!["Some(250ms)"]);
        for nonsense in ["soon", "-1", "NaN", "inf", "1e300", ""] {
            check(&[("retry-after", nonsense)], "", &expect!["None"]);
        }
        let google = r#"{"error": {"details": [{"@type": "x"}, {"retryDelay": "34.5s"}]}}"#;
        check(&[], google, &expect!["Some(34.5s)"]);
    }

    #[test]
    fn only_a_budget_that_is_used_up_makes_wait() {
        let requests = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m0.5s"),
            ("x-ratelimit-remaining-tokens", "900"),
            ("x-ratelimit-reset-tokens", "6h"),
        ];
        check(&requests, "", &expect!["Some(60.5s)"]);
        let anthropic = [
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-20T10:00:07Z"),
        ];
        check(&anthropic, "", &expect!["Some(7s)"]);
        check(&[("x-ratelimit-reset-requests", "20ms")], "", &expect!["None"]);
    }
}
