//! Whether AWS's SDKs and the CLI, started from here, would come to this server.

use super::Finding;
use crate::endpoint;

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn examine(listen: &str, variable: Variable<'_>, findings: &mut Vec<Finding>) {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let here = format!("http://{listen}");
    findings.push(match endpoint::configured("bedrock-agent-runtime", variable) {
        None => Finding::warn(
            "AWS_ENDPOINT_URL",
            "is not set in this shell, so SDKs started here go to AWS itself",
            format!("export AWS_ENDPOINT_URL={here}"),
        ),
        Some((name, url)) if same(&url, &here) => Finding::ok(name, "leads here"),
        Some((name, url)) => {
            let fix = format!("export {name}={here}");
            Finding::warn(name, format!("leads to {url}, not to {here}"), fix)
        }
    });
    findings.push(region(set("AWS_REGION"), set("AWS_DEFAULT_REGION")));
    let named = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"];
    findings.push(match named.into_iter().find(|name| set(name).is_some()) {
        Some(name) => Finding::ok("credentials", format!("{name} is set")),
        None => Finding::warn(
            "credentials",
            "no credentials are in this shell's environment; SDKs sign nothing without",
            "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test (dev mode takes any)",
        ),
    });
    if let (Some(_), None) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        findings.push(Finding::warn(
            "credentials",
            "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY",
            "export AWS_SECRET_ACCESS_KEY too",
        ));
    }
}

/// The roots that the environment adds for TLS.
pub(super) fn roots(unread: &[String], findings: &mut Vec<Finding>) {
    findings.extend(unread.iter().map(|why| {
        let fix = "SSL_CERT_FILE and SSL_CERT_DIR name certificates in PEM (docs/models.md)";
        Finding::warn("roots", format!("some are left out: {why}"), fix)
    }));
}

/// `localhost` is the loopback, and a last slash means nothing.
fn same(url: &str, here: &str) -> bool {
    let plain = |url: &str| url.trim_end_matches('/').replace("//localhost:", "//127.0.0.1:");
    plain(url) == plain(here)
}

/// AWS: boto3 and the CLI 1 read `AWS_DEFAULT_REGION` alone, most other SDKs `AWS_REGION` (SDKs and
/// tools reference guide, "AWS Region").
fn region(own: Option<String>, default: Option<String>) -> Finding {
    let both = |region: &str| format!("export AWS_REGION={region} AWS_DEFAULT_REGION={region}");
    match (own, default) {
        (Some(own), Some(default)) if own == default => Finding::ok("region", own),
        (Some(own), Some(default)) => Finding::warn(
            "region",
            format!(
                "AWS_REGION is {own} and AWS_DEFAULT_REGION {default}; SDKs differ in which they read"
            ),
            both(&own),
        ),
        (Some(own), None) => Finding::warn(
            "region",
            "AWS_DEFAULT_REGION is not set, and boto3 reads no other",
            both(&own),
        ),
        (None, Some(default)) => Finding::warn(
            "region",
            "AWS_REGION is not set, and SDKs other than boto3 read no other",
            both(&default),
        ),
        (None, None) => Finding::warn(
            "region",
            "neither AWS_REGION nor AWS_DEFAULT_REGION is set; SDKs make no client without",
            both("us-east-1"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(variables: &[(&str, &str)], wanted: Expect) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let mut findings = Vec::new();
        examine("127.0.0.1:4747", &variable, &mut findings);
        let line = |f: &Finding| format!("{:?} {}: {}\n", f.state, f.what, f.says);
        wanted.assert_eq(&findings.iter().map(line).collect::<String>());
    }

    #[test]
    fn an_empty_environment_leads_to_aws_and_says_so() {
        check(
            &[],
            expect![[r"
                Warn AWS_ENDPOINT_URL: is not set in this shell, so SDKs started here go to AWS itself
                Warn region: neither AWS_REGION nor AWS_DEFAULT_REGION is set; SDKs make no client without
                Warn credentials: no credentials are in this shell's environment; SDKs sign nothing without
            "]],
        );
    }

    #[test]
    fn a_region_that_some_sdks_do_not_read_is_no_region_for_all() {
        check(
            &[("AWS_REGION", "r"), ("AWS_PROFILE", "p")],
            expect![[r"
                Warn AWS_ENDPOINT_URL: is not set in this shell, so SDKs started here go to AWS itself
                Warn region: AWS_DEFAULT_REGION is not set, and boto3 reads no other
                Ok credentials: AWS_PROFILE is set
            "]],
        );
    }

    #[test]
    fn an_environment_that_leads_here_is_fine_and_another_is_shown() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "b"),
            ("AWS_REGION", "r"),
            ("AWS_DEFAULT_REGION", "r"),
        ];
        let with = |url| [&[("AWS_ENDPOINT_URL", url)], &keys[..]].concat();
        check(
            &with("http://localhost:4747/"),
            expect![[r"
                Ok AWS_ENDPOINT_URL: leads here
                Ok region: r
                Ok credentials: AWS_ACCESS_KEY_ID is set
            "]],
        );
        let own = ("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", "http://127.0.0.1:4747");
        check(
            &[&with("http://localhost:4566")[..], &[own]].concat(),
            expect![[r"
                Ok AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME: leads here
                Ok region: r
                Ok credentials: AWS_ACCESS_KEY_ID is set
            "]],
        );
        check(
            &with("http://localhost:4566")[..2],
            expect![[r"
                Warn AWS_ENDPOINT_URL: leads to http://localhost:4566, not to http://127.0.0.1:4747
                Warn region: neither AWS_REGION nor AWS_DEFAULT_REGION is set; SDKs make no client without
                Ok credentials: AWS_ACCESS_KEY_ID is set
                Warn credentials: AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY
            "]],
        );
    }
}
