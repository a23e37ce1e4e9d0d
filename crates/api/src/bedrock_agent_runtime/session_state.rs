//! What a client says about its session: attributes, results of a hand-off, an earlier
//! conversation. Its files are read in `file`.

use std::collections::BTreeMap;

use craton_core::agent::event::{Attributes, HandBackState};
use craton_core::cost::Money;
use engine::request::{ClientResult, ClientTarget, Confirmation};
use engine::spend::MAX_COST;
use wire::bedrock_agent_runtime::types::{
    self as wire_types, ApiResult, ConfirmationState, ContentBlock, ContentBody, ConversationRole,
    FunctionResult, InvocationResultMember, ResponseState, SessionState,
};
use wire::converse::{Block, Message, Role};
use wire::fault::Fault;

use crate::bedrock_agent::feature::refused;

/// AWS: results of one hand-off (API reference, `SessionState`).
const RESULTS: usize = 5;

pub(crate) struct State {
    pub(crate) session_attributes: Option<Attributes>,
    pub(crate) prompt_session_attributes: Option<Attributes>,
    pub(crate) results: Option<Results>,
    pub(crate) conversation: Vec<Message>,
}

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) invocation_id: String,
    pub(crate) results: Vec<ClientResult>,
}

pub(crate) fn read(state: SessionState) -> Result<State, Fault> {
    if state.knowledge_base_configurations.is_some_and(|list| !list.is_empty()) {
        let field = "sessionState.knowledgeBaseConfigurations";
        return Err(refused(field, "", "knowledge bases of agents"));
    }
    let attributes = [&state.session_attributes, &state.prompt_session_attributes];
    for dollars in attributes.into_iter().flatten().filter_map(|given| given.get(MAX_COST)) {
        dollars.parse::<Money>().map_err(|why| {
            Fault::validation(format!("the attribute {MAX_COST} is {dollars:?}: {why}"))
        })?;
    }
    let members = state.return_control_invocation_results.unwrap_or_default();
    let history = state.conversation_history.and_then(|history| history.messages);
    Ok(State {
        session_attributes: state.session_attributes,
        prompt_session_attributes: state.prompt_session_attributes,
        results: results(state.invocation_id, members)?,
        conversation: conversation(history.unwrap_or_default())?,
    })
}

fn results(
    invocation_id: Option<String>,
    members: Vec<InvocationResultMember>,
) -> Result<Option<Results>, Fault> {
    if members.is_empty() {
        // Text beside it would call off the hand-off whose results were meant to come.
        return match invocation_id {
            None => Ok(None),
            Some(_) => Err(Fault::validation(
                "sessionState.invocationId is given without returnControlInvocationResults; send both \
                 or neither",
            )),
        };
    }
    if members.len() > RESULTS {
        return Err(Fault::validation(format!(
            "{} results at 'sessionState.returnControlInvocationResults' are more than {RESULTS}",
            members.len()
        )));
    }
    let Some(invocation_id) = invocation_id else {
        return Err(Fault::validation(
            "sessionState.invocationId must be given with returnControlInvocationResults",
        ));
    };
    let members = members.into_iter();
    let results: Result<_, _> = members.map(result).collect();
    Ok(Some(Results { invocation_id, results: results? }))
}

fn result(member: InvocationResultMember) -> Result<ClientResult, Fault> {
    match member {
        InvocationResultMember::FunctionResult(result) => function(result),
        InvocationResultMember::ApiResult(result) => api(result),
    }
}

fn function(result: FunctionResult) -> Result<ClientResult, Fault> {
    let Some(function) = result.function else {
        return Err(Fault::validation("functionResult.function must name the function"));
    };
    Ok(ClientResult {
        agent_id: result.agent_id,
        group: result.action_group,
        target: ClientTarget::Function(function),
        confirmation: result.confirmation_state.map(confirmation),
        body: body(result.response_body.unwrap_or_default())?,
        state: state(result.response_state),
    })
}

fn api(result: ApiResult) -> Result<ClientResult, Fault> {
    let (Some(verb), Some(path)) = (result.http_method, result.api_path) else {
        let message = "apiResult.httpMethod and apiResult.apiPath must name the operation";
        return Err(Fault::validation(message));
    };
    Ok(ClientResult {
        agent_id: result.agent_id,
        group: result.action_group,
        target: ClientTarget::Api { verb, path },
        confirmation: result.confirmation_state.map(confirmation),
        body: with_status(result.http_status_code, body(result.response_body.unwrap_or_default())?),
        state: state(result.response_state),
    })
}

fn confirmation(state: ConfirmationState) -> Confirmation {
    match state {
        ConfirmationState::Confirm => Confirmation::Confirm,
        ConfirmationState::Deny => Confirmation::Deny,
    }
}

/// The text of a result: the one body, or all of them as JSON by content type.
fn body(bodies: BTreeMap<String, ContentBody>) -> Result<String, Fault> {
    if bodies.values().any(|body| body.images.as_ref().is_some_and(|list| !list.is_empty())) {
        let field = "sessionState.returnControlInvocationResults.responseBody.images";
        return Err(refused(field, "", "images in results"));
    }
    let mut texts: BTreeMap<String, String> =
        bodies.into_iter().map(|(kind, body)| (kind, body.body.unwrap_or_default())).collect();
    if texts.len() == 1 {
        return Ok(texts.pop_first().map(|(_, text)| text).unwrap_or_default());
    }
    if texts.is_empty() {
        return Ok(String::new());
    }
    serde_json::to_string(&texts).map_err(Fault::internal)
}

/// The model reads a status that says that the operation did not succeed.
fn with_status(status: Option<i64>, body: String) -> String {
    match status.filter(|status| *status >= 400) {
        Some(status) if body.is_empty() => format!("HTTP {status}"),
        Some(status) => format!("HTTP {status}: {body}"),
        None => body,
    }
}

fn state(state: Option<ResponseState>) -> HandBackState {
    match state {
        None => HandBackState::Success,
        Some(ResponseState::Failure) => HandBackState::Failure,
        Some(ResponseState::Reprompt) => HandBackState::Reprompt,
    }
}

/// Roles take turns, the user first and the assistant last, because the new input follows.
fn conversation(messages: Vec<wire_types::Message>) -> Result<Vec<Message>, Fault> {
    let roles = messages.iter().map(|message| message.role);
    let expected = [ConversationRole::User, ConversationRole::Assistant].into_iter().cycle();
    if messages.len() % 2 == 1 || !roles.zip(expected).all(|(role, expected)| role == expected) {
        return Err(Fault::validation(
            "the messages at 'sessionState.conversationHistory' must alternate between user and \
             assistant, begin with user and end with assistant",
        ));
    }
    Ok(messages.into_iter().map(message).collect())
}

fn message(message: wire_types::Message) -> Message {
    let role = match message.role {
        ConversationRole::User => Role::User,
        ConversationRole::Assistant => Role::Assistant,
    };
    let content = message.content.into_iter().map(|ContentBlock::Text(text)| Block::Text(text));
    Message { role, content: content.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_result(edit: impl FnOnce(&mut FunctionResult)) -> Result<State, Fault> {
        let text = ContentBody { body: Some("done".to_owned()), images: None };
        let mut result = FunctionResult {
            action_group: "orders".to_owned(),
            agent_id: None,
            confirmation_state: None,
            function: Some("refund".to_owned()),
            response_body: Some(BTreeMap::from([("TEXT".to_owned(), text)])),
            response_state: None,
        };
        edit(&mut result);
        let results = vec![InvocationResultMember::FunctionResult(result)];
        let state = SessionState {
            invocation_id: Some("i1".to_owned()),
            return_control_invocation_results: Some(results),
            ..SessionState::default()
        };
        read(state)
    }

    #[test]
    fn a_function_result_becomes_the_text_that_the_engine_hands_to_the_model() {
        let state = function_result(|r| r.confirmation_state = Some(ConfirmationState::Deny))
            .ok()
            .and_then(|state| state.results)
            .unwrap();
        let expected = ClientResult {
            agent_id: None,
            confirmation: Some(Confirmation::Deny),
            group: "orders".to_owned(),
            target: ClientTarget::Function("refund".to_owned()),
            body: "done".to_owned(),
            state: HandBackState::Success,
        };
        assert_eq!((state.invocation_id.as_str(), state.results), ("i1", vec![expected]));
    }

    #[test]
    fn an_earlier_conversation_takes_turns() {
        let turn = |role| wire_types::Message { content: Vec::new(), role };
        let (user, assistant) = (ConversationRole::User, ConversationRole::Assistant);
        assert!(conversation(vec![turn(user), turn(assistant)]).is_ok());
        assert!(conversation(vec![turn(user)]).is_err());
        assert!(conversation(vec![turn(assistant), turn(user)]).is_err());
    }
}
