//! The stages before and after an agent's own steps.

use wire::converse::{Block, Message, Role};

use super::{call, shop};
use crate::rules::reply;

const LETTERS: &str = "\nA: bad\nB: curious\nC: else\nD: fine\nE: more";
const BETWEEN: &str = "between <category> and </category>.";

fn said(system: &str, user: &str, tools: bool) -> String {
    let asked = Message { role: Role::User, content: vec![Block::Text(user.to_owned())] };
    let mut call = call(if tools { shop() } else { Vec::new() }, vec![asked]);
    call.system = vec![system.to_owned()];
    match &reply(&call).content[..] {
        [Block::Text(text)] => text.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_one_to_work_on_and_an_answer_stays_as_it_is() {
    let ours = format!("You stand before an agent. {LETTERS}\nWrite it {BETWEEN}");
    let theirs = "Sort the input for our function calling agent.\n-Category A: a\n-Category B: b\n\
                  -Category C: c\n-Category D: d\n-Category E: e\nThen within \
                  <category>$CATEGORY_LETTER</category> tags.";
    for sorting in [&ours, theirs] {
        assert_eq!(said(sorting, "Where is it?", false), "<category>D</category>");
    }
    let looking = "Write it between <final_response> and </final_response>.";
    let answer = "<input>Where?</input>\n<latest_response>\nIn Ghent.\n</latest_response>";
    assert_eq!(said(looking, answer, false), "<final_response>In Ghent.</final_response>");
}

#[test]
fn what_a_user_writes_is_no_stage() {
    let tags = "Sort this: <category></category> <latest_response>x</latest_response>";
    let stage = format!("Sort for an agent. {LETTERS} {BETWEEN}");
    let mail = format!("Sort the mail of an agent, new, open or done, {BETWEEN}");
    let quiz = format!("{LETTERS} Give the right letter {BETWEEN}");
    for (system, tools) in [("Be brief.", false), (&stage, true), (&mail, false), (&quiz, false)] {
        let said = said(system, tags, tools);
        assert!(!said.contains("<category>D"), "{said}");
    }
}
