//! What is missing is asked for by the tool for it, where an agent has one.

use expect_test::expect;
use serde_json::json;
use wire::converse::{Block, Message, Role, ToolResult};

use super::{call, shop, tool};
use crate::rules::reply;

#[test]
fn a_question_goes_by_the_tool_and_its_answer_is_understood() {
    let mut tools = shop();
    let question = json!({"question": {"type": "string"}});
    tools.push(tool("user__askuser", "Asks the user.", question, &["question"]));
    let say = |role, text: &str| Message { role, content: vec![Block::Text(text.to_owned())] };
    let mut messages = vec![say(Role::User, "What is the status of my order?")];
    let asked = reply(&call(tools.clone(), messages.clone()));
    let [Block::ToolUse(used)] = &asked.content[..] else { panic!("{asked:?}") };
    expect![[r#"user__askuser {"question":"What is the order id (the number of the order, e.g. 4471)? I need it to look up an order: its items, total and delivery status."}"#]].assert_eq(&format!("{} {}", used.name, used.input));
    let question = used.input["question"].as_str().unwrap_or_default().to_owned();
    let tool_use_id = used.tool_use_id.clone();
    messages.push(Message { role: Role::Assistant, content: asked.content });
    let result = ToolResult { tool_use_id, content: Vec::new(), status: None };
    messages.push(Message { role: Role::User, content: vec![Block::ToolResult(result)] });
    messages.push(say(Role::Assistant, &question));
    messages.push(say(Role::User, "4471"));
    let next = reply(&call(tools, messages));
    let used = next.content.iter().find_map(|block| match block {
        Block::ToolUse(used) => Some(format!("{} {}", used.name, used.input)),
        _ => None,
    });
    expect![[r#"orders__get_order {"order_id":"4471"}"#]].assert_eq(&used.unwrap_or_default());
}
