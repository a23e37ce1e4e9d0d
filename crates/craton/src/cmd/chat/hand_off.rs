//! Return of control: shows the calls that the agent wants from its client, and takes their results,
//! or the user's word about them, from the person, or from lines of a pipe that say that they are one.
//!
//! A pipe holds questions, written before anybody knew of the call: a line without the mark is never
//! taken for a result. Commands are commands here too.
//!
//! AWS: the results name the group and the function or operation of each input, and travel with
//! the invocation's id in `sessionState`; text beside them is ignored (user guide, "Return control
//! to the agent developer"). A call that needs the user's word has another `actionInvocationType`,
//! and `confirmationState` beside its result or instead of it ("Get user confirmation before invoking
//! action group function").

use serde_json::{Value as Json, json};

use super::input::Line;
use super::steps::{arguments, call, under};
use super::{Chat, Command};

/// What a result begins with in a pipe, and at a terminal where it would be a command.
const MARK: &str = "result:";
/// What the model reads where the person does not want the call to happen.
const DECLINED: &str = "call_declined: a person refused this call and it was not performed; do not ask \
                        for it again, tell the user";
/// What it reads where the client goes on without.
const UNATTENDED: &str = "call_declined: nobody was there to perform this call and it was not performed; \
                          do not ask for it again, tell the user";

/// What a line means while a result is waited for.
#[derive(Debug, PartialEq)]
enum Reply<'a> {
    Result(&'a str),
    Declined,
    Trace,
    Unknown(&'a str),
    /// `/new` and `/quit`: the hand-off stays unanswered.
    Leave,
    /// The next question of a pipe.
    Question,
}

impl<'a> Reply<'a> {
    fn of(line: &'a str, is_person: bool) -> Self {
        if let Some(result) = line.trim().strip_prefix(MARK) {
            return Reply::Result(result.trim_start());
        }
        match Command::of(line) {
            Command::Nothing => Reply::Declined,
            Command::Trace => Reply::Trace,
            Command::New | Command::Quit => Reply::Leave,
            Command::Unknown(word) => Reply::Unknown(word),
            Command::Say(_) if is_person => Reply::Result(line),
            Command::Say(_) => Reply::Question,
        }
    }
}

/// What became of one call.
enum Answer {
    Given(String),
    /// This call and those behind it are declined: the chat has something else to say.
    GoOn,
    Left,
}

impl Chat {
    /// The body that answers a hand-off.
    pub(super) async fn results(&mut self, control: &Json) -> Result<Json, String> {
        let inputs = control["invocationInputs"].as_array().cloned().unwrap_or_default();
        self.tell_how(inputs.len());
        let mut results = Vec::new();
        let mut goes_on = false;
        for input in &inputs {
            let wanted = Wanted::of(input);
            self.screen.call(&wanted.shown());
            let said = self.said(&wanted, &mut goes_on).await?;
            let said = said.ok_or_else(|| self.unanswered(control))?;
            results.push(wanted.result(&said));
        }
        Ok(json!({"sessionState": {
            "invocationId": control["invocationId"],
            "returnControlInvocationResults": results,
        }}))
    }

    /// What is said of one call; nothing if the chat was left instead.
    async fn said(
        &mut self,
        wanted: &Wanted<'_>,
        goes_on: &mut bool,
    ) -> Result<Option<Vec<Said>>, String> {
        let mut said = Vec::new();
        for asked in wanted.asks() {
            if *asked == Asks::Word && !*goes_on {
                self.tell_how_to_confirm();
            }
            let answer = if *goes_on { Answer::GoOn } else { self.answer().await? };
            let given = match answer {
                Answer::Given(given) => given,
                Answer::GoOn => {
                    *goes_on = true;
                    self.screen.note("declined: the next line is no result");
                    UNATTENDED.to_owned()
                }
                Answer::Left => return Ok(None),
            };
            said.push(Said::of(*asked, given));
            if said.last() == Some(&Said::No) {
                break;
            }
        }
        Ok(Some(said))
    }

    fn tell_how(&mut self, count: usize) {
        let (calls, them) = if count == 1 { ("call", "it") } else { ("calls", "them") };
        let how = match self.input.is_person() {
            true => "the result as JSON or text, an empty line declines",
            false => "a line `result: JSON or text`; any other line declines",
        };
        self.screen
            .note(&format!("the agent hands you {count} {calls}; perform {them} and give {how}"));
    }

    fn tell_how_to_confirm(&mut self) {
        let yes = if self.input.is_person() { "y" } else { "a line `result: y`" };
        self.screen.note(&format!("it needs your word: {yes} confirms, anything else denies"));
    }

    /// The next line that says something of a call. One that is for the chat goes back to it.
    async fn answer(&mut self) -> Result<Answer, String> {
        loop {
            let line = match self.input.line("result> ").await? {
                Line::Text(line) => line,
                Line::Interrupted | Line::End => return Ok(Answer::Left),
            };
            match Reply::of(&line, self.input.is_person()) {
                Reply::Result(said) => return Ok(Answer::Given(said.to_owned())),
                Reply::Declined => return Ok(Answer::Given(DECLINED.to_owned())),
                Reply::Trace => self.show_trace().await,
                Reply::Unknown(word) => {
                    self.no_command(word);
                    self.screen.note(&format!("as a result it is `{MARK} {word}`"));
                }
                Reply::Leave => {
                    self.input.put_back(line);
                    return Ok(Answer::Left);
                }
                Reply::Question => {
                    self.input.put_back(line);
                    return Ok(Answer::GoOn);
                }
            }
        }
    }

    fn unanswered(&self, control: &Json) -> String {
        let invocation = control["invocationId"].as_str().unwrap_or_default();
        format!(
            "the agent still waits for the results of invocation {invocation} in session {}; bring \
             them by InvokeAgent's sessionState, or say something new, which calls it off",
            self.session
        )
    }
}

/// What the client is asked for about one call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asks {
    Word,
    Result,
}

/// What was said to that.
#[derive(Debug, PartialEq)]
enum Said {
    Yes,
    No,
    Result(String),
}

impl Said {
    fn of(asked: Asks, given: String) -> Said {
        let yes = || matches!(given.trim().to_lowercase().as_str(), "y" | "yes");
        match asked {
            Asks::Word if yes() => Said::Yes,
            Asks::Word => Said::No,
            Asks::Result => Said::Result(given),
        }
    }
}

/// One input of the hand-off: a function, or an operation of a schema.
enum Wanted<'a> {
    Function(&'a Json),
    Operation(&'a Json),
}

impl<'a> Wanted<'a> {
    fn of(input: &'a Json) -> Self {
        match input.get("functionInvocationInput") {
            Some(function) => Wanted::Function(function),
            None => Wanted::Operation(&input["apiInvocationInput"]),
        }
    }

    /// The call, under the name of the collaborator that asks for it.
    fn shown(&self) -> String {
        let (Wanted::Function(input) | Wanted::Operation(input)) = self;
        under(input["collaboratorName"].as_str().unwrap_or_default(), self.call())
    }

    fn call(&self) -> String {
        match self {
            Wanted::Function(input) => {
                let group = input["actionGroup"].as_str().unwrap_or_default();
                let function = input["function"].as_str().unwrap_or_default();
                let given = input["parameters"].as_array().into_iter().flatten();
                format!("{group}.{function}({})", arguments(given))
            }
            Wanted::Operation(input) => {
                let contents = input["requestBody"]["content"].as_object().into_iter().flatten();
                let content: serde_json::Map<String, Json> = contents
                    .map(|(media, body)| (media.clone(), body["properties"].clone()))
                    .collect();
                call(&json!({
                    "actionGroupName": input["actionGroup"],
                    "verb": input["httpMethod"],
                    "apiPath": input["apiPath"],
                    "parameters": input["parameters"],
                    "requestBody": {"content": content},
                }))
            }
        }
    }

    fn asks(&self) -> &'static [Asks] {
        let (Wanted::Function(input) | Wanted::Operation(input)) = self;
        match input["actionInvocationType"].as_str() {
            Some("USER_CONFIRMATION") => &[Asks::Word],
            Some("USER_CONFIRMATION_AND_RESULT") => &[Asks::Word, Asks::Result],
            _ => &[Asks::Result],
        }
    }

    fn result(&self, said: &[Said]) -> Json {
        let (kind, media, input, named) = match self {
            Wanted::Function(input) => ("functionResult", "TEXT", input, &["function"][..]),
            Wanted::Operation(input) => {
                ("apiResult", "application/json", input, &["apiPath", "httpMethod"][..])
            }
        };
        let mut result = json!({"actionGroup": input["actionGroup"]});
        for name in named {
            result[*name] = input[*name].clone();
        }
        // Whose call it is, where several agents work on one turn.
        if let Some(agent) = input.get("agentId") {
            result["agentId"] = agent.clone();
        }
        for one in said {
            match one {
                Said::Yes => result["confirmationState"] = json!("CONFIRM"),
                Said::No => result["confirmationState"] = json!("DENY"),
                Said::Result(body) => {
                    result["responseBody"] = json!({ media: { "body": body } });
                    if matches!(self, Wanted::Operation(_)) {
                        result["httpStatusCode"] = json!(200);
                    }
                }
            }
        }
        json!({ kind: result })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(input: &Json, said: &[&str], expected: &Expect) {
        let wanted = Wanted::of(input);
        let said = wanted.asks().iter().zip(said);
        let said: Vec<Said> =
            said.map(|(asked, given)| Said::of(*asked, (*given).to_owned())).collect();
        expected.assert_eq(&format!("{}\n{}", wanted.shown(), wanted.result(&said)));
    }

    #[test]
    fn in_a_pipe_a_line_is_a_result_only_if_it_says_so() {
        for is_person in [true, false] {
            assert_eq!(
                Reply::of(" result: {\"paid\": 1} ", is_person),
                Reply::Result("{\"paid\": 1}")
            );
            assert_eq!(Reply::of("result:/quit", is_person), Reply::Result("/quit"));
            assert_eq!(Reply::of("  ", is_person), Reply::Declined);
            assert_eq!(Reply::of("/trace", is_person), Reply::Trace);
            assert_eq!(Reply::of("/new", is_person), Reply::Leave);
            assert_eq!(Reply::of("/quit", is_person), Reply::Leave);
            assert_eq!(Reply::of("/nope", is_person), Reply::Unknown("/nope"));
        }
        assert_eq!(Reply::of("And A-1002?", true), Reply::Result("And A-1002?"));
        assert_eq!(Reply::of("And A-1002?", false), Reply::Question);
    }

    #[test]
    fn a_function_and_an_operation_are_answered_in_their_own_form() {
        let parameters = json!([{"name": "id", "type": "string", "value": "A-1"}]);
        let function = json!({"functionInvocationInput": {
            "actionGroup": "desk", "function": "pay", "parameters": parameters,
        }});
        check(
            &function,
            &["{\"paid\": true}"],
            &expect![[r#"
            desk.pay(id=A-1)
            {"functionResult":{"actionGroup":"desk","function":"pay","responseBody":{"TEXT":{"body":"{\"paid\": true}"}}}}"#]],
        );
        let body = json!({"application/json": {"properties": [
            {"name": "amount", "type": "number", "value": "5"},
        ]}});
        let operation = json!({"apiInvocationInput": {
            "actionGroup": "desk", "apiPath": "/pay/{id}", "httpMethod": "POST",
            "parameters": parameters, "requestBody": {"content": body},
        }});
        check(
            &operation,
            &["paid"],
            &expect![[r#"
            desk.POST /pay/{id}(id=A-1, amount=5)
            {"apiResult":{"actionGroup":"desk","apiPath":"/pay/{id}","httpMethod":"POST","httpStatusCode":200,"responseBody":{"application/json":{"body":"paid"}}}}"#]],
        );
    }

    #[test]
    fn a_call_that_needs_a_word_gets_it_and_its_result_only_if_the_client_performs_it() {
        let wanted = |kind: &str| {
            json!({"functionInvocationInput": {
                "actionGroup": "desk", "function": "pay", "agentId": "A1", "actionInvocationType": kind,
            }})
        };
        check(
            &wanted("USER_CONFIRMATION"),
            &["Y"],
            &expect![[r#"
            desk.pay()
            {"functionResult":{"actionGroup":"desk","agentId":"A1","confirmationState":"CONFIRM","function":"pay"}}"#]],
        );
        check(
            &wanted("USER_CONFIRMATION"),
            &["better not"],
            &expect![[r#"
            desk.pay()
            {"functionResult":{"actionGroup":"desk","agentId":"A1","confirmationState":"DENY","function":"pay"}}"#]],
        );
        check(
            &wanted("USER_CONFIRMATION_AND_RESULT"),
            &["yes", "paid"],
            &expect![[r#"
            desk.pay()
            {"functionResult":{"actionGroup":"desk","agentId":"A1","confirmationState":"CONFIRM","function":"pay","responseBody":{"TEXT":{"body":"paid"}}}}"#]],
        );
    }
}
