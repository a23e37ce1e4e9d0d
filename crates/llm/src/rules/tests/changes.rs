//! What starts a change and what does not: the same few tools, many ways of saying it.

use expect_test::{Expect, expect};
use serde_json::json;
use wire::converse::Tool;

use super::{call, check, play, tool};

/// A club's register: fees to collect, members to keep.
fn club() -> Vec<Tool> {
    let id = json!({"type": "string", "description": "Such as FEE-12"});
    let state = json!({"type": "string", "enum": ["unpaid", "waived", "paused"]});
    vec![
        tool("list_fees", "List the fees of the year.", json!({"state": state}), &[]),
        tool("get_fees_feeId", "Returns one fee.", json!({"feeId": id}), &["feeId"]),
        tool(
            "patch_fees_feeId",
            "Changes the state of a fee.",
            json!({"feeId": {"type": "string"}, "state": state}),
            &["feeId"],
        ),
        tool(
            "create_visit",
            "Create a visit in the club's diary.",
            json!({
                "title": {"type": "string"},
                "date": {"type": "string", "format": "date"},
                "start": {"type": "string", "description": "Time as HH:MM"},
                "duration_minutes": {"type": "integer"},
            }),
            &["title", "date"],
        ),
        tool(
            "revoke_pass",
            "Revokes a pass.",
            json!({"pass_id": {"type": "string"}}),
            &["pass_id"],
        ),
        tool(
            "lockers_assign",
            "Assigns a locker.",
            json!({"locker_number": {"type": "integer"}}),
            &["locker_number"],
        ),
        tool(
            "repaint_gate",
            "Fresh paint.",
            json!({"gate_number": {"type": "integer"}}),
            &["gate_number"],
        ),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "snapshots are written in place")]
fn lines(said: &[&str], expected: Expect) {
    let one = |said: &&str| {
        let mut call = call(club(), Vec::new());
        call.system = vec!["Today is Wednesday, 11 March 2026.".into()];
        let reply = play(call, &format!("user: {said}"));
        let calls: Vec<&str> = reply.lines().filter(|l| l.starts_with('→')).collect();
        format!("{said}\n{}\n", if calls.is_empty() { "-".into() } else { calls.join("\n") })
    };
    expected.assert_eq(&said.iter().map(one).collect::<String>());
}

#[test]
fn a_change_is_asked_for_by_verbs_of_its_kind_and_by_the_attribute_it_sets() {
    lines(
        &[
            "Waive FEE-12",
            "set FEE-12 to paused please",
            "Could you schedule a visit \"Tax office\" for tomorrow at 3pm?",
            "Add \"Inspection\" to the diary for Friday, 2 hours",
            "Revoke pass P-7",
        ],
        expect![[r#"
            Waive FEE-12
            → patch_fees_feeId {"feeId":"FEE-12","state":"waived"}
            set FEE-12 to paused please
            → patch_fees_feeId {"feeId":"FEE-12","state":"paused"}
            Could you schedule a visit "Tax office" for tomorrow at 3pm?
            → create_visit {"date":"2026-03-12","start":"15:00","title":"Tax office"}
            Add "Inspection" to the diary for Friday, 2 hours
            → create_visit {"date":"2026-03-13","duration_minutes":120,"title":"Inspection"}
            Revoke pass P-7
            → revoke_pass {"pass_id":"P-7"}
        "#]],
    );
}

#[test]
fn what_is_told_wondered_or_refused_changes_nothing() {
    lines(
        &[
            "state of FEE-12?",
            "FEE-12 is waived",
            "Why was FEE-12 waived?",
            "Waive FEE-12? I am not sure yet",
            "I was going to waive FEE-12 but don't do it",
            "Waive FEE-12. No, don't!",
            "We haven't decided, so do not revoke pass P-7",
            "we repainted gate 12 last week",
            "Lockers near number 12 please",
            "Revoke all passes from last week",
            "Add a member named Bo on 2026-05-01",
        ],
        expect![[r#"
            state of FEE-12?
            → get_fees_feeId {"feeId":"FEE-12"}
            FEE-12 is waived
            → get_fees_feeId {"feeId":"FEE-12"}
            Why was FEE-12 waived?
            → get_fees_feeId {"feeId":"FEE-12"}
            Waive FEE-12? I am not sure yet
            → get_fees_feeId {"feeId":"FEE-12"}
            I was going to waive FEE-12 but don't do it
            → get_fees_feeId {"feeId":"FEE-12"}
            Waive FEE-12. No, don't!
            → get_fees_feeId {"feeId":"FEE-12"}
            We haven't decided, so do not revoke pass P-7
            -
            we repainted gate 12 last week
            -
            Lockers near number 12 please
            -
            Revoke all passes from last week
            -
            Add a member named Bo on 2026-05-01
            -
        "#]],
    );
}

#[test]
fn each_of_a_list_is_changed_only_where_the_look_takes_every_word_that_narrows_it() {
    let fees = r#"{"fees": [{"feeId": "FEE-1"}, {"feeId": "FEE-2"}]}"#;
    check(
        club(),
        &format!("user: Waive all unpaid fees\nresult: {fees}\nresult: {{}}\nresult: {{}}"),
        expect![[r#"
            → list_fees {"state":"unpaid"}
            → patch_fees_feeId {"feeId":"FEE-1","state":"waived"}
            → patch_fees_feeId {"feeId":"FEE-2","state":"waived"}
            = Done. Fees fee id of fee FEE-1: done. Done. Fees fee id of fee FEE-2: done.
        "#]],
    );
    for said in ["Waive all overdue fees", "Waive all fees of last week"] {
        let reply = play(call(club(), Vec::new()), &format!("user: {said}"));
        assert!(!reply.contains('→'), "{said}: {reply}");
    }
}

#[test]
fn of_several_things_a_change_picks_none_by_itself() {
    let fees = r#"{"fees": [{"feeId": "FEE-1"}, {"feeId": "FEE-2"}]}"#;
    check(
        club(),
        &format!(
            "user: List the fees\nresult: {fees}\nuser: Waive both\nresult: {{}}\nresult: {{}}"
        ),
        expect![[r#"
            → list_fees {}
            = Fees: fee id FEE-1; fee id FEE-2.
            → patch_fees_feeId {"feeId":"FEE-1","state":"waived"}
            → patch_fees_feeId {"feeId":"FEE-2","state":"waived"}
            = Done. Fees fee id of fee FEE-1: done. Done. Fees fee id of fee FEE-2: done.
        "#]],
    );
    check(
        club(),
        &format!("user: List the fees\nresult: {fees}\nuser: Waive that fee"),
        expect![[r#"
            → list_fees {}
            = Fees: fee id FEE-1; fee id FEE-2.
            → list_fees {}
        "#]],
    );
}
