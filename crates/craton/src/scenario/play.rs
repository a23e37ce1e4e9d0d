//! Plays a scenario against a server, turn by turn, and says what was wrong.
//!
//! It speaks HTTP as a client does. Nothing in it waits for longer than the scenario's time, but for the
//! look at what a turn did: one that broke off is shown and paid for too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::env::{Ids as _, System};
use serde_json::{Value as Json, json};

use super::calls::{self, Score};
use super::file::{Budget, Scenario, Turn};
use super::observed::{Observed, Usage};
use super::{cast::Target, hand_off, judge, limits};
use crate::client::{Client, Opened};
use crate::stream::{Event, Events, Failure};

/// How a scenario ended, with all that it showed.
#[derive(Debug, Clone)]
pub(crate) struct Played {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) turns: Vec<Observed>,
    pub(crate) usage: Usage,
    pub(crate) score: Score,
    /// What was left out, such as a judge that nobody named.
    pub(crate) notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Passed,
    /// Something is not as expected.
    Failed(Vec<String>),
    /// It could not be played to its end.
    Broke(String),
    /// It was not begun.
    Skipped(String),
}

impl Played {
    pub(crate) fn new(file: &str, scenario: &Scenario, outcome: Outcome) -> Played {
        Played {
            file: file.to_owned(),
            name: scenario.name.clone(),
            outcome,
            turns: Vec::new(),
            usage: Usage::default(),
            score: Score::default(),
            notes: scenario.notes.clone(),
        }
    }

    /// One line for each thing that its turns did.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.turns.iter().flat_map(Observed::lines).collect()
    }
}

/// Who plays.
pub(crate) struct Player<'a> {
    pub(crate) client: &'a Client,
    /// The model that judges answers.
    pub(crate) judge: Option<&'a str>,
}

impl Player<'_> {
    pub(crate) async fn play(&self, file: &str, scenario: &Scenario, target: &Target) -> Played {
        let mut played = Played::new(file, scenario, Outcome::Passed);
        let ended = self.turns(scenario, target, &mut played).await;
        for turn in &played.turns {
            played.usage.add(&turn.usage);
        }
        played.outcome = match ended {
            Err(why) => Outcome::Broke(why),
            Ok(mut wrong) => {
                wrong.extend(over(&scenario.budget, &played));
                if wrong.is_empty() { Outcome::Passed } else { Outcome::Failed(wrong) }
            }
        };
        played
    }

    async fn turns(
        &self,
        scenario: &Scenario,
        target: &Target,
        played: &mut Played,
    ) -> Result<Vec<String>, String> {
        let session = format!("test-{}", System::default().fresh());
        let time = Time { begun: Instant::now(), seconds: scenario.seconds };
        let mut before = BTreeMap::new();
        let mut wrong = Vec::new();
        for (number, turn) in (1..).zip(&scenario.turns) {
            let at =
                if scenario.turns.len() > 1 { format!("turn {number}: ") } else { String::new() };
            let talk = Talk { client: self.client, scenario, target, session: &session, time };
            let (observed, ended) = talk.turn(turn, number == 1, &mut before).await;
            played.turns.push(observed.clone());
            ended.map_err(|why| format!("{at}{why}"))?;
            let (mut found, mut score) = against(turn, &observed);
            let judged = time.within(self.judged(turn, &observed)).await;
            match judged.map_err(|why| format!("{at}{why}"))? {
                Verdict::Right => {}
                Verdict::Wrong(why) => {
                    // The other checks of the answer may have found nothing wrong with it.
                    score.answers_right = 0;
                    found.push(why);
                }
                Verdict::None(why) => played.notes.push(format!("{at}{why}")),
            }
            wrong.extend(found.into_iter().map(|why| format!("{at}{why}")));
            played.score.add(&score);
        }
        Ok(wrong)
    }

    async fn judged(&self, turn: &Turn, observed: &Observed) -> Result<Verdict, String> {
        let criterion = turn.answer.as_ref().and_then(|answer| answer.judge.as_ref());
        let Some(criterion) = criterion else { return Ok(Verdict::Right) };
        let Some(model) = self.judge else {
            return Ok(Verdict::None("not judged: no --judge is named"));
        };
        if observed.failed.is_some() {
            return Ok(Verdict::None("not judged: the turn has no answer"));
        }
        let asked = judge::Asked { criterion, input: &turn.input, answer: &observed.answer };
        let word = judge::ask(self.client, model, &asked).await?;
        Ok(word.map_or(Verdict::Right, Verdict::Wrong))
    }
}

/// A scenario's time.
#[derive(Clone, Copy)]
struct Time {
    begun: Instant,
    seconds: u64,
}

impl Time {
    /// The work, broken off when the time is over.
    async fn within<T>(&self, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let left = Duration::from_secs(self.seconds).saturating_sub(self.begun.elapsed());
        tokio::time::timeout(left, work).await.unwrap_or_else(|_| {
            let seconds = self.seconds;
            Err(format!("it took longer than its {seconds} seconds (time_limit_seconds)"))
        })
    }
}

enum Verdict {
    Right,
    Wrong(String),
    /// Nobody judged, and why.
    None(&'static str),
}

/// What is wrong with a turn.
pub(crate) fn against(turn: &Turn, observed: &Observed) -> (Vec<String>, Score) {
    let made = observed.made();
    let (mut wrong, mut score) = match &turn.calls {
        Some(expected) => expected.against(&made),
        None => (Vec::new(), Score::default()),
    };
    score.answers += usize::from(turn.answer.is_some());
    wrong.extend(calls::forbidden(&turn.never, &made));
    wrong.extend(calls::too_many(&turn.at_most, &made));
    match (&turn.fails, &observed.failed) {
        (None, None) => {
            let answer = turn.answer.as_ref().map(|answer| answer.against(&observed.answer));
            score.answers_right += usize::from(answer.as_ref().is_some_and(Vec::is_empty));
            wrong.extend(answer.into_iter().flatten());
        }
        (None, Some((code, message))) => wrong.push(format!("it ended with {code}: {message}")),
        (Some(wanted), None) => wrong.push(format!("it should end with {wanted}, and answered")),
        (Some(wanted), Some((code, _))) if !code.eq_ignore_ascii_case(wanted) => {
            wrong.push(format!("it should end with {wanted}, not with {code}"));
        }
        (Some(_), Some(_)) => {}
    }
    (wrong, score)
}

/// What a scenario used and should not.
pub(crate) fn over(budget: &Budget, played: &Played) -> Vec<String> {
    let used = &played.usage;
    let calls: usize = played.turns.iter().map(|turn| turn.made().len()).sum();
    let counts = [
        ("tokens", used.tokens(), budget.tokens),
        ("input tokens", used.input_tokens, budget.input_tokens),
        ("output tokens", used.output_tokens, budget.output_tokens),
        ("model calls", used.steps, budget.steps),
        ("tool calls", calls as u64, budget.calls),
        ("milliseconds", used.ms, budget.ms),
    ];
    let mut wrong: Vec<String> = counts
        .into_iter()
        .filter_map(|(what, used, most)| Some((what, used, most?)))
        .filter(|(_, used, most)| used > most)
        .map(|(what, used, most)| format!("it took {used} {what}, {most} are allowed"))
        .collect();
    if let Some(most) = budget.usd.filter(|most| used.usd > *most) {
        wrong.push(format!("it cost ${:.6}, ${most} are allowed", used.usd));
    }
    wrong
}

/// One scenario's conversation.
struct Talk<'a> {
    client: &'a Client,
    scenario: &'a Scenario,
    target: &'a Target,
    session: &'a str,
    time: Time,
}

/// What one request's stream told.
#[derive(Default)]
struct Heard {
    text: String,
    control: Option<Json>,
    failed: Option<(String, String)>,
}

impl Talk<'_> {
    /// One turn with all its hand-offs, and what kept it from being played to its end.
    async fn turn(
        &self,
        turn: &Turn,
        is_first: bool,
        before: &mut BTreeMap<String, usize>,
    ) -> (Observed, Result<(), String>) {
        let begun = Instant::now();
        let (mut observed, mut run) = (Observed::default(), None);
        let mut body = json!({ "inputText": turn.input });
        self.put_state(&mut body, self.state(is_first));
        let spoken = self.speak(body, before, &mut observed, &mut run);
        let ended = self.time.within(spoken).await;
        observed.usage.ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.look(&mut observed, run.as_deref()).await;
        (observed, ended.and(looked))
    }

    async fn speak(
        &self,
        mut body: Json,
        before: &mut BTreeMap<String, usize>,
        observed: &mut Observed,
        run: &mut Option<String>,
    ) -> Result<(), String> {
        for _ in 0..limits::HAND_OFFS {
            let heard = self.say(&body, run).await?;
            observed.answer.push_str(&heard.text);
            observed.failed = heard.failed;
            let Some(control) = heard.control else { return Ok(()) };
            let results = hand_off::results(self.scenario, &control, before)?;
            body = json!({});
            let results = json!({
                "invocationId": control["invocationId"],
                "returnControlInvocationResults": results,
            });
            self.put_state(&mut body, results);
        }
        Err(format!("the agent handed calls over {} times in one turn", limits::HAND_OFFS))
    }

    fn state(&self, is_first: bool) -> Json {
        let given = &self.scenario.session;
        let mut state = json!({});
        if is_first && !given.attributes.is_empty() {
            state["sessionAttributes"] = json!(given.attributes);
        }
        if !given.prompt_attributes.is_empty() {
            state["promptSessionAttributes"] = json!(given.prompt_attributes);
        }
        state
    }

    fn put_state(&self, body: &mut Json, state: Json) {
        if state.as_object().is_some_and(serde_json::Map::is_empty) {
            return;
        }
        let member = match self.target {
            Target::Agent { .. } => "sessionState",
            Target::Inline(_) => "inlineSessionState",
        };
        body[member] = state;
    }

    /// `run` is known as soon as the answer begins, whatever becomes of it.
    async fn say(&self, body: &Json, run: &mut Option<String>) -> Result<Heard, String> {
        let session = crate::cmd::escaped(self.session);
        let (path, body) = match self.target {
            Target::Agent { id, alias } => {
                (format!("/agents/{id}/agentAliases/{alias}/sessions/{session}/text"), body.clone())
            }
            Target::Inline(inline) => {
                let mut whole = inline.clone();
                for (name, value) in body.as_object().into_iter().flatten() {
                    whole[name] = value.clone();
                }
                (format!("/agents/{session}"), whole)
            }
        };
        // The scenario's own limit ends it first, and says so.
        let within =
            Duration::from_secs(self.scenario.seconds.saturating_add(limits::GRACE_SECONDS));
        match self.client.stream("bedrock", &path, &body, within).await {
            Ok(Opened { headers, events }) => {
                let header = headers.get("x-craton-run-id").and_then(|value| value.to_str().ok());
                *run = run.take().or(header.map(str::to_owned));
                hear(events).await
            }
            Err(Failure::Refused { code, message, .. }) => {
                Ok(Heard { failed: Some((code, message)), ..Heard::default() })
            }
            Err(Failure::Broken(why)) => Err(why),
        }
    }

    /// The run's journal says what the stream does not.
    async fn look(&self, observed: &mut Observed, run: Option<&str>) -> Result<(), String> {
        let Some(run) = run else { return Ok(()) };
        let path = format!("/_craton/v1/runs/{}", crate::cmd::escaped(run));
        let view = self.client.get("craton", &path).await?;
        observed.take(&view);
        Ok(())
    }
}

async fn hear(mut events: Events) -> Result<Heard, String> {
    let mut heard = Heard::default();
    let mut bytes = Vec::new();
    loop {
        match events.next().await {
            Ok(None) => break,
            Ok(Some(Event { kind, body })) if kind == "chunk" => {
                let chunk = body["bytes"].as_str().unwrap_or_default();
                bytes.extend(BASE64_STANDARD.decode(chunk).unwrap_or_default());
            }
            Ok(Some(Event { kind, body })) if kind == "returnControl" => heard.control = Some(body),
            Ok(Some(_)) => {}
            Err(Failure::Refused { code, message, .. }) => {
                heard.failed = Some((code, message));
                break;
            }
            Err(Failure::Broken(why)) => return Err(why),
        }
    }
    heard.text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(heard)
}
