//! Access tokens by client credentials: fetched once, kept until shortly before they expire.
//!
//! One fetch at a time; who comes meanwhile waits for its token. Neither the client's secret nor a
//! token stands in a message.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Uri, header};
use net::egress::{Entry, Rules};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::config::{ClientAuth, Oauth2};
use super::origin::Origin;
use super::{client, encoded};
use crate::function::ExecError;
use crate::limits;

pub(super) struct Tokens {
    config: Oauth2,
    net: net::Client,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: String,
    until: Instant,
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<f64>,
}

impl Tokens {
    pub(super) fn open(config: Oauth2) -> Result<Tokens, String> {
        let url: Uri = config.token_url.parse().map_err(|e| format!("token_url: {e}"))?;
        Origin::of(&url).map_err(|why| format!("token_url: {why}"))?;
        let named = Entry::of_url(&config.token_url).map_err(|e| format!("token_url: {e}"))?;
        Ok(Tokens { config, net: client(Rules::closed().naming([named])), held: Mutex::new(None) })
    }

    /// The token that is held, or a new one.
    pub(super) async fn get(&self, within: Duration) -> Result<String, ExecError> {
        let fetched = tokio::time::timeout(within, async {
            let mut held = self.held.lock().await;
            if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
                return Ok(held.token.clone());
            }
            let fetched = self.fetch(within).await?;
            let token = fetched.token.clone();
            *held = Some(fetched);
            Ok(token)
        });
        let url = &self.config.token_url;
        let late = || ExecError::NotSent(format!("no token from {url} within {within:?}"));
        fetched.await.unwrap_or_else(|_| Err(late()))
    }

    /// Gives a token up that was refused, unless another call has replaced it already.
    pub(super) async fn forget(&self, token: &str) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token == token) {
            *held = None;
        }
    }

    async fn fetch(&self, within: Duration) -> Result<Held, ExecError> {
        let url = &self.config.token_url;
        let unsent = |why: String| ExecError::NotSent(format!("no token from {url}: {why}"));
        let request = self.request()?;
        let began = Instant::now();
        let answer = self.net.send(request, within).await.map_err(|e| unsent(e.to_string()))?;
        let (head, body) = answer.into_parts();
        let body = body.bytes(limits::TOKEN_BYTES).await.map_err(|e| unsent(e.to_string()))?;
        if head.status.is_server_error() || head.status.as_u16() == 429 {
            return Err(unsent(format!("it answered {}", head.status.as_u16())));
        }
        if !head.status.is_success() {
            let code = error_code(&body);
            let status = head.status.as_u16();
            let message = format!("{url} refused the client's credentials: {status}{code}");
            return Err(ExecError::Refused(message));
        }
        // What it says of a wrong answer would show the token.
        let granted: Granted = serde_json::from_slice(&body)
            .map_err(|_| unsent("its answer has no access_token and token_type".to_owned()))?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            return Err(ExecError::Refused(format!("{url} gives no bearer tokens")));
        }
        Ok(Held { token: granted.access_token, until: began + kept(granted.expires_in) })
    }

    fn request(&self) -> Result<Request<Bytes>, ExecError> {
        let Oauth2 { client_id, scopes, parameters, .. } = &self.config;
        let secret = self.config.client_secret.read().map_err(ExecError::NotSent)?;
        let mut form = vec![("grant_type", "client_credentials")];
        let scope = scopes.join(" ");
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        form.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let mut request = Request::post(&self.config.token_url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json");
        match self.config.client_auth {
            ClientAuth::Basic => {
                let pair = STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(&secret)));
                request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
            }
            ClientAuth::Body => {
                form.extend([("client_id", client_id.as_str()), ("client_secret", &secret)]);
            }
        }
        let form: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
            .collect();
        let refused = |e: http::Error| ExecError::Refused(e.to_string());
        request.body(Bytes::from(form.join("&"))).map_err(refused)
    }
}

/// A tenth of the time, and half a minute at most, is left for calls under way.
fn kept(expires_in: Option<f64>) -> Duration {
    let lasts = expires_in.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let lasts = Duration::from_secs_f64(lasts.unwrap_or(300.0).min(limits::TOKEN_SECONDS));
    lasts - (lasts / 10).min(Duration::from_secs(30))
}

/// RFC 6749, section 5.2: one of a few words, and nothing else that the server says.
fn error_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let code = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.error);
    let plain = |code: &String| {
        code.len() <= 40 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    code.ok().filter(plain).map(|code| format!(" {code}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn a_token_is_kept_until_shortly_before_it_expires() {
        let table = [
            (Some(3600.0), 3570.0),
            (Some(10.0), 9.0),
            (None, 270.0),
            (Some(0.0), 270.0),
            (Some(-1.0), 270.0),
            (Some(f64::NAN), 270.0),
            (Some(1e300), 86_370.0),
        ];
        for (expires_in, seconds) in table {
            assert_eq!(kept(expires_in).as_secs_f64(), seconds, "{expires_in:?}");
        }
    }
}
