//! What is done about a call whose reply was lost, before the turn closes it as unknown: its probe
//! is asked, and a person may be waited for. Also the last look at the clock before a call is sent.
//!
//! A probe is a tool that changes nothing, gets the same arguments and the same key, and says what
//! became of the call. Nothing here makes a call again.

use std::sync::Arc;

use bytes::Bytes;
use craton_core::agent::config::Executor;
use craton_core::agent::event::{Call, Deferred, Event, Outcome, Ruling, ToolReturned};
use craton_core::agent::state::within;
use craton_core::agent::tool::{self, Effect, Tool};
use craton_core::agent::turn::Agent;
use craton_core::cost::Money;
use craton_core::policy::OnUnknown;
use exec::Invoked;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{ToolCall, ToolError, call};
use crate::Inner;
use crate::flight::Flights;
use crate::run::{Path, Place, Run};

/// Sends one attempt, unless its time is over.
pub(crate) async fn send(inner: &Inner, request: &ToolCall) -> Result<Invoked, ToolError> {
    let by = request.asked.as_ref().and_then(|asked| asked.call.send_by);
    match by.is_some_and(|by| inner.clock.now() > by) {
        true => Err(ToolError::TooLate),
        false => inner.tools.call(request.clone()).await,
    }
}

/// The tool of a tool's own group that an operator names, by its action or as the model knows it.
pub(crate) fn sibling<'a>(agent: &'a Agent, of: &Tool, name: &str) -> Option<&'a Tool> {
    let named = |tool: &&Tool| {
        let here = matches!(tool.executor, Executor::Lambda(_));
        here && tool.group == of.group && (tool.target.action() == name || tool.name == name)
    };
    agent.tools.iter().find(named)
}

/// How one call's lost reply is dealt with.
#[derive(Default)]
pub(crate) struct Doubt {
    probe: Option<Probe>,
    park: bool,
}

enum Probe {
    Asked(Box<(Tool, ToolCall)>),
    /// It cannot be, and why.
    Unfit(String),
}

impl Doubt {
    /// What is set for the tool of a call that is about to be made.
    pub(crate) fn about(run: &Run, place: Place<'_>, call: &Call) -> Doubt {
        let Some(tool) = place.agent.tool(&call.tool) else { return Doubt::default() };
        let policy = run.policies.of(tool);
        let probe = policy.probe.as_deref().filter(|_| call.effect != Effect::Read);
        Doubt {
            probe: probe.map(|name| Probe::of(run, place, (tool, call), name)),
            park: policy.on_unknown == Some(OnUnknown::Park),
        }
    }

    /// Whether there is nothing more to do than to say that the outcome is unknown.
    fn is_idle(&self) -> bool {
        self.probe.is_none() && !self.park
    }

    /// What becomes of a call: its own outcome, unless nobody heard that.
    pub(crate) async fn settle(&self, inner: &Inner, call: &Call, event: Event) -> Event {
        let Event::ToolReturned(returned) = &event else { return event };
        let Outcome::Unknown { message } = &returned.outcome else { return event };
        let (mut why, mut cost) = (message.clone(), returned.cost);
        match &self.probe {
            Some(Probe::Asked(probe)) => match ask(inner, probe, &mut cost).await {
                // It speaks for the tool alone.
                Ok(finding)
                    if finding.outcome == Found::NotDone && returned.conduct.fallback.is_some() =>
                {
                    why =
                        format!("{why}; its probe {} knows nothing of its fallback", probe.0.name);
                }
                Ok(finding) => {
                    let found = finding.event(call, &probe.0.name, returned.millis);
                    return charged(found, cost);
                }
                Err(more) => why = format!("{why}; {more}"),
            },
            Some(Probe::Unfit(more)) => why = format!("{why}; {more}"),
            None => {}
        }
        tracing::warn!(tool = call.tool, key = call.key, why, "the outcome of a call is unknown");
        match self.park {
            true => charged(wait_for_a_person(inner, call, why), cost),
            false => charged(event, cost),
        }
    }
}

/// What becomes of a call whose outcome nobody heard, and that is under way no more.
pub(crate) fn begin(
    inner: &Arc<Inner>,
    run: &mut Run,
    flights: &mut Flights,
    (path, call, event): (Path, Call, Event),
) {
    let doubt = run.place(&path).map(|place| Doubt::about(run, place, &call));
    match doubt.filter(|doubt| !doubt.is_idle()) {
        Some(doubt) => {
            let inner = inner.clone();
            flights.begin(path, async move { doubt.settle(&inner, &call, event).await });
        }
        None => run.record(inner, inner.clock.now(), within(&path, event)),
    }
}

impl Probe {
    fn of(run: &Run, place: Place<'_>, (tool, call): (&Tool, &Call), name: &str) -> Probe {
        let Some(probe) = sibling(place.agent, tool, name) else {
            return Probe::Unfit(format!("its probe {name} is no tool of group {}", tool.group));
        };
        let policy = run.policies.of(probe);
        if policy.effect.or(probe.effect) != Some(Effect::Read) {
            return Probe::Unfit(format!(
                "its probe {name} is not declared read, so it was not asked"
            ));
        }
        let Executor::Lambda(target) = &probe.executor else {
            return Probe::Unfit(format!("its probe {name} is the client's"));
        };
        let call = Call {
            tool: probe.name.clone(),
            target: target.clone(),
            effect: Effect::Read,
            send_by: None,
            ..call.clone()
        };
        let request = run.sender(place).request(&call, None);
        Probe::Asked(Box::new((probe.clone(), request)))
    }
}

/// What a probe says in the body of its answer.
#[derive(Deserialize)]
struct Finding {
    outcome: Found,
    #[serde(default)]
    result: Json,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Found {
    Done,
    NotDone,
    Unknown,
}

impl Finding {
    fn event(self, call: &Call, probe: &str, millis: u64) -> Event {
        let done = self.outcome == Found::Done;
        let result = match self.result {
            Json::Null => None,
            Json::String(text) => Some(text),
            other => Some(other.to_string()),
        };
        let ruling = Ruling { by: format!("probe {probe}"), done: Some(done) };
        ruled(call, ruling, result, millis)
    }
}

/// Asks a probe what became of a call; it is asked again where its own answer is lost. What that costs
/// is added to the call's.
async fn ask(
    inner: &Inner,
    (probe, request): &(Tool, ToolCall),
    cost: &mut Option<Money>,
) -> Result<Finding, String> {
    let unclear = |why: &str| format!("its probe {} could not say more: {why}", probe.name);
    let begun = inner.clock.now();
    let (attempts, answer) = call::call_reader(inner, request).await;
    let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
    let more = inner.tool_cost(request, attempts, millis).await;
    *cost = Some(cost.unwrap_or_default() + more);
    let invoked = answer.map_err(|e| unclear(&e.to_string()))?;
    if invoked.error.is_some() {
        return Err(unclear(&tool::function_error(&invoked.payload)));
    }
    let most = inner.turn.tool_answer_bytes;
    let finding = read(probe, &invoked.payload, most).map_err(|why| unclear(&why))?;
    match finding.outcome {
        Found::Unknown => Err(unclear("it does not know")),
        Found::Done | Found::NotDone => Ok(finding),
    }
}

fn read(probe: &Tool, payload: &Bytes, most: usize) -> Result<Finding, String> {
    match tool::read_response(probe, payload, most)? {
        tool::Response::Answer(answer) => serde_json::from_str(&answer.body).map_err(|e| {
            format!("its answer is not {{\"outcome\": \"done\" | \"not_done\" | \"unknown\"}}: {e}")
        }),
        tool::Response::Pending(_) => Err("it answers later".to_owned()),
    }
}

/// The outcome of a call as somebody else found it out.
pub(crate) fn ruled(call: &Call, ruling: Ruling, result: Option<String>, millis: u64) -> Event {
    let by = &ruling.by;
    let outcome = match ruling.done {
        Some(true) => Outcome::Answered {
            body: result.unwrap_or_else(|| format!("{} was done; found out by {by}", call.tool)),
            session_attributes: None,
            prompt_session_attributes: None,
            ignored: Vec::new(),
        },
        Some(false) | None => Outcome::Error {
            message: tool::short_error(
                "not_done",
                &format!(
                    "the reply of {} was lost, and nothing was done; found out by {by}",
                    call.tool
                ),
                "it may be tried again",
            ),
        },
    };
    let ruling = Some(ruling);
    Event::ToolReturned(ToolReturned {
        ruling,
        ..ToolReturned::new(&call.tool_use_id, outcome, millis)
    })
}

/// What was paid for the attempts stays paid, whoever says what came of them.
pub(crate) fn charged(event: Event, cost: Option<Money>) -> Event {
    match event {
        Event::ToolReturned(returned) => Event::ToolReturned(ToolReturned { cost, ..returned }),
        Event::Deferred(deferred) => Event::Deferred(Deferred { cost, ..deferred }),
        other => other,
    }
}

/// The turn waits as for a tool that answers later, under the call's own key.
fn wait_for_a_person(inner: &Inner, call: &Call, why: String) -> Event {
    let since = inner.clock.now();
    Event::Deferred(Deferred {
        tool_use_id: call.tool_use_id.clone(),
        token: call.key.clone(),
        poll_seconds: None,
        since,
        due: since + inner.limits.pending_millis,
        doubt: Some(why),
        fallback: None,
        cost: None,
    })
}
