//! The turn that writes what later sessions know of one that is over: one call, no tools.

use crate::agent::event::{Ask, Event, Intent, Purpose};
use crate::agent::state::Turn;

/// Asks for the summary, then ends with it. A model that writes none has failed: nothing is made up
/// in its place.
pub(super) fn next(turn: &Turn) -> Vec<Event> {
    let purpose = Purpose::Summarize;
    if turn.steps == 0 {
        return vec![Event::Asked(Intent::AskModel(Ask::new(purpose, 1)))];
    }
    let text = turn.said.as_deref().map(written).unwrap_or_default();
    match text.is_empty() {
        false => vec![Event::Finished { text: text.to_owned() }],
        true => vec![Event::Failed {
            code: "DependencyFailedException".to_owned(),
            message: "the model wrote no summary of the session".to_owned(),
        }],
    }
}

/// What stands between the tags of a summary, or the whole text without any.
fn written(text: &str) -> &str {
    let inside = text.split_once("<summary>").map_or(text, |(_, inside)| inside);
    inside.split("</summary>").next().unwrap_or(inside).trim()
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn a_summary_is_what_stands_between_its_tags_or_all_of_it() {
        let topic = "<topic name='user goals'>a refund</topic>";
        assert_eq!(written(&format!("Well.\n<summary>\n{topic}\n</summary> Done.")), topic);
        assert_eq!(written(" a refund "), "a refund");
        assert_eq!(written("<summary> broken off"), "broken off");
        assert_eq!(written("<summary></summary>"), "");
    }
}
