//! What a team costs: a supervisor's turn with two collaborators side by side, against the slower
//! of the two alone.
//!
//! The collaborators' models take a fixed time, the supervisor's answers at once: what a model
//! takes is its own affair. So a team that asked one after the other would cost the sum of both, and
//! one that costs the slower alone does nothing but what it has to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http1::{self, Link};
use crate::peer::free_address;
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
    /// Turns of each kind.
    #[arg(long, default_value_t = 50)]
    turns: usize,
    /// What the slower collaborator's model takes; the other takes three quarters of it.
    #[arg(long, default_value_t = 200)]
    millis: u64,
}

#[derive(Serialize)]
struct Line {
    bench: &'static str,
    who: &'static str,
    #[serde(flatten)]
    figures: Figures,
}

const SLOW: &str = "slow";
const QUICK: &str = "quick";

pub(crate) async fn run(args: Args) -> Result<(), Error> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    std::fs::write(dir.path().join("script.yaml"), script(args.millis))?;
    let listen = free_address()?;
    let config = "[providers.script]\nkind = \"scripted\"\nfile = \"script.yaml\"\n\n\
                  [[models]]\nmatch = \"*\"\nprovider = \"script\"\n";
    let mut server = craton::up(&args.craton, listen, dir.path(), config)?;
    craton::ready(listen, &mut server).await?;
    let mut p50 = Vec::new();
    for (who, agent) in [(SLOW, alone(SLOW)), (QUICK, alone(QUICK)), ("team", team())] {
        measure(listen, &agent, limits::WARM_UP_TURNS).await?;
        let figures = measure(listen, &agent, args.turns).await?;
        p50.push(figures.p50_ms);
        report::print(&Line { bench: "team", who, figures });
    }
    println!("RATIO team/slower={:.3} added={:.2}ms", p50[2] / p50[0], p50[2] - p50[0]);
    Ok(())
}

/// One turn after the other, each in a session of its own.
async fn measure(address: SocketAddr, agent: &Value, turns: usize) -> Result<Figures, Error> {
    let mut link = Link::open(address).await?;
    let mut millis = Vec::new();
    let began = Instant::now();
    for _ in 0..turns {
        let asked = Instant::now();
        let answered = tokio::time::timeout(limits::INVOCATION, turn(&mut link, agent)).await;
        answered.map_err(|_| format!("no answer after {:?}", limits::INVOCATION))??;
        millis.push(asked.elapsed().as_secs_f64() * 1e3);
    }
    Ok(report::figures(1, millis, began.elapsed()))
}

async fn turn(link: &mut Link, agent: &Value) -> Result<(), Error> {
    let path = format!("/agents/{}", load::fresh());
    let request = http1::json("POST", &path, Bytes::from(agent.to_string()))?;
    let (status, body) = link.send(request).await?;
    if status != StatusCode::OK {
        return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
    }
    let text = load::answer(body)?;
    let expected = agent["inputText"].as_str().unwrap_or_default();
    if text != expected {
        return Err(format!("a wrong answer: {text:?}").into());
    }
    Ok(())
}

/// The model says what it was asked, so that an answer tells that the words went all the way.
fn alone(name: &str) -> Value {
    json!({ "foundationModel": format!("bench.{name}"), "instruction": task::INSTRUCTION,
            "inputText": format!("{name} is asked") })
}

fn team() -> Value {
    let member = |name: &str| {
        json!({ "agentName": name, "foundationModel": format!("bench.{name}"),
                "instruction": task::INSTRUCTION })
    };
    let described = |name: &str| json!({ "collaboratorName": name, "collaboratorInstruction": format!("Ask {name}.") });
    json!({
        "foundationModel": "bench.supervisor", "instruction": task::INSTRUCTION,
        "agentCollaboration": "SUPERVISOR",
        "collaborators": [member(SLOW), member(QUICK)],
        "collaboratorConfigurations": [described(SLOW), described(QUICK)],
        "inputText": "slow is asked and quick is asked",
    })
}

/// The supervisor puts together what both said; without both results it has no answer.
fn script(millis: u64) -> String {
    let waits = |name: &str, time: Duration| {
        json!({ "when": { "model": format!("bench.{name}") },
                "reply": { "delayMs": time.as_millis() as u64, "text": "{{said}}" } })
    };
    let ask = |name: &str| {
        json!({ "name": "AgentCommunication__sendMessage",
                "input": { "recipient": name, "content": format!("{name} is asked") } })
    };
    let slower = Duration::from_millis(millis);
    let supervisor = json!({ "when": { "model": "bench.supervisor" }, "then": [
        { "toolUse": [ask(SLOW), ask(QUICK)] },
        { "text": "{{results.0}} and {{results.1}}" },
    ]});
    json!({ "rules": [waits(SLOW, slower), waits(QUICK, slower * 3 / 4), supervisor] }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_asks_both_in_one_reply_and_waits_for_each_as_long_as_told() {
        let script: Value = serde_json::from_str(&script(200)).unwrap();
        let delays = |at: usize| script["rules"][at]["reply"]["delayMs"].as_u64();
        assert_eq!((delays(0), delays(1)), (Some(200), Some(150)));
        let asked = &script["rules"][2]["then"][0]["toolUse"];
        let whom = |at: usize| asked[at]["input"]["recipient"].as_str();
        assert_eq!((whom(0), whom(1)), (Some(SLOW), Some(QUICK)));
    }
}
