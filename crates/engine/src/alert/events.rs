//! What of a run's events a person should hear of.

use craton_core::agent::event::{Event, Intent, Outcome};
use craton_core::budget::rule::Standing;
use craton_core::budget::{Exhausted, Reserved};
use serde_json::{Value as Json, json};
use store::{Batch, Tenant};

use super::{Alarm, Said, Who};
use crate::Inner;
use crate::inspect::Totals;
use crate::journal::Stamped;
use crate::run::{Run, innermost};

/// What a commit of a run says and counts, which is so once it has gone through. One that fails because
/// a budget is full is made again of the same outcomes.
#[derive(Debug, Default)]
pub(crate) struct Raised {
    said: Vec<Said>,
    totals: Totals,
    /// Tokens of replies, each at its time.
    used: Vec<(u64, i64)>,
}

impl Raised {
    /// The commit went through.
    pub(crate) fn stands(self, inner: &Inner, tenant: &Tenant, agent: &str) {
        inner.tally.count(tenant, &self.totals);
        for (tokens, at) in self.used {
            inner.alarms.meters.count(tenant, Who::Agent(agent), tokens, at);
        }
        self.said.into_iter().for_each(|said| inner.alarms.keep(tenant, said));
    }

    fn used(&self) -> u64 {
        self.used.iter().fold(0, |sum, (tokens, _)| sum.saturating_add(*tokens))
    }
}

/// Writes the alerts of a run's pending events into their commit.
pub(crate) fn of_events(inner: &Inner, run: &mut Run, events: &[Stamped], batch: &mut Batch) {
    let mut raised = std::mem::take(&mut run.raised);
    raised.totals.add(&Totals::of(events));
    for alarm in alarms(inner, run, events, &mut raised) {
        raised.said.extend(alarm.write(inner, &run.tenant, batch));
    }
    run.raised = raised;
}

fn alarms(inner: &Inner, run: &Run, events: &[Stamped], raised: &mut Raised) -> Vec<Alarm> {
    let mut alarms = Vec::new();
    for Stamped { at, event } in events {
        let (_, event) = innermost(event);
        if let Event::ModelSaid(said) = event {
            raised.used.push((said.reply.usage.tokens(), *at));
            let who = Who::Agent(&run.record.agent_id);
            alarms.extend(inner.alarms.meters.alarms(&run.tenant, who, raised.used(), *at));
        }
        if let Event::Asked(Intent::AskModel(ask)) = event
            && let Some(reserved) = ask.reserved.as_deref().filter(|reserved| reserved.wrap_up)
        {
            for standing in run.book.near(inner) {
                alarms.push(near_of_run(run, standing, reserved));
            }
        }
        alarms.extend(alarm(run, event));
    }
    alarms
}

fn alarm(run: &Run, event: &Event) -> Option<Alarm> {
    let id = &run.id;
    match event {
        Event::Exhausted(exhausted) => Some(exceeded(run, exhausted)),
        Event::Parked(parked) if !parked.escalated.is_empty() => Some(Alarm {
            kind: "approval.waiting",
            key: format!("{id}/{}", parked.invocation_id),
            message: format!("run {id} waits for a person's approval"),
            facts: json!({"run": id, "session": run.record.session_id, "why": parked.escalated}),
        }),
        Event::Deferred(deferred) => deferred.doubt.as_ref().map(|why| Alarm {
            kind: "approval.waiting",
            key: format!("{id}/{}", deferred.token),
            message: format!("run {id} waits for a person to say what became of a call: {why}"),
            facts: json!({"run": id, "session": run.record.session_id, "key": deferred.token}),
        }),
        Event::ToolReturned(returned) => match &returned.outcome {
            Outcome::Unknown { message } => Some(Alarm {
                kind: "effect.unknown",
                key: format!("{id}/{}", returned.tool_use_id),
                message: format!("nobody knows whether a call of run {id} took effect: {message}"),
                facts: json!({"run": id, "session": run.record.session_id}),
            }),
            _ => None,
        },
        _ => None,
    }
}

fn exceeded(run: &Run, exhausted: &Exhausted) -> Alarm {
    Alarm {
        kind: "budget.exceeded",
        key: format!("{}/{}", exhausted.scope.word(), run.payer(exhausted.scope)),
        message: format!("run {} is stopped: {}", run.id, exhausted.told()),
        facts: json!({
            "run": run.id,
            "session": run.record.session_id,
            "agent": run.record.agent_id,
            "exhausted": exhausted,
            "resume": format!("craton resume {}", run.id),
        }),
    }
}

fn near_of_run(run: &Run, standing: &Standing, reserved: &Reserved) -> Alarm {
    let facts = json!({
        "run": run.id,
        "session": run.record.session_id,
        "agent": run.record.agent_id,
        "heldBack": reserved,
    });
    near(standing, &run.payer(standing.scope), facts)
}

/// A budget that is near its end.
pub(crate) fn near(standing: &Standing, payer: &str, facts: Json) -> Alarm {
    let (spent, cap) = (standing.unit.show(standing.spent), standing.unit.show(standing.cap));
    let scope = standing.scope.word();
    Alarm {
        kind: "budget.near",
        key: format!("{scope}/{payer}"),
        message: format!("the budget of a {scope} is near its end: {spent} of {cap}"),
        facts,
    }
}
