//! The breaker under virtual time: a script goes in, gates and states come out.

use expect_test::{Expect, expect};

use crate::policy::Breaker;
use crate::policy::breaker::{Circuit, Ending, Gate};

/// Steps parted by spaces: `ok*85` and `bad*15` are calls that end so, one a second; `late` is one that
/// gives no word of the tool; `+30` lets seconds pass; `loop` trips; `ask` only asks; `lost` forsakes.
#[track_caller]
fn check(script: &str, expected: &Expect) {
    let set = Breaker::default();
    let (mut circuit, mut now, mut out) = (Circuit::default(), 0, Vec::new());
    for step in script.split(' ') {
        let (word, times) = step.split_once('*').unwrap_or((step, "1"));
        let mut gates: Vec<&str> = Vec::new();
        for _ in 0..times.parse().expect("a number") {
            let ending = match word {
                "ok" => Ending::Well,
                "bad" => Ending::Badly,
                "late" => Ending::Unsaid,
                "loop" => {
                    circuit.trip(&set, now);
                    continue;
                }
                "lost" => {
                    circuit.forsake();
                    continue;
                }
                "ask" => {
                    gates.push(shown(circuit.ask(now)));
                    continue;
                }
                seconds => {
                    now += seconds.parse::<i64>().expect("seconds") * 1000;
                    continue;
                }
            };
            let gate = circuit.ask(now);
            gates.push(shown(gate));
            circuit.told(&set, gate, ending, now);
            now += 1000;
        }
        let standing = circuit.standing(&set, now);
        let until = standing.until.map(|until| format!(" for {} s", (until - now) / 1000));
        gates.dedup();
        out.push(format!(
            "{step}: {} -> {}{} {}/{}\n",
            gates.join(" "),
            standing.state.as_str(),
            until.unwrap_or_default(),
            standing.failures,
            standing.calls
        ));
    }
    expected.assert_eq(&out.concat());
}

fn shown(gate: Gate) -> &'static str {
    match gate {
        Gate::Pass => "pass",
        Gate::Probe => "probe",
        Gate::Shut { .. } => "shut",
    }
}

#[test]
fn fifteen_of_a_hundred_stay_closed_and_sixteen_open() {
    check(
        "ok*85 bad*15",
        &expect![[r#"
            ok*85: pass -> closed 0/85
            bad*15: pass -> closed 15/100
        "#]],
    );
    check(
        "ok*42 bad*7 ok*42 bad*8 bad",
        &expect![[r#"
            ok*42: pass -> closed 0/42
            bad*7: pass -> closed 7/49
            ok*42: pass -> closed 7/91
            bad*8: pass -> open for 29 s 15/99
            bad: shut -> open for 28 s 15/99
        "#]],
    );
}

#[test]
fn few_calls_say_nothing() {
    check(
        "bad*19 bad",
        &expect![[r#"
            bad*19: pass -> closed 19/19
            bad: pass -> open for 29 s 20/20
        "#]],
    );
}

#[test]
fn what_the_window_has_left_behind_does_not_count() {
    check(
        "bad*15 +110 ok*19 bad +90 bad*2",
        &expect![[r#"
            bad*15: pass -> closed 15/15
            +110:  -> closed 9/9
            ok*19: pass -> closed 0/19
            bad: pass -> closed 1/20
            +90:  -> closed 1/20
            bad*2: pass -> closed 3/22
        "#]],
    );
}

#[test]
fn one_call_tries_and_each_failure_doubles_the_wait() {
    check(
        "loop +29 ask +1 ask ask*50 lost bad +58 ask +1 bad +119 ok ok",
        &expect![[r#"
            loop:  -> open for 30 s 0/0
            +29:  -> open for 1 s 0/0
            ask: shut -> open for 1 s 0/0
            +1:  -> open for 0 s 0/0
            ask: probe -> half-open 0/0
            ask*50: shut -> half-open 0/0
            lost:  -> open for 0 s 0/0
            bad: probe -> open for 59 s 0/0
            +58:  -> open for 1 s 0/0
            ask: shut -> open for 1 s 0/0
            +1:  -> open for 0 s 0/0
            bad: probe -> open for 119 s 0/0
            +119:  -> open for 0 s 0/0
            ok: probe -> closed 0/0
            ok: pass -> closed 0/1
        "#]],
    );
}

#[test]
fn a_try_without_a_word_of_the_tool_leaves_it_to_the_next() {
    check(
        "loop +30 late ok ok",
        &expect![[r#"
            loop:  -> open for 30 s 0/0
            +30:  -> open for 0 s 0/0
            late: probe -> open for -1 s 0/0
            ok: probe -> closed 0/0
            ok: pass -> closed 0/1
        "#]],
    );
}

#[test]
fn the_wait_is_capped() {
    let set = Breaker::default();
    let (mut circuit, mut now, mut waits) = (Circuit::default(), 0, Vec::new());
    circuit.trip(&set, now);
    for _ in 0..8 {
        let until = circuit.standing(&set, now).until.expect("it is open");
        waits.push((until - now) / 1000);
        now = until;
        let gate = circuit.ask(now);
        circuit.told(&set, gate, Ending::Badly, now);
    }
    assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
}

#[test]
fn what_was_under_way_when_it_opened_changes_nothing() {
    let set = Breaker::default();
    let mut circuit = Circuit::default();
    let early = circuit.ask(0);
    circuit.trip(&set, 0);
    circuit.told(&set, early, Ending::Well, 1);
    let probe = circuit.ask(30_000);
    circuit.told(&set, early, Ending::Badly, 30_001);
    assert_eq!((probe, circuit.ask(30_001)), (Gate::Probe, Gate::Shut { until: 30_001 }));
}

#[test]
fn one_that_is_turned_off_opens_neither_by_failures_nor_by_a_loop() {
    let set = Breaker { failure_share: 1.0, ..Breaker::default() };
    let mut circuit = Circuit::default();
    for now in 0..100 {
        circuit.told(&set, Gate::Pass, Ending::Badly, now);
    }
    circuit.trip(&set, 100);
    assert_eq!(circuit.ask(100), Gate::Pass);
}
