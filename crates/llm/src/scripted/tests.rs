#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use expect_test::{Expect, expect};
use futures_util::TryStreamExt;
use serde_json::json;

use super::*;
use crate::collect::Collect;

fn scripted(script: &str) -> Scripted {
    Scripted { origin: "test".to_owned(), script: Script::parse(script).unwrap() }
}

/// Lets the provider talk with itself: every tool it uses returns `{"tool", "n"}`.
async fn play(provider: &Scripted, said: &str) -> String {
    let mut messages = vec![json!({ "role": "user", "content": [{ "text": said }] })];
    let mut seen = String::new();
    for n in 1..6 {
        let call = json!({ "model": "m", "messages": messages });
        let reply = match answer(provider, serde_json::from_value(call).unwrap()).await {
            Ok(reply) => reply,
            Err(error) => return format!("{seen}{:?}: {error}", error.kind),
        };
        let content = serde_json::to_string(&reply.content).unwrap();
        seen += &format!("{:?} {content}\n", reply.stop_reason);
        if reply.stop_reason != StopReason::ToolUse {
            break;
        }
        let results = reply.content.iter().filter_map(|block| match block {
            Block::ToolUse(tool) => Some(json!({ "toolResult": {
                "toolUseId": tool.tool_use_id,
                "content": [{ "text": json!({ "tool": tool.name, "n": n }).to_string() }],
            }})),
            _ => None,
        });
        let results: Vec<Json> = results.collect();
        messages.push(json!({ "role": "assistant", "content": reply.content }));
        messages.push(json!({ "role": "user", "content": results }));
    }
    seen
}

async fn answer(provider: &Scripted, call: Call) -> Result<Reply, ModelError> {
    let deltas: Vec<Delta> = provider.converse(&call).await?.try_collect().await?;
    let mut collect = Collect::default();
    deltas.into_iter().for_each(|delta| collect.absorb(delta));
    collect.finish()
}

async fn check(provider: Scripted, said: &str, expected: Expect) {
    expected.assert_eq(&play(&provider, said).await);
}

#[tokio::test]
async fn steps_in_code_follow_one_another_and_see_the_results() {
    let steps = || {
        [
            Step::tool("first", json!({ "deep": [{ "said": "{{said}}" }] })),
            Step::tool("second", json!({ "n": "{{result.n}}", "text": "n={{result.n}}" }))
                .and_tool("third", json!({})),
            Step::text("{{results.0.tool}} {{results.2.tool}} {{nowhere}}{{result.gone}}.")
                .usage(1, 2),
        ]
    };
    check(Scripted::from_steps(steps()), "go", expect![[r#"
        ToolUse [{"toolUse":{"toolUseId":"tooluse_0","name":"first","input":{"deep":[{"said":"go"}]}}}]
        ToolUse [{"toolUse":{"toolUseId":"tooluse_1","name":"second","input":{"n":1,"text":"n=1"}}},{"toolUse":{"toolUseId":"tooluse_2","name":"third","input":{}}}]
        EndTurn [{"text":"first third ."}]
    "#]]).await;
    check(Scripted::from_steps(steps().into_iter().take(1)), "go", expect![[r#"
        ToolUse [{"toolUse":{"toolUseId":"tooluse_0","name":"first","input":{"deep":[{"said":"go"}]}}}]
        Refused: script in code: no rule answers "go" after 1 model calls and 1 tool results (CR0011)"#]]).await;
}

#[tokio::test]
async fn the_first_rule_that_fits_answers() {
    let script = r#"
rules:
  - when: { said: "refund (\\d+)", results: 0 }
    reply:
      thinking: let me see
      text: A moment.
      toolUse: [{ name: refund, input: { amount: "{{match.1}}" }, id: mine }]
  - when: { result: '"tool":"refund"' }
    reply: { text: done, stop: max_tokens }
  - when: { said: broken }
    then: [{ toolUse: [{ name: f, inputText: "{oops" }] }, { text: sorry }]
  - when: { model: "other-*" }
    reply: { text: never }
  - when: { system: nobody }
    reply: { text: never }
  - when: { said: busy }
    reply: { error: { kind: throttled, message: slow down } }
"#;
    check(scripted(script), "Refund 12 please", expect![[r#"
        ToolUse [{"reasoningContent":{"reasoningText":{"text":"let me see"}}},{"text":"A moment."},{"toolUse":{"toolUseId":"mine","name":"refund","input":{"amount":"12"}}}]
        MaxTokens [{"text":"done"}]
    "#]]).await;
    check(
        scripted(script),
        "broken",
        expect![[r#"
        ToolUse [{"toolUse":{"toolUseId":"tooluse_0","name":"f","input":"{oops"}}]
        EndTurn [{"text":"sorry"}]
    "#]],
    )
    .await;
    check(scripted(script), "busy", expect!["Throttled: slow down (CR0012)"]).await;
    check(
        scripted(script),
        "else",
        expect![[r#"Refused: script test: no rule answers "else" after 0 model calls and 0 tool results (CR0011)"#]],
    )
    .await;
}

#[test]
fn a_mistake_in_a_script_names_its_place() {
    let wrong = |script: &str| Script::parse(script).map(|_| ()).unwrap_err();
    expect!["rules[0].reply: unknown field `txt`, expected one of `thinking`, `text`, `toolUse`, `stop`, `usage`, `delayMs`, `chunk`, `chunkDelayMs`, `error` at line 1 column 20"].assert_eq(&wrong("rules: [{ reply: { txt: a } }]"));
    expect!["rules[0] needs either `then` or `reply`"]
        .assert_eq(&wrong("rules: [{ when: { said: a } }]"));
    expect![[r#"
        rules[0].when: regex parse error:
            (
            ^
        error: unclosed group at line 1 column 21"#]]
    .assert_eq(&wrong("{\"rules\": [{\"when\": {\"said\": \"(\"}, \"reply\": {}}]}"));
    let gone = Scripted::open(Path::new("/nowhere/x.yaml")).map(|_| ()).unwrap_err();
    expect!["script /nowhere/x.yaml: No such file or directory (os error 2) (CR0008)"]
        .assert_eq(&gone.to_string());
}
