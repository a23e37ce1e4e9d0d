//! Holds scenarios against recorded runs: no server, no model, no socket.
//!
//! The cassette is replayed first, so what it shows is what this Craton decides, byte for byte. Then
//! each turn of a scenario is the recorded run that began with its words; the turns of one scenario
//! are runs of one session, in order. What tools and clients answered is the recording's.

use std::path::Path;

use engine::cassette::{Cassette, RecordedRun};
use serde_json::{Value as Json, json};

use super::file::{Scenario, Suite};
use super::observed::Observed;
use super::play::{Outcome, Played, against, over};

/// A run as a scenario sees it.
struct Recorded {
    session: String,
    input: String,
    observed: Observed,
    taken: bool,
}

pub(crate) fn play_all(
    files: &[impl AsRef<Path>],
    suites: &[Suite],
    tell: &dyn Fn(&Played),
) -> Result<Vec<Played>, String> {
    let mut runs = Vec::new();
    let mut parted = None;
    for file in files {
        let file = file.as_ref();
        let cassette = crate::cmd::replay::read(file)?;
        let replayed = cassette.replay().map_err(|e| format!("{}: {e}", file.display()))?;
        if !replayed.same {
            parted = parted.or_else(|| Some(differs(file, replayed.parted.as_ref())));
        }
        runs.extend(recorded(&cassette));
    }
    let all = suites.iter().flat_map(|suite| suite.scenarios.iter().map(move |one| (suite, one)));
    Ok(all
        .map(|(suite, scenario)| {
            let played = match &parted {
                Some(why) => Played::new(&suite.name, scenario, Outcome::Broke(why.clone())),
                None => play(&suite.name, scenario, &mut runs),
            };
            tell(&played);
            played
        })
        .collect())
}

fn differs(file: &Path, parted: Option<&engine::cassette::Parted>) -> String {
    let at = parted.map(|parted| {
        let engine::cassette::Parted { run, event, what, byte, .. } = parted;
        format!(": run {run} parts at event {event}, {what} differs from byte {byte} on")
    });
    let at = at.unwrap_or_default();
    format!(
        "{} does not replay as it was recorded{at}; see `craton replay` (CR0039)",
        file.display()
    )
}

fn recorded(cassette: &Cassette) -> Vec<Recorded> {
    cassette.runs.iter().map(Recorded::of).collect()
}

impl Recorded {
    fn of(run: &RecordedRun) -> Recorded {
        let json = |value| serde_json::to_value(value).expect("it was read from text");
        let record = json(&run.record);
        let events: Vec<Json> =
            run.events.iter().map(|one| json!({ "event": one.event })).collect();
        let mut observed = Observed::default();
        let mut input = String::new();
        for event in events.iter().map(|one| &one["event"]) {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            match event["type"].as_str().unwrap_or_default() {
                "accepted" => input = text("inputText"),
                "finished" => observed.answer = text("text"),
                "failed" => observed.failed = Some((text("code"), text("message"))),
                _ => {}
            }
        }
        let millis = record["endedAt"].as_u64().zip(record["begunAt"].as_u64());
        observed.take(&json!({ "run": record, "events": events }));
        observed.usage.ms = millis.map_or(0, |(ended, begun)| ended.saturating_sub(begun));
        let session = record["sessionId"].as_str().unwrap_or_default().to_owned();
        Recorded { session, input, observed, taken: false }
    }
}

fn play(file: &str, scenario: &Scenario, runs: &mut [Recorded]) -> Played {
    let mut played = Played::new(file, scenario, Outcome::Passed);
    let (mut session, mut from, mut wrong) = (None, 0, Vec::new());
    for (number, turn) in (1..).zip(&scenario.turns) {
        let fits = |run: &Recorded| {
            let here = session.as_ref().is_none_or(|session| run.session == *session);
            !run.taken && here && run.input.trim() == turn.input.trim()
        };
        let Some(at) = (from..runs.len()).find(|at| fits(&runs[*at])) else {
            let missing = format!("no recorded run begins with {:?}", turn.input);
            played.outcome = Outcome::Broke(missing);
            return played;
        };
        runs[at].taken = true;
        session = Some(runs[at].session.clone());
        from = at + 1;
        let observed = runs[at].observed.clone();
        let (found, score) = against(turn, &observed);
        let whose =
            if scenario.turns.len() > 1 { format!("turn {number}: ") } else { String::new() };
        wrong.extend(found.into_iter().map(|why| format!("{whose}{why}")));
        if turn.answer.as_ref().is_some_and(|answer| answer.judge.is_some()) {
            played.notes.push(format!("{whose}not judged: a cassette asks no model"));
        }
        played.score.add(&score);
        played.usage.add(&observed.usage);
        played.turns.push(observed);
    }
    wrong.extend(over(&scenario.budget, &played));
    if !wrong.is_empty() {
        played.outcome = Outcome::Failed(wrong);
    }
    played
}
