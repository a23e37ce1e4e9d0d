//! Puts credentials on a request: which of them an operation needs, and where each goes.
//!
//! Values are read when a request is made. They are for one origin, and are taken out of whatever
//! comes back, since an answer goes to a model.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::Secret;

use super::config::{Credential, KeyPlace};
use super::encoded;
use super::oauth::Tokens;
use crate::function::ExecError;

/// The credentials of one API, by security scheme.
pub(super) struct Keyring(BTreeMap<String, Key>);

enum Key {
    Plain(Credential),
    Tokens(Arc<Tokens>),
}

/// What goes along with one request. It has no `Debug`.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) headers: Vec<(String, String)>,
    /// Name and value, encoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) cookies: Vec<(String, String)>,
    /// The values themselves, to be looked for in answers.
    secrets: Vec<String>,
    tokens: Vec<(Arc<Tokens>, String)>,
}

impl Keyring {
    /// Checks that every credential has a value now, which tells a mistake at the start.
    pub(super) fn open(auth: &BTreeMap<String, Credential>) -> Result<Keyring, String> {
        let mut keys = BTreeMap::new();
        for (scheme, credential) in auth {
            let key = open(credential.clone()).map_err(|why| format!("auth.{scheme}: {why}"))?;
            keys.insert(scheme.clone(), key);
        }
        Ok(Keyring(keys))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first alternative for which there are credentials; all there are, where the document says
    /// nothing.
    fn chosen(&self, security: Option<&[Vec<String>]>) -> Result<Vec<&Key>, String> {
        let Some(alternatives) = security else { return Ok(self.0.values().collect()) };
        if alternatives.is_empty() {
            return Ok(Vec::new());
        }
        // An empty alternative says that credentials are optional: better with them than without.
        let (optional, asked): (Vec<&Vec<String>>, Vec<&Vec<String>>) =
            alternatives.iter().partition(|one| one.is_empty());
        let known = |names: &Vec<String>| -> Option<Vec<&Key>> {
            names.iter().map(|name| self.0.get(name)).collect()
        };
        match asked.iter().find_map(|names| known(names)) {
            Some(keys) => Ok(keys),
            None if !optional.is_empty() => Ok(Vec::new()),
            None => {
                let names: Vec<String> = asked.iter().map(|names| names.join(" and ")).collect();
                Err(names.join(", or "))
            }
        }
    }

    /// `Err` with a `Refused` where no alternative can be met.
    pub(super) async fn apply(
        &self,
        security: Option<&[Vec<String>]>,
        within: Duration,
    ) -> Result<Applied, ExecError> {
        let keys = self.chosen(security).map_err(|names| {
            ExecError::Refused(format!(
                "it asks for credentials of the security scheme {names}, of which craton.toml has \
                 none under auth"
            ))
        })?;
        let mut applied = Applied::default();
        for key in keys {
            match key {
                Key::Plain(credential) => applied.add(credential)?,
                Key::Tokens(tokens) => {
                    let token = tokens.get(within).await?;
                    applied.bearer(token.clone());
                    applied.tokens.push((tokens.clone(), token));
                }
            }
        }
        Ok(applied)
    }
}

fn open(credential: Credential) -> Result<Key, String> {
    let secret = match &credential {
        Credential::ApiKey { value, .. } => value,
        Credential::Bearer { token } => token,
        Credential::Basic { user, password } => {
            if user.contains(':') {
                return Err("a user name of basic has no colon".to_owned());
            }
            password
        }
        Credential::Oauth2(oauth2) => &oauth2.client_secret,
    };
    secret.read()?;
    Ok(match credential {
        Credential::Oauth2(oauth2) => Key::Tokens(Arc::new(Tokens::open(oauth2)?)),
        plain => Key::Plain(plain),
    })
}

impl Applied {
    fn add(&mut self, credential: &Credential) -> Result<(), ExecError> {
        match credential {
            Credential::ApiKey { place, name, value } => {
                let value = self.secret(value)?;
                if *place == KeyPlace::Header {
                    self.headers.push((name.clone(), value));
                    return Ok(());
                }
                let value = encoded(&value);
                self.secrets.push(value.clone());
                match place {
                    KeyPlace::Query => self.query.push((encoded(name), value)),
                    _ => self.cookies.push((encoded(name), value)),
                }
            }
            Credential::Bearer { token } => {
                let token = self.secret(token)?;
                self.bearer(token);
            }
            Credential::Basic { user, password } => {
                let password = self.secret(password)?;
                let encoded = STANDARD.encode(format!("{user}:{password}"));
                self.headers.push(("authorization".to_owned(), format!("Basic {encoded}")));
                self.secrets.push(encoded);
            }
            Credential::Oauth2(_) => {}
        }
        Ok(())
    }

    /// `NotSent`: a file that is being replaced is there again a moment later.
    fn secret(&mut self, secret: &Secret) -> Result<String, ExecError> {
        let value = secret.read().map_err(ExecError::NotSent)?;
        self.secrets.push(value.clone());
        Ok(value)
    }

    fn bearer(&mut self, token: String) {
        self.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        self.secrets.push(token);
    }

    /// Whether another request may fare better: tokens that were refused are given up.
    pub(super) async fn renew(&self) -> bool {
        for (tokens, token) in &self.tokens {
            tokens.forget(token).await;
        }
        !self.tokens.is_empty()
    }

    /// An answer without the credentials that it may have repeated.
    pub(super) fn redact(&self, mut body: Vec<u8>) -> Vec<u8> {
        for secret in self.secrets.iter().filter(|secret| secret.len() >= SHORTEST) {
            let secret = secret.as_bytes();
            while let Some(at) = body.windows(secret.len()).position(|part| part == secret) {
                body.splice(at..at + secret.len(), *b"***");
            }
        }
        body
    }
}

/// Ours: shorter values stand in texts by chance.
const SHORTEST: usize = 6;
