//! `craton env`: the lines that send the served services here and leave all others on AWS.
//!
//! It asks no server: which services are served is the wire's table.

use clap::{Parser, ValueEnum};
use wire::model::{SERVICES, State};

use super::Done;
use crate::telemetry::say;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  eval \"$(craton env)\"                              this shell's AWS code calls Craton
  craton env --shell fish | source                  the same in fish
  eval \"$(craton env --unset)\"                      and AWS again")]
pub(crate) struct Args {
    /// The server to point at.
    #[arg(long, default_value = "http://127.0.0.1:4747", value_name = "URL")]
    endpoint: String,
    /// Prints the lines that take it back.
    #[arg(long)]
    unset: bool,
    /// The shell that reads the lines.
    #[arg(long, value_enum, default_value_t = Shell::Sh)]
    shell: Shell,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shell {
    /// sh, bash, zsh
    Sh,
    Fish,
    Powershell,
}

pub(crate) fn run(args: &Args) -> Done {
    // It goes into a line that a shell evaluates.
    if args
        .endpoint
        .contains(|c: char| c.is_whitespace() || c.is_control() || "'\"`$\\;".contains(c))
    {
        return Err(format!(
            "{:?} is no address; give one like http://127.0.0.1:4747 (CR0022)",
            args.endpoint
        ));
    }
    for name in names() {
        let endpoint = (!args.unset).then_some(args.endpoint.trim_end_matches('/'));
        say(&line(args.shell, &name, endpoint));
    }
    Ok(())
}

/// The variables of the services that have an operation served.
// AWS: service id in upper case with underscores (SDKs and tools reference, service-specific
// endpoints); botocore's names of these services are their ids in lower case with hyphens
fn names() -> impl Iterator<Item = String> {
    let served = SERVICES.iter().filter(|service| {
        service.operations.iter().any(|operation| operation.state == State::Served)
    });
    served.map(|service| {
        format!("AWS_ENDPOINT_URL_{}", service.name.replace('-', "_").to_ascii_uppercase())
    })
}

fn line(shell: Shell, name: &str, endpoint: Option<&str>) -> String {
    match (shell, endpoint) {
        (Shell::Sh, Some(endpoint)) => format!("export {name}='{endpoint}'"),
        (Shell::Sh, None) => format!("unset {name}"),
        (Shell::Fish, Some(endpoint)) => format!("set -gx {name} '{endpoint}'"),
        (Shell::Fish, None) => format!("set -e {name}"),
        (Shell::Powershell, Some(endpoint)) => format!("$env:{name} = '{endpoint}'"),
        (Shell::Powershell, None) => format!("Remove-Item Env:{name} -ErrorAction Ignore"),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn each_served_service_has_its_line() {
        let endpoint = Some("http://127.0.0.1:4747");
        let lines: Vec<String> = names().map(|name| line(Shell::Sh, &name, endpoint)).collect();
        expect![[r#"
            export AWS_ENDPOINT_URL_BEDROCK_AGENT='http://127.0.0.1:4747'
            export AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME='http://127.0.0.1:4747'
            export AWS_ENDPOINT_URL_BEDROCK_RUNTIME='http://127.0.0.1:4747'
            export AWS_ENDPOINT_URL_IAM='http://127.0.0.1:4747'
            export AWS_ENDPOINT_URL_LAMBDA='http://127.0.0.1:4747'
            export AWS_ENDPOINT_URL_STS='http://127.0.0.1:4747'"#]]
        .assert_eq(&lines.join("\n"));
        assert_eq!(line(Shell::Sh, "A", None), "unset A");
        assert_eq!(line(Shell::Fish, "A", endpoint), "set -gx A 'http://127.0.0.1:4747'");
        assert_eq!(line(Shell::Powershell, "A", endpoint), "$env:A = 'http://127.0.0.1:4747'");
    }

    #[test]
    fn what_a_shell_would_run_is_no_address() {
        for endpoint in ["http://a; rm -rf x", "http://a'b", "$(id)", "http://a\nb"] {
            let args = Args { endpoint: endpoint.into(), unset: false, shell: Shell::Sh };
            assert!(run(&args).is_err(), "{endpoint}");
        }
    }
}
