//! What a call of a Python function costs, in its jail and beside one, and what a cold start does.
//!
//! Calls go over Lambda's Invoke, as a client makes them. Beside them, in the same rounds: a worker
//! that is asked over pipes, which is the least a call of another process can cost, and a bare start
//! of the interpreter, which is what a call without a pool would cost.

use std::io::{Cursor, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http1::{self, Link};
use crate::peer::free_address;
use crate::process::{Running, Talking};
use crate::report::{self, Figures, quantile, round};
use crate::{Error, craton, limits};

#[derive(clap::Args, Debug, Clone)]
pub(crate) struct Args {
    /// The binary to measure.
    #[arg(long)]
    craton: PathBuf,
    /// Where the data directory is made.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Calls of each kind in a round.
    #[arg(long, default_value_t = 1000)]
    calls: usize,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Cold starts whose times are taken one after the other.
    #[arg(long, default_value_t = 50)]
    cold: usize,
    /// How long the pace of cold starts is held; 0 leaves it out.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[derive(Serialize)]
struct Line {
    bench: &'static str,
    who: &'static str,
    round: usize,
    #[serde(flatten)]
    figures: Figures,
}

const HANDLER: &str = "def handler(event, context):\n    return event\n";
const WORKER: &str = "import json, sys\nfor line in sys.stdin:\n    print(json.dumps(json.loads(line)), flush=True)\n";
const EVENT: &str = r#"{"order":4471}"#;

/// Cold starts a minute that are to be held.
const PACE: u64 = 200;

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let jailed = Server::start(&args, dir.path(), "jail").await?;
    let plain = Server::start(&args, dir.path(), "process").await?;
    let mut kinds = Kinds::new(&jailed, &plain).await?;
    kinds.block(limits::WARM_UP_TURNS).await?;
    let mut medians = [const { Vec::new() }; WHO.len()];
    for number in 1..=args.rounds {
        for (kind, figures) in kinds.block(args.calls).await?.into_iter().enumerate() {
            medians[kind].push((figures.p50_ms, figures.p99_ms));
            report::print(&Line { bench: "functions", who: WHO[kind], round: number, figures });
        }
    }
    let [pipe, warm, clean, process, start] = medians.map(|rounds| {
        let of = |pick: fn(&(f64, f64)) -> f64| {
            report::median(&mut rounds.iter().map(pick).collect::<Vec<_>>())
        };
        (of(|r| r.0), of(|r| r.1))
    });
    println!(
        "RATIO warm/pipe p50={:.2} clean/pipe p50={:.2} jail/process p50={:.2} python-start/clean p50={:.1}",
        warm.0 / pipe.0,
        clean.0 / pipe.0,
        warm.0 / process.0,
        start.0 / clean.0,
    );
    println!(
        "OVERHEAD over-pipe warm p50={:.3}ms p99={:.3}ms clean p50={:.3}ms p99={:.3}ms",
        warm.0 - pipe.0,
        warm.1 - pipe.0,
        clean.0 - pipe.0,
        clean.1 - pipe.0,
    );
    cold(&args, &jailed).await?;
    held(&args, &jailed).await
}

/// In the order of a block.
const WHO: [&str; 5] = ["pipe", "warm", "clean", "process", "python-start"];

struct Kinds {
    /// The interpreter itself, where `python3` is a script that looks for one.
    python: String,
    worker: Talking,
    jailed: Link,
    plain: Link,
}

impl Kinds {
    async fn new(jailed: &Server, plain: &Server) -> Result<Kinds, Error> {
        jailed.make("warm", &json!({})).await?;
        jailed.make("clean", &json!({ "craton:clean": "true" })).await?;
        plain.make("warm", &json!({})).await?;
        let asked = ["-c", "import sys; print(sys.executable, end='')"];
        let python = String::from_utf8(Command::new("python3").args(asked).output()?.stdout)?;
        let mut worker = Command::new(&python);
        worker.args(["-I", "-S", "-c", WORKER]);
        Ok(Kinds {
            python,
            worker: Talking::start(&mut worker)?,
            jailed: Link::open(jailed.address).await?,
            plain: Link::open(plain.address).await?,
        })
    }

    /// A block of each, one after the other, so that what disturbs the machine meets all.
    async fn block(&mut self, calls: usize) -> Result<[Figures; 5], Error> {
        let pipe = timed(calls, || self.worker.ask(EVENT).map(drop))?;
        let warm = invoked(&mut self.jailed, "warm", calls).await?;
        let clean = invoked(&mut self.jailed, "clean", calls).await?;
        let process = invoked(&mut self.plain, "warm", calls).await?;
        let start = timed(calls.div_ceil(20), || python_start(&self.python))?;
        Ok([pipe, warm, clean, process, start])
    }
}

fn timed(calls: usize, mut call: impl FnMut() -> Result<(), Error>) -> Result<Figures, Error> {
    let (mut millis, began) = (Vec::new(), Instant::now());
    for _ in 0..calls {
        let asked = Instant::now();
        call()?;
        millis.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report::figures(1, millis, began.elapsed()))
}

fn python_start(python: &str) -> Result<(), Error> {
    let done =
        Command::new(python).args(["-I", "-S", "-c", "pass"]).stdin(Stdio::null()).status()?;
    if done.success() { Ok(()) } else { Err("python3 does not start".into()) }
}

async fn invoked(link: &mut Link, name: &str, calls: usize) -> Result<Figures, Error> {
    let (mut millis, began) = (Vec::new(), Instant::now());
    for _ in 0..calls {
        let asked = Instant::now();
        invoke(link, name).await?;
        millis.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report::figures(1, millis, began.elapsed()))
}

async fn invoke(link: &mut Link, name: &str) -> Result<(), Error> {
    let path = format!("/2015-03-31/functions/{name}/invocations");
    let request = http1::json("POST", &path, Bytes::from_static(EVENT.as_bytes()))?;
    let (status, body) = link.send(request).await?;
    match serde_json::from_slice::<Value>(&body) {
        Ok(answer) if status.is_success() && answer["order"] == 4471 => Ok(()),
        _ => Err(format!("{name}: {status} {}", String::from_utf8_lossy(&body)).into()),
    }
}

/// Each start is of a function that was just changed, so that nothing warm is left of it.
async fn cold(args: &Args, jailed: &Server) -> Result<(), Error> {
    let mut millis = Vec::new();
    for number in 0..args.cold {
        millis.push(jailed.cold_start(number).await?.as_secs_f64() * 1e3);
    }
    millis.sort_by(f64::total_cmp);
    println!(
        "COLD starts={} p50={}ms p95={}ms max={}ms",
        args.cold,
        round(quantile(&millis, 0.5)),
        round(quantile(&millis, 0.95)),
        round(quantile(&millis, 1.0)),
    );
    Ok(())
}

/// Whether the pace is held: each start is begun when it is due, or as soon as the one before is done.
async fn held(args: &Args, jailed: &Server) -> Result<(), Error> {
    let starts = (args.seconds * PACE / 60) as usize;
    if starts == 0 {
        return Ok(());
    }
    let apart = Duration::from_secs(60) / PACE as u32;
    let began = Instant::now();
    let mut late = Duration::ZERO;
    for number in 0..starts {
        let due = apart * number as u32;
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        late = late.max(began.elapsed().saturating_sub(due));
        jailed.cold_start(number).await?;
    }
    let per_minute = starts as f64 * 60.0 / began.elapsed().as_secs_f64();
    println!(
        "HELD goal={PACE}/min starts={starts} done={:.0}/min most-behind={}ms",
        per_minute,
        late.as_millis()
    );
    Ok(())
}

struct Server {
    address: SocketAddr,
    _running: Running,
}

impl Server {
    async fn start(args: &Args, dir: &Path, isolation: &str) -> Result<Server, Error> {
        let dir = dir.join(isolation);
        std::fs::create_dir(&dir)?;
        let config = format!("[functions]\nisolation = \"{isolation}\"\n");
        let address = free_address()?;
        let mut running = craton::up(&args.craton, address, &dir, &config)?;
        craton::ready(address, &mut running).await?;
        let server = Server { address, _running: running };
        server.make("cold", &json!({})).await?;
        Ok(server)
    }

    async fn make(&self, name: &str, tags: &Value) -> Result<(), Error> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("main.py", zip::write::SimpleFileOptions::default())?;
        zip.write_all(HANDLER.as_bytes())?;
        let package = BASE64_STANDARD.encode(zip.finish()?.into_inner());
        let function = json!({
            "FunctionName": name, "Runtime": "python3.12", "Handler": "main.handler", "Tags": tags,
            "Role": "arn:aws:iam::000000000000:role/bench", "Code": { "ZipFile": package },
        });
        self.ask("POST", "/2015-03-31/functions", &function).await
    }

    async fn cold_start(&self, number: usize) -> Result<Duration, Error> {
        let changed = json!({ "Environment": { "Variables": { "NUMBER": number.to_string() } } });
        self.ask("PUT", "/2015-03-31/functions/cold/configuration", &changed).await?;
        let mut link = Link::open(self.address).await?;
        let began = Instant::now();
        invoke(&mut link, "cold").await?;
        Ok(began.elapsed())
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(), Error> {
        let mut link = Link::open(self.address).await?;
        let request = http1::json(method, path, Bytes::from(body.to_string()))?;
        let (status, answer) = link.send(request).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(format!("{method} {path}: {status} {}", String::from_utf8_lossy(&answer)).into())
    }
}
