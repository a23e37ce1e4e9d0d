//! What sessions cost: a turn of a long one against a turn of a fresh one, and thousands of idle ones.
//!
//! The model is a script inside the server, so that nothing but the engine is measured: what a
//! provider takes to carry and read a longer conversation is its own affair.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::http1::{self, Link};
use crate::peer::free_address;
use crate::process::{Running, cpu_millis, rss_mb};
use crate::report::{self, Figures};
use crate::{Error, craton, limits, load, task};

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    craton: PathBuf,
    /// Where the data directory is made.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Turns of each kind in a round.
    #[arg(long, default_value_t = 500)]
    turns: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Exchanges of the long session.
    #[arg(long, default_value_t = 200)]
    exchanges: usize,
    /// Idle sessions; 0 leaves them out.
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
}

#[derive(Serialize)]
struct Line {
    bench: &'static str,
    who: &'static str,
    round: usize,
    #[serde(flatten)]
    figures: Figures,
    /// Of the server's process, per turn.
    cpu_ms: f64,
}

/// A question of common length, and its answer.
const QUESTION: &str = "Where is my order 4471, and when will the rest of it arrive in Ghent?";

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    long_against_fresh(&args).await?;
    if args.idle > 0 {
        idle(&args).await?;
    }
    Ok(())
}

/// Blocks of one kind and the other in turn, so that what disturbs the machine meets both.
async fn long_against_fresh(args: &Args) -> Result<(), Error> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    // The long session stays as long as it is; the tokens of its texts are no limit.
    let sessions = format!("[sessions]\nexchanges = {}\ntokens = 10_000_000\n", args.exchanges);
    let (listen, server) = start(args, dir.path(), &sessions).await?;
    let long = load::fresh();
    block(listen, args.exchanges, &|| long.clone()).await?;
    block(listen, limits::WARM_UP_TURNS, &load::fresh).await?;
    let (mut latencies, mut times) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        let mut pair = Vec::new();
        for who in ["fresh", "long"] {
            let before = cpu_millis(server.id())?;
            let figures = match who {
                "fresh" => block(listen, args.turns, &load::fresh).await?,
                _ => block(listen, args.turns, &|| long.clone()).await?,
            };
            let cpu_ms = report::round((cpu_millis(server.id())? - before) / args.turns as f64);
            pair.push((figures.p50_ms, cpu_ms));
            report::print(&Line { bench: "sessions", who, round, figures, cpu_ms });
        }
        latencies.push(pair[1].0 / pair[0].0);
        times.push(pair[1].1 / pair[0].1);
    }
    println!(
        "RATIO long/fresh exchanges={} p50={:.3} cpu={:.3}",
        args.exchanges,
        report::median(&mut latencies),
        report::median(&mut times),
    );
    Ok(())
}

/// Sessions that nobody uses any more and that have not idled out.
async fn idle(args: &Args) -> Result<(), Error> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let (listen, mut server) = start(args, dir.path(), "").await?;
    block(listen, limits::WARM_UP_TURNS, &load::fresh).await?;
    let empty = rss_mb(server.id())?;
    let small = closed_size(dir.path(), &mut server)?;
    let mut server = reopened(args, dir.path(), listen).await?;
    block(listen, args.idle, &load::fresh).await?;
    let full = rss_mb(server.id())?;
    let size = closed_size(dir.path(), &mut server)?;
    let text = (QUESTION.len() * 2) as f64 / 1024.0;
    println!(
        "ADDED idle={} rss={:.1}MB (empty {empty:.1}MB) disk={:.2}KiB/session, of which text {text:.2}KiB",
        args.idle,
        full - empty,
        (size - small) as f64 / 1024.0 / args.idle as f64,
    );
    Ok(())
}

async fn start(args: &Args, dir: &Path, more: &str) -> Result<(SocketAddr, Running), Error> {
    // The model says what it was asked, so that an answer tells that the words went all the way.
    let script = json!({ "rules": [{ "reply": { "text": "{{said}}" } }] }).to_string();
    std::fs::write(dir.join("script.yaml"), script)?;
    std::fs::write(dir.join("more.toml"), more)?;
    let listen = free_address()?;
    let server = reopened(args, dir, listen).await?;
    Ok((listen, server))
}

async fn reopened(args: &Args, dir: &Path, listen: SocketAddr) -> Result<Running, Error> {
    let more = std::fs::read_to_string(dir.join("more.toml"))?;
    let config = format!(
        "{more}\n[providers.script]\nkind = \"scripted\"\nfile = \"script.yaml\"\n\n\
         [[models]]\nmatch = \"*\"\nprovider = \"script\"\n"
    );
    let mut server = craton::up(&args.craton, listen, dir, &config)?;
    craton::ready(listen, &mut server).await?;
    Ok(server)
}

/// The data directory's bytes once the server has ended and its log is copied back.
fn closed_size(dir: &Path, server: &mut Running) -> Result<u64, Error> {
    server.interrupt()?;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir.join("data"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// One turn after the other.
async fn block(
    address: SocketAddr,
    turns: usize,
    session: &dyn Fn() -> String,
) -> Result<Figures, Error> {
    let mut link = Link::open(address).await?;
    let mut millis = Vec::new();
    let began = Instant::now();
    for _ in 0..turns {
        let asked = Instant::now();
        let session = session();
        let answered = tokio::time::timeout(limits::INVOCATION, turn(&mut link, &session)).await;
        answered.map_err(|_| format!("no answer after {:?}", limits::INVOCATION))??;
        millis.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report::figures(1, millis, began.elapsed()))
}

async fn turn(link: &mut Link, session: &str) -> Result<(), Error> {
    let agent = json!({ "foundationModel": "bench.echo", "instruction": task::INSTRUCTION,
                        "inputText": QUESTION });
    let path = format!("/agents/{session}");
    let request = http1::json("POST", &path, Bytes::from(agent.to_string()))?;
    let (status, body) = link.send(request).await?;
    if status != StatusCode::OK {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    match load::answer(body)? {
        text if text == QUESTION => Ok(()),
        text => Err(format!("a wrong answer: {text:?}").into()),
    }
}
