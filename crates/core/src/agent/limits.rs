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
    /// Bytes of a tool's answer; of one that is larger the model gets nothing but that it is.
    pub tool_answer_bytes: usize,
}

/// AWS: a synchronous answer of Lambda has at most so many bytes (Lambda quotas, "Invocation
/// payload"); executors take no more.
const MOST_ANSWER_BYTES: usize = 6_291_556;
/// AWS: the most calls that a client is handed, or brings the results of, at once (`InvocationInputs`
/// and `ReturnControlInvocationResults`, API model).
const MOST_HAND_OFFS: usize = 5;

impl Limits {
    /// What no turn could work with, as a sentence for whoever wrote it.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MOST_HAND_OFFS).contains(&self.hand_offs) {
            return Err(format!(
                "limits.turn.hand_offs is {}; a client takes and returns at most {MOST_HAND_OFFS} \
                 calls at once, set 1 to {MOST_HAND_OFFS}",
                self.hand_offs
            ));
        }
        if !(1..=MOST_ANSWER_BYTES).contains(&self.tool_answer_bytes) {
            return Err(format!(
                "limits.turn.tool_answer_bytes is {}; set 1 to {MOST_ANSWER_BYTES}",
                self.tool_answer_bytes
            ));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            model_calls: 20,
            repairs: 3,
            tool_uses: 32,
            hand_offs: MOST_HAND_OFFS,
            team_levels: 4,
            tool_answer_bytes: crate::limits::TOOL_ANSWER_BYTES,
        }
    }
}
