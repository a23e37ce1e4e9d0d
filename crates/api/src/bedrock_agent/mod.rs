//! Agents for Amazon Bedrock, build time: agents, action groups, versions, aliases, tags, prompts.
//!
//! Operations stand under the resource they belong to. They edit the working draft; `prepare`
//! makes the draft live and `agent_alias` cuts versions of it, both by pinning a configuration in
//! the engine's form. Nothing here runs an agent.

pub(crate) mod action_group;
pub(crate) mod agent;
pub(crate) mod agent_alias;
pub(crate) mod agent_collaborator;
pub(crate) mod agent_knowledge_base;
pub(crate) mod agent_version;
pub(crate) mod budget;
mod built_in;
pub(crate) mod document;
pub(crate) mod feature;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod memory;
pub(crate) mod page;
pub(crate) mod prepare;
pub(crate) mod prompt;
pub(crate) mod prompt_override;
mod retention;
pub(crate) mod tag;
#[cfg(test)]
mod tests;
mod wish;
mod write;
