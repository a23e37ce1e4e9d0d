//! The task that every peer does: three additions, one after another, then an answer.
//!
//! Each addition needs the sum before it, so nothing can run side by side: four calls to the model
//! and three to the tool, in order. The answer holds the last tool's own result.

/// What the user says.
pub(crate) const INPUT: &str = "Add the numbers one after another, please.";

/// What stands in a right answer.
pub(crate) const EXPECTED: &str = "42";

/// The first number, and what each step adds.
pub(crate) const FIRST: i64 = 10;
pub(crate) const ADDENDS: [i64; 3] = [9, 11, 12];

/// The tool, as every peer declares it.
pub(crate) const TOOL: &str = "add";
pub(crate) const TOOL_IS_FOR: &str = "Add two integers.";
pub(crate) const INSTRUCTION: &str =
    "You add numbers. Use the tool for each addition, one after another, and give the sum.";
