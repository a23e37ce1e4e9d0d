//! What comes back from outside: the client's results and the user's word on calls; and the
//! question that ends a turn.

use wire::converse::{Block, ToolStatus};

use super::{End, Turn};
use crate::agent::event::{AskedUser, HandBack, HandBackState, Resumed};
use crate::agent::origin::Origin;

/// What the model reads of a call that the user did not agree to.
const DENIED: &str = "call_denied: the user was asked and did not agree to this call, so it was not performed; do \
                      not ask for it again unless the user wants it";
/// What it reads of the question that it put to the user.
const ASKED: &str = "the question is put to the user, whose answer comes next";

impl Turn {
    pub(super) fn resume(&mut self, resumed: &Resumed) {
        self.parked = None;
        self.request = resumed.request.clone();
        if let Some(unknown) = &resumed.unknown {
            self.inherit_all(unknown);
        }
        self.stream = resumed.stream;
        self.trace = resumed.trace;
        if let Some(attributes) = &resumed.session_attributes {
            self.session_attributes = attributes.clone();
        }
        if let Some(attributes) = &resumed.prompt_session_attributes {
            self.prompt_attributes = attributes.clone();
        }
        self.heed_data_class();
        for result in &resumed.results {
            self.hand_back(result);
        }
        // The other results were brought and stay, whatever one of them says.
        let failed = resumed.results.iter().find(|r| r.state == HandBackState::Failure);
        if let Some(failed) = failed {
            self.fail("DependencyFailedException", &failed.body);
        }
    }

    fn hand_back(&mut self, result: &HandBack) {
        let id = &result.tool_use_id;
        let error = Some(ToolStatus::Error);
        if result.state != HandBackState::Confirmed {
            self.notice(id, &result.body);
        }
        match result.state {
            HandBackState::Success => self.close(id, result.body.clone(), None, false),
            HandBackState::Reprompt => self.close(id, result.body.clone(), error, true),
            HandBackState::Failure => self.close(id, result.body.clone(), error, false),
            HandBackState::Denied => self.close(id, denied(&result.body), error, false),
            HandBackState::Confirmed => self.confirm(id),
        }
    }

    /// The question stands in the history as the agent's own words, so that the user's answer begins
    /// the next exchange.
    pub(super) fn ask_user(&mut self, asked: &AskedUser) {
        for id in &asked.tool_uses {
            self.close(id, ASKED.to_owned(), None, false);
        }
        self.close_all("not done: the turn ended with a question to the user");
        if !asked.tool_uses.is_empty() {
            self.say(vec![Block::Text(asked.question.clone())], &Origin::Model);
        }
        self.end = Some(End::Answered(asked.question.clone()));
    }
}

/// The refusal, with what the client says about it.
pub fn denied(words: &str) -> String {
    let words = words.trim();
    if words.is_empty() { DENIED.to_owned() } else { format!("{DENIED}; {words}") }
}
