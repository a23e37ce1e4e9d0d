//! One request to the agent, followed to the end of its stream.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use serde_json::{Value as Json, json};

use super::steps::Steps;
use super::{Chat, limits};
use crate::client::Opened;
use crate::stream::{Event, Failure};

/// How a stream ended.
pub(super) enum Ended {
    Answered,
    /// The agent wants these calls performed by its client.
    HandedOff(Json),
    /// The person did not wait.
    Left,
}

impl Chat {
    pub(super) async fn turn(&mut self, mut body: Json) -> Result<Ended, Failure> {
        body["enableTrace"] = json!(true);
        body["streamingConfigurations"] = json!({"streamFinalResponse": true});
        let (agent, alias) = (&self.partner.agent_id, &self.partner.alias_id);
        let path = format!("/agents/{agent}/agentAliases/{alias}/sessions/{}/text", self.session);
        let left = tokio::signal::ctrl_c();
        tokio::pin!(left);
        let opened = tokio::select! {
            opened = self.client.stream("bedrock", &path, &body, limits::TURN) => opened?,
            _ = &mut left => return Ok(Ended::Left),
        };
        let Opened { headers, mut events } = opened;
        self.note_head(&headers);
        let (mut steps, mut handed_off) = (Steps::default(), None);
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                _ = &mut left => return Ok(Ended::Left),
            };
            match event {
                None => break,
                Some(Event { kind, body }) if kind == "returnControl" => handed_off = Some(body),
                Some(event) => self.show(&event, &mut steps),
            }
        }
        Ok(handed_off.map_or(Ended::Answered, Ended::HandedOff))
    }

    /// Keep-alives and events to come are left out, as every SDK does.
    fn show(&mut self, event: &Event, steps: &mut Steps) {
        match event.kind.as_str() {
            "chunk" => {
                let bytes = event.body["bytes"].as_str().unwrap_or_default();
                let bytes = BASE64_STANDARD.decode(bytes).unwrap_or_default();
                self.screen.text(&String::from_utf8_lossy(&bytes));
            }
            "trace" => {
                for change in steps.read(&event.body) {
                    self.screen.change(&change);
                }
            }
            _ => {}
        }
    }

    fn note_head(&mut self, headers: &HeaderMap) {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(run) = header("x-craton-run-id") {
            self.run = Some(run.to_owned());
        }
        if let Some(embedded) = header("x-craton-model").filter(|_| !self.told_of_embedded) {
            self.told_of_embedded = true;
            self.screen.note(&about(embedded));
        }
    }
}

/// Craton's own providers never pose as a language model.
fn about(embedded: &str) -> String {
    let how = match embedded {
        llm::RULES => "it picks tools and fills arguments by rule and ",
        _ => "it ",
    };
    format!(
        "craton.{embedded} answers: {how}is no language model; docs/models.md tells how to set one"
    )
}
