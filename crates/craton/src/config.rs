//! `craton.toml`: the sections of all crates in one file. Unknown keys are errors, and no file at
//! all is a configuration that runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use craton_core::agent::config::Retention;
use craton_core::agent::tool::Effect;
use craton_core::budget::caps::Budgets;
use craton_core::cost::Prices;
use craton_core::policy::ToolPolicy;
use engine::function::{function_name, qualifier};
use serde::Deserialize;

/// The whole file. Each section's fields are documented where they are used.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// Accept any credentials. Left out: yes on a loopback address without `[[keys]]`.
    pub(crate) dev: Option<bool>,
    keys: Vec<front::Key>,
    hosts: Vec<String>,
    origins: Vec<String>,
    drain_seconds: Option<u64>,
    forward: BTreeMap<String, front::Forward>,
    providers: BTreeMap<String, llm::ProviderEntry>,
    models: Vec<llm::ModelRule>,
    pub(crate) functions: exec::Config,
    pub(crate) egress: net::egress::Config,
    /// Buckets of S3 that are folders here: name to path, relative to the file.
    buckets: BTreeMap<String, PathBuf>,
    /// HTTP APIs that perform the operations of action groups.
    apis: BTreeMap<String, exec::ApiConfig>,
    /// MCP servers, by name.
    pub(crate) mcp: BTreeMap<String, exec::McpConfig>,
    /// Accounts of AWS whose functions are called there.
    pub(crate) aws: exec::AwsConfig,
    /// What is set for tools: function name or ARN, with `:TOOL` for one of its tools, to a policy.
    pub(crate) tools: BTreeMap<String, ToolPolicy>,
    /// A price file, relative to this one, over the embedded prices.
    prices: Option<PathBuf>,
    pub(crate) limits: Limits,
    /// Which models are asked for what; without it the model that is named.
    pub(crate) routing: Option<craton_core::route::Table>,
    /// How many calls go to models.
    pub(crate) rates: engine::model::config::Rates,
    /// Answers that are kept for equal calls.
    pub(crate) cache: engine::model::config::Cache,
    /// What of a conversation sessions keep, unless an agent's tags say otherwise.
    pub(crate) sessions: Retention,
    /// What may be spent, on what and by whom.
    pub(crate) budgets: Budgets,
    /// Where alerts go, and what raises one.
    pub(crate) alerts: Alerts,
    #[serde(skip)]
    base_dir: PathBuf,
}

/// `[alerts]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Alerts {
    /// Where alerts are delivered; without it they stand in the list alone.
    url: Option<String>,
    /// What signs them.
    secret: Option<net::Secret>,
    /// An agent that uses more tokens within a minute raises an alarm.
    tokens_per_minute: Option<u64>,
    /// So does one that uses so many times its usual minute's.
    anomaly_factor: Option<u64>,
}

impl Alerts {
    fn check(&self) -> Result<(), String> {
        if self.anomaly_factor.is_some_and(|factor| factor < 2) {
            return Err("anomaly_factor must be 2 or more".to_owned());
        }
        if self.tokens_per_minute == Some(0) {
            return Err("tokens_per_minute must be 1 or more".to_owned());
        }
        match (&self.url, &self.secret) {
            (None, Some(_)) => Err("secret signs nothing without url".to_owned()),
            _ => Ok(()),
        }
    }

    pub(crate) fn settings(&self, client: net::Client) -> engine::alert::Settings {
        let (tokens_per_minute, anomaly_factor) = (self.tokens_per_minute, self.anomaly_factor);
        let secret = self.secret.clone();
        let to = self.url.clone().map(|url| exec::WebhookConfig { url, secret });
        let webhook = to.map(|to| exec::Webhook::new(client, to));
        engine::alert::Settings { webhook, tokens_per_minute, anomaly_factor }
    }
}

/// `[limits]`: `turn` caps one agent turn, `engine` what one process takes on.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    pub(crate) turn: craton_core::agent::limits::Limits,
    pub(crate) engine: engine::limits::Limits,
}

/// A price file over the embedded one.
pub(crate) fn prices_of(path: &Path) -> Result<Prices, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("the prices {} cannot be read: {e} (CR0001)", path.display()))?;
    Prices::default()
        .over(&text)
        .map_err(|e| format!("the prices {} are not valid: {e} (CR0002)", path.display()))
}

impl Config {
    pub(crate) fn read(path: Option<&Path>) -> Result<Config, String> {
        let Some(path) = path else { return Ok(Config::default()) };
        let text = std::fs::read_to_string(path).map_err(|e| {
            format!("the configuration {} cannot be read: {e} (CR0001)", path.display())
        })?;
        let mut config = Config::parse(&text).map_err(|e| {
            let e = e.trim_end();
            format!("the configuration {} is not valid: {e} (CR0002)", path.display())
        })?;
        config.base_dir = path.parent().unwrap_or(Path::new("")).to_owned();
        config.functions = config.functions.below(&config.base_dir);
        Ok(config)
    }

    fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|e| e.to_string())?;
        config.aws.check()?;
        config.mcp.iter().try_for_each(|(name, server)| server.check(name))?;
        config.limits.engine.check()?;
        config.limits.turn.check()?;
        config.sessions.check().map_err(|problem| format!("sessions.{problem}"))?;
        config.gateway().check()?;
        config.budgets.check().map_err(|problem| format!("budgets.{problem}"))?;
        config.alerts.check().map_err(|problem| format!("alerts.{problem}"))?;
        config.hooks()?;
        check_tools(&config.tools)?;
        Ok(config)
    }

    pub(crate) fn front(&self, dev: bool) -> front::Config {
        let default = front::Config::default();
        front::Config {
            dev,
            keys: self.keys.clone(),
            hosts: self.hosts.clone(),
            origins: self.origins.clone(),
            drain_seconds: self.drain_seconds.unwrap_or(default.drain_seconds),
            forward: self.forward.clone(),
        }
    }

    pub(crate) fn models(&self, dev: bool) -> llm::Config {
        llm::Config {
            providers: self.providers.clone(),
            models: self.models.clone(),
            rules_by_default: dev,
            base_dir: self.base_dir.clone(),
        }
    }

    pub(crate) fn gateway(&self) -> engine::model::Config {
        let (routing, rates, cache) = (self.routing.clone(), self.rates.clone(), self.cache);
        engine::model::Config { routing, rates, cache }
    }

    pub(crate) fn prices(&self) -> Result<Prices, String> {
        let Some(file) = &self.prices else { return Ok(Prices::default()) };
        prices_of(&self.base_dir.join(file))
    }

    /// Whom tools may reach at addresses that this file names: just these, wherever they stand.
    pub(crate) fn hooks(&self) -> Result<net::egress::Rules, String> {
        let hooks = self
            .functions
            .map
            .iter()
            .map(|(name, url)| (format!("functions.map {name}"), url.clone()));
        let servers = self
            .mcp
            .iter()
            .filter_map(|(name, server)| Some((format!("mcp.{name}.url"), server.url.clone()?)));
        let lambdas = self.aws.endpoints().map(|url| ("aws.accounts".to_owned(), url));
        let alerts = self.alerts.url.clone().map(|url| ("alerts.url".to_owned(), url));
        let named =
            hooks.chain(alerts).chain(servers).chain(lambdas).map(|(at, url)| {
                net::egress::Entry::of_url(&url).map_err(|e| format!("{at}: {e}"))
            });
        let named = named.collect::<Result<Vec<_>, String>>()?;
        Ok(net::egress::Rules::of(&self.egress).naming(named))
    }

    /// The APIs of `[apis]`, their credentials at hand.
    pub(crate) fn apis(&self) -> Result<exec::Apis, String> {
        let apis = exec::Apis::open(&self.apis, &self.egress)?;
        let twice = apis.functions().find(|name| self.functions.map.contains_key(*name));
        if let Some(twice) = twice {
            return Err(format!("{twice} is in [functions.map] and in [apis]"));
        }
        Ok(apis)
    }

    /// Where `[apis]` leads by itself, and by which key.
    pub(crate) fn api_urls(&self) -> impl Iterator<Item = (String, &str)> {
        self.apis.iter().flat_map(|(name, api)| {
            let server = api.server.as_deref().map(|url| (format!("apis.{name}.server"), url));
            let tokens = api.auth.iter().filter_map(move |(scheme, credential)| match credential {
                exec::Credential::Oauth2(oauth2) => {
                    let key = format!("apis.{name}.auth.{scheme}.token_url");
                    Some((key, oauth2.token_url.as_str()))
                }
                exec::Credential::ApiKey { .. }
                | exec::Credential::Bearer { .. }
                | exec::Credential::Basic { .. } => None,
            });
            server.into_iter().chain(tokens)
        })
    }

    pub(crate) fn buckets(&self) -> exec::Buckets {
        exec::Buckets::new(self.bucket_folders().collect())
    }

    pub(crate) fn bucket_folders(&self) -> impl Iterator<Item = (String, PathBuf)> {
        self.buckets.iter().map(|(name, path)| (name.clone(), self.base_dir.join(path)))
    }

    /// Services of `[forward]` that do not go to AWS.
    pub(crate) fn forward_endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.forward.iter().filter_map(|(name, to)| Some((name.as_str(), to.endpoint.as_deref()?)))
    }

    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(crate) fn provider_names(&self) -> Vec<&str> {
        self.providers.keys().map(String::as_str).collect()
    }
}

fn check_tools(tools: &BTreeMap<String, ToolPolicy>) -> Result<(), String> {
    for (name, policy) in tools {
        let checked = policy.check().and_then(|()| policy.check_effect());
        let checked = checked.and_then(|()| check_fallback(name, policy));
        let checked = checked.and_then(|()| check_undo(name, policy, tools));
        checked.map_err(|problem| format!("tools.{name:?}.{problem}"))?;
    }
    Ok(())
}

fn check_fallback(name: &str, policy: &ToolPolicy) -> Result<(), String> {
    let Some(fallback) = policy.fallback.as_deref() else { return Ok(()) };
    // What follows the name may be a tool or a version, and another version is another function.
    let whole = [name, fallback].iter().all(|one| qualifier(one).is_none());
    let arns = [name, fallback].iter().all(|one| one.starts_with("arn:"));
    let same = whole && !arns && function_name(name) == function_name(fallback);
    if name == fallback || same {
        return Err(format!("fallback is {fallback}, the function itself; name another"));
    }
    Ok(())
}

/// The undo may stand in another section of the same function, such as one for each tool.
fn check_undo(
    name: &str,
    policy: &ToolPolicy,
    tools: &BTreeMap<String, ToolPolicy>,
) -> Result<(), String> {
    let of_function = |other: &str| function_name(other) == function_name(name);
    let named = || tools.iter().any(|(other, set)| of_function(other) && set.undo.is_some());
    if policy.effect == Some(Effect::Compensable) && !named() {
        return Err("effect is compensable, and no undo is named; set undo, or once".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Config;

    const EXAMPLE: &str = include_str!("../../../docs/craton.example.toml");
    const PAGE: &str = include_str!("../../../docs/craton-toml.md");

    /// A place for a key of each section, with what must stand there beside it.
    const SECTIONS: &[&str] = &[
        "",
        "[forward.s3]\n",
        "[functions]\n",
        "[egress]\n",
        "[tools.x]\n",
        "[tools.x.retry]\n",
        "[tools.x.arguments]\n",
        "[tools.x.breaker]\n",
        "[sessions]\n",
        "[apis.x]\n",
        "[apis.x.auth.y]\nkind = \"api_key\"\n",
        "[apis.x.auth.y]\nkind = \"bearer\"\n",
        "[apis.x.auth.y]\nkind = \"basic\"\n",
        "[apis.x.auth.y]\nkind = \"oauth2\"\n",
        "[aws]\n",
        "[mcp.x]\nfunction = \"f\"\nurl = \"http://localhost/\"\n",
        "[aws.accounts.123456789012]\naccess_key = \"env:A\"\nsecret_key = \"env:B\"\n",
        "[limits.turn]\n",
        "[limits.engine]\n",
        "[[keys]]\n",
        "[[models]]\n",
        "[routing]\n",
        "[routing.classes]\n",
        "[routing.steps]\n",
        "[[routing.split]]\n",
        "[rates]\n",
        "[rates.tenant]\n",
        "[rates.provisioned.x]\n",
        "[rates.retry]\n",
        "[rates.breaker]\n",
        "[cache]\n",
        "[providers.x]\nkind = \"openai\"\n",
        "[providers.x]\nkind = \"openai\"\n[providers.x.differs]\n",
        "[providers.x]\nkind = \"responses\"\n",
        "[providers.x]\nkind = \"anthropic\"\n",
        "[providers.x]\nkind = \"gemini\"\n",
        "[providers.x]\nkind = \"bedrock\"\n",
        "[providers.x]\nkind = \"scripted\"\n",
        "[providers.x]\nkind = \"clumsy\"\n",
        "[providers.x]\nkind = \"sentence-transformer\"\n",
        "[providers.x]\nkind = \"hashing\"\n",
    ];

    /// The keys that a section has, as the error about an unknown one lists them.
    fn keys(section: &str) -> Vec<String> {
        let error = Config::parse(&format!("{section}surely_unknown = 1")).unwrap_err();
        let (_, expected) = error.split_once("expected").expect(&error);
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_documented_example_is_a_configuration() {
        let config = Config::parse(EXAMPLE).unwrap();
        assert_eq!(config.limits.turn, craton_core::agent::limits::Limits::default());
        assert_eq!(config.limits.engine, engine::limits::Limits::default());
        assert_eq!(config.functions.boto3, exec::Config::default().boto3);
        assert_eq!(
            config.provider_names(),
            [
                "aws",
                "azure",
                "claude",
                "cloud",
                "google",
                "local",
                "minilm",
                "script",
                "short",
                "stumbling",
                "thinking"
            ]
        );
    }

    #[test]
    fn every_key_is_documented_and_stands_in_the_example() {
        let keys: Vec<String> = SECTIONS.iter().flat_map(|section| keys(section)).collect();
        assert!(keys.len() > 30, "{keys:?}");
        for key in keys {
            assert!(
                PAGE.contains(&format!("`{key}`")) || PAGE.contains(&format!("[{key}")),
                "{key}"
            );
            assert!(EXAMPLE.contains(&key), "{key}");
        }
    }

    #[test]
    fn a_destination_that_names_nobody_is_refused_at_the_start() {
        let refused = Config::parse("[functions.map]\norders = \"http://127.1/\"").unwrap_err();
        assert!(refused.starts_with("functions.map orders: \"http://127.1/\" names"), "{refused}");
        let refused = Config::parse("[egress]\nallow = [\"https://a.example\"]").unwrap_err();
        assert!(refused.contains("\"https://a.example\" names no destination"), "{refused}");
    }

    #[test]
    fn a_function_has_one_place_where_it_is_served() {
        let refused = |text: &str| Config::parse(text).unwrap().apis().err().unwrap_or_default();
        let one = "[apis.a]\nfunctions = [\"shop\"]\n";
        assert_eq!(refused(one), "");
        assert_eq!(
            refused(&format!("{one}[apis.b]\nfunctions = [\"shop\"]")),
            "apis.b.functions: shop is in apis.a too"
        );
        assert_eq!(
            refused(&format!("{one}[functions.map]\nshop = \"http://127.0.0.1:1/\"")),
            "shop is in [functions.map] and in [apis]"
        );
    }

    #[test]
    fn limits_that_the_engine_cannot_work_with_are_refused() {
        let refused = Config::parse("[limits.engine]\njournal_page = 0").unwrap_err();
        assert_eq!(refused, "limits.engine.journal_page is 0; set 1 to 10000");
        assert!(Config::parse("[limits.engine]\nlease_millis = 1").is_err());
        let refused = Config::parse("[limits.turn]\nhand_offs = 8").unwrap_err();
        assert!(refused.starts_with("limits.turn.hand_offs is 8; "), "{refused}");
        let refused = Config::parse("[sessions]\nhours = 0").unwrap_err();
        assert_eq!(refused, "sessions.hours is 0; set 1 or more, or leave it out");
    }

    #[test]
    fn a_tool_s_policy_that_makes_no_sense_is_refused_where_it_stands() {
        let refused = Config::parse("[tools.\"a:b\"]\ntimeout_seconds = 0").unwrap_err();
        assert_eq!(
            refused,
            "tools.\"a:b\".timeout_seconds is 0; set more than 0 and at most 86400"
        );
        let refused = Config::parse("[tools.a]\nhand_off = [\"amount >\"]").unwrap_err();
        assert!(refused.contains("hand_off = [\"amount >\"]"), "{refused}");
        assert!(refused.contains("at 9: expected the name of an argument"), "{refused}");
        let told = |text: &str| Config::parse(text).err().unwrap_or_default();
        assert_eq!(
            told("[tools.a]\neffect = \"keyed\"\ncache_seconds = 5"),
            "tools.\"a\".cache_seconds would have no effect: only answers of read tools are kept; \
             leave it out, or set another effect"
        );
        assert_eq!(
            told("[tools.\"arn:aws:lambda:us-east-1:123456789012:function:a\"]\nfallback = \"a\""),
            "tools.\"arn:aws:lambda:us-east-1:123456789012:function:a\".fallback is a, the function \
             itself; name another"
        );
        assert_eq!(told("[tools.\"a:1\"]\nfallback = \"a\""), "");
        assert_eq!(
            told("[tools.\"a:pay\"]\neffect = \"compensable\""),
            "tools.\"a:pay\".effect is compensable, and no undo is named; set undo, or once"
        );
        let split = "[tools.a]\neffect = \"compensable\"\n[tools.\"a:pay\"]\nundo = \"repay\"";
        assert_eq!(told(split), "");
    }
}
