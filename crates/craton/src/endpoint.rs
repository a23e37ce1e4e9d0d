//! Which server a verb speaks to: `--endpoint`, or where the environment sends AWS's SDKs.
//!
//! It opens no connection. An address that cannot be one is refused here, before anything is sent.

use clap::Args;
use http::Uri;

use crate::client::Client;

/// Where `craton up` listens if nobody says otherwise.
pub(crate) const HERE: &str = "http://127.0.0.1:4747";
const GENERAL: &str = "AWS_ENDPOINT_URL";

#[derive(Args)]
pub(crate) struct Endpoint {
    /// The server. Default: `AWS_ENDPOINT_URL` or its form for the service, else port 4747 here.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
}

impl Endpoint {
    /// A client of the server to which calls of the service go.
    pub(crate) fn client(&self, service: &str) -> Result<Client, String> {
        let address = self.address(service, &|name| std::env::var(name).ok())?;
        Ok(Client::new(&address))
    }

    fn address(
        &self,
        service: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, String> {
        if let Some(given) = &self.endpoint {
            return checked("--endpoint", given);
        }
        match configured(service, variable) {
            Some((name, url)) => checked(&name, &url),
            None => Ok(HERE.to_owned()),
        }
    }
}

/// Where an SDK's client of the service goes, and by which variable.
// AWS: a service's own variable goes before the general one (SDKs and Tools Reference Guide,
// service-specific endpoints)
pub(crate) fn configured(
    service: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let names = [variable_of(service), GENERAL.to_owned()];
    names.into_iter().find_map(|name| {
        let url = variable(&name).filter(|url| !url.is_empty())?;
        Some((name, url))
    })
}

/// The variable of a service, by botocore's name.
// AWS: service id in upper case with underscores (SDKs and tools reference, service-specific
// endpoints); botocore's names of these services are their ids in lower case with hyphens
pub(crate) fn variable_of(service: &str) -> String {
    format!("{GENERAL}_{}", service.replace('-', "_").to_ascii_uppercase())
}

/// The address without its last slash, if it is one. `from` says who gave it.
pub(crate) fn checked(from: &str, text: &str) -> Result<String, String> {
    let wrong = || format!("{from}: {text:?} is no address; give one like {HERE} (CR0022)");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let spoken = matches!(uri.scheme_str(), Some("http" | "https"));
    let whole = uri.authority().is_some_and(|authority| {
        let is_port = authority.port_u16().is_some() || authority.as_str() == authority.host();
        is_port && !authority.host().is_empty()
    });
    match spoken && whole && uri.query().is_none() {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(given: Option<&str>, service: &str, variables: &[(&str, &str)], wanted: Expect) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let endpoint = Endpoint { endpoint: given.map(str::to_owned) };
        wanted.assert_eq(&endpoint.address(service, &variable).unwrap_or_else(|why| why));
    }

    #[test]
    fn a_verb_goes_where_the_services_sdk_goes() {
        let both = [
            ("AWS_ENDPOINT_URL", "http://general:1"),
            ("AWS_ENDPOINT_URL_BEDROCK_AGENT", "http://own:2/"),
        ];
        check(None, "bedrock-agent", &both, expect!["http://own:2"]);
        check(None, "bedrock-agent-runtime", &both, expect!["http://general:1"]);
        check(Some("https://given"), "bedrock-agent", &both, expect!["https://given"]);
        check(None, "bedrock-agent", &[], expect!["http://127.0.0.1:4747"]);
        let empty = [("AWS_ENDPOINT_URL_BEDROCK_AGENT", ""), both[0]];
        check(None, "bedrock-agent", &empty, expect!["http://general:1"]);
    }

    #[test]
    fn what_is_no_address_is_said_with_who_gave_it() {
        check(
            Some("foo"),
            "bedrock-agent",
            &[],
            expect![[
                r#"--endpoint: "foo" is no address; give one like http://127.0.0.1:4747 (CR0022)"#
            ]],
        );
        check(
            None,
            "bedrock-agent",
            &[("AWS_ENDPOINT_URL", "localhost:4747")],
            expect![[
                r#"AWS_ENDPOINT_URL: "localhost:4747" is no address; give one like http://127.0.0.1:4747 (CR0022)"#
            ]],
        );
        let wrong = ["", "/x", "ftp://a", "http://", "http://[", "http://a:b", "http://a:99999"];
        for text in wrong.into_iter().chain(["http://a?b", "http://a b", "http://:4747"]) {
            assert!(checked("it", text).is_err(), "{text}");
        }
        for text in ["http://[::1]:4747", "https://a.example", "http://a:1/behind/this"] {
            assert_eq!(checked("it", text).as_deref(), Ok(text));
        }
    }
}
