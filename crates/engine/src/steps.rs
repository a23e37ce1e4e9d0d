//! A run as steps: each model call with what it was sent, each tool with its arguments and result,
//! each wait, and a collaborator's own steps inside its step.
//!
//! A view of the journal like the trace, for people and for comparing runs. Prompts are made again
//! from the turn as it stood and proven by the digest that the journal has of what was sent.

use std::collections::BTreeMap;

use craton_core::agent::event::{
    self, Ask, Conduct, Delegated, Event, HandBackState, Intent, ModelConduct, ModelSaid, Outcome,
    Parked, Parse, Parsed, Purpose, Resumed, ToolReturned,
};
use craton_core::agent::state::{self, End, Turn};
use craton_core::agent::tool::Effect;
use craton_core::agent::turn::Agent;
use craton_core::agent::{call, digest};
use craton_core::cost::Money;
use craton_core::route::Route;
use serde::Serialize;
use serde_json::{Value as Json, json};
use wire::converse::Usage;

use crate::journal::Stamped;
use crate::ledger::{LedgerRow, State};

/// Something that took its time.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The number of the event that began it.
    pub event: u64,
    pub kind: Kind,
    /// The model's id, the tool's, the collaborator's; who is waited for.
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    pub begun_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// What the model was sent: model, system, messages, tools, inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// A tool's arguments, a collaborator's task, the calls that the client has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Json>,
    /// How it ended, in a word; none while it goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What came of it: a reply, a result, an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Json>,
    /// What was ruled on the way to a tool's outcome, where it was more than one attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conduct: Option<Conduct>,
    /// Why this model was asked, where that was decided by a route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Box<Route>>,
    /// What was ruled on the way to a model's reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_conduct: Option<ModelConduct>,
    /// Who answered, and under which name of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// In dollars, by the prices of its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How often a tool's call may take effect, and what is known of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effect: Option<StepEffect>,
    /// A collaborator's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepEffect {
    pub class: Effect,
    pub key: String,
    /// What the ledger says; it has no row for calls that change nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    Model,
    Tool,
    /// A function that reads a reply.
    Parser,
    Collaborator,
    /// For the client, for a tool that answers later, or for an operator.
    Wait,
}

/// Whether the prompt that is shown is the one that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    pub verdict: Verdict,
    /// SHA-256 of the prompt that is shown.
    pub sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    Ok,
    Differs,
    /// Nothing was recorded to compare with.
    Unknown,
}

/// The steps of a run, in the order in which they began.
pub fn steps(events: &[Stamped], agent: &Agent) -> Vec<Step> {
    let (mut turn, mut level) = (Turn::default(), Level::default());
    for (number, Stamped { at, event }) in (1..).zip(events) {
        state::apply(&mut turn, event);
        level.take(Moment { number, at: *at }, event, &turn, Some(agent));
    }
    level.done()
}

/// Says of each call what the ledger has of it.
pub(crate) fn mark(steps: &mut [Step], rows: &[LedgerRow]) {
    for step in steps {
        if let Some(effect) = &mut step.effect {
            let row = rows.iter().find(|row| row.key == effect.key);
            effect.state = row.map(|row| row.state);
        }
        mark(&mut step.steps, rows);
    }
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    number: u64,
    at: i64,
}

/// The steps of one turn of the tree, and those that are open.
#[derive(Default)]
struct Level {
    steps: Vec<Step>,
    model: Option<usize>,
    parser: Option<usize>,
    client: Option<usize>,
    held: Option<usize>,
    /// By tool use.
    uses: BTreeMap<String, usize>,
    /// By the tool use that each works on.
    members: BTreeMap<String, (usize, Level)>,
}

impl Level {
    /// `turn` is this level's as it stands after the event.
    fn take(&mut self, moment: Moment, event: &Event, turn: &Turn, agent: Option<&Agent>) {
        match event {
            Event::Asked(Intent::AskModel(ask)) => self.ask(moment, ask, turn, agent),
            Event::Asked(Intent::Call(call)) => self.call(moment, call),
            Event::Asked(Intent::Parse(parse)) => self.parse(moment, parse),
            Event::Parsed(parsed) => self.read(moment, parsed),
            Event::ModelSaid(said) => self.hear(moment, said),
            Event::ModelFailed(failed) => {
                self.close_model(moment, "failed", json!(failed.message));
            }
            Event::ModelOverflowed(overflowed) => {
                self.close_model(moment, "overflowed", json!(overflowed.message));
            }
            Event::ToolReturned(returned) => self.give_back(moment, returned),
            Event::Refused(refused) => {
                let used = turn.used(&refused.tool_use_id).map(|used| &used.tool_use);
                let name = used.map_or("", |used| used.name.as_str());
                let mut step = Step::new(moment, Kind::Tool, name, used.map(|u| u.input.clone()));
                step.close(moment, "refused", json!(refused.message));
                self.steps.push(step);
            }
            Event::Deferred(deferred) => {
                if let Some(step) = self.of_use(&deferred.tool_use_id) {
                    let word = if deferred.doubt.is_some() { "unknown" } else { "pending" };
                    step.outcome = Some(word.to_owned());
                }
            }
            Event::Parked(parked) => self.park(moment, parked, turn),
            Event::Resumed(resumed) => self.go_on(moment, resumed),
            Event::Delegated(delegated) => self.delegate(moment, delegated),
            Event::Within(within) => {
                if let (Some((_, level)), Some(member)) = (
                    self.members.get_mut(&within.tool_use_id),
                    turn.team.members.get(&within.tool_use_id),
                ) {
                    let agent = agent.and_then(|agent| agent.members.get(&member.collaborator));
                    level.take(moment, &within.event, &member.turn, agent.map(AsRef::as_ref));
                }
            }
            Event::Paused => self.hold(moment, "an operator", None),
            Event::Exhausted(exhausted) => {
                self.hold(moment, "its budget", Some(json!(exhausted.told())));
            }
            Event::Lost => {
                self.close_model(moment, "lost", Json::Null);
            }
            Event::Continued | Event::Replenished(_) => {
                if let Some(step) = self.held.take().and_then(|at| self.steps.get_mut(at)) {
                    step.close(moment, "continued", Json::Null);
                }
            }
            Event::Cancelled { .. }
            | Event::GaveUp(_)
            | Event::Finished { .. }
            | Event::Failed { .. }
            | Event::AskedUser(_)
            | Event::Halted { .. }
            | Event::Shrunk(_)
            | Event::Accepted(_)
            | Event::Started(_) => {}
        }
        self.close_members(moment, turn);
        if turn.end.is_some() {
            self.close_all(moment);
        }
    }

    fn call(&mut self, moment: Moment, call: &event::Call) {
        let mut step = Step::new(moment, Kind::Tool, &call.tool, Some(call.input.clone()));
        let key = call.key.clone();
        step.effect = Some(StepEffect { class: call.effect, key, state: None });
        self.uses.insert(call.tool_use_id.clone(), self.steps.len());
        self.steps.push(step);
    }

    fn hold(&mut self, moment: Moment, by: &str, why: Option<Json>) {
        self.held = Some(self.steps.len());
        self.steps.push(Step::new(moment, Kind::Wait, by, why));
    }

    fn ask(&mut self, moment: Moment, ask: &Ask, turn: &Turn, agent: Option<&Agent>) {
        let purpose = ask.purpose;
        let call = agent.map(|agent| call::model_call(turn, agent, purpose));
        let model = call.as_ref().map_or("", |call| call.model.as_str());
        let mut step = Step::new(moment, Kind::Model, model, None);
        step.purpose = Some(purpose);
        step.route.clone_from(&ask.route);
        step.prompt = call.as_ref().map(digest::shown);
        step.digest = call.as_ref().map(|call| Digest {
            verdict: Verdict::Unknown,
            sha256: digest::of_call(call),
            why: Some("no answer to it was recorded".to_owned()),
        });
        self.model = Some(self.steps.len());
        self.steps.push(step);
    }

    fn hear(&mut self, moment: Moment, said: &ModelSaid) {
        let output = json!({
            "content": said.reply.content,
            "stopReason": said.reply.stop_reason,
        });
        let Some(step) = self.close_model(moment, "answered", output) else { return };
        step.provider = Some(said.provider.clone());
        step.model = Some(said.model.clone());
        step.usage = Some(said.reply.usage);
        step.model_conduct = Some(said.conduct.clone()).filter(ModelConduct::is_worth_telling);
        step.cost = said.cost.map(Money::dollars);
        if let Some(digest) = &mut step.digest {
            digest.compare(said.prompt_digest.as_deref());
        }
    }

    fn parse(&mut self, moment: Moment, parse: &Parse) {
        let mut step = Step::new(moment, Kind::Parser, &parse.target, None);
        step.purpose = Some(parse.purpose);
        self.parser = Some(self.steps.len());
        self.steps.push(step);
    }

    /// What a reply was read as by a parser function; our own readings take no time.
    fn read(&mut self, moment: Moment, parsed: &Parsed) {
        let Some(step) = self.parser.take().and_then(|at| self.steps.get_mut(at)) else { return };
        let failed = matches!(parsed.verdict, event::Verdict::Failed { .. });
        let output = serde_json::to_value(&parsed.verdict).expect("its maps have string keys");
        step.close(moment, if failed { "failed" } else { "answered" }, output);
    }

    fn close_model(&mut self, moment: Moment, outcome: &str, output: Json) -> Option<&mut Step> {
        let step = self.model.take().and_then(|at| self.steps.get_mut(at))?;
        step.close(moment, outcome, output);
        Some(step)
    }

    fn of_use(&mut self, tool_use_id: &str) -> Option<&mut Step> {
        self.uses.get(tool_use_id).and_then(|at| self.steps.get_mut(*at))
    }

    fn give_back(&mut self, moment: Moment, returned: &ToolReturned) {
        let (outcome, text) = match &returned.outcome {
            Outcome::Answered { body, .. } => ("answered", body),
            Outcome::Reprompt { body } => ("reprompt", body),
            Outcome::Error { message } => ("error", message),
            Outcome::Failure { message } => ("failure", message),
            Outcome::Unknown { message } => ("unknown", message),
        };
        if let Some(step) = self.of_use(&returned.tool_use_id) {
            step.close(moment, outcome, json!(text));
            step.cost = returned.cost.map(Money::dollars);
            step.conduct = Some(returned.conduct.clone()).filter(|conduct| !conduct.is_plain());
        }
    }

    fn park(&mut self, moment: Moment, parked: &Parked, turn: &Turn) {
        let used = turn.handed_off();
        let calls: Vec<Json> =
            used.iter().map(|used| json!({"tool": used.name, "input": used.input})).collect();
        self.client = Some(self.steps.len());
        let input = json!({"invocationId": parked.invocation_id, "calls": calls});
        self.steps.push(Step::new(moment, Kind::Wait, "the client", Some(input)));
    }

    fn go_on(&mut self, moment: Moment, resumed: &Resumed) {
        let result = |back: &craton_core::agent::event::HandBack| json!({"body": back.body, "state": state_word(back.state)});
        let results: Vec<Json> = resumed.results.iter().map(result).collect();
        if let Some(step) = self.client.take().and_then(|at| self.steps.get_mut(at)) {
            step.close(moment, "resumed", json!(results));
        }
    }

    fn delegate(&mut self, moment: Moment, delegated: &Delegated) {
        let task = json!(delegated.accepted.input_text);
        let step = Step::new(moment, Kind::Collaborator, &delegated.collaborator, Some(task));
        let level = (self.steps.len(), Level::default());
        self.members.insert(delegated.tool_use_id.clone(), level);
        self.steps.push(step);
    }

    /// A collaborator's step ends with its turn.
    fn close_members(&mut self, moment: Moment, turn: &Turn) {
        for (id, (at, _)) in &self.members {
            let end = turn.team.members.get(id).and_then(|member| member.turn.end.as_ref());
            let open = self.steps.get_mut(*at).filter(|step| step.ended_at.is_none());
            if let (Some(end), Some(step)) = (end, open) {
                let (outcome, output) = ending(end);
                step.close(moment, outcome, json!(output));
            }
        }
    }

    /// What a turn leaves open when it ends.
    fn close_all(&mut self, moment: Moment) {
        for step in self.steps.iter_mut().filter(|step| step.ended_at.is_none()) {
            step.close(moment, "cut off", Json::Null);
        }
        self.members.values_mut().for_each(|(_, level)| level.close_all(moment));
    }

    fn done(mut self) -> Vec<Step> {
        for (at, level) in self.members.into_values() {
            if let Some(step) = self.steps.get_mut(at) {
                step.steps = level.done();
            }
        }
        self.steps
    }
}

impl Step {
    fn new(moment: Moment, kind: Kind, name: &str, input: Option<Json>) -> Step {
        Step {
            event: moment.number,
            kind,
            name: name.to_owned(),
            purpose: None,
            begun_at: moment.at,
            ended_at: None,
            prompt: None,
            digest: None,
            input,
            outcome: None,
            output: None,
            conduct: None,
            route: None,
            model_conduct: None,
            provider: None,
            model: None,
            usage: None,
            cost: None,
            effect: None,
            steps: Vec::new(),
        }
    }

    fn close(&mut self, moment: Moment, outcome: &str, output: Json) {
        self.ended_at = Some(moment.at);
        self.outcome = Some(outcome.to_owned());
        self.output = Some(output).filter(|output| !output.is_null());
    }
}

impl Digest {
    fn compare(&mut self, recorded: Option<&str>) {
        (self.verdict, self.why) = match recorded {
            Some(recorded) if recorded == self.sha256 => (Verdict::Ok, None),
            Some(recorded) => {
                let why = format!(
                    "what was sent had {recorded}: this craton makes prompts otherwise than the \
                     one that sent it, or what the prompt was made from is not kept any more"
                );
                (Verdict::Differs, Some(why))
            }
            None => (Verdict::Unknown, Some("an older craton recorded no digest".to_owned())),
        };
    }
}

/// How a turn ended, in a word, and with which words.
pub(crate) fn ending(end: &End) -> (&'static str, &str) {
    match end {
        End::Answered(text) => ("answered", text),
        End::GaveUp(_, text) => ("gaveUp", text),
        End::Failed { message, .. } => ("failed", message),
        End::Cancelled(reason) => ("cancelled", reason),
    }
}

fn state_word(state: HandBackState) -> &'static str {
    match state {
        HandBackState::Success => "success",
        HandBackState::Reprompt => "reprompt",
        HandBackState::Failure => "failure",
        HandBackState::Confirmed => "confirmed",
        HandBackState::Denied => "denied",
    }
}
