use expect_test::{Expect, expect};

use super::*;
use crate::agent::tool::{HttpReply, Response, Target, function_error, read_http, read_response};
use crate::limits;

/// What the model reads of an answer: through the same reader as a function's.
fn read(status: u16, media: &str, body: &[u8]) -> String {
    let tool = place_order();
    let Target::Api(operation) = &tool.target else { panic!("an operation") };
    let (media, coding) = media.split_once(" in ").unwrap_or((media, ""));
    let reply = HttpReply {
        status,
        media: media.to_owned(),
        coding: coding.to_owned(),
        body: body.to_vec(),
        cut: false,
    };
    match read_http(&tool, operation, &reply, limits::TOOL_ANSWER_BYTES) {
        Err(failed) => format!("failed: {}", function_error(&failed)),
        Ok(payload) => match read_response(&tool, &payload, limits::TOOL_ANSWER_BYTES).unwrap() {
            Response::Answer(answer) => format!("{} {}", answer.status.unwrap(), answer.body),
            Response::Pending(_) => panic!("nothing comes later"),
        },
    }
}

fn check(status: u16, media: &str, body: &str, expect: &Expect) {
    expect.assert_eq(&read(status, media, body.as_bytes()));
}

#[test]
fn an_answer_reaches_the_model_as_the_api_gave_it() {
    check(
        200,
        "application/json",
        r#"{"id": "A-1", "n": 1.0}"#,
        &expect![[r#"200 {"id": "A-1", "n": 1.0}"#]],
    );
    check(
        201,
        "text/plain; charset=utf-8",
        "made\n",
        &expect![[r#"
        201 made
    "#]],
    );
    check(204, "", "", &expect!["204 "]);
    let page = "<html><head><style>b {}</style><title>T</title></head><body><script>if (a < b) steal()</script><b>Hello</b>";
    check(200, "text/html", page, &expect!["200 T Hello"]);
    check(
        200,
        "application/json in gzip",
        "\u{1f}",
        &expect!["200 [application/json in a compressed form, 1 bytes: not text, not shown]"],
    );
    expect!["200 [application/pdf, 7 bytes: not text, not shown]"].assert_eq(&read(
        200,
        "application/pdf",
        b"%PDF\xff\xfe\x00",
    ));
    expect!["200 café"].assert_eq(&read(200, "text/plain; charset=ISO-8859-1", b"caf\xe9"));
}

#[test]
fn a_failure_is_one_line_with_code_and_message() {
    let problem = r#"{"type": "https://shop.example/problems/order-not-found", "title": "Order not found",
        "status": 404, "detail": "no order matches 4471", "instance": "/orders/4471", "hint": "ask for the id"}"#;
    check(
        404,
        "application/problem+json",
        problem,
        &expect![[
            r#"failed: http_404: order-not-found: no order matches 4471 {"hint":"ask for the id","title":"Order not found"}"#
        ]],
    );
    for (body, expect) in [
        (
            r#"{"error": {"code": "card_declined", "message": "The card was declined.", "param": "card"}}"#,
            expect![[
                r#"failed: http_409: card_declined: The card was declined. {"param":"card"}"#
            ]],
        ),
        (
            r#"{"errors": [{"code": "E1", "detail": "too late"}]}"#,
            expect!["failed: http_409: E1: too late"],
        ),
        (
            r#"{"errors": [{"message": "a"}, {"message": "b"}]}"#,
            expect![[r#"failed: http_409: {"errors":[{"message":"a"},{"message":"b"}]}"#]],
        ),
        (
            r#"{"error": "not_found", "message": "no such order", "statusCode": 404}"#,
            expect!["failed: http_409: not_found: no such order"],
        ),
        (
            r#"{"detail": [{"loc": ["query", "n"], "msg": "field required"}]}"#,
            expect![[
                r#"failed: http_409: {"detail":[{"loc":["query","n"],"msg":"field required"}]}"#
            ]],
        ),
        (
            r#"{"message": "boom", "stackTrace": ["at a.b(C.java:1)"], "trace": "x"}"#,
            expect!["failed: http_409: boom"],
        ),
        (
            r#"{"type": "about:blank", "title": "Conflict", "status": 409}"#,
            expect!["failed: http_409: Conflict"],
        ),
        ("[]", expect!["failed: http_409: []"]),
    ] {
        check(409, "application/json", body, &expect);
    }
}

#[test]
fn no_page_stack_or_dump_reaches_the_model() {
    let page = "<!doctype html><html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1><p>secret 10.0.0.7</p></body></html>";
    check(502, "text/html", page, &expect!["failed: http_502: 502 Bad Gateway"]);
    check(500, "", page, &expect!["failed: http_500: 502 Bad Gateway"]);
    let trace = "Traceback (most recent call last):\n  File \"/srv/app.py\", line 3, in f\n    g()\nValueError: bad amount\n";
    check(500, "text/plain", trace, &expect!["failed: http_500: ValueError: bad amount"]);
    let inside = json!({"error": {"message": trace}}).to_string();
    check(500, "application/json", &inside, &expect!["failed: http_500: ValueError: bad amount"]);
    check(503, "", "", &expect!["failed: http_503: the API does not say why"]);
    check(
        302,
        "text/html",
        page,
        &expect!["failed: http_302: the API redirects to where it is not followed"],
    );
    expect!["failed: http_500: [application/octet-stream, 3 bytes: not text, not shown]"]
        .assert_eq(&read(500, "application/octet-stream", &[0, 255, 254]));
}

#[test]
fn an_answer_that_is_too_long_is_cut_and_the_model_is_told() {
    for body in ["x".repeat(100_000), "\"ä\n".repeat(30_000), "\u{1}".repeat(20_000)] {
        let said = read(200, "text/plain", body.as_bytes());
        let (kept, note) = said.split_once("\n[cut here: ").unwrap();
        assert!(body.starts_with(kept.strip_prefix("200 ").unwrap()), "{kept}");
        assert_eq!(note, format!("the answer has {} bytes]", body.len()));
        assert!(said.len() > 4_000, "{}", said.len());
    }
}
