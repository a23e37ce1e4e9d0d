//! Who calls, and whether they may.
//!
//! [`Auth::claim`] reads the head, [`Auth::verify`] checks the signature once the body is there,
//! and [`Auth::authorize`] is asked on every call, in dev mode too.

use std::collections::BTreeMap;
use std::fmt::Display;

use api::Caller;
use http::HeaderMap;
use wire::fault::Fault;

use crate::config::{Config, ConfigError, is_account};
use crate::sigv4::{Claim, Refusal, Signed};

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
}

struct Key {
    secret: String,
    account: String,
    actions: Option<Vec<String>>,
}

impl Auth {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut keys = BTreeMap::new();
        for key in &config.keys {
            let (account, actions) = (key.account.clone(), key.actions.clone());
            let secret = key.secret()?;
            keys.insert(key.access_key.clone(), Key { secret, account, actions });
        }
        Ok(Auth { dev: config.dev, keys })
    }

    /// The signature's claim, refused already here if its key or its time cannot be right, so
    /// that a stranger's body is not even read. In dev mode whatever cannot be read is no claim.
    pub(crate) fn claim<'a>(
        &self,
        headers: &'a HeaderMap,
        now_ms: i64,
    ) -> Result<Option<Claim<'a>>, Refusal> {
        if self.dev {
            return Ok(Claim::read(headers).unwrap_or(None));
        }
        let claim = Claim::read(headers)?.ok_or(Refusal::Missing)?;
        if !self.keys.contains_key(claim.access_key) {
            return Err(Refusal::UnknownKey);
        }
        claim.check_head(headers, now_ms)?;
        Ok(Some(claim))
    }

    pub(crate) fn verify(
        &self,
        claim: Option<&Claim<'_>>,
        request: &Signed<'_>,
        body: &[u8],
    ) -> Result<Caller, Refusal> {
        if self.dev {
            return Ok(dev_caller(claim));
        }
        let claim = claim.ok_or(Refusal::Missing)?;
        let key = self.keys.get(claim.access_key).ok_or(Refusal::UnknownKey)?;
        claim.verify(request, body, &key.secret)?;
        Ok(caller(claim.access_key, &key.account, claim.region))
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
        // AWS: the text, and the shorter code of iam and sts (observed on bedrock and sts)
        match action.split_once(':') {
            Some(("iam" | "sts", _)) => Err(Fault::new("AccessDenied", 403, text)),
            _ => Err(Fault::access_denied(text)),
        }
    }
}

fn dev_caller(claim: Option<&Claim<'_>>) -> Caller {
    match claim {
        Some(claim) if is_account(claim.access_key) => {
            caller(claim.access_key, claim.access_key, claim.region)
        }
        Some(claim) => caller(claim.access_key, DEV_ACCOUNT, claim.region),
        None => caller("", DEV_ACCOUNT, DEFAULT_REGION),
    }
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
            secret_key_env: None,
            secret_key: Some("s".into()),
            account: "123456789012".into(),
            actions: actions.map(|list| list.iter().map(|&a| a.into()).collect()),
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
    }
}
