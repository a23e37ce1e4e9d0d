//! Takes secrets out of a cassette: values that are known to be secret, values under names that say
//! so, and what has the form of a key.
//!
//! A secret is replaced wherever it stands, always by the same text of the same length, so that a masked
//! place stays equal on replay and nothing that is counted in bytes moves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value as Json};

use super::{Cassette, CassetteError};

/// A shorter value is masked only where it stands alone under a name that says what it is: anywhere
/// else it may be part of a word.
const SHORTEST: usize = 8;
/// Secrets of one cassette at most. Ours.
const MOST: usize = 1_000;

/// What names of headers and members end in, without `-` and `_`, in lower case.
const NAMES: &[&str] = &[
    "accesskeyid",
    "accesstoken",
    "accountkey",
    "apikey",
    "authorization",
    "authtoken",
    "bearertoken",
    "clientsecret",
    "cookie",
    "idtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
    "sessiontoken",
    "sharedaccesskey",
    "securitytoken",
];

/// What has the form of a key; where there is a group, that alone is the secret. The forms are those
/// that their makers document (AWS, GitHub, GitLab, Slack, Google, Stripe, Hugging Face, OpenAI,
/// Anthropic, npm, PyPI, SendGrid), JSON Web Tokens, PEM, and credentials in addresses.
const FORMS: &[&str] = &[
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bABSK[A-Za-z0-9+/]{20,}={0,2}",
    r"\bbedrock-api-key-[A-Za-z0-9+/_-]{16,}={0,2}",
    r"\bsk-[A-Za-z0-9_-]{16,}",
    r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",
    r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
    r"\bhooks\.slack\.com/services/([A-Za-z0-9/_-]{20,})",
    r"\bAIza[0-9A-Za-z_-]{30,}",
    r"\bya29\.[0-9A-Za-z_-]{20,}",
    r"\bGOCSPX-[0-9A-Za-z_-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bnpm_[A-Za-z0-9]{30,}",
    r"\bpypi-[A-Za-z0-9_-]{40,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    r"://[^/\s:@]+:([^/\s@]{8,})@",
];

/// What stands where requests have their credentials. A sentence may go on there with a word, which
/// is short.
const CREDENTIALS: &[&str] = &[
    r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{16,})",
    r#"(?i)\bauthorization["'\\]*\s*[:=]\s*["'\\]*(?:[A-Za-z-]+\s+)?([^\s"'\\,;}]{8,})"#,
    r#"(?i)api[-_]?key["'\\]*\s*[:=]\s*["'\\]*([^\s"'\\,;&}]{8,})"#,
];

/// What stands behind a word that says so. The words stand in ordinary text as well: what follows is
/// a secret only if it does not look like a word itself.
const SAID: &[&str] = &[
    r#"(?i)(?:password|passwd|passphrase|secret|private[-_]?key|access[-_]?key|account[-_]?key|(?:access|auth|bearer|id|refresh|security|session)[-_]?token)["'\\]*\s*[:=]\s*["'\\]*([^\s"'\\,;&}]{8,})"#,
    r#"(?i)[?&;](?:token|sig|signature|auth|x-amz-signature|x-amz-credential|x-goog-signature)=([^\s"'\\,;&#}]{8,})"#,
    r"(?i)\bsignature=([0-9a-f]{32,})",
];

/// Whether what a form finds is no secret.
type Harmless = fn(&str) -> bool;

static PATTERNS: LazyLock<Vec<(Regex, Harmless)>> = LazyLock::new(|| {
    let kinds: [(&[&str], Harmless); 3] =
        [(FORMS, |_| false), (CREDENTIALS, is_short_word), (SAID, is_word)];
    let all = kinds
        .into_iter()
        .flat_map(|(forms, harmless)| forms.iter().map(move |form| (form, harmless)));
    let compiled = |form: &str| Regex::new(form).expect("the forms above are regular expressions");
    all.map(|(form, harmless)| (compiled(form), harmless)).collect()
});

/// The cassette without its secrets; `known` are values that are one wherever they stand.
pub(crate) fn masked(cassette: Cassette, known: &[String]) -> Result<Cassette, CassetteError> {
    let malformed = |cause: serde_json::Error| CassetteError::Malformed(cause.to_string());
    let mut json = serde_json::to_value(cassette).map_err(malformed)?;
    let mut secrets = Secrets::default();
    for secret in known.iter().filter(|secret| secret.len() >= SHORTEST) {
        secrets.add(secret);
    }
    secrets.look(&json);
    let mut masks = Masks::new(secrets);
    masks.apply(&mut json);
    let mut cassette: Cassette = serde_json::from_value(json).map_err(malformed)?;
    cassette.masked = masks.places;
    Ok(cassette)
}

#[derive(Default)]
struct Secrets(BTreeSet<String>);

impl Secrets {
    fn add(&mut self, secret: &str) {
        if self.0.len() < MOST && !is_mask(secret) {
            self.0.insert(secret.to_owned());
        }
    }

    /// Finds secrets by their names and forms, also in texts that hold JSON.
    fn look(&mut self, json: &Json) {
        match json {
            Json::String(text) => self.look_in(text),
            Json::Array(items) => items.iter().for_each(|item| self.look(item)),
            Json::Object(members) => {
                for (name, value) in members {
                    if let (true, Json::String(secret)) = (is_secret(name), value)
                        && secret.len() >= SHORTEST
                    {
                        self.add(secret);
                    }
                    self.look(value);
                }
                self.look_at_pair(members);
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    /// Headers and parameters often stand as `{"name": …, "value": …}`.
    fn look_at_pair(&mut self, members: &Map<String, Json>) {
        let text = |member: &str| members.get(member).and_then(Json::as_str);
        let name = text("name").or_else(|| text("key"));
        if let (Some(true), Some(secret)) = (name.map(is_secret), text("value"))
            && secret.len() >= SHORTEST
        {
            self.add(secret);
        }
    }

    fn look_in(&mut self, text: &str) {
        for (pattern, harmless) in PATTERNS.iter() {
            let found = pattern.captures_iter(text);
            let found = found.filter_map(|found| found.get(1).or_else(|| found.get(0)));
            let found = found.map(|found| found.as_str());
            found.filter(|found| !harmless(found)).for_each(|secret| self.add(secret));
        }
        if text.trim_start().starts_with(['{', '[']) {
            let inner: Json = serde_json::from_str(text).unwrap_or_default();
            self.look(&inner);
        }
    }
}

fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    let plain = plain.to_lowercase();
    NAMES.iter().any(|end| plain.ends_with(end))
}

/// Letters alone, no more of them than words have, and none of them a capital within.
fn is_word(text: &str) -> bool {
    let of_words = |byte: u8| byte.is_ascii_alphabetic() || b"-_.".contains(&byte);
    let capital = text.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    text.len() < 24 && !capital && text.bytes().all(of_words)
}

/// One word, shorter than any credential, which may end its sentence.
fn is_short_word(text: &str) -> bool {
    let word = text.trim_end_matches('.');
    text.len() < 16 && is_word(word) && word.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_mask(text: &str) -> bool {
    text.starts_with("masked-") || text.bytes().all(|byte| byte == b'*')
}

/// Secrets and what stands for them, the longest first: one may be part of another.
struct Masks {
    by_secret: Vec<(String, String)>,
    places: BTreeMap<String, usize>,
}

impl Masks {
    fn new(secrets: Secrets) -> Self {
        let mut sorted: Vec<String> = secrets.0.into_iter().collect();
        sorted.sort_by(|a, b| (b.len(), a).cmp(&(a.len(), b)));
        let mut by_secret = Vec::new();
        for (number, secret) in (1..).zip(sorted) {
            let mask = mask(&format!("masked-{number}"), secret.len());
            // As it stands in a text that is JSON itself.
            let quoted = Json::String(secret.clone()).to_string();
            let quoted = &quoted[1..quoted.len() - 1];
            if quoted != secret {
                by_secret.push((quoted.to_owned(), mask.clone()));
            }
            by_secret.push((secret, mask));
        }
        Masks { by_secret, places: BTreeMap::new() }
    }

    fn apply(&mut self, json: &mut Json) {
        match json {
            Json::String(text) => self.cover(text),
            Json::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Json::Object(members) => {
                for (name, value) in members {
                    match value {
                        Json::String(text) if is_secret(name) && !is_mask(text) => self.hide(text),
                        value => self.apply(value),
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn cover(&mut self, text: &mut String) {
        for (secret, mask) in &self.by_secret {
            let places = text.matches(secret.as_str()).count();
            if places > 0 {
                *text = text.replace(secret.as_str(), mask);
                *self.places.entry(mask.clone()).or_default() += places;
            }
        }
    }

    /// A whole value under a name that says what it is.
    fn hide(&mut self, text: &mut String) {
        self.cover(text);
        if !is_mask(text) && !text.is_empty() && text.len() < SHORTEST {
            *text = mask("", text.len());
            *self.places.entry(text.clone()).or_default() += 1;
        }
    }
}

/// As long as what it stands for.
fn mask(label: &str, bytes: usize) -> String {
    let label = if label.len() <= bytes { label } else { "" };
    format!("{label:*<bytes$}")
}
