//! What a client says about its session: attributes, results of a hand-off, an earlier
//! conversation.

use std::collections::BTreeMap;

use craton_core::agent::event::{Attributes, HandBackState};
use engine::request::{ClientResult, ClientTarget};
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

pub(crate) fn read(state: SessionState, agent_id: &str) -> Result<State, Fault> {
    if state.files.is_some_and(|files| !files.is_empty()) {
        return Err(refused("sessionState.files", "", "files in sessions"));
    }
    if state.knowledge_base_configurations.is_some_and(|list| !list.is_empty()) {
        let field = "sessionState.knowledgeBaseConfigurations";
        return Err(refused(field, "", "knowledge bases of agents"));
    }
    let members = state.return_control_invocation_results.unwrap_or_default();
    let history = state.conversation_history.and_then(|history| history.messages);
    Ok(State {
        session_attributes: state.session_attributes,
        prompt_session_attributes: state.prompt_session_attributes,
        results: results(state.invocation_id, members, agent_id)?,
        conversation: conversation(history.unwrap_or_default())?,
    })
}

fn results(
    invocation_id: Option<String>,
    members: Vec<InvocationResultMember>,
    agent_id: &str,
) -> Result<Option<Results>, Fault> {
    if members.is_empty() {
        return Ok(None);
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
    let results: Result<_, _> = members.map(|member| result(member, agent_id)).collect();
    Ok(Some(Results { invocation_id, results: results? }))
}

fn result(member: InvocationResultMember, agent_id: &str) -> Result<ClientResult, Fault> {
    match member {
        InvocationResultMember::FunctionResult(result) => function(result, agent_id),
        InvocationResultMember::ApiResult(result) => api(result, agent_id),
    }
}

fn function(result: FunctionResult, agent_id: &str) -> Result<ClientResult, Fault> {
    check_agent(result.agent_id.as_deref(), agent_id)?;
    check_confirmation(result.confirmation_state)?;
    let Some(function) = result.function else {
        return Err(Fault::validation("functionResult.function must name the function"));
    };
    Ok(ClientResult {
        group: result.action_group,
        target: ClientTarget::Function(function),
        body: body(result.response_body.unwrap_or_default())?,
        state: state(result.response_state),
    })
}

fn api(result: ApiResult, agent_id: &str) -> Result<ClientResult, Fault> {
    check_agent(result.agent_id.as_deref(), agent_id)?;
    check_confirmation(result.confirmation_state)?;
    let (Some(verb), Some(path)) = (result.http_method, result.api_path) else {
        let message = "apiResult.httpMethod and apiResult.apiPath must name the operation";
        return Err(Fault::validation(message));
    };
    Ok(ClientResult {
        group: result.action_group,
        target: ClientTarget::Api { verb, path },
        body: body(result.response_body.unwrap_or_default())?,
        state: state(result.response_state),
    })
}

fn check_agent(given: Option<&str>, agent_id: &str) -> Result<(), Fault> {
    match given.filter(|given| *given != agent_id) {
        Some(other) => {
            let field = "sessionState.returnControlInvocationResults.agentId";
            Err(refused(field, other, "agents that supervise other agents"))
        }
        None => Ok(()),
    }
}

fn check_confirmation(state: Option<ConfirmationState>) -> Result<(), Fault> {
    match state {
        Some(state) => {
            let field = "sessionState.returnControlInvocationResults.confirmationState";
            Err(refused(field, state.as_str(), "confirmation by the user"))
        }
        None => Ok(()),
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
        read(state, "AGENT00001")
    }

    #[test]
    fn a_function_result_becomes_the_text_that_the_engine_hands_to_the_model() {
        let state = function_result(|_| {}).ok().and_then(|state| state.results).unwrap();
        let expected = ClientResult {
            group: "orders".to_owned(),
            target: ClientTarget::Function("refund".to_owned()),
            body: "done".to_owned(),
            state: HandBackState::Success,
        };
        assert_eq!((state.invocation_id.as_str(), state.results), ("i1", vec![expected]));
    }

    #[test]
    fn a_confirmation_is_refused_by_name() {
        let fault = function_result(|r| r.confirmation_state = Some(ConfirmationState::Deny));
        assert_eq!(
            fault.err().unwrap().message(),
            "craton does not support value 'DENY' at \
             'sessionState.returnControlInvocationResults.confirmationState' yet: confirmation by \
             the user"
        );
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
