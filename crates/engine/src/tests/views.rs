//! Runs as steps, and where two of them part.

use expect_test::{Expect, expect};

use super::Bench;
use crate::steps::{Step, Verdict};

impl Bench {
    async fn run(&self, text: &str) -> String {
        let request = self.request(text);
        let run = request.request.clone();
        self.hear(request).await;
        self.quiet().await;
        run
    }

    async fn steps(&self, run: &str) -> Vec<Step> {
        self.engine.view(&self.tenant, run).await.expect("a store").expect("a run").steps
    }
}

fn told(step: &Step) -> String {
    let verdict = step.digest.as_ref().map(|digest| format!(" digest {:?}", digest.verdict));
    let outcome = step.outcome.as_deref().unwrap_or("open");
    format!("{} {:?} {} {outcome}{}", step.event, step.kind, step.name, verdict.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn every_prompt_is_made_again_as_it_was_sent() {
    let bench = Bench::new(&["use g__once 1, use g__none 2", "use client__ask 2"]).await;
    let results = bench.hand_off("go").await;
    let run = bench.engine.runs(&bench.tenant, None, 1).await.expect("runs")[0].run.clone();
    bench.hear(bench.request_of(results)).await;
    bench.quiet().await;
    let steps = bench.steps(&run).await;
    let lines: Vec<String> = steps.iter().map(told).collect();
    expect![[r#"
        3 Model model answered digest Ok
        5 Tool g__once answered
        6 Tool g__none refused
        8 Model model answered digest Ok
        10 Wait the client resumed
        12 Model model answered digest Ok"#]]
    .assert_eq(&lines.join("\n"));
    // The second turn has the first for its history.
    let second = bench.run("and then?").await;
    let steps = bench.steps(&second).await;
    let digests = steps.iter().filter_map(|step| step.digest.as_ref());
    assert!(digests.clone().count() > 0 && digests.clone().all(|d| d.verdict == Verdict::Ok));
}

async fn check(a: &[&str], b: &[&str], say: (&str, &str), expected: &Expect) {
    let mut runs = Vec::new();
    let bench = Bench::new(a).await;
    let other = Bench::new(b).await;
    for (bench, words) in [(&bench, say.0), (&other, say.1)] {
        bench.world.say(words);
        let run = bench.run("go").await;
        let view = bench.engine.view(&bench.tenant, &run).await.expect("a store").expect("a run");
        runs.push(bench.engine.transcript(&bench.tenant, view).await.expect("a store"));
    }
    let found = crate::inspect::diverge(&runs[0], &runs[1]).map(|found| {
        format!("{:?} at {} in {}: {} / {}", found.cause, found.at, found.field, found.a, found.b)
    });
    expected.assert_eq(&found.unwrap_or_else(|| "the same".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn two_runs_part_at_the_first_thing_that_is_not_the_same() {
    let look = "use g__read 1";
    check(&[look, "ok"], &[look, "ok"], ("", ""), &expect!["the same"]).await;
    check(
        &[look, "ok"],
        &[look, "ok"],
        (" open", " closed"),
        &expect![[
            r#"ToolResult at step 2, tool g__read in output: "read of 1 open" / "read of 1 closed""#
        ]],
    )
    .await;
    check(
        &[look, "ok"],
        &["use g__read 2", "ok"],
        ("", ""),
        &expect![
            "ToolArguments at step 1, model model in output.content[0].toolUse.input.x: 1 / 2"
        ],
    )
    .await;
    check(&[look, "ok"], &["use g__keyed 1", "ok"], ("", ""), &expect![[r#"Reply at step 1, model model in output.content[0].toolUse.name: "g__read" / "g__keyed""#]]).await;
    check(
        &[look, "ok"],
        &[look, "no"],
        ("", ""),
        &expect![[r#"Reply at step 3, model model in output.content[0].text: "ok" / "no""#]],
    )
    .await;
    check(
        &[look, "ok"],
        &[look, look, "ok"],
        ("", ""),
        &expect![[r#"Reply at step 3, model model in output.content[0].text: "ok" / nothing"#]],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_prompt_shows_the_digest_of_a_file_and_is_proven_with_its_bytes() {
    use serde_json::json;
    use wire::converse::Block;

    let bench = Bench::new(&["use g__read 1", "ok"]).await;
    let source = json!({"bytes": "aGVsbG8="});
    let mut request = bench.request("what is this?");
    request.files = vec![Block::Image(json!({"format": "png", "source": source}))];
    let run = request.request.clone();
    bench.hear(request).await;
    bench.quiet().await;
    let steps = bench.steps(&run).await;
    let models: Vec<&Step> = steps.iter().filter(|step| step.prompt.is_some()).collect();
    assert_eq!(models.len(), 2);
    for step in models {
        let prompt = step.prompt.as_ref().expect("a prompt").to_string();
        // sha256sum of "hello".
        let shown = r#"{"bytes":5,"sha256":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#;
        assert!(prompt.contains(shown) && !prompt.contains("aGVsbG8="), "{prompt}");
        assert_eq!(step.digest.as_ref().map(|digest| digest.verdict), Some(Verdict::Ok));
    }
}
