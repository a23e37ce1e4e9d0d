//! `[mcp]` of craton.toml. The doc comments are the reference page.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use http::{HeaderName, Uri};
use net::Secret;
use net::egress::Entry;
use serde::Deserialize;

use crate::limits;

/// One MCP server: behind a `url`, or a `command` that is started here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpConfig {
    /// The function (ARN or name) by which action groups name it.
    pub function: String,
    /// Its endpoint for streamable HTTP.
    pub url: Option<String>,
    /// Sent to `url` as `Authorization: Bearer …`.
    pub bearer: Option<Secret>,
    /// Other headers that are sent to `url`, such as an API key's.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// A program that speaks the protocol over its standard input and output.
    pub command: Option<String>,
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables of `command`, which gets none of the server's own.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The same for what must not stand in the file.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// Folders of this machine that `command` sees, at the same place and for reading; with `:rw` at
    /// the end for writing too.
    #[serde(default)]
    pub folders: Vec<String>,
    /// What `command` may reach of the network: `host:port`, `host` (port 443), `*.domain:port`.
    #[serde(default)]
    pub hosts: Vec<Entry>,
    /// The tools that agents may use, by the server's names. Default: all that it lists.
    pub tools: Option<Vec<String>>,
    /// The deadline of one call. Default: 60.
    #[serde(default = "sixty")]
    pub timeout_seconds: u64,
}

fn sixty() -> u64 {
    60
}

impl McpConfig {
    /// What could never work, as a sentence for whoever wrote it.
    pub fn check(&self, name: &str) -> Result<(), String> {
        let refused = |what: String| Err(format!("mcp.{name}{what}"));
        if !(1..=limits::MCP_SECONDS).contains(&self.timeout_seconds) {
            return refused(format!(".timeout_seconds is not 1 to {}", limits::MCP_SECONDS));
        }
        match (&self.url, &self.command) {
            (Some(url), None) => self.check_url(name, url),
            (None, Some(_)) if self.bearer.is_some() || !self.headers.is_empty() => {
                refused(" has a command, which takes secrets and not bearer or headers".to_owned())
            }
            (None, Some(_)) => self.folders().map(drop).map_err(|why| format!("mcp.{name}.{why}")),
            (None, None) | (Some(_), Some(_)) => {
                refused(" needs either a url or a command".to_owned())
            }
        }
    }

    /// Each folder, and whether it may be written to.
    pub(crate) fn folders<'a>(&'a self) -> Result<Vec<(&'a Path, bool)>, String> {
        let read = |text: &'a String| {
            let (folder, writable) = match text.strip_suffix(":rw") {
                Some(folder) => (Path::new(folder), true),
                None => (Path::new(text), false),
            };
            let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
            match folder.is_absolute() && folder.components().all(plain) {
                true if folder.parent().is_some() => Ok((folder, writable)),
                _ => Err(format!("folders: {text:?} is no absolute path of a folder")),
            }
        };
        self.folders.iter().map(read).collect()
    }

    fn check_url(&self, name: &str, url: &str) -> Result<(), String> {
        let uri = url.parse::<Uri>().ok().filter(|uri| {
            uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
        });
        if uri.is_none() {
            return Err(format!("mcp.{name}.url is no http or https URL: {url}"));
        }
        if !(self.args.is_empty() && self.env.is_empty() && self.secrets.is_empty()) {
            return Err(format!("mcp.{name} has a url, which takes no args, env or secrets"));
        }
        if !(self.folders.is_empty() && self.hosts.is_empty()) {
            return Err(format!("mcp.{name} has a url, which takes no folders or hosts"));
        }
        match self.headers.keys().find(|header| header.parse::<HeaderName>().is_err()) {
            Some(header) => Err(format!("mcp.{name}.headers: {header:?} is no name of a header")),
            None => Ok(()),
        }
    }
}
