//! Budgets: what may be spent, and what is held back for a call before it is made.
//!
//! Pure: the engine keeps the counters and says what stands in them.

use serde::{Deserialize, Serialize};

use crate::cost::Money;

/// What is held back for one call, in each budget that it counts in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Reserved {
    /// An upper bound: the bytes of the input and the cap of the output.
    pub tokens: u64,
    pub cost: Money,
    /// The counters that hold it.
    pub counters: Vec<String>,
}
