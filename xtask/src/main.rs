//! The project's own commands: `cargo xtask VERB`. One file per verb.
#![allow(clippy::print_stdout, reason = "a command line tool speaks to standard output")]

mod bench;
mod clients;
mod codegen;
mod debian;
mod demo;
mod dist;
mod python;
mod shell;
mod test;
mod tidy;
mod vectors;

use std::process::ExitCode;

/// What a verb returns; the message says what to do.
type Outcome = Result<(), Box<dyn std::error::Error>>;

const USAGE: &str = "usage: cargo xtask VERB

  bench agent-loop              measure Craton beside its peers (bench/README.md)
  codegen [--check] [--fetch]   regenerate the wire's tables and types from models/
  demo [--model ID --config F]  play examples/support-agent, through two kill -9
  dist                          one release binary, container file, checksums, SBOM
  test [--long]                 everything that CI runs; more crashes, calls and seeds with --long
  tidy                          check the walls: layers, sizes, names of files
  vectors --data DIR            run public protocol vectors against the codecs";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome {
    let Some((verb, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match verb.as_str() {
        "bench" => bench::run(rest),
        "codegen" => codegen::run(rest),
        "demo" => demo::run(rest),
        "dist" => dist::run(rest),
        "test" => test::run(rest),
        "tidy" => tidy::run(),
        "vectors" => vectors::run(rest),
        other => Err(format!("there is no verb {other}\n{USAGE}").into()),
    }
}

/// The repository's root, from where this crate was built.
fn root() -> &'static std::path::Path {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the workspace")
}
