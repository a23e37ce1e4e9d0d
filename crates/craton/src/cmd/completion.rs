//! `craton completion SHELL`: what a shell needs to complete verbs, flags and values.

use std::io::Write as _;

use clap::{CommandFactory as _, Parser};
use clap_complete::Shell;

use super::Done;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell to write for.
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  source <(craton completion bash)                         in this shell
  craton completion zsh > ~/.zfunc/_craton                 for every zsh (a folder of its fpath)
  craton completion fish > ~/.config/fish/completions/craton.fish";

pub(crate) fn run(args: &Args) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Cli::command(), "craton", &mut script);
    // A closed pipe is the reader's wish, not an error.
    let _ = std::io::stdout().lock().write_all(&script);
    Ok(())
}
