//! The `craton` binary: one verb per file in `cmd`.

mod aws;
mod client;
mod cmd;
mod config;
mod data;
mod endpoint;
mod groups;
mod scenario;
mod secrets;
mod stream;
mod telemetry;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// A turn makes thousands of small allocations, and frees them on another thread than made them.
/// Measured on agent turns at 64 in flight: 20 % less CPU than with the C library's allocator.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A self-hosted agent runtime that speaks the AWS wire.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Starts the server.
    Up(cmd::up::Args),
    /// Sends requests from a file at a rate, and goes on where it was.
    Batch(cmd::batch::Args),
    /// Compares models by what they do in scenarios.
    Bench(cmd::bench::Args),
    /// Talks with an agent, showing each step as it runs.
    Chat(cmd::chat::Args),
    /// Makes agents and functions what a file says, and changes nothing twice.
    Deploy(cmd::deploy::Args),
    /// Says what was spent, what would make it less, and what comes next.
    Cost(cmd::cost::Args),
    /// Says where two runs part first, and why.
    Diff(cmd::diff::Args),
    /// Shows a support agent at work: its own server, then a chat.
    Demo(cmd::demo::Args),
    /// Says what is missing: configuration, providers, port, data directory, tools.
    Doctor(cmd::doctor::Args),
    /// Says what a turn would do: models and reading tools are asked, nothing is changed.
    DryRun(cmd::dry_run::Args),
    /// Lists calls that may change something; says what became of one, or takes it back.
    Effects(cmd::effects::Args),
    /// Prints the variables that send the served services here and leave others on AWS.
    Env(cmd::env::Args),
    /// Explains the number at the end of a message.
    Explain(cmd::explain::Args),
    /// Begins a run in the middle of another, with something changed, and goes on live.
    Fork(cmd::fork::Args),
    /// Judges an agent's tools by the checklist for tools, each finding with its fix.
    Lint(cmd::lint::Args),
    /// Calls a run off.
    #[command(after_help = cmd::order::KILL)]
    Kill(cmd::order::Args),
    /// Holds a run: what is under way ends, nothing new begins, until `craton resume`.
    #[command(after_help = cmd::order::PAUSE)]
    Pause(cmd::order::Args),
    /// Lists the runs that are not over, and what each waits for.
    Ps(cmd::ps::Args),
    /// Writes a run, or its session, into a file that can be played again.
    Record(cmd::record::Args),
    /// Plays a recorded run without models, tools and network, and compares every byte.
    Replay(cmd::replay::Args),
    /// Lets a held run go on.
    #[command(after_help = cmd::order::RESUME)]
    Resume(cmd::order::ResumeArgs),
    /// Plays scenarios with agents: the calls they should make, what they should answer.
    Test(cmd::test::Args),
    /// Watches the runs that are not over, with rates.
    Top(cmd::top::Args),
    /// Shows what a run did, step by step.
    Trace(cmd::trace::Args),
    /// Writes what a shell needs to complete verbs and flags.
    Completion(cmd::completion::Args),
}

const EXAMPLES: &str = "\
Examples:
  craton up                              listen on 127.0.0.1:4747, any credentials
  craton up --config craton.toml         with your providers and access keys
  craton demo                            a support agent to talk with, in a minute
  craton deploy agent.yaml               make agents and functions what a file says
  craton chat support                    talk with the agent named support
  eval \"$(craton env)\"                   this shell's AWS code calls Craton
  craton lint support                    what is wrong with its tools, and the fix
  craton trace --last                    the latest run
  craton test scenarios.yaml --rules     does it do what it should?
  craton doctor                          what is missing
  craton explain CR0013                  the number at the end of a message";

fn main() -> ExitCode {
    exec::jail::become_init_if_asked();
    let done = match Cli::parse().verb {
        Verb::Up(args) => cmd::up::run(args),
        Verb::Batch(args) => return cmd::batch::run(&args),
        Verb::Bench(args) => cmd::bench::run(&args),
        Verb::Chat(args) => cmd::chat::run(args),
        Verb::Deploy(args) => cmd::deploy::run(&args),
        Verb::Diff(args) => return cmd::diff::run(&args),
        Verb::Demo(args) => cmd::demo::run(args),
        Verb::Doctor(args) => cmd::doctor::run(&args),
        Verb::DryRun(args) => cmd::dry_run::run(&args),
        Verb::Cost(args) => cmd::cost::run(&args),
        Verb::Effects(args) => cmd::effects::run(&args),
        Verb::Env(args) => cmd::env::run(&args),
        Verb::Explain(args) => cmd::explain::run(&args),
        Verb::Fork(args) => cmd::fork::run(&args),
        Verb::Lint(args) => return cmd::lint::run(&args),
        Verb::Kill(args) => cmd::order::kill(&args),
        Verb::Pause(args) => cmd::order::pause(&args),
        Verb::Ps(args) => cmd::ps::run(&args),
        Verb::Record(args) => cmd::record::run(&args),
        Verb::Replay(args) => return cmd::replay::run(&args),
        Verb::Resume(args) => cmd::order::resume(&args),
        Verb::Test(args) => return cmd::test::run(&args),
        Verb::Top(args) => cmd::top::run(&args),
        Verb::Trace(args) => cmd::trace::run(&args),
        Verb::Completion(args) => cmd::completion::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            telemetry::complain(&message);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};
    use expect_test::expect_file;

    use super::*;

    fn help(command: &mut Command, all: &mut String) {
        let name = command.get_bin_name().unwrap_or("craton").to_owned();
        all.push_str(&format!("$ {name} --help\n{}\n", command.render_help()));
        let verbs = command.get_subcommands_mut();
        verbs.filter(|verb| verb.get_name() != "help").for_each(|verb| help(verb, all));
    }

    /// The whole face of the binary in one file: what changes in it is seen in a review.
    #[test]
    fn the_help_of_every_verb_reads_so() {
        let (mut all, mut command) = (String::new(), Cli::command());
        command.build();
        help(&mut command, &mut all);
        let plain: Vec<&str> = all.lines().map(str::trim_end).collect();
        expect_file!["help.txt"].assert_eq(&(plain.join("\n").trim_end().to_owned() + "\n"));
    }
}
