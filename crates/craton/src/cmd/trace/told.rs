//! A run's events as lines, those of collaborators under their names.
//!
//! Pure, from the view's JSON. Text that others wrote cannot begin a line of its own, and so cannot
//! pass for an event.

use std::collections::BTreeMap;

use craton_core::cost::{Money, Stack};
use serde_json::Value as Json;

pub(crate) fn lines(view: &Json, prompts: bool) -> Vec<String> {
    let mut lines = head(&view["run"]);
    lines.extend(bill(&view["cost"]));
    lines.push(String::new());
    let begun = view["run"]["begunAt"].as_i64().unwrap_or(0);
    let mut sent = BTreeMap::new();
    if prompts {
        gather(&view["steps"], &mut sent);
    }
    let mut names = BTreeMap::new();
    let steps = view["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (number, stamped) in (1_u64..).zip(view["events"].as_array().into_iter().flatten()) {
        let millis = stamped["at"].as_i64().unwrap_or(begun) - begun;
        let Some(text) = describe(&stamped["event"], &mut names) else { continue };
        let place = place(steps, number).map(|place| format!("  (step {place})"));
        let place = place.unwrap_or_default();
        lines.push(format!("{millis:>8} ms  {}{place}", tied(&text)));
        let step = sent.get(&number);
        lines.extend(step.map(|step| format!("             | {}", tied(&prompt(step)))));
    }
    lines
}

/// The step that an event began, such as `3`, or `3.2` for a collaborator's own.
fn place(steps: &[Json], event: u64) -> Option<String> {
    (1..).zip(steps).find_map(|(number, step)| {
        if step["event"] == event {
            return Some(number.to_string());
        }
        let below = place(step["steps"].as_array()?, event)?;
        Some(format!("{number}.{below}"))
    })
}

fn head(run: &Json) -> Vec<String> {
    let word = |name: &str| run[name].as_str().unwrap_or("-").to_owned();
    let providers: Vec<&str> =
        run["providers"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    vec![
        format!("run      {}", word("run")),
        format!(
            "agent    {} version {} alias {}",
            word("agentId"),
            word("agentVersion"),
            word("aliasId")
        ),
        format!("session  {}", word("sessionId")),
        format!("status   {}", word("status")),
        format!("models   {}{}", providers.join(", "), embedded_note(&providers)),
        format!(
            "usage    {} model calls, {} input and {} output tokens",
            run["modelCalls"], run["usage"]["inputTokens"], run["usage"]["outputTokens"]
        ),
    ]
}

/// What the run cost so far, and for what.
fn bill(cost: &Json) -> Option<String> {
    let total = Money::of_dollars(cost["total"].as_f64()?);
    let parts: Vec<String> = Stack::default()
        .lines()
        .into_iter()
        .map(|(name, _)| (name, Money::of_dollars(cost[name].as_f64().unwrap_or_default())))
        .filter(|(_, sum)| *sum > Money::ZERO)
        .map(|(name, sum)| format!("{name} {sum}"))
        .collect();
    let unpriced = match cost["unpriced"].as_u64() {
        Some(1..) => ", without replies of models that have no price",
        _ => "",
    };
    let of = if parts.is_empty() { "" } else { ": " };
    Some(format!("cost     {total}{of}{}{unpriced}", parts.join(", ")))
}

/// How long a step took, and what it cost if that is known.
fn spent(event: &Json) -> String {
    match event["cost"].as_i64() {
        Some(cost) if cost > 0 => format!("({} ms, {})", event["millis"], Money(cost)),
        _ => format!("({} ms)", event["millis"]),
    }
}

fn tied(text: &str) -> String {
    text.replace(['\n', '\r'], "\n             | ")
}

/// Model calls by the number of the event that asked, at whatever depth.
fn gather<'a>(steps: &'a Json, sent: &mut BTreeMap<u64, &'a Json>) {
    for step in steps.as_array().into_iter().flatten() {
        if let (Some(number), true) = (step["event"].as_u64(), step["prompt"].is_object()) {
            sent.insert(number, step);
        }
        gather(&step["steps"], sent);
    }
}

fn prompt(step: &Json) -> String {
    let digest = &step["digest"];
    let verdict = digest["verdict"].as_str().unwrap_or("unknown");
    let why = digest["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    let text = serde_json::to_string_pretty(&step["prompt"]).expect("a JSON value prints");
    format!("digest {verdict}{why}\n{text}")
}

fn embedded_note(providers: &[&str]) -> String {
    match providers.iter().find(|provider| llm::is_embedded(provider)) {
        Some(provider) => format!(" (craton.{provider}: no language model spoke)"),
        None => String::new(),
    }
}

/// One line for an event, `None` for what a reader does not need. `names` has collaborators by the
/// tool use that each works on.
fn describe(event: &Json, names: &mut BTreeMap<String, String>) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    Some(match event["type"].as_str()? {
        "accepted" => format!("user     {}", text("inputText")),
        "started" => return None,
        "asked" if event["intent"] == "call" => {
            format!("call     {} {} ({})", text("tool"), event["input"], text("effect"))
        }
        "asked" if event["intent"] == "askModel" => {
            format!("model    asked{}", aim(event))
        }
        "asked" if event["intent"] == "parse" => format!("parser   asked, {}", text("target")),
        "parsed" => format!("read as  {}", event["verdict"]),
        "modelSaid" => said(event),
        "modelFailed" | "failed" => format!("failed   {}: {}", text("code"), text("message")),
        "modelOverflowed" => format!("too long {}", text("message")),
        "toolReturned" => {
            let outcome = &event["outcome"];
            let body = outcome["body"].as_str().or_else(|| outcome["message"].as_str());
            let kind = outcome["outcome"].as_str().unwrap_or_default();
            format!("{kind:<8} {} {}", body.unwrap_or_default(), spent(event))
        }
        "refused" => format!("refused  {}", text("message")),
        "parked" => format!("handed   to the client, invocation {}", text("invocationId")),
        "resumed" => format!("resumed  with {} results", results(event)),
        "deferred" => "pending  the tool brings its result later".to_owned(),
        "askedUser" => format!("asks     {}", text("question")),
        "delegated" => {
            names.insert(text("toolUseId"), text("collaborator"));
            format!("task     for {}: {}", text("collaborator"), task(event))
        }
        "within" => {
            let inner = describe(&event["event"], names)?;
            let name = names.get(&text("toolUseId")).cloned().unwrap_or_default();
            format!("{name} > {inner}")
        }
        "paused" => "held     by an operator".to_owned(),
        "continued" => "goes on".to_owned(),
        "cancelled" => format!("called off: {}", text("reason")),
        "gaveUp" => "gave up".to_owned(),
        "finished" => format!("answer   {}", text("text")),
        other => other.to_owned(),
    })
}

/// What a model is asked for, where that is not the next step.
fn aim(event: &Json) -> String {
    match event["purpose"].as_str() {
        None | Some("plan") => String::new(),
        Some(purpose) => format!(" to {purpose}"),
    }
}

fn task(event: &Json) -> String {
    event["accepted"]["inputText"].as_str().unwrap_or_default().to_owned()
}

fn results(event: &Json) -> usize {
    event["results"].as_array().map_or(0, Vec::len)
}

fn said(event: &Json) -> String {
    let blocks = event["reply"]["content"].as_array().cloned().unwrap_or_default();
    let parts: Vec<String> = blocks
        .iter()
        .filter_map(|block| match (&block["text"], &block["toolUse"]["name"]) {
            (Json::String(text), _) => Some(text.trim().to_owned()),
            (_, Json::String(name)) => Some(format!("[uses {name}]")),
            _ => None,
        })
        .collect();
    let provider = event["provider"].as_str().unwrap_or_default();
    format!("{provider:<8} {} {}", parts.join(" "), spent(event))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::lines;

    #[test]
    fn text_with_lines_of_its_own_cannot_pass_for_an_event() {
        let text = "done\n      12 ms  call     refund {}";
        let event = json!({"at": 5, "event": {"type": "finished", "text": text}});
        let view = json!({"run": {"begunAt": 0}, "events": [event]});
        let last = lines(&view, false).pop().expect("the event's line");
        let expected = "       5 ms  answer   done\n             |       12 ms  call     refund {}";
        assert_eq!(last, expected);
    }

    #[test]
    fn each_step_says_what_it_cost_and_the_head_what_for() {
        let said = json!({"type": "modelSaid", "provider": "peer", "millis": 3, "cost": 4_000_000_000_i64,
                          "reply": {"content": [{"text": "hello"}]}});
        let returned = json!({"type": "toolReturned", "millis": 1, "cost": 100_000_000,
                              "outcome": {"outcome": "ok", "body": "{}"}});
        let view = json!({
            "run": {"begunAt": 0},
            "cost": {"total": 0.0041, "model": 0.004, "tools": 0.0001, "memory": 0.0, "unpriced": 1},
            "events": [{"at": 1, "event": said}, {"at": 2, "event": returned}],
        });
        expect![[r#"
            cost     $0.0041: model $0.004, tools $0.0001, without replies of models that have no price

                   1 ms  peer     hello (3 ms, $0.004)
                   2 ms  ok       {} (1 ms, $0.0001)"#]]
        .assert_eq(&lines(&view, false)[6..].join("\n"));
    }

    #[test]
    fn a_collaborators_events_stand_under_its_name_with_its_prompts() {
        let asked = json!({"type": "asked", "intent": "askModel", "purpose": "plan", "step": 1});
        let accepted = json!({"inputText": "refund A-1"});
        let view = json!({
            "run": {"begunAt": 0},
            "events": [
                {"at": 1, "event": {"type": "delegated", "toolUseId": "u1", "collaborator": "billing",
                                    "accepted": accepted}},
                {"at": 2, "event": {"type": "within", "toolUseId": "u1", "event": asked}},
            ],
            "steps": [{"event": 1, "steps": [
                {"event": 2, "prompt": {"system": ["be brief"]}, "digest": {"verdict": "ok"}}]}],
        });
        expect![[r#"
            events
                   1 ms  task     for billing: refund A-1  (step 1)
                   2 ms  billing > model    asked  (step 1.1)
                         | digest ok
                         | {
                         |   "system": [
                         |     "be brief"
                         |   ]
                         | }"#]]
        .assert_eq(&format!("events\n{}", lines(&view, true)[7..].join("\n")));
    }
}
