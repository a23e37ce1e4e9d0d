//! Which hosts a guard lets through, and how it says no.

use std::fmt;

use serde::Deserialize;

use super::entry::Entry;
use super::host::Host;
use super::stream::Budget;
use crate::limits;

/// `[egress]` of craton.toml. The doc comments are the reference page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What tools may reach besides the URLs in their own sections: `host:port`, `host` (port 443),
    /// `*.domain:port`. A host that is named exactly may stand in a private network. Default: none.
    pub allow: Vec<Entry>,
    /// Whether tools may reach public hosts that nobody named. Default: true.
    pub public: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config { allow: Vec::new(), public: true }
    }
}

/// What one guard lets through.
#[derive(Debug, Clone)]
pub struct Rules {
    /// By the operator's word: what is named exactly may be private.
    named: Vec<Entry>,
    /// By a tenant's word: public only.
    asked: Vec<Entry>,
    /// Any public host.
    public: bool,
    pub(crate) budget: Budget,
    advice: Advice,
}

/// What a refusal tells to do, by what would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// About a host that nobody listed.
    pub unlisted: &'static str,
    /// About an address that only the operator may open.
    pub own: &'static str,
}

const ADVICE: Advice = Advice {
    unlisted: "name it under egress.allow in craton.toml",
    own: "if it is meant, name exactly this host and port under egress.allow in craton.toml",
};

/// How far a guard goes for one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Named exactly by the operator.
    Named,
    Public,
}

impl Rules {
    /// Nothing at all.
    pub fn closed() -> Rules {
        let budget = Budget { connections: limits::CONNECTIONS, bytes: u64::MAX };
        Rules { named: Vec::new(), asked: Vec::new(), public: false, budget, advice: ADVICE }
    }

    /// Public hosts, and what the operator lists besides them.
    pub fn of(config: &Config) -> Rules {
        let named = config.allow.clone();
        Rules { named, public: config.public, ..Rules::closed() }
    }

    /// What a tenant's document may lead to: the same without the operator's own networks.
    pub fn tenants(config: &Config) -> Rules {
        let asked = config.allow.clone();
        let own = "what a tenant's document names is reached at public addresses alone";
        let advice = Advice { own, ..ADVICE };
        Rules { asked, public: config.public, advice, ..Rules::closed() }
    }

    /// Lets through what the operator names.
    pub fn naming(mut self, entries: impl IntoIterator<Item = Entry>) -> Rules {
        self.named.extend(entries);
        self
    }

    /// Lets through what a tenant names, as far as it is public.
    pub fn asking(mut self, entries: impl IntoIterator<Item = Entry>) -> Rules {
        self.asked.extend(entries);
        self
    }

    pub fn within(self, budget: Budget) -> Rules {
        Rules { budget, ..self }
    }

    pub fn advising(self, advice: Advice) -> Rules {
        Rules { advice, ..self }
    }

    pub(crate) fn scope(&self, host: &Host, port: u16) -> Option<Scope> {
        if self.named.iter().any(|entry| entry.is(host, port)) {
            return Some(Scope::Named);
        }
        let covered = || self.named.iter().chain(&self.asked).any(|e| e.covers(host, port));
        (self.public || covered()).then_some(Scope::Public)
    }

    pub(crate) fn deny(&self, host: &str, port: u16, why: Why) -> Denied {
        let advice = match why {
            Why::NotListed => Some(self.advice.unlisted),
            Why::Own(_) => Some(self.advice.own),
            Why::NotAHost(_) | Why::Never(_) => None,
        };
        let host = host.chars().take(253).collect();
        Denied { host, port, why, advice }
    }
}

/// A destination that the rules do not let through. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub host: String,
    pub port: u16,
    pub why: Why,
    advice: Option<&'static str>,
}

/// The addresses behind a name are not told: whoever asks may not know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    NotAHost(&'static str),
    NotListed,
    /// It leads to a network that is somebody's own.
    Own(&'static str),
    /// It leads where nobody may go.
    Never(&'static str),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denied { host, port, why, advice } = self;
        write!(f, "{}:{port} may not be reached: {why}", host.escape_debug())?;
        advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NotAHost(why) => f.write_str(why),
            Why::NotListed => f.write_str("it is on no allow-list"),
            Why::Own(what) => write!(f, "it is {what}"),
            Why::Never(what) => write!(f, "it is {what}"),
        }
    }
}

impl std::error::Error for Denied {}
