//! `[apis.NAME]` of craton.toml. The doc comments are the reference page.

use std::collections::BTreeMap;

use net::Secret;
use net::egress::Entry;
use serde::Deserialize;

/// An HTTP API that performs the operations of action groups by itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// ARNs or names of the functions in whose place the API is called.
    pub functions: Vec<String>,
    /// Where the API is. It goes before the `servers` of documents.
    pub server: Option<String>,
    /// The hosts that documents may name as servers: `host:port`, `host` (port 443) or
    /// `*.domain:port`. Default: any public one, without credentials.
    pub hosts: Vec<Entry>,
    /// Sent with each request.
    pub headers: BTreeMap<String, String>,
    /// The deadline of one call, its redirects and a new token included. Default: 3.
    pub timeout_seconds: f64,
    /// Credentials, by the name of the security scheme of the document that they are for.
    pub auth: BTreeMap<String, Credential>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            functions: Vec::new(),
            server: None,
            hosts: Vec::new(),
            headers: BTreeMap::new(),
            timeout_seconds: 3.0,
            auth: BTreeMap::new(),
        }
    }
}

/// What a security scheme asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Credential {
    ApiKey {
        #[serde(rename = "in")]
        place: KeyPlace,
        /// Of the header, the query parameter or the cookie.
        name: String,
        value: Secret,
    },
    Bearer {
        token: Secret,
    },
    Basic {
        user: String,
        password: Secret,
    },
    /// Client credentials (RFC 6749, section 4.4).
    Oauth2(Oauth2),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    Header,
    Query,
    Cookie,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth2 {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Secret,
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Further parameters of the token request, such as `audience`.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// How the client says who it is. Default: `basic`.
    #[serde(default)]
    pub client_auth: ClientAuth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// In the `Authorization` header, as every server must take it (RFC 6749, section 2.3.1).
    #[default]
    Basic,
    /// As parameters of the request's body.
    Body,
}
