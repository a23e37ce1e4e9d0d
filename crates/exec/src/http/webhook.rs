//! A URL that hears of things: one signed POST, whose receiver says by its status that it has it.
//!
//! It repeats nothing: whoever owes the message keeps it until it is taken.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use net::Secret;

/// How long a receiver may take (ours). It is to store the message, and to work later.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is read of an answer, so that the connection can be used again.
const ANSWER_BYTES: usize = 16 * 1024;

/// Where messages go, and what signs them.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    pub url: String,
    /// Messages are not signed without one.
    pub secret: Option<Secret>,
}

#[derive(Clone)]
pub struct Webhook {
    client: net::Client,
    config: WebhookConfig,
}

impl Webhook {
    pub fn new(client: net::Client, config: WebhookConfig) -> Webhook {
        Webhook { client, config }
    }

    /// Delivers a message under its id; the error says why it has to be delivered again.
    pub async fn deliver(&self, id: &str, at_seconds: i64, body: Bytes) -> Result<(), String> {
        let mut request = Request::post(&self.config.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-craton-alert-id", id);
        if let Some(secret) = &self.config.secret {
            request =
                request.header("x-craton-signature", sign(&secret.read()?, at_seconds, &body)?);
        }
        let request = request.body(body).map_err(|e| format!("alerts.url: {e}"))?;
        let response = self.client.send(request, TIMEOUT).await.map_err(|e| e.to_string())?;
        let (head, body) = http::Response::into_parts(response);
        // Its words are nobody's concern; what fails here was taken all the same.
        drop(body.bytes(ANSWER_BYTES).await);
        match head.status.is_success() {
            true => Ok(()),
            false => Err(format!("the receiver answered {}", head.status)),
        }
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 by the secret over `SECONDS.BODY`, so that an old message cannot
/// be sent again as a new one.
fn sign(secret: &str, at_seconds: i64, body: &[u8]) -> Result<HeaderValue, String> {
    let mut text = format!("{at_seconds}.").into_bytes();
    text.extend_from_slice(body);
    let signature = net::sigv4::keyed_digest(secret.as_bytes(), &text);
    HeaderValue::from_str(&format!("t={at_seconds},v1={signature}")).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::sign;

    #[test]
    fn a_signature_covers_the_time_and_the_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let signed = sign("key", 1_700_000_000, br#"{"a":1}"#).expect("ASCII");
        let known = "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03";
        assert_eq!(signed, format!("t=1700000000,v1={known}").as_str());
    }
}
