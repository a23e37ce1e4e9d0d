//! Recorded runs, played again: the same byte for byte, and where they are not.

use std::collections::BTreeMap;
use std::time::Duration;

use craton_core::agent::config::Collaborator;
use craton_core::agent::event::{Event, Intent, Outcome};
use expect_test::{Expect, expect};
use futures_util::StreamExt as _;
use llm::ModelErrorKind::Unavailable;
use llm::Models;
use serde_json::json;
use store::Tenant;

use super::{Bench, parts, told};
use crate::cassette::{Cassette, CassetteError, Recorded};
use crate::live::Out;
use crate::request::{Input, InvokeError, TurnRequest};
use crate::sim::world::{self, Mishap};
use crate::{Engine, Parts};

pub(super) async fn record(bench: &Bench) -> Recorded {
    bench.quiet().await;
    let session = bench.session().await;
    let run = session.runs.last().expect("a run");
    let recorded = bench.engine.record(&bench.tenant, run, true).await;
    recorded.expect("a store").expect("the run is there")
}

/// What a client hears, frame by frame.
async fn frames(engine: &Engine, request: TurnRequest) -> Result<Vec<Out>, InvokeError> {
    Ok(engine.invoke(request).await?.outs.collect().await)
}

/// The replay of a cassette that somebody changed, in words.
fn check(cassette: &Cassette, expected: &Expect) {
    let text = cassette.to_text().expect("it is written");
    let replayed = Cassette::from_text(&text).expect("it is read").replay().expect("it is played");
    let told = match &replayed.parted {
        None => format!("same {}, edited {}", replayed.same, replayed.edited),
        // What stands before the byte is the same in both.
        Some(parted) => format!(
            "event {}, {}\n{:?}\n{:?}",
            parted.event, parted.what, parted.recorded, parted.replayed
        ),
    };
    expected.assert_eq(&told);
}

/// Plays one request after the other live, then the same from the cassette alone.
async fn check_scenes(bench: &Bench, texts: &[&str], stream: bool) {
    let mut heard = Vec::new();
    for text in texts {
        let request = TurnRequest { stream, trace: true, ..bench.request(text) };
        let mut outs = frames(&bench.engine, request).await.expect("a turn");
        while let Some(Out::ReturnControl(payload)) = outs.last() {
            let input = world::results(payload);
            heard.push((Input::Text((*text).to_owned()), outs));
            let request = TurnRequest { stream, trace: true, ..bench.request_of(input) };
            outs = frames(&bench.engine, request).await.expect("the turn goes on");
        }
        heard.push((Input::Text((*text).to_owned()), outs));
    }
    let Recorded { cassette, replayed } = record(bench).await;
    assert!(replayed.same, "{replayed:?}");
    let text = cassette.to_text().expect("text");
    let read = Cassette::from_text(&text).expect("it is read");
    assert!(read.to_text().expect("text") == text, "it is written as it was read");
    let stage = Engine::on_cassette(&read).expect("it is put on");
    let mut handed = None;
    for (input, outs) in heard {
        let input = handed.take().unwrap_or(input);
        let session_id = "another".to_owned();
        let request = TurnRequest { stream, trace: true, session_id, ..bench.request_of(input) };
        let again = frames(&stage, request).await.expect("it is in the cassette");
        assert_eq!(again, outs);
        if let Some(Out::ReturnControl(payload)) = outs.last() {
            handed = Some(world::results(payload));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_heard_from_its_cassette_frame_by_frame() {
    let bench = Bench::new(&["use g__read 1, use client__ask 2", "use g__once 3", "done"]).await;
    check_scenes(&bench, &["go", "go", "and then?"], false).await;
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_is_cut_where_the_model_cut_it() {
    let bench =
        Bench::new(&["use g__read 1", "one, <answer>two and three and four</answer>"]).await;
    *bench.model.speaks.lock().expect("no panic") = Some(Duration::from_millis(5));
    check_scenes(&bench, &["go", "again"], true).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_heard_again_with_what_went_out_before_it() {
    let bench = Bench::new(&["use g__once 1"]).await;
    bench.world.mishap(Mishap::Lost);
    check_scenes(&bench, &["go"], true).await;
    let bench = Bench::new(&[]).await;
    bench.model.fail(Unavailable, false);
    bench.model.fail(Unavailable, true);
    check_scenes(&bench, &["go"], true).await;
}

#[tokio::test(start_paused = true)]
async fn a_pending_call_is_part_of_a_replay() {
    let bench = Bench::new(&["use g__keyed 1", "done"]).await;
    bench.world.mishap(Mishap::Later(1, Some(5)));
    check_scenes(&bench, &["go"], false).await;
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_told_with_the_byte_of_the_request() {
    let bench = Bench::new(&["use g__read 1", "done"]).await;
    bench.ask("go").await;
    let Recorded { cassette, .. } = record(&bench).await;
    check(&cassette, &expect!["same true, edited false"]);
    let mut result = cassette.clone();
    for recorded in &mut result.runs[0].events {
        if let Event::ToolReturned(returned) = &mut recorded.event {
            returned.outcome = Outcome::Error { message: "closed".to_owned() };
        }
    }
    check(
        &result,
        &expect![[r#"
            event 8, request 3 (model)
            "nt\": [\n          {\n            \"text\": \"read of 1\"\n          }\n        ],\n      "
            "nt\": [\n          {\n            \"text\": \"closed\"\n          }\n        ],\n        \"""#]],
    );
    let mut prompt = cassette.clone();
    prompt.agents.values_mut().for_each(|agent| agent.groups[0].name = "h".to_owned());
    check(
        &prompt,
        &expect![[r#"
            event 4, request 1 (model)
            "scription\": \"does read\",\n      \"name\": \"g__read\",\n      \"schema\": {\n        \"add"
            "scription\": \"does read\",\n      \"name\": \"h__read\",\n      \"schema\": {\n        \"add""#]],
    );
    let mut limit = cassette.clone();
    limit.limits.model_calls = 1;
    check(
        &limit,
        &expect![[r#"
            event 7, the event
            "{\"type\":\"asked\",\"intent\":\"askModel\",\"purpose\":\"pl"
            "{\"type\":\"gaveUp\",\"tooManySteps\":null}""#]],
    );
    let mut answer = cassette;
    let last = answer.runs[0].events.last_mut().expect("an event");
    last.event = Event::Finished { text: "another".to_owned() };
    check(
        &answer,
        &expect![[r#"
            event 9, the event
            "{\"type\":\"finished\",\"text\":\"another\"}"
            "{\"type\":\"finished\",\"text\":\"done\"}""#]],
    );
}

#[tokio::test(start_paused = true)]
async fn a_secret_stands_nowhere_and_the_masked_run_replays() {
    let bench = Bench::new(&["use g__once 1", "done"]).await;
    bench.engine.hide(vec!["hunter2-hunter2".to_owned(), "short".to_owned()]);
    bench.world.say(" with hunter2-hunter2 and \"api_key\": \"0123456789abcdef\"");
    let attributes = BTreeMap::from([
        ("password".to_owned(), "swordfish-1".to_owned()),
        ("pin".to_owned(), "short".to_owned()),
        ("header".to_owned(), "Authorization: Bearer abcdefgh12345678".to_owned()),
    ]);
    let text = "is swordfish-1 right? mine is AKIAIOSFODNN7EXAMPLE".to_owned();
    let request =
        TurnRequest { session_attributes: Some(attributes), ..bench.request_of(Input::Text(text)) };
    bench.hear(request).await;
    let Recorded { cassette, replayed } = record(&bench).await;
    assert!(replayed.same && !replayed.edited, "{replayed:?}");
    let text = cassette.to_text().expect("text");
    for secret in ["hunter2", "0123456789abcdef", "swordfish", "abcdefgh12345678", "AKIAIOSFODNN7"]
    {
        assert!(!text.contains(secret), "{secret}");
    }
    let masked: Vec<_> = cassette.masked.keys().map(String::as_str).collect();
    expect!["masked-1************ masked-2******** masked-3******** masked-4******* masked-5***"]
        .assert_eq(&masked.join(" "));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_the_cassette_is_refused_with_the_nearest() {
    let bench = Bench::new(&["use client__ask 1", "done"]).await;
    let Input::Results { results, .. } = bench.hand_off("go").await else { panic!("no hand-off") };
    let stage = Engine::on_cassette(&record(&bench).await.cassette).expect("it is put on");
    let mut said = String::new();
    let results = Input::Results { invocation_id: "other".to_owned(), results };
    let wanted = [
        bench.request("gone"),
        TurnRequest { trace: true, ..bench.request("go") },
        TurnRequest { agent_id: "OTHER".to_owned(), ..bench.request("go") },
        bench.request_of(results),
    ];
    for request in wanted {
        let error = frames(&stage, request).await.expect_err("it is not there");
        said.push_str(&format!("{error}\n"));
    }
    let end = frames(&stage, bench.request_of(Input::EndSession)).await.expect("it ends");
    said.push_str(&told(end[0].clone()));
    expect![[r#"
        the cassette has no such request; of the nearest inputText differs from byte 2 on (CR0039)
        the cassette has no such request; of the nearest enableTrace, which was off, differs (CR0039)
        the cassette has no such request; of the nearest it was asked of agent AGENT, alias ALIAS (CR0039)
        the cassette has no such request; of the nearest it was a text (CR0039)
        [Session is terminated as 'endSession' flag is set in request.]"#]].assert_eq(&said);
}

#[test]
fn a_file_that_is_no_cassette_is_told_so() {
    let told = |text: &str| Cassette::from_text(text).expect_err("it is refused").to_string();
    expect![
        "it is no cassette: it has no number under cassette; `craton record` makes one (CR0039)"
    ]
    .assert_eq(&told("just text"));
    expect!["its form is 99 and this craton reads up to 1; replay it with the craton that recorded it, or a later one (CR0039)"].assert_eq(&told("cassette: 99\nnew: things\n"));
    expect!["it is no cassette: missing field `craton`; `craton record` makes one (CR0039)"]
        .assert_eq(&told("cassette: 1\nruns: []\n"));
    let large = CassetteError::TooLarge(usize::MAX).to_string();
    assert!(large.contains("bytes of at most 67108864"), "{large}");
}

/// The first event for which a change can be made.
fn change(cassette: &Cassette, mut change: impl FnMut(&mut Event) -> bool) -> Cassette {
    let mut changed = cassette.clone();
    let mut events = changed.runs.iter_mut().flat_map(|run| &mut run.events);
    assert!(events.any(|recorded| change(&mut recorded.event)), "there is such an event");
    changed
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_broke_off_unheard_leaves_nothing_in_the_answer_of_the_next() {
    let bench = Bench::new(&["plain words and whole"]).await;
    *bench.model.speaks.lock().expect("no panic") = Some(Duration::from_millis(5));
    bench.model.fail_after(Unavailable, Some("a thought that nobody "));
    let request = TurnRequest { stream: true, ..bench.request("go") };
    assert_eq!(bench.hear(request).await, "[plain words and whole]");
    let Recorded { cassette, replayed } = record(&bench).await;
    assert!(replayed.same, "{replayed:?}");
    let said = cassette.runs[0].events.iter().find_map(|recorded| match &recorded.event {
        Event::ModelSaid(said) => Some(said),
        _ => None,
    });
    let cuts = &said.expect("a reply").cuts.0;
    assert_eq!(
        cuts.iter().map(|(_, bytes)| bytes).sum::<u32>(),
        21,
        "of the reply alone: {cuts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn policies_are_those_that_the_run_had_whatever_is_set_later() {
    let bench = Bench::new(&["use g__once 1", "done"]).await;
    let denied = serde_json::from_value(json!({"arguments": {"deny": ["x"]}})).expect("a policy");
    bench.world.set("once", denied);
    bench.ask("go").await;
    bench.world.set("once", Default::default());
    let Recorded { cassette, .. } = record(&bench).await;
    check(&cassette, &expect!["same true, edited false"]);
    let without = change(&cassette, |event| match event {
        Event::Started(started) => {
            started.policies.retain(|set| set.action != "once");
            true
        }
        _ => false,
    });
    let replayed = without.replay().expect("it is played");
    assert_eq!(replayed.parted.expect("the call is made").what, "the event");
}

#[tokio::test(start_paused = true)]
async fn a_routed_run_keeps_its_routes() {
    let mut bench = Bench::new(&["use g__read 1", "done"]).await;
    let routing = json!({"classes": {"small": ["little"], "large": ["big"]}});
    let routing = serde_json::from_value(routing).expect("a table");
    let gateway = crate::model::Config { routing: Some(routing), ..Default::default() };
    let models = Models::single(bench.model.clone());
    let plain = parts(&bench.store, models, &bench.world, &bench.surroundings, &bench.limits);
    bench.engine = Engine::start(Parts { gateway, ..plain }).await.expect("the engine starts");
    bench.ask("go").await;
    let Recorded { cassette, .. } = record(&bench).await;
    check(&cassette, &expect!["same true, edited false"]);
    let edited = change(&cassette, |event| match event {
        Event::Asked(Intent::AskModel(ask)) => {
            let route = ask.route.as_mut().expect("it was routed");
            route.model = "other".to_owned();
            true
        }
        _ => false,
    });
    check(
        &edited,
        &expect![[r#"
        event 4, request 1 (model)
        "he\": {},\n  \"inference\": {},\n  \"model\": \"little\",\n  \"toolChoice\": \"auto\",\n  \"tool"
        "he\": {},\n  \"inference\": {},\n  \"model\": \"other\",\n  \"toolChoice\": \"auto\",\n  \"tools""#]],
    );
}

#[tokio::test(start_paused = true)]
async fn a_hostile_file_is_refused_or_played_within_bounds() {
    let bench = Bench::new(&["done"]).await;
    bench.ask("go").await;
    let Recorded { cassette, .. } = record(&bench).await;
    let text = cassette.to_text().expect("text");
    let items = "x,".repeat(1_000);
    let aliases = "*a,".repeat(1_000);
    let bomb = format!("a: &a [{items}]\nb: &b [{aliases}]\nc: [{}]\n", "*b,".repeat(1_000));
    let deep = format!("cassette: {}", "[".repeat(2_000));
    let twice = format!("{text}limits: {{}}\n");
    let mut refused = String::new();
    for hostile in [bomb, deep, twice, "cassette: .nan".to_owned(), "a: !tag b".to_owned()] {
        let error = Cassette::from_text(&hostile).expect_err("it is refused").to_string();
        refused.push_str(&format!("{error}\n"));
    }
    expect![[r#"
        it is no cassette: b[7][19]: its aliases hold more than the file itself at line 1 column 46; `craton record` makes one (CR0039)
        it is no cassette: its brackets are nested too deeply; `craton record` makes one (CR0039)
        it is no cassette: limits stands twice at line 3 column 1; `craton record` makes one (CR0039)
        it is no cassette: cassette: NaN is no number of JSON at line 1 column 11; `craton record` makes one (CR0039)
        it is no cassette: a: invalid type: enum, expected a value that JSON has at line 1 column 4; `craton record` makes one (CR0039)
    "#]].assert_eq(&refused);
    let endless = change(&cassette, |event| match event {
        Event::Started(started) => {
            (started.past.thread, started.past.end) = ("other".to_owned(), u32::MAX);
            true
        }
        _ => false,
    });
    endless.replay().expect("it is played");
    let mut wide = cassette.clone();
    let digest = wide.runs[0].record.config.clone();
    let config = wide.agents.remove(&digest).expect("the agent");
    let member = |name: u32, level: u32| Collaborator {
        name: format!("c{name}"),
        instruction: "asked".to_owned(),
        relay: false,
        agent_id: format!("A{level}"),
        alias_id: "ALIAS".to_owned(),
        alias_arn: "arn:other".to_owned(),
        config: format!("level-{}", level + 1),
    };
    for level in 0..15 {
        let collaborators = (0..9).map(|name| member(name, level)).collect();
        let key = if level == 0 { digest.clone() } else { format!("level-{level}") };
        let config = craton_core::agent::config::AgentConfig { collaborators, ..config.clone() };
        wide.agents.insert(key, config);
    }
    wide.agents.insert("level-15".to_owned(), config.clone());
    wide.replay().expect("it is played");
    let own = Collaborator { config: digest.clone(), ..member(0, 0) };
    let collaborators = vec![own];
    let circle = craton_core::agent::config::AgentConfig { collaborators, ..config };
    wide.agents.insert(digest, circle);
    let error = wide.replay().expect_err("a circle").to_string();
    assert!(error.contains("is its own collaborator"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_tenants_run_is_neither_recorded_nor_forked() {
    let bench = Bench::new(&["done"]).await;
    bench.ask("go").await;
    bench.quiet().await;
    let run = bench.session().await.runs.pop().expect("a run");
    for other in
        [Tenant::new("111111111111", "us-east-1"), Tenant::new("000000000000", "eu-west-1")]
    {
        assert!(bench.engine.record(&other, &run, true).await.expect("a store").is_none());
        let forked = bench.engine.fork(&other, &run, &1.into(), &Default::default()).await;
        assert!(matches!(forked, Err(crate::fork::ForkError::NoRun(_))), "{forked:?}");
    }
}
