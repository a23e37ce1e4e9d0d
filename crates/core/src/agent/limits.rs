//! Caps of an agent turn. Each number is a default that `craton.toml` may lower or raise.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Model calls of one turn. Ours; AWS documents none, and a loop must end.
    pub model_calls: u32,
    /// Replies in a row that hold nothing but refused tool uses. Ours.
    pub repairs: u32,
    /// Tool uses performed of one reply; the surplus goes back to the model. Ours.
    pub tool_uses: usize,
    /// AWS: `returnControl.invocationInputs` holds 1 to 5 items (InvocationInputs, API model).
    pub hand_offs: usize,
    /// Levels of collaborators below the agent that a client invokes. Ours; AWS documents none, and
    /// a team must end.
    pub team_levels: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { model_calls: 20, repairs: 3, tool_uses: 32, hand_offs: 5, team_levels: 4 }
    }
}
