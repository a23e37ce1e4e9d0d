//! What the policy of a tool costs each call, in this process: argument lists and bounds, the hand-off
//! condition, the loop detector, the breaker, the rate and the adaptive time-out, and the call's key.
//! A process start and a tool behind it cost a hundred times as much; this is to show that it stays so.

use std::time::{Duration, Instant};

use craton_core::agent::config::{
    ActionGroup, Executor, Function, Parameter, ParameterKind, Schema,
};
use craton_core::agent::tool::{self, Effect, Tool};
use craton_core::policy::ToolPolicy;
use craton_core::policy::breaker::{Circuit, Ending};
use craton_core::policy::looping::Rounds;
use craton_core::policy::rate::Pace;
use craton_core::policy::timing::Recent;
use serde_json::{Value as Json, json};

use crate::{Error, limits, report};

/// What is kept between the calls of one tool.
#[derive(Default)]
struct Kept {
    circuit: Circuit,
    pace: Pace,
    recent: Recent,
    rounds: Rounds,
}

pub(crate) fn run() -> Result<(), Error> {
    let (tool, policy) = (refund()?, policy()?);
    let mut kept = Kept::default();
    let mut micros = Vec::with_capacity(limits::POLICY_CALLS);
    for call in 0..limits::POLICY_CALLS {
        let input = json!({"order": format!("A-{call}"), "amount": 20, "reason": "it came broken"});
        let began = Instant::now();
        let ruled = rule(&tool, &policy, &mut kept, (&input, i64::try_from(call)?));
        micros.push(began.elapsed().as_secs_f64() * 1e6);
        if !ruled {
            return Err(format!("call {call} was not let through").into());
        }
    }
    micros.sort_by(f64::total_cmp);
    let at = |share: usize| micros[(micros.len() * share / 100).min(micros.len() - 1)];
    let (p99, p50) = (at(99), report::median(&mut micros.clone()));
    println!("{}", json!({"bench": "policy", "calls": micros.len(), "p50_us": p50, "p99_us": p99}));
    Ok(())
}

/// One call from decision to outcome; whether it is made.
fn rule(tool: &Tool, policy: &ToolPolicy, kept: &mut Kept, (input, at): (&Json, i64)) -> bool {
    let (effect, now) = (Effect::Keyed, at * 10);
    let set = policy.breaker.unwrap_or_default();
    let fine = tool::check_arguments(tool, input).is_ok()
        && policy.refuses(tool, input).is_none()
        && policy.escalates(tool, input).is_none()
        && kept.rounds.so_far(&tool.name, input, effect) < set.loop_calls;
    let gate = kept.circuit.ask(now);
    let turn = kept.pace.admit(1000.0, now, Duration::from_secs(3));
    let limit = kept.recent.limit(Duration::from_secs(3));
    let step = u32::try_from(at).unwrap_or(u32::MAX);
    let key = tool::idempotency_key("1/r", "run", step, 0, &tool.name, input);
    kept.recent.note(Duration::from_millis(40));
    kept.circuit.told(&set, gate, Ending::Well, now + 40);
    kept.rounds.notice(&tool.name, input, effect, &key);
    fine && turn.is_some() && !limit.is_zero()
}

fn refund() -> Result<Tool, Error> {
    let parameter = |kind| Parameter { kind, description: None, required: true };
    let parameters = [
        ("order".to_owned(), parameter(ParameterKind::String)),
        ("amount".to_owned(), parameter(ParameterKind::Number)),
        ("reason".to_owned(), parameter(ParameterKind::String)),
    ];
    let group = ActionGroup {
        id: "G".to_owned(),
        name: "shop".to_owned(),
        description: None,
        executor: Executor::Lambda("refund".to_owned()),
        schema: Schema::Functions(vec![Function {
            name: "refund".to_owned(),
            description: None,
            parameters: parameters.into(),
            confirm: false,
        }]),
    };
    tool::compile(&[group])?.pop().ok_or_else(|| "the group has one tool".into())
}

fn policy() -> Result<ToolPolicy, Error> {
    Ok(serde_json::from_value(json!({
        "effect": "keyed",
        "arguments": {
            "allow": ["order", "amount", "reason"],
            "deny": ["accountStatus", "creditLimit", "role"],
            "schema": {"properties": {"amount": {"maximum": 2000}}},
        },
        "hand_off": ["amount > 500 and not (order in ['A-0', 'B-0'])"],
    }))?)
}
