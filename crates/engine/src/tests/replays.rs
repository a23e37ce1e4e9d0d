//! Cassettes of runs of all kinds, and of files that somebody cut or changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use craton_core::agent::event::{Event, Intent};
use expect_test::{Expect, expect};
use llm::Models;
use serde_json::json;
use wire::converse::{Block, StopReason};

use super::cassettes::record;
use super::{Bench, budgets, parse};
use crate::budget::Replenishing;
use crate::cassette::{Cassette, Parted, Recorded};
use crate::limits::Limits;
use crate::record::{Pinned, RunStatus};
use crate::request::TurnRequest;
use crate::sim::team::{named, tell};
use crate::sim::world::{Mishap, Model, reply};

/// Records the session, and plays what was written, by whatever editor its lines were ended.
async fn check(bench: &Bench) -> Cassette {
    let Recorded { cassette, replayed } = record(bench).await;
    assert!(replayed.same && !replayed.edited, "{replayed:?}");
    let text = cassette.to_text().expect("it is written");
    for text in [text.replace('\n', "\r\n"), text] {
        let again = Cassette::from_text(&text).expect("it is read").replay().expect("it is played");
        assert_eq!(again, replayed);
    }
    cassette
}

#[tokio::test(start_paused = true)]
async fn a_run_that_its_budget_ended_replays_and_so_does_what_came_of_a_raise() {
    let script = ["use g__once 1", "use g__read 2", "<answer>done</answer>"];
    let cap = budgets::room_for(2, &script).await;
    let caps = json!({"session": {"tokens": cap}}).to_string();
    let mut bench = budgets::bench(&script, &caps).await;
    assert!(bench.ask("book it").await.contains("I had to stop here"));
    check(&bench).await;
    bench.restart().await;
    assert_eq!(bench.replenish(0).await, Some(Replenishing::GoesOn));
    bench.quiet().await;
    check(&bench).await;
    assert_eq!(bench.replenish(90_000).await, Some(Replenishing::GoesOn));
    bench.quiet().await;
    assert_eq!(bench.statuses().await, [RunStatus::Answered]);
    let whole = check(&bench).await;
    let halts = |one: &&crate::cassette::RecordedEvent| matches!(one.event, Event::Halted { .. });
    assert_eq!(whole.runs[0].events.iter().filter(halts).count(), 2);
    // The next words of the session take the place of one that stopped.
    let bench = budgets::bench(&script, &caps).await;
    bench.ask("book it").await;
    bench.under(r#"{"session": {"tokens": 900000}}"#).await.taken_over().await;
}

impl Bench {
    async fn taken_over(&self) {
        self.ask("well?").await;
        assert_eq!(self.statuses().await, [RunStatus::Cancelled, RunStatus::Answered]);
        assert_eq!(check(self).await.runs.len(), 2);
    }
}

/// A supervisor that asks `billing`, which says the script.
pub(super) async fn team(script: &[&str]) -> Bench {
    let replies = script.iter().enumerate().map(|(at, text)| parse(at, text)).collect();
    let done = vec![Block::Text("<answer>all done</answer>".to_owned())];
    let boss = vec![
        reply(vec![tell("billing", 0, 0)], StopReason::ToolUse),
        reply(done, StopReason::EndTurn),
    ];
    let others = BTreeMap::from([("billing".to_owned(), replies), ("boss".to_owned(), boss)]);
    let model = Arc::new(Model::new(Vec::new()).with(others));
    let mut bench = Bench::of(Models::single(model.clone()), model, Limits::default()).await;
    let billing = Pinned { config: named("billing", &[]) };
    bench.other_config(billing.config.clone()).await;
    let boss = named("boss", &[("billing", &billing)]);
    bench.config = bench
        .other_config(craton_core::agent::config::AgentConfig {
            agent_id: "AGENT".to_owned(),
            ..boss
        })
        .await;
    bench
}

#[tokio::test(start_paused = true)]
async fn runs_of_teams_and_those_that_wait_replay() {
    let bench = team(&["use g__once 1, use client__ask 2", "<answer>billed</answer>"]).await;
    let results = bench.hand_off("go").await;
    check(&bench).await;
    bench.hear(bench.request_of(results)).await;
    let whole = check(&bench).await;
    let within = whole.runs[0].events.iter().filter(|one| matches!(one.event, Event::Within(_)));
    assert!(within.count() > 5);
    let bench = Bench::new(&["use g__once 1", "done"]).await;
    bench.world.mishap(Mishap::Later(1, None));
    drop(bench.engine.invoke(bench.request("go")).await.expect("a turn"));
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(bench.statuses().await, [RunStatus::Parked]);
    check(&bench).await;
    let bench = Bench::new(&["use bank__once 1", "done"]).await;
    let word = bench.hand_off("go").await;
    check(&bench).await;
    bench.hear(bench.request_of(word)).await;
    check(&bench).await;
}

#[tokio::test(start_paused = true)]
async fn two_recordings_of_the_same_are_the_same_to_the_byte() {
    let mut texts = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new(&["use g__read 1, use g__keyed 2", "done"]).await;
        bench.engine.hide(vec!["hunter2-hunter2".to_owned()]);
        bench.world.say(" and hunter2-hunter2");
        bench.ask("go").await;
        texts.push(check(&bench).await.to_text().expect("text"));
    }
    assert!(texts[0] == texts[1]);
}

#[tokio::test(start_paused = true)]
async fn what_has_the_form_of_a_secret_is_masked_and_words_are_not() {
    // The secret, and the text in which it stands.
    let secrets = [
        ("AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY_ID=%"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = %"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N", "jwt %."),
        ("f00dfeedf00dfeedcafe", "{\"headers\": {\"X-Api-Key\": \"%\"}}"),
        ("tok-8f2e7d6c5b4a", "GET https://api.example.com/v1?limit=5&access_token=%&x=1"),
        ("s3cr3tp4ssw0rd", "postgres://shop:%@db.internal/orders"),
        ("0123456789abcdef0123456789abcdef", "Authorization: ApiKey %"),
        ("correct-horse-7", "[{\"name\": \"dbPassword\", \"value\": \"%\"}]"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ", "remote is https://%@github.com/a/b"),
        ("T000000/B000000/XXXXXXXXXXXXXXXX", "https://hooks.slack.com/services/%"),
        ("ABSKQmVkcm9ja0FQSUtleS0xMjM0NTY3ODkw", "the key of Bedrock is %"),
        ("kJhGfDsAqWeRtYuI", "x-api-key: %"),
        ("qWeRtYuIoPaSdFgH", "Authorization: Bearer %"),
        ("qwertyuiopasdfgh", "curl -H 'authorization: bearer %'"),
        ("key-of-letters", "{\"api_key\": \"%\"}"),
        ("ZxCvBnMaSdFg", "the password=%"),
        ("deadbeefdeadbeefdeadbeefdeadbeef", "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=%"),
    ];
    for (secret, text) in secrets {
        let bench = Bench::new(&["use g__once 1", "done"]).await;
        bench.world.say(&format!(" is {secret} right?"));
        bench.ask(&text.replace('%', secret)).await;
        let text = check(&bench).await.to_text().expect("text");
        assert!(!text.contains(secret), "{secret} stands in {text}");
        assert!(text.contains("masked-1"), "{secret}");
    }
    let plain = "No authorization required. Password: required, secret: something; the bearer \
                 representative asks for a token=optional&limit=10 and an api-key: optional. Authorization: \
                 required.";
    let bench = Bench::new(&["use g__once 1", "done"]).await;
    bench.ask(plain).await;
    let cassette = check(&bench).await;
    assert!(cassette.masked.is_empty(), "{:?}", cassette.masked);
}

/// A session with what the next test changes in it.
async fn rich() -> Cassette {
    let bench = Bench::new(&["use g__read 1", "done"]).await;
    let image = json!({"format": "png", "source": {"bytes": "aGVsbG8="}});
    let attributes = BTreeMap::from([("who".to_owned(), "ann".to_owned())]);
    let request = TurnRequest {
        files: vec![Block::Image(image)],
        prompt_session_attributes: Some(attributes),
        ..bench.request("go")
    };
    bench.hear(request).await;
    check(&bench).await
}

#[tokio::test(start_paused = true)]
async fn whatever_is_changed_the_first_request_that_changes_is_named() {
    let cassette = rich().await;
    let changed = |from: &str, to: &str| {
        let text = cassette.to_text().expect("text");
        let (head, runs) = text.split_once("\nruns:\n").expect("runs");
        let head = head.replace(from, to);
        assert!(!head.contains(from) || to.contains(from), "{from}");
        Cassette::from_text(&format!("{head}\nruns:\n{runs}")).expect("it is read")
    };
    let event = |change: fn(&mut Event)| {
        let mut changed = cassette.clone();
        changed.runs[0].events.iter_mut().for_each(|recorded| change(&mut recorded.event));
        changed
    };
    let mut order = cassette.clone();
    order.agents.values_mut().for_each(|agent| agent.groups.swap(0, 1));
    let mut schema = cassette.clone();
    for agent in schema.agents.values_mut() {
        agent.groups[1].description = Some("new".to_owned());
        agent.groups[0].name = "gg".to_owned();
    }
    let mut sent = cassette.clone();
    let requests = sent.runs[0].events.iter_mut().filter_map(|one| one.request.as_mut());
    requests.take(1).for_each(|sent| sent.text = sent.text.replace("does read", "does Read"));
    let changes = [
        (
            "prompt",
            event(|event| {
                if let Event::Started(s) = event {
                    s.system.push("!".to_owned());
                }
            }),
        ),
        ("order of tools", order),
        ("schema", schema),
        ("model", changed("model: model", "model: other")),
        ("description", changed("does read", "Does read")),
        ("parameter", changed("integer", "string")),
        ("recorded request", sent),
        (
            "image",
            event(|event| {
                if let Event::Accepted(accepted) = event {
                    let source = json!({"bytes": "aGVsbE8="});
                    accepted.files = vec![Block::Image(json!({"format": "png", "source": source}))];
                }
            }),
        ),
        (
            "input",
            event(|event| {
                if let Event::Accepted(accepted) = event {
                    accepted.input_text = "gone".to_owned();
                }
            }),
        ),
        (
            "key",
            event(|event| {
                if let Event::Asked(Intent::Call(call)) = event {
                    call.input = json!({"x": 2});
                }
            }),
        ),
    ];
    let mut told = String::new();
    for (name, cassette) in changes {
        let replayed = cassette.replay().expect("it is played");
        assert!(!replayed.same, "{name}");
        let Parted { event, what, recorded, replayed, .. } = replayed.parted.expect("it parts");
        assert_ne!(recorded, replayed, "{name}: what stands around the byte");
        told.push_str(&format!("{name}: event {event}, {what}\n"));
    }
    expect![[r#"
        prompt: event 4, request 1 (model)
        order of tools: event 4, request 1 (model)
        schema: event 4, request 1 (model)
        model: event 4, request 1 (model)
        description: event 4, request 1 (model)
        parameter: event 4, request 1 (model)
        recorded request: event 4, request 1 (model)
        image: event 4, request 1 (model)
        input: event 4, request 1 (model)
        key: event 5, the event
    "#]]
    .assert_eq(&told);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_cut_is_never_taken_for_the_recording() {
    let text = rich().await.to_text().expect("text");
    for place in 1..40 {
        let at = text.floor_char_boundary(text.len() * place / 40);
        let played = Cassette::from_text(&text[..at]).and_then(|cassette| cassette.replay());
        assert!(!played.is_ok_and(|played| played.same || !played.edited), "{place}");
    }
}

#[track_caller]
fn refused(text: &str, expected: &Expect) {
    let error = Cassette::from_text(text).and_then(|cassette| cassette.replay());
    expected.assert_eq(&error.expect_err("it is refused").to_string());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_is_named_with_its_place_and_the_version_that_wrote_it() {
    let text = rich().await.to_text().expect("text");
    let version = format!("craton: {}", env!("CARGO_PKG_VERSION"));
    let here = |told: &str| told.replace(env!("CARGO_PKG_VERSION"), "HERE");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let newer = with("type: toolReturned", "type: toolDreamt").replace(&version, "craton: 99.1.0");
    let error = Cassette::from_text(&newer).expect_err("it is refused").to_string();
    let told = error.split("expected one of").next().unwrap_or_default().to_owned();
    let tail = error.rsplit(';').nth(1).unwrap_or_default().to_owned();
    expect!["it is no cassette: event 6 of run 1: unknown variant `toolDreamt`, … craton 99.1.0 recorded it, and this is craton HERE"].assert_eq(&here(&format!("{told}…{tail}")));
    refused(
        &with("\nlimits:", "\nlimit:"),
        &expect![
            "it is no cassette: unknown field `limit`, expected one of `cassette`, `craton`, `recordedAt`, `digests`, `providers`, `masked`, `limits`, `windows`, `agents`, `exchanges`, `runs`; `craton record` makes one (CR0039)"
        ],
    );
    refused(
        &with("\n  events:\n", "\n  event:\n"),
        &expect![
            "it is no cassette: run 1: unknown field `event`, expected `record` or `events`; `craton record` makes one (CR0039)"
        ],
    );
    refused(
        &with("\nruns:", "\nruns: ]"),
        &expect![
            "it is no cassette: did not find expected node content at line 118 column 7, while parsing a block node; `craton record` makes one (CR0039)"
        ],
    );
    let mut short: Cassette = Cassette::from_text(&text).expect("it is read");
    short.runs[0].events.truncate(5);
    refused(
        &short.to_text().expect("text"),
        &expect![
            "run id-00000001 cannot be replayed: it was answered, and its 5 events stop before that; the file was cut (CR0039)"
        ],
    );
    let deep = format!("cassette: 1\nruns: {}", "[".repeat(100_000));
    refused(
        &deep,
        &expect![
            "it is no cassette: its brackets are nested too deeply; `craton record` makes one (CR0039)"
        ],
    );
    refused(
        &format!("cassette: 1\nruns:\n{}x", "- ".repeat(100_000)),
        &expect![
            "it is no cassette: recursion limit exceeded at line 3 column 255; `craton record` makes one (CR0039)"
        ],
    );
}
