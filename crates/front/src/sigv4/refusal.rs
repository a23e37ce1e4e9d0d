//! Why a signature is not accepted, and how each protocol of AWS's says so.

use net::sigv4::stamp;
use wire::fault::Fault;
use wire::model::Protocol;

use crate::limits;

#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No `Authorization` header.
    Missing,
    /// An `Authorization` header of another kind.
    OtherScheme,
    /// An API key that is not known, or not one.
    Bearer,
    BearerExpired,
    Incomplete(String),
    NoDate,
    BadDate,
    HostUnsigned,
    DateUnsigned(&'static str),
    HeaderAbsent(String),
    HeaderUnsigned(String),
    /// Of the credential scope.
    Region(String),
    ScopeDate {
        scope: String,
        stamp: String,
    },
    Expired {
        stamp: String,
        now_ms: i64,
        /// How long the signature held.
        lasts_ms: i64,
    },
    Early {
        stamp: String,
        now_ms: i64,
    },
    UnknownKey,
    /// `x-amz-content-sha256` is not the digest of the body that came.
    Payload(String),
    Mismatch,
}

impl Refusal {
    pub fn fault(&self, protocol: Protocol) -> Fault {
        let query = protocol == Protocol::Query;
        match self {
            // AWS: codes and texts of the json services and of sts differ (observed on both)
            Refusal::Missing if query => {
                let text = "Request is missing Authentication Token";
                Fault::new("MissingAuthenticationToken", 403, text)
            }
            Refusal::Missing => Fault::new(
                "MissingAuthenticationTokenException",
                403,
                "Missing Authentication Token",
            ),
            Refusal::UnknownKey | Refusal::OtherScheme => {
                let code =
                    if query { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
                Fault::new(code, 403, "The security token included in the request is invalid.")
            }
            // AWS: text of Bedrock Runtime's answer to an unknown API key (observed)
            Refusal::Bearer => Fault::access_denied(
                "Authentication failed: Please make sure your API Key is valid.",
            ),
            Refusal::BearerExpired => Fault::access_denied("Bearer Token has expired"),
            Refusal::Incomplete(text) => incomplete(query, text.clone()),
            Refusal::NoDate => incomplete(
                query,
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header."
                    .into(),
            ),
            Refusal::BadDate => {
                incomplete(query, "Date must be in ISO-8601 'basic format'.".into())
            }
            refusal => {
                let code =
                    if query { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
                Fault::new(code, 403, refusal.mismatch())
            }
        }
    }

    fn mismatch(&self) -> String {
        let minutes = limits::SKEW_MS / 60_000;
        match self {
            Refusal::HostUnsigned => {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into()
            }
            Refusal::DateUnsigned(name) => format!("header {name} must be a 'SignedHeader'."),
            Refusal::HeaderAbsent(name) => {
                format!("header {name} is in SignedHeaders but not in the request.")
            }
            // AWS: S3's text
            Refusal::HeaderUnsigned(name) => {
                format!("There were headers present in the request which were not signed: {name}.")
            }
            // AWS: sts (observed)
            Refusal::Region(region) => format!(
                "Credential should be scoped to a valid region, not '{}'.",
                region.escape_debug()
            ),
            Refusal::ScopeDate { scope, stamp } => format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{scope}' != '{}', from '{stamp}'.",
                stamp.get(..8).unwrap_or("")
            ),
            Refusal::Expired { stamp: signed, now_ms, lasts_ms } => format!(
                "Signature expired: {signed} is now earlier than {} ({} - {})",
                stamp(now_ms - lasts_ms),
                stamp(*now_ms),
                match lasts_ms / 1000 {
                    seconds if seconds % 60 == 0 => format!("{} min.", seconds / 60),
                    seconds => format!("{seconds} s."),
                }
            ),
            Refusal::Early { stamp: signed, now_ms } => format!(
                "Signature not yet current: {signed} is still later than {} ({} + {minutes} min.)",
                stamp(now_ms + limits::SKEW_MS),
                stamp(*now_ms)
            ),
            Refusal::Payload(named) => format!(
                "x-amz-content-sha256 {named:?} is not the SHA-256 of the body; unsigned and \
                 chunk-signed payloads are not accepted."
            ),
            _ => "The request signature we calculated does not match the signature you provided. \
                  Check your AWS Secret Access Key and signing method. Consult the service \
                  documentation for details."
                .into(),
        }
    }
}

fn incomplete(query: bool, text: String) -> Fault {
    let (code, status) =
        if query { ("IncompleteSignature", 400) } else { ("IncompleteSignatureException", 403) };
    Fault::new(code, status, text)
}
