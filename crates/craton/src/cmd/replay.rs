//! `craton replay`: plays a cassette in this process, without a server, a runtime or a socket.
//!
//! It ends as `diff` does: with 0 where every byte is the same, 1 where one is not, 2 where the file
//! cannot be played.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use engine::cassette::{Cassette, CassetteError, MOST_BYTES, Parted, Replayed};

use crate::telemetry::{complain, say};

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What `craton record` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What came of it as JSON.
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Ends with 0 if every event, frame and request is the same, 1 if one is not, 2 if the file cannot
be played.

Examples:
  craton replay run.yaml             the digests of both, and the first byte that differs
  craton up --cassette run.yaml      clients hear the run again";

pub(crate) fn run(args: &Args) -> ExitCode {
    let replayed = read(&args.file).and_then(|cassette| {
        cassette.replay().map_err(|error| format!("{}: {error}", args.file.display()))
    });
    let replayed = match replayed {
        Ok(replayed) => replayed,
        Err(message) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    match args.json {
        true => {
            let json = serde_json::to_value(&replayed).expect("it is plain data");
            say(&super::trace::json(&json));
        }
        false => lines(&replayed).iter().for_each(|line| say(line)),
    }
    ExitCode::from(u8::from(!replayed.same))
}

/// A cassette from a file of at most the size that one may have.
pub(crate) fn read(file: &Path) -> Result<Cassette, String> {
    let unread = |e: std::io::Error| format!("{} cannot be read: {e} (CR0023)", file.display());
    let told = |error: CassetteError| format!("{}: {error}", file.display());
    let bytes = std::fs::metadata(file).map_err(unread)?.len();
    if bytes > MOST_BYTES as u64 {
        return Err(told(CassetteError::TooLarge(usize::try_from(bytes).unwrap_or(usize::MAX))));
    }
    let text = std::fs::read_to_string(file).map_err(unread)?;
    Cassette::from_text(&text).map_err(told)
}

fn lines(replayed: &Replayed) -> Vec<String> {
    let Replayed { recorded, replayed: played, runs, events, requests, .. } = replayed;
    let mut lines = vec![
        format!("{runs} runs, {events} events, {requests} requests"),
        format!("events  recorded {}", recorded.events),
        format!("        replayed {}", played.events),
        format!("frames  recorded {}", recorded.frames),
        format!("        replayed {}", played.frames),
    ];
    if replayed.edited {
        lines.push("the file was edited after it was recorded".to_owned());
    }
    match &replayed.parted {
        Some(parted) => lines.extend(parting(parted)),
        None if replayed.same => lines.push("the same, byte for byte".to_owned()),
        None => lines.push("not the same (CR0039)".to_owned()),
    }
    lines
}

fn parting(parted: &Parted) -> Vec<String> {
    let Parted { run, event, what, byte, recorded, replayed } = parted;
    vec![
        format!("run {run} parts at event {event}: {what} differs from byte {byte} on (CR0039)"),
        format!("  recorded: {recorded:?}"),
        format!("  replayed: {replayed:?}"),
    ]
}
