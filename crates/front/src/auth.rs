//! Who calls, and whether they may.
//!
//! [`Auth::proof`] reads the head, [`Auth::verify`] checks the signature once the body is there,
//! and [`Auth::authorize`] is asked on every call, in dev mode too.

use std::collections::BTreeMap;
use std::fmt::Display;

use api::{Caller, Permissions};
use http::HeaderMap;
use net::sigv4::{CONTENT_SHA256, Signed, sha256};
use wire::fault::Fault;

use crate::bearer::{self, ShortTerm};
use crate::config::{Config, ConfigError, is_account};
use crate::sigv4::{Claim, Payload, Refusal};

/// The account of callers in dev mode whose access key is not an account itself.
const DEV_ACCOUNT: &str = "000000000000";
const DEFAULT_REGION: &str = "us-east-1";
/// Actions of Craton's own door. No wildcard but `craton:*` reaches them.
const OWN: &str = "craton:";
// AWS: no permission is needed, and none can be denied (API reference of GetCallerIdentity)
const FREE: &str = "sts:GetCallerIdentity";

pub(crate) struct Auth {
    dev: bool,
    keys: BTreeMap<String, Key>,
    /// Access keys by the digest of their long-term API key, so that looking one up says nothing
    /// about how much of it was right.
    bearers: BTreeMap<String, String>,
}

struct Key {
    /// `None` where the key is an API key alone.
    secret: Option<String>,
    account: String,
    /// Of those who call with a long-term API key, which names none.
    region: String,
    actions: Option<Vec<String>>,
}

/// What a request offers to say who sent it.
pub(crate) enum Proof<'a> {
    /// Dev mode, and nothing that could be read.
    None,
    Signed(Claim<'a>),
    Bearer(&'a str),
}

impl Proof<'_> {
    /// The service that it is meant for.
    pub(crate) fn scope(&self) -> Option<&str> {
        match self {
            Proof::None => None,
            Proof::Signed(claim) => Some(&claim.credential.service),
            Proof::Bearer(_) => Some(bearer::SERVICE),
        }
    }

    /// Whether the body cannot be another than its sender's.
    pub(crate) fn covers_body(&self) -> bool {
        match self {
            Proof::None => true,
            Proof::Signed(claim) => claim.covers_body(),
            Proof::Bearer(_) => false,
        }
    }

    pub(crate) fn is_bearer(&self) -> bool {
        matches!(self, Proof::Bearer(_))
    }
}

impl Auth {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let (mut keys, mut bearers) = (BTreeMap::new(), BTreeMap::new());
        for key in &config.keys {
            if let Some(token) = key.bearer()? {
                bearers.insert(sha256(token.as_bytes()), key.access_key.clone());
            }
            let region = key.region.clone().unwrap_or_else(|| DEFAULT_REGION.to_owned());
            let (account, actions) = (key.account.clone(), key.actions.clone());
            let secret = key.secret()?;
            keys.insert(key.access_key.clone(), Key { secret, account, region, actions });
        }
        Ok(Auth { dev: config.dev, keys, bearers })
    }

    /// What the head says, as far as it can be read.
    pub(crate) fn read<'a>(headers: &'a HeaderMap, query: &'a str) -> Result<Proof<'a>, Refusal> {
        if let Some(token) = bearer::token(headers) {
            return Ok(Proof::Bearer(token));
        }
        Claim::read(headers, query)?.map(Proof::Signed).ok_or(Refusal::Missing)
    }

    /// The proof, refused already here if its key or its time cannot be right, so that a
    /// stranger's body is not even read. In dev mode whatever cannot be read is none.
    pub(crate) fn proof<'a>(
        &self,
        headers: &'a HeaderMap,
        query: &'a str,
        now_ms: i64,
    ) -> Result<Proof<'a>, Refusal> {
        let proof = Self::read(headers, query);
        let unread = |refusal| match refusal {
            // A region is used, whoever calls.
            Refusal::Region(_) => Err(refusal),
            _ => Ok(Proof::None),
        };
        if self.dev {
            return proof.or_else(unread);
        }
        let proof = proof?;
        match &proof {
            Proof::Signed(claim) => {
                self.secret(&claim.credential.access_key)?;
                claim.check_head(headers, now_ms)?;
            }
            Proof::Bearer(token) => drop(self.bearer(token, now_ms)?),
            Proof::None => {}
        }
        Ok(proof)
    }

    /// Whether a caller is known before the body is read.
    pub(crate) fn judges_heads(&self, headers: &HeaderMap) -> bool {
        self.dev || headers.contains_key(CONTENT_SHA256)
    }

    pub(crate) fn verify(
        &self,
        proof: &Proof<'_>,
        request: &Signed<'_>,
        payload: Payload<'_>,
        now_ms: i64,
    ) -> Result<Caller, Refusal> {
        match proof {
            Proof::Bearer(token) => self.bearer(token, now_ms),
            _ if self.dev => Ok(dev_caller(proof)),
            Proof::None => Err(Refusal::Missing),
            Proof::Signed(claim) => {
                let access_key = &claim.credential.access_key;
                claim.verify(request, payload, self.secret(access_key)?)?;
                let account = &self.keys[&**access_key].account;
                Ok(caller(access_key, account, &claim.credential.region))
            }
        }
    }

    fn bearer(&self, token: &str, now_ms: i64) -> Result<Caller, Refusal> {
        if let Some(short) = ShortTerm::read(token) {
            let claim = short.claim()?;
            let (access_key, region) = (&claim.credential.access_key, &claim.credential.region);
            if self.dev {
                return Ok(dev_caller(&Proof::Signed(claim)));
            }
            let key = self.keys.get(&**access_key).ok_or(Refusal::Bearer)?;
            short.check(&claim, now_ms)?;
            short.verify(&claim, key.secret.as_deref().ok_or(Refusal::Bearer)?)?;
            return Ok(caller(access_key, &key.account, region));
        }
        if self.dev {
            return Ok(dev_caller(&Proof::None));
        }
        let access_key = self.bearers.get(&sha256(token.as_bytes())).ok_or(Refusal::Bearer)?;
        let key = &self.keys[access_key];
        Ok(caller(access_key, &key.account, &key.region))
    }

    fn secret(&self, access_key: &str) -> Result<&str, Refusal> {
        let key = self.keys.get(access_key).ok_or(Refusal::UnknownKey)?;
        key.secret.as_deref().ok_or(Refusal::UnknownKey)
    }

    /// The one question behind every call. `action` is IAM's name (`bedrock:InvokeAgent`).
    pub(crate) fn authorize(
        &self,
        caller: &Caller,
        action: &str,
        resource: &dyn Display,
    ) -> Result<(), Fault> {
        let allowed = self.dev
            || action == FREE
            || self.keys.get(&caller.access_key).is_some_and(|key| match &key.actions {
                Some(actions) => actions.iter().any(|pattern| covers(pattern, action)),
                None => !action.starts_with(OWN),
            });
        if allowed {
            return Ok(());
        }
        let text = format!(
            "User: {} is not authorized to perform: {action} on resource: {resource} because no \
             identity-based policy allows the {action} action",
            caller.arn
        );
        // AWS: the text, and the shorter code of services that speak XML (observed on bedrock, sts, s3)
        match action.split_once(':') {
            Some(("iam" | "sts" | "s3", _)) => Err(Fault::new("AccessDenied", 403, text)),
            _ => Err(Fault::access_denied(text)),
        }
    }
}

/// What operations ask about the rest of what a request names, in the code of their services, which
/// all speak JSON.
impl Permissions for Auth {
    fn check(&self, caller: &Caller, action: &str, resource: &str) -> Result<(), Fault> {
        let asked = self.authorize(caller, action, &resource);
        asked.map_err(|fault| Fault::access_denied(fault.message()))
    }
}

fn dev_caller(proof: &Proof<'_>) -> Caller {
    let Proof::Signed(Claim { credential, .. }) = proof else {
        return caller("", DEV_ACCOUNT, DEFAULT_REGION);
    };
    let (key, region) = (&*credential.access_key, &credential.region);
    caller(key, if is_account(key) { key } else { DEV_ACCOUNT }, region)
}

fn caller(access_key: &str, account: &str, region: &str) -> Caller {
    let region = if region.is_empty() { DEFAULT_REGION } else { region };
    let user = match access_key {
        "" => "root".to_owned(),
        key if key == account => "root".to_owned(),
        key => format!("user/{key}"),
    };
    Caller {
        account: account.to_owned(),
        region: region.to_owned(),
        access_key: access_key.to_owned(),
        arn: format!("arn:aws:iam::{account}:{user}"),
    }
}

/// IAM's action patterns: `*` for any run of characters, `?` for one, case ignored.
fn covers(pattern: &str, action: &str) -> bool {
    let own = |text: &str| text.get(..OWN.len()).is_some_and(|p| p.eq_ignore_ascii_case(OWN));
    (!own(action) || own(pattern)) && glob(pattern.as_bytes(), action.as_bytes())
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || c.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                // Let the last star take one character more.
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn a_pattern_covers_what_iam_would_let_it_cover() {
        for (pattern, action, expected) in [
            ("bedrock:InvokeAgent", "bedrock:InvokeAgent", true),
            ("bedrock:invokeagent", "bedrock:InvokeAgent", true),
            ("bedrock:Invoke*", "bedrock:InvokeModelWithResponseStream", true),
            ("bedrock:*Agent", "bedrock:InvokeAgent", true),
            ("bedrock:*Agent", "bedrock:InvokeAgentX", false),
            ("*:Get?gent", "bedrock:GetAgent", true),
            ("bedrock:*", "lambda:InvokeFunction", false),
            ("*", "lambda:InvokeFunction", true),
            ("*", "craton:Admin", false),
            ("cra*", "craton:Admin", false),
            ("craton:*", "craton:Admin", true),
            ("", "bedrock:GetAgent", false),
        ] {
            assert_eq!(covers(pattern, action), expected, "{pattern} {action}");
        }
    }

    #[test]
    fn a_key_without_actions_may_do_all_of_awss_and_nothing_of_cratons() {
        let key = |access_key: &str, actions: Option<&[&str]>| config::Key {
            access_key: access_key.into(),
            secret_key: Some("s".into()),
            account: "123456789012".into(),
            actions: actions.map(|list| list.iter().map(|&a| a.into()).collect()),
            ..config::Key::default()
        };
        let keys = vec![key("FULL", None), key("ONE", Some(&["bedrock:InvokeAgent"]))];
        let auth = Auth::new(&Config { dev: false, keys, ..Config::default() }).unwrap();
        let may = |key: &str, action: &str| {
            auth.authorize(&caller(key, "123456789012", ""), action, &"*")
                .map_err(|f| f.to_string())
        };
        assert_eq!(may("FULL", "iam:CreateRole"), Ok(()));
        assert!(may("FULL", "craton:Admin").is_err());
        assert_eq!(may("ONE", "bedrock:InvokeAgent"), Ok(()));
        expect_test::expect![[r#"
            Err(
                "AccessDeniedException: User: arn:aws:iam::123456789012:user/ONE is not authorized to perform: bedrock:DeleteAgent on resource: * because no identity-based policy allows the bedrock:DeleteAgent action",
            )
        "#]]
        .assert_debug_eq(&may("ONE", "bedrock:DeleteAgent"));
        assert!(may("GONE", "bedrock:InvokeAgent").is_err());
        let object = |key: &str| {
            let caller = caller(key, "123456789012", "");
            auth.check(&caller, "s3:GetObject", "arn:aws:s3:::b/k").map_err(|f| f.to_string())
        };
        assert_eq!(object("FULL"), Ok(()));
        expect_test::expect![[r#"
            Err(
                "AccessDeniedException: User: arn:aws:iam::123456789012:user/ONE is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k because no identity-based policy allows the s3:GetObject action",
            )
        "#]]
        .assert_debug_eq(&object("ONE"));
    }
}
