//! `craton env`: the lines that send the served services here and leave all others on AWS.
//!
//! It asks no server: which services are served is the wire's table.

use clap::{Parser, ValueEnum};
use wire::model::{SERVICES, State};

use super::Done;
use crate::endpoint::{self, HERE};
use crate::telemetry::say;

#[derive(Parser)]
#[command(after_help = "\
Examples:
  eval \"$(craton env)\"                              this shell's AWS code calls Craton
  craton env --shell fish | source                  the same in fish
  eval \"$(craton env --unset)\"                      and AWS again")]
pub(crate) struct Args {
    /// The server to point at.
    #[arg(long, default_value = HERE, value_name = "URL")]
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
    let endpoint = address(&args.endpoint)?;
    for name in names() {
        say(&line(args.shell, &name, (!args.unset).then_some(&*endpoint)));
    }
    Ok(())
}

/// It goes into a line that a shell evaluates.
fn address(text: &str) -> Result<String, String> {
    let evaluated = |c: char| c.is_whitespace() || c.is_control() || "'\"`$\\;".contains(c);
    if text.contains(evaluated) {
        return Err(format!("--endpoint: {text:?} is no address; give one like {HERE} (CR0022)"));
    }
    endpoint::checked("--endpoint", text)
}

/// The variables of the services that have an operation served.
fn names() -> impl Iterator<Item = String> {
    let served = SERVICES.iter().filter(|service| {
        service.operations.iter().any(|operation| operation.state == State::Served)
    });
    served.map(|service| endpoint::variable_of(service.name))
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
            export AWS_ENDPOINT_URL_BEDROCK='http://127.0.0.1:4747'
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
    fn what_a_shell_would_run_and_what_is_no_url_are_no_addresses() {
        for text in ["http://a;rm", "http://a'b", "http://a/$(id)", "http://a\nb", "foo", ""] {
            let args = Args { endpoint: text.into(), unset: false, shell: Shell::Sh };
            assert!(run(&args).is_err(), "{text}");
        }
    }
}
