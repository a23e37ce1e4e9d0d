//! Who may call, and under which names the server is known. Part of `craton.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::forward::{Forward, Forwards};
use crate::limits;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Accept any credentials, and none. Only on a loopback address.
    pub dev: bool,
    /// Access keys that may call when `dev` is off.
    pub keys: Vec<Key>,
    /// Names, besides the loopback ones and the address it listens on, under which clients reach
    /// this server. A request for any other `Host` is refused.
    pub hosts: Vec<String>,
    /// Origins (`https://console.example.com`) whose pages may call from a browser. Pages of the
    /// loopback and of `hosts` always may.
    pub origins: Vec<String>,
    /// How long open requests and streams may take to finish when the server stops.
    pub drain_seconds: u64,
    /// Services that are passed on, by AWS's name of each (`s3`, `dynamodb`).
    pub forward: BTreeMap<String, Forward>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            dev: true,
            keys: Vec::new(),
            hosts: Vec::new(),
            origins: Vec::new(),
            drain_seconds: limits::DRAIN_SECONDS,
            forward: BTreeMap::new(),
        }
    }
}

/// One access key: `[[keys]]`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    pub access_key: String,
    /// The environment variable that holds the secret key. Either this or `secret_key`.
    pub secret_key_env: Option<String>,
    pub secret_key: Option<String>,
    /// The environment variable that holds a long-term Bedrock API key
    /// (`AWS_BEARER_TOKEN_BEDROCK` of clients). With one a secret key is not needed.
    pub bearer_env: Option<String>,
    pub bearer: Option<String>,
    /// The region of those who call with `bearer`, which names none. Default: us-east-1.
    pub region: Option<String>,
    /// Twelve digits: the account that the key's resources belong to.
    pub account: String,
    /// IAM actions the key may use, such as `bedrock:InvokeAgent` or `lambda:*`. Without the list:
    /// all of AWS's. Craton's own door needs `craton:*` or `craton:Admin` in the list,
    /// to resolve or undo calls of tools `craton:*` or `craton:ResolveEffect`, and to fork runs
    /// `craton:*` or `craton:ForkRun`.
    pub actions: Option<Vec<String>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("access_key", &self.access_key)
            .field("secret_key_env", &self.secret_key_env)
            .field("bearer_env", &self.bearer_env)
            .field("region", &self.region)
            .field("account", &self.account)
            .field("actions", &self.actions)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    #[error(
        "dev mode accepts every caller, so craton does not listen on {0}: listen on 127.0.0.1, \
         or set dev = false and list [[keys]] in craton.toml (CR0007)"
    )]
    DevBeyondLoopback(IpAddr),
    #[error(
        "dev is false and there are no [[keys]]: nobody could call; add a key to craton.toml (CR0007)"
    )]
    NoKeys,
    #[error("key {0} has no secret: set secret_key_env, secret_key, bearer_env or bearer (CR0007)")]
    NoSecret(String),
    #[error("key {key} has both {name}_env and {name}: remove one (CR0007)")]
    TwoSecrets { key: String, name: &'static str },
    #[error(
        "key {key} takes its secret from the environment variable {variable}, which is unset (CR0007)"
    )]
    SecretUnset { key: String, variable: String },
    #[error("key {key} has account {account:?}: an account is twelve digits (CR0007)")]
    BadAccount { key: String, account: String },
    #[error("key {0} is listed twice (CR0007)")]
    TwiceListed(String),
    #[error("keys {0} and {1} have the same API key: give each its own (CR0007)")]
    TwiceBearer(String, String),
    #[error(
        "[forward] names {0:?}, which is no service of AWS's: use its name in SDKs, such as s3 \
         (CR0002)"
    )]
    ForwardUnknown(String),
    #[error(
        "[forward.{service}] signs with the environment variable {variable}, which is unset: set \
         it, or name another with access_key_env and secret_key_env (CR0002)"
    )]
    ForwardUnset { service: String, variable: String },
    #[error(
        "[forward.{service}] has the endpoint {endpoint:?}, which is no address: write it as in \
         http://127.0.0.1:9000 (CR0002)"
    )]
    ForwardEndpoint { service: String, endpoint: String },
    #[error(
        "[forward.{service}] has the region {region:?}, which is no region: write it as in \
         eu-west-1 (CR0002)"
    )]
    ForwardRegion { service: String, region: String },
}

impl Config {
    /// What [`crate::serve`] would refuse, without opening anything.
    pub fn check(&self, listen: SocketAddr) -> Result<(), ConfigError> {
        if self.dev && !listen.ip().is_loopback() {
            return Err(ConfigError::DevBeyondLoopback(listen.ip()));
        }
        if !self.dev && self.keys.is_empty() {
            return Err(ConfigError::NoKeys);
        }
        for (at, key) in self.keys.iter().enumerate() {
            if self.keys[..at].iter().any(|earlier| earlier.access_key == key.access_key) {
                return Err(ConfigError::TwiceListed(key.access_key.clone()));
            }
            key.check()?;
            let Some(token) = key.bearer()? else { continue };
            for earlier in &self.keys[..at] {
                if earlier.bearer()?.as_ref() == Some(&token) {
                    let (earlier, key) = (earlier.access_key.clone(), key.access_key.clone());
                    return Err(ConfigError::TwiceBearer(earlier, key));
                }
            }
        }
        Forwards::open(&self.forward).map(drop)
    }
}

impl Key {
    fn check(&self) -> Result<(), ConfigError> {
        if !is_account(&self.account) {
            let (key, account) = (self.access_key.clone(), self.account.clone());
            return Err(ConfigError::BadAccount { key, account });
        }
        match (self.secret()?, self.bearer()?) {
            (None, None) => Err(ConfigError::NoSecret(self.access_key.clone())),
            _ => Ok(()),
        }
    }

    pub(crate) fn secret(&self) -> Result<Option<String>, ConfigError> {
        self.one_of("secret_key", self.secret_key_env.as_ref(), self.secret_key.as_ref())
    }

    pub(crate) fn bearer(&self) -> Result<Option<String>, ConfigError> {
        self.one_of("bearer", self.bearer_env.as_ref(), self.bearer.as_ref())
    }

    fn one_of(
        &self,
        name: &'static str,
        variable: Option<&String>,
        plain: Option<&String>,
    ) -> Result<Option<String>, ConfigError> {
        let key = self.access_key.clone();
        match (variable, plain) {
            (Some(_), Some(_)) => Err(ConfigError::TwoSecrets { key, name }),
            (None, plain) => Ok(plain.filter(|secret| !secret.is_empty()).cloned()),
            (Some(variable), None) => match std::env::var(variable) {
                Ok(secret) if !secret.is_empty() => Ok(Some(secret)),
                _ => Err(ConfigError::SecretUnset { key, variable: variable.clone() }),
            },
        }
    }
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_key_belongs_to_one_key() {
        let key = |access_key: &str, bearer: &str| Key {
            access_key: access_key.into(),
            bearer: Some(bearer.into()),
            account: "123456789012".into(),
            ..Key::default()
        };
        let listen = "127.0.0.1:0".parse().unwrap();
        let check = |keys| Config { dev: false, keys, ..Config::default() }.check(listen);
        check(vec![key("A", "one"), key("B", "two")]).unwrap();
        let error = check(vec![key("A", "one"), key("B", "one")]).unwrap_err().to_string();
        assert_eq!(error, "keys A and B have the same API key: give each its own (CR0007)");
    }
}
