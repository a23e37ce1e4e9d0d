//! What a run did, read from its journal.
//!
//! Pure. A call is what the model asked for; its fate is what became of it. Whatever a collaborator
//! does stands under its name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::limits::SHOWN;

/// A turn from the client's words to the answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Observed {
    pub(crate) run: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) answer: String,
    /// The exception it ended with, and its message.
    pub(crate) failed: Option<(String, String)>,
    /// The embedded model that answered, whatever model was asked for.
    pub(crate) embedded: Option<String>,
    pub(crate) usage: Usage,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) steps: u64,
    pub(crate) usd: f64,
    /// Calls of models that no price is known of.
    pub(crate) unpriced: u64,
    pub(crate) ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: String,
    /// The collaborator that made it; nothing for the agent itself.
    pub(crate) agent: String,
    pub(crate) tool: String,
    pub(crate) arguments: Json,
    pub(crate) fate: Fate,
    /// What came back, or why not.
    pub(crate) said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Made,
    Failed,
    /// The client said no.
    Denied,
    /// It was not made: unknown, ill-formed, not allowed.
    Refused,
}

impl Call {
    /// Under its whole name, or one without its first parts; `group.tool` is `group__tool`.
    pub(crate) fn is(&self, name: &str) -> bool {
        let name = name.replace('.', "__");
        let before = self.tool.strip_suffix(&name);
        before.is_some_and(|before| before.is_empty() || before.ends_with("__"))
    }
}

impl Observed {
    /// The calls that were made, or handed to the client.
    pub(crate) fn made(&self) -> Vec<&Call> {
        self.calls.iter().filter(|call| call.fate != Fate::Refused).collect()
    }

    /// One line for each thing it did, for comparing two runs.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .calls
            .iter()
            .map(|call| {
                let whose = if call.agent.is_empty() { "" } else { " for " };
                let fate = match call.fate {
                    Fate::Made => "",
                    Fate::Failed => "failed: ",
                    Fate::Denied => "denied: ",
                    Fate::Refused => "refused: ",
                };
                format!("{}{whose}{} → {fate}{}", call.shown(), call.agent, short(&call.said))
            })
            .collect();
        match &self.failed {
            Some((code, message)) => lines.push(format!("{code}: {}", short(message))),
            None => lines.push(format!("answer: {}", short(&self.answer))),
        }
        lines
    }

    /// Takes from the view of a run what its stream did not tell.
    pub(crate) fn take(&mut self, view: &Json) {
        let run = &view["run"];
        run["run"].as_str().unwrap_or_default().clone_into(&mut self.run);
        let mut names = BTreeMap::new();
        for stamped in view["events"].as_array().into_iter().flatten() {
            self.event(&stamped["event"], "", &mut names);
        }
        let count = |value: &Json| value.as_u64().unwrap_or(0);
        self.usage.input_tokens = count(&run["usage"]["inputTokens"]);
        self.usage.output_tokens = count(&run["usage"]["outputTokens"]);
        self.usage.steps = count(&run["modelCalls"]);
        self.usage.unpriced = count(&view["cost"]["unpriced"]);
        self.usage.usd = view["cost"]["total"].as_f64().unwrap_or(0.0);
    }

    /// `names` has collaborators by the tool use that each works on.
    fn event(&mut self, event: &Json, agent: &str, names: &mut BTreeMap<String, String>) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "modelSaid" => {
                let provider = Some(text("provider")).filter(|name| llm::is_embedded(name));
                self.embedded = provider.or(self.embedded.take());
                let content = event["reply"]["content"].as_array().into_iter().flatten();
                for used in content.map(|block| &block["toolUse"]).filter(|one| one.is_object()) {
                    self.begin(agent, &used["toolUseId"], &used["name"], &used["input"]);
                }
            }
            // A parser function may have found calls that the reply does not show.
            "asked" if event["intent"] == "call" => {
                let id = event["toolUseId"].as_str().unwrap_or_default();
                if !self.calls.iter().any(|call| call.id == id && call.agent == agent) {
                    self.begin(agent, &event["toolUseId"], &event["tool"], &event["input"]);
                }
            }
            "toolReturned" => {
                let outcome = &event["outcome"];
                let fate = if outcome["outcome"] == "answered" { Fate::Made } else { Fate::Failed };
                let said = outcome["body"].as_str().or(outcome["message"].as_str());
                self.end(agent, &text("toolUseId"), fate, said.unwrap_or_default());
            }
            "refused" => self.end(agent, &text("toolUseId"), Fate::Refused, &text("message")),
            "resumed" => self.resumed(agent, event),
            "delegated" => drop(names.insert(text("toolUseId"), text("collaborator"))),
            "within" => {
                let name = names.get(&text("toolUseId")).cloned().unwrap_or_default();
                self.event(&event["event"], &name, names);
            }
            _ => {}
        }
    }

    fn resumed(&mut self, agent: &str, event: &Json) {
        for result in event["results"].as_array().into_iter().flatten() {
            let id = result["toolUseId"].as_str().unwrap_or_default();
            let fate = match result["state"].as_str().unwrap_or_default() {
                "denied" => Fate::Denied,
                "failure" | "reprompt" => Fate::Failed,
                _ => Fate::Made,
            };
            self.end(agent, id, fate, result["body"].as_str().unwrap_or_default());
        }
    }

    fn begin(&mut self, agent: &str, id: &Json, tool: &Json, arguments: &Json) {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let (id, agent) = (text(id), agent.to_owned());
        let (tool, arguments) = (text(tool), arguments.clone());
        let said = String::new();
        self.calls.push(Call { id, agent, tool, arguments, fate: Fate::Made, said });
    }

    /// The latest call of that id: models count anew in each reply.
    fn end(&mut self, agent: &str, id: &str, fate: Fate, said: &str) {
        let mut calls = self.calls.iter_mut().rev();
        if let Some(call) = calls.find(|call| call.id == id && call.agent == agent) {
            call.fate = fate;
            said.clone_into(&mut call.said);
        }
    }
}

impl Usage {
    pub(crate) fn add(&mut self, other: &Usage) {
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.steps += other.steps;
        self.usd += other.usd;
        self.unpriced += other.unpriced;
        self.ms += other.ms;
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens
    }
}

/// On one line, and cut where it gets long.
pub(crate) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<&str>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_are_read_with_their_fate_and_whose_they_are() {
        let event = |event: Json| json!({ "at": 1, "event": event });
        let used = |id: &str, name: &str| json!({"toolUse": {"toolUseId": id, "name": name, "input": {"n": 1}}});
        let said = |content: Json| json!({"type": "modelSaid", "reply": {"content": content}});
        let view = json!({
            "run": {"run": "r", "modelCalls": 2, "usage": {"inputTokens": 7, "outputTokens": 2}},
            "cost": {"total": 0.5},
            "events": [
                event(said(json!([used("1", "g__a"), used("2", "g__b"), used("3", "g__c"), used("4", "team")]))),
                event(json!({"type": "refused", "toolUseId": "1", "message": "no such order"})),
                event(json!({"type": "asked", "intent": "call", "toolUseId": "2", "tool": "g__b", "input": {"n": 1}})),
                event(json!({"type": "toolReturned", "toolUseId": "2", "outcome": {"outcome": "answered", "body": "ok"}})),
                event(json!({"type": "resumed", "results": [{"toolUseId": "3", "state": "denied", "body": ""}]})),
                event(json!({"type": "delegated", "toolUseId": "4", "collaborator": "orders"})),
                event(json!({"type": "within", "toolUseId": "4", "event": said(json!([used("1", "g__d")]))})),
            ],
        });
        let mut observed = Observed { answer: "Done.".to_owned(), ..Observed::default() };
        observed.take(&view);
        expect![[r#"
            g__a({"n":1}) → refused: no such order
            g__b({"n":1}) → ok
            g__c({"n":1}) → denied: 
            team({"n":1}) → 
            g__d({"n":1}) for orders → 
            answer: Done."#]]
        .assert_eq(&observed.lines().join("\n"));
        assert_eq!(observed.made().len(), 4);
        assert_eq!(
            (observed.usage.tokens(), observed.usage.steps, observed.usage.usd),
            (9, 2, 0.5)
        );
    }
}
