//! The `craton` binary: one verb per file in `cmd`.

mod aws;
mod client;
mod cmd;
mod config;
mod data;
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
    /// Talks with an agent, showing each step as it runs.
    Chat(cmd::chat::Args),
    /// Makes agents and functions what a file says, and changes nothing twice.
    Deploy(cmd::deploy::Args),
    /// Shows a support agent at work: its own server, then a chat.
    Demo(cmd::demo::Args),
    /// Says what is missing: configuration, providers, port, data directory, tools.
    Doctor(cmd::doctor::Args),
    /// Prints the variables that send the served services here and leave others on AWS.
    Env(cmd::env::Args),
    /// Shows what a run did, step by step.
    Trace(cmd::trace::Args),
}

const EXAMPLES: &str = "\
Examples:
  craton up                              listen on 127.0.0.1:4747, any credentials
  craton up --config craton.toml         with your providers and access keys
  craton demo                            a support agent to talk with, in a minute
  craton chat support                    talk with the agent named support
  eval \"$(craton env)\"                   this shell's AWS code calls Craton
  craton trace --last                    the latest run
  craton trace my-session                the latest run of a session";

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Up(args) => cmd::up::run(args),
        Verb::Chat(args) => cmd::chat::run(args),
        Verb::Deploy(args) => cmd::deploy::run(&args),
        Verb::Demo(args) => cmd::demo::run(args),
        Verb::Doctor(args) => cmd::doctor::run(&args),
        Verb::Env(args) => cmd::env::run(&args),
        Verb::Trace(args) => cmd::trace::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            telemetry::complain(&message);
            ExitCode::FAILURE
        }
    }
}
