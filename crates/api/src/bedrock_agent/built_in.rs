//! Built-in action groups: a signature of AWS's or a vendor's in place of executor and schema.
//!
//! `AMAZON.UserInput` lets an agent ask its user. The others are not served; set-up tools make them
//! disabled beside every agent, so a disabled one is kept, and what it would do is refused.

use wire::bedrock_agent::types::ActionGroupSignature;
use wire::fault::Fault;

use super::action_group::Asked;
use super::document::ActionGroup;
use super::feature::refused;

const FIELD: &str = "parentActionGroupSignature";

/// Whether a group may be as it is asked for, as far as its signature says.
pub(crate) fn check(asked: &Asked) -> Result<(), Fault> {
    if asked.params.as_ref().is_some_and(|params| !params.is_empty()) {
        let feature = "built-in action groups that have parameters";
        return Err(refused("parentActionGroupSignatureParams", "", feature));
    }
    let Some(signature) = asked.signature else { return Ok(()) };
    check_blank(asked, signature)?;
    match (signature, asked.enabled) {
        (ActionGroupSignature::AmazonUserInput, _) | (_, false) => Ok(()),
        (ActionGroupSignature::AmazonCodeInterpreter, true) => {
            Err(refused(FIELD, signature.as_str(), "code that an agent writes and runs"))
        }
        (
            ActionGroupSignature::AnthropicComputer
            | ActionGroupSignature::AnthropicBash
            | ActionGroupSignature::AnthropicTextEditor,
            true,
        ) => Err(refused(FIELD, signature.as_str(), "computer use")),
    }
}

// AWS: description, apiSchema and actionGroupExecutor stay blank beside a signature (API reference,
// `CreateAgentActionGroup`); a functionSchema would be without an executor too.
fn check_blank(asked: &Asked, signature: ActionGroupSignature) -> Result<(), Fault> {
    let given = [
        ("description", asked.description.is_some()),
        ("apiSchema", asked.api.is_some()),
        ("functionSchema", asked.functions.is_some()),
        ("actionGroupExecutor", asked.executor.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((field, _)) => Err(Fault::validation(format!(
            "action group {} has the {FIELD} {}; leave '{field}' blank",
            asked.name,
            signature.as_str()
        ))),
    }
}

/// Whether the group lets its agent ask the user.
pub(crate) fn asks_user(group: &ActionGroup) -> bool {
    group.enabled && shown(group) == Some(ActionGroupSignature::AmazonUserInput)
}

/// The signature as the wire has it.
pub(crate) fn shown(group: &ActionGroup) -> Option<ActionGroupSignature> {
    ActionGroupSignature::parse(group.signature.as_deref()?)
}
