//! Streams that are taken up again, from every position, while a run goes on and after it.

use std::time::Duration;

use expect_test::{Expect, expect};
use futures_util::StreamExt as _;
use tokio::time::sleep;

use super::{Bench, told};
use crate::limits::Limits;
use crate::request::TurnRequest;
use crate::tail::{Heard, Position, What};

fn streaming(bench: &Bench, text: &str) -> TurnRequest {
    TurnRequest { stream: true, trace: true, ..bench.request(text) }
}

impl Bench {
    async fn tail(&self, run: &str, from: &str) -> Vec<Heard> {
        self.tail_until(run, from, |_| false).await
    }

    /// Listens until something is heard that it has come for, or to the end.
    async fn tail_until(&self, run: &str, from: &str, gone: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let record = self.engine.find_run(&self.tenant, run).await.unwrap().expect("a run");
        let from: Position = from.parse().expect("a position");
        let mut tail = self.engine.tail(&self.tenant, record, from, None).await.expect("a tail");
        let mut heard = Vec::new();
        while let Some(one) = tail.next().await {
            let one = one.expect("a store");
            let last = gone(&one);
            heard.push(one);
            if last {
                break;
            }
        }
        heard
    }
}

fn line(heard: &Heard) -> String {
    let what = match &heard.what {
        What::Out(out) => told(out.clone()),
        other => format!("{other:?}"),
    };
    format!("{} {what}", heard.position)
}

fn check(heard: &[Heard], expected: &Expect) {
    let lines: Vec<String> = heard.iter().map(line).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

/// What a client holds in the end: all that it heard, less what it was told to forget.
fn sum(heard: &[Heard]) -> (usize, String) {
    let (mut traces, mut text, mut since) = (0, String::new(), Vec::new());
    for Heard { position, what } in heard {
        match what {
            What::Out(crate::live::Out::Chunk(more)) => {
                since.push((position.event, text.len()));
                text.push_str(more);
            }
            What::Out(_) => traces += 1,
            What::Reset { event } => {
                let from = since.iter().find(|(at, _)| at >= event).map(|(_, from)| *from);
                text.truncate(from.expect("there is something to forget"));
            }
            _ => {}
        }
    }
    (traces, text)
}

const SCRIPT: [&str; 3] =
    ["use g__once 1, use g__read 2", "use g__keyed 3", "hm, <answer>It is all done now</answer>"];

#[tokio::test(start_paused = true)]
async fn every_position_is_followed_by_exactly_the_rest() {
    let bench = Bench::new(&SCRIPT).await;
    let request = streaming(&bench, "go");
    let run = request.request.clone();
    bench.hear(request).await;
    bench.quiet().await;
    let all = bench.tail(&run, "0").await;
    check(
        &all,
        &expect![[r#"
            3 .
            4 .
            5 .
            6 .
            7 .
            8 .
            9 .
            10 .
            11 .
            12 .
            13 .
            14 .
            14-1 .
            15 [It is all done now]
            15 Ended(Answered)
        "#]],
    );
    for (at, heard) in all.iter().enumerate() {
        let rest = bench.tail(&run, &heard.position.to_string()).await;
        let end = all.len() - 1;
        assert_eq!(rest, all[(at + 1).min(end)..], "from {}", heard.position);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_at_every_word_adds_up_to_the_answer() {
    let bench = Bench::new(&SCRIPT).await;
    *bench.model.speaks.lock().unwrap() = Some(Duration::from_millis(30));
    let request = streaming(&bench, "go");
    let run = request.request.clone();
    let listen = async {
        let (mut heard, mut from) = (Vec::new(), "0".to_owned());
        loop {
            sleep(Duration::from_millis(7)).await;
            let more = bench.tail_until(&run, &from, |_| true).await;
            let Some(last) = more.last() else { return heard };
            from = last.position.to_string();
            let over = matches!(last.what, What::Ended(_));
            heard.extend(more);
            if over {
                return heard;
            }
        }
    };
    let hearing = bench.engine.invoke(request).await.expect("a turn");
    let (heard, client) = tokio::join!(listen, hearing.outs.map(told).collect::<Vec<_>>());
    assert!(
        heard.iter().filter(|h| h.position.bytes > 0).count() > 3,
        "words came while they were made"
    );
    let whole = bench.tail(&run, "0").await;
    assert_eq!(sum(&heard), sum(&whole));
    assert_eq!(sum(&whole).1, "It is all done now");
    assert_eq!(client.iter().filter(|out| *out == ".").count(), sum(&whole).0);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_inside_a_block_its_words_are_void_and_come_again() {
    let mut bench = Bench::new(&SCRIPT).await;
    *bench.model.speaks.lock().unwrap() = Some(Duration::from_millis(30));
    let request = streaming(&bench, "go");
    let run = request.request.clone();
    let _hearing = bench.engine.invoke(request).await.expect("a turn");
    let mut heard = bench.tail_until(&run, "0", |heard| heard.position.bytes > 6).await;
    bench.restart().await;
    let from = heard.last().expect("something was heard").position.to_string();
    let rest = bench.tail(&run, &from).await;
    check(
        &rest[..2],
        &expect![[r#"
            13 Reset { event: 13 }
            13.4 [It i]
        "#]],
    );
    heard.extend(rest);
    assert_eq!(sum(&heard), sum(&bench.tail(&run, "0").await));
    // Whoever comes late with the old words hears the same.
    let late = bench.tail(&run, &from).await;
    assert!(matches!(late[0].what, What::Reset { .. }), "{:?}", late[0]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_where_its_run_waits_for_the_client_and_goes_on_with_it() {
    let bench = Bench::new(&["use client__ask 1", "<answer>done</answer>"]).await;
    let request = bench.request("go");
    let run = request.request.clone();
    let results = bench.hand_off_of(request).await;
    let parked = bench.tail(&run, "0").await;
    check(
        &parked,
        &expect![[r#"
            5 [hand-off]
            5 Parked { invocation_id: "id-00000002" }
        "#]],
    );
    let from = parked.last().expect("it was heard").position.to_string();
    bench.hear(bench.request_of(results)).await;
    check(
        &bench.tail(&run, &from).await,
        &expect![[r#"
            9 [done]
            9 Ended(Answered)
        "#]],
    );
}

#[tokio::test(start_paused = true)]
async fn words_that_were_no_answer_are_void() {
    let script = ["<answer>I look</answer>, use g__read 1", "<answer>It is there</answer>"];
    let bench = Bench::new(&script).await;
    *bench.model.speaks.lock().unwrap() = Some(Duration::from_millis(30));
    let request = TurnRequest { trace: false, ..streaming(&bench, "go") };
    let run = request.request.clone();
    let _hearing = bench.engine.invoke(request).await.expect("a turn");
    let heard = bench.tail(&run, "0").await;
    assert!(heard.iter().any(|h| matches!(h.what, What::Reset { .. })), "{heard:?}");
    assert_eq!(sum(&heard).1, "It is there");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_waits_for_its_session_is_heard_when_it_begins() {
    let bench = Bench::with(&[], Duration::from_secs(3), Limits::default()).await;
    let (first, second) = (bench.request("one"), bench.request("two"));
    let run = second.request.clone();
    let listen = async {
        sleep(Duration::from_secs(1)).await;
        bench.tail(&run, "0").await
    };
    let (_, _, heard) = tokio::join!(bench.hear(first), bench.hear(second), listen);
    assert_eq!(sum(&heard).1, "heard 2");
}

#[test]
fn a_position_is_read_as_it_is_written() {
    for text in ["0", "12", "12-3", "12.40", "12-3.40"] {
        assert_eq!(text.parse::<Position>().map(|p| p.to_string()), Ok(text.to_owned()));
    }
    for text in ["", "-1", "1-", "1.", "a", "1.2.3", "1.-2", "1-2-3"] {
        assert!(text.parse::<Position>().is_err(), "{text}");
    }
}
