use expect_test::{Expect, expect};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use net::sigv4::{Signer, Unsigned};
use wire::model::Protocol;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-11-20T10:00:00Z
const NOW: i64 = 1_795_168_800_000;

struct Request {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    /// HTTP/1.1 as text; a folded header line continues the one before.
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let head = head.replace("\n ", " ");
        let (line, fields) = head.split_once('\n').unwrap_or((&head, ""));
        let (method, rest) = line.split_once(' ').unwrap();
        let target = rest.rsplit_once(" HTTP/").unwrap().0;
        let mut headers = HeaderMap::new();
        for field in fields.lines().filter(|line| !line.is_empty()) {
            let (name, value) = field.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.trim().as_bytes()).unwrap());
        }
        Request {
            method: method.into(),
            target: target.into(),
            headers,
            body: body.as_bytes().into(),
        }
    }

    fn signed(&self) -> Signed<'_> {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let host = self.headers.get("host").and_then(|host| host.to_str().ok());
        Signed { method: &self.method, path, query, headers: &self.headers, host }
    }

    fn check(&self, now_ms: i64) -> Result<(), Refusal> {
        let request = self.signed();
        let claim = Claim::read(request.headers, request.query)?.ok_or(Refusal::Missing)?;
        claim.check_head(&self.headers, now_ms)?;
        claim.verify(&request, Payload::Whole(&self.body), SECRET)
    }
}

/// Signed by botocore 1.43, one per way of putting parameters.
const CONVERSE: &str = "POST /model/anthropic.claude-3-haiku%3A0/converse HTTP/1.1
Host: 127.0.0.1:4747
Content-Type: application/json
X-Amz-Date: 20261120T100000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=dfd0b6fdd0efe1773a1eef1ced876b5ea6158c3a920de1b6be158bfa6f12c666

{\"messages\":[]}";
const LIST_FUNCTIONS: &str = "GET /2015-03-31/functions/?MaxItems=5&Marker=a%2Fb%20c HTTP/1.1
Host: 127.0.0.1:4747
X-Amz-Date: 20261120T100000Z
X-Amz-Security-Token: TOKEN==
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=1438429b7e31874e74b3ea60ebc8967046d24f08db4acc24d69a9a05ba4431d3";
const CALLER_IDENTITY: &str = "POST / HTTP/1.1
Host: 127.0.0.1:4747
Content-Type: application/x-www-form-urlencoded; charset=utf-8
X-Spaced:   a   b
X-Amz-Date: 20261120T100000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-spaced, Signature=69dcc76a50470d43a80f5bca769b06cf12648447cb64b88363c363b9bbb19f51

Action=GetCallerIdentity&Version=2011-06-15";

#[test]
fn what_botocore_signs_is_accepted() {
    for text in [CONVERSE, LIST_FUNCTIONS, CALLER_IDENTITY] {
        assert_eq!(Request::parse(text).check(NOW), Ok(()), "{text}");
    }
}

#[test]
fn any_changed_byte_is_refused() {
    for (from, to) in [
        ("POST", "PUT"),
        ("%3A0", "%3a0"),
        ("/converse", "/converse/"),
        ("converse HTTP", "converse?a=b HTTP"),
        ("application/json", "application/jsoN"),
        ("127.0.0.1", "127.0.0.2"),
        ("100000Z", "100001Z"),
        ("us-east-1", "us-east-2"),
        ("bedrock/aws4", "lambda/aws4"),
        ("[]", "[ ]"),
        ("=dfd0", "=dfd1"),
        ("=dfd0b6fdd0", "="),
    ] {
        let text = CONVERSE.replacen(from, to, 1);
        assert_ne!(text, CONVERSE);
        assert_eq!(Request::parse(&text).check(NOW), Err(Refusal::Mismatch), "{from} -> {to}");
    }
}

fn refused(request: &str, now_ms: i64, protocol: Protocol, expected: &Expect) {
    let fault = Request::parse(request).check(now_ms).unwrap_err().fault(protocol);
    expected.assert_eq(&format!("{} {fault}", fault.status()));
}

#[test]
fn a_refusal_says_what_aws_would_say() {
    let json = Protocol::RestJson;
    let minutes = |n: i64| NOW + n * 60_000;
    refused(
        CONVERSE,
        minutes(6),
        json,
        &expect![
            "403 InvalidSignatureException: Signature expired: 20261120T100000Z is now earlier than 20261120T100100Z (20261120T100600Z - 5 min.)"
        ],
    );
    refused(
        CALLER_IDENTITY,
        minutes(-6),
        Protocol::Query,
        &expect![
            "403 SignatureDoesNotMatch: Signature not yet current: 20261120T100000Z is still later than 20261120T095900Z (20261120T095400Z + 5 min.)"
        ],
    );
    let unsigned = "GET / HTTP/1.1\nHost: localhost";
    refused(
        unsigned,
        NOW,
        json,
        &expect!["403 MissingAuthenticationTokenException: Missing Authentication Token"],
    );
    refused(
        unsigned,
        NOW,
        Protocol::Query,
        &expect!["403 MissingAuthenticationToken: Request is missing Authentication Token"],
    );
    let change = |from: &str, to: &str| CONVERSE.replacen(from, to, 1);
    refused(
        &change(", Signature", ", Sig"),
        NOW,
        json,
        &expect![
            "403 IncompleteSignatureException: Authorization header requires 'Signature' parameter."
        ],
    );
    refused(
        &change("/20261120/", "/"),
        NOW,
        json,
        &expect![
            "403 IncompleteSignatureException: Credential must have the form ACCESS_KEY/YYYYMMDD/REGION/SERVICE/aws4_request."
        ],
    );
    refused(
        &change("/20261120/", "/20261119/"),
        NOW,
        json,
        &expect![
            "403 InvalidSignatureException: Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20261119' != '20261120', from '20261120T100000Z'."
        ],
    );
    refused(
        &change("type;host", "type"),
        NOW,
        json,
        &expect![
            "403 InvalidSignatureException: 'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        ],
    );
    refused(
        &change("SignedHeaders=", "SignedHeaders=a-gone-one;"),
        NOW,
        json,
        &expect![
            "403 InvalidSignatureException: header a-gone-one is in SignedHeaders but not in the request."
        ],
    );
    refused(
        &change("AWS4-HMAC-SHA256 ", "Bearer "),
        NOW,
        json,
        &expect![
            "403 UnrecognizedClientException: The security token included in the request is invalid."
        ],
    );
    refused(
        &change("X-Amz-Date: 2026", "X-Amz-Date: year 2026"),
        NOW,
        json,
        &expect!["403 IncompleteSignatureException: Date must be in ISO-8601 'basic format'."],
    );
    refused(
        &change("Content-Type", "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\nContent-Type"),
        NOW,
        json,
        &expect![[
            r#"403 InvalidSignatureException: x-amz-content-sha256 "UNSIGNED-PAYLOAD" is not the SHA-256 of the body; unsigned and chunk-signed payloads are not accepted."#
        ]],
    );
    refused(
        &change("[]", "{}"),
        NOW,
        json,
        &expect![
            "403 InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
        ],
    );
}

#[test]
fn what_a_signer_signs_verifies() {
    let signer = Signer {
        access_key: "AKID",
        secret_key: "secret",
        session_token: Some("token"),
        region: "eu-west-1",
        service: "craton",
    };
    let (path, query, now) = ("/_craton/v1/runs/a%20b", "last=1", 1_700_000_000_000);
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/plain".parse().unwrap());
    headers.insert("accept", "*/*".parse().unwrap());
    let (host, body) = ("localhost:4747", b"the body");
    let unsigned = Unsigned { method: "POST", host, path, query, headers: &headers, body };
    let added = signer.sign(&unsigned, now).expect("plain text");
    headers.extend(added);
    let claim = Claim::read(&headers, query).expect("a claim").expect("signed");
    claim.check_head(&headers, now).expect("in time");
    let host = Some("localhost:4747");
    let request = Signed { method: "POST", path, query, headers: &headers, host };
    let whole = Payload::Whole(b"the body");
    claim.verify(&request, whole, "secret").expect("the same secret");
    claim.verify(&request, whole, "other").expect_err("another secret");
    claim.verify(&request, Payload::Whole(b"other"), "secret").expect_err("another body");
    let mut changed = headers.clone();
    changed.insert("content-type", "text/html".parse().unwrap());
    let request = Signed { headers: &changed, ..request };
    claim.verify(&request, whole, "secret").expect_err("another content type");
}

/// Presigned by botocore 1.43 for 60 seconds, with a header, as clusters of Kubernetes use it.
const IDENTITY_LINK: &str = "POST /?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261120%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20261120T100000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Security-Token=TOKEN%3D%3D&X-Amz-Signature=ff364c8cd45ecd77561f2988a1ae95815c03360b488832cad6dd322e9f813f69 HTTP/1.1
Host: 127.0.0.1:4747
X-K8s-Aws-Id: cluster a";
/// Presigned for a week; S3 has its own way with paths and leaves the body out.
const OBJECT_LINK: &str = "GET /bucket/a%20b//c?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261120%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20261120T100000Z&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=2638b57bea6e895f366b9714319f18273b53dabf9bfaab637f5c4e80d2b2e09d HTTP/1.1
Host: 127.0.0.1:4747";

#[test]
fn a_presigned_request_is_accepted_until_it_expires() {
    for (link, lasts) in [(IDENTITY_LINK, 60), (OBJECT_LINK, 604_800)] {
        let check = |seconds: i64| Request::parse(link).check(NOW + seconds * 1000);
        assert_eq!(check(0), Ok(()), "{link}");
        assert_eq!(check(lasts), Ok(()), "{link}");
        assert!(matches!(check(lasts + 1), Err(Refusal::Expired { .. })), "{link}");
        assert!(matches!(check(-301), Err(Refusal::Early { .. })), "{link}");
    }
    refused(
        IDENTITY_LINK,
        NOW + 90_000,
        Protocol::Query,
        &expect![
            "403 SignatureDoesNotMatch: Signature expired: 20261120T100000Z is now earlier than 20261120T100030Z (20261120T100130Z - 1 min.)"
        ],
    );
}

#[test]
fn any_changed_part_of_a_presigned_request_is_refused() {
    for (from, to) in [
        ("POST", "GET"),
        ("GetCallerIdentity", "GetSessionToken"),
        ("Expires=60", "Expires=61"),
        ("100000Z", "100001Z"),
        ("us-east-1", "us-east-2"),
        ("TOKEN", "OTHER"),
        ("cluster a", "cluster b"),
        ("127.0.0.1", "127.0.0.2"),
        ("Action=", "more=1&Action="),
        (" HTTP/1.1", "&more=1 HTTP/1.1"),
    ] {
        let text = IDENTITY_LINK.replacen(from, to, 1);
        assert_ne!(text, IDENTITY_LINK);
        assert_eq!(Request::parse(&text).check(NOW), Err(Refusal::Mismatch), "{from} -> {to}");
    }
    let change = |from: &str, to: &str| IDENTITY_LINK.replacen(from, to, 1);
    refused(
        &change("Expires=60", "Expires=604801"),
        NOW,
        Protocol::Query,
        &expect!["400 IncompleteSignature: X-Amz-Expires must be a number from 1 to 604800."],
    );
    refused(
        &change("X-Amz-Date", "X-Amz-Dato"),
        NOW,
        Protocol::RestJson,
        &expect![
            "403 IncompleteSignatureException: Query-string authentication requires the X-Amz-Date parameter."
        ],
    );
    refused(
        &change("X-Amz-Algorithm=AWS4-HMAC-SHA256&", ""),
        NOW,
        Protocol::Query,
        &expect![
            "400 IncompleteSignature: Query-string authentication requires the X-Amz-Algorithm parameter."
        ],
    );
}

#[test]
fn only_s3_may_leave_its_body_unsigned() {
    let unsigned = |service| {
        let (mut headers, body) = (HeaderMap::new(), b"anything");
        headers.insert(CONTENT_SHA256, UNSIGNED.parse().unwrap());
        let (access_key, secret_key, region) = ("AKID", SECRET, "us-east-1");
        let signer = Signer { access_key, secret_key, session_token: None, region, service };
        let (host, path, query) = ("localhost", "/bucket/a b//../c", "");
        let request = Unsigned { method: "PUT", host, path, query, headers: &headers, body };
        let added = signer.sign(&request, NOW).unwrap();
        headers.extend(added);
        let claim = Claim::read(&headers, "").unwrap().unwrap();
        let request = Signed { method: "PUT", path, query, headers: &headers, host: Some(host) };
        claim.verify(&request, Payload::Whole(b"something else"), SECRET)
    };
    assert_eq!(unsigned("s3"), Ok(()));
    assert!(matches!(unsigned("lambda"), Err(Refusal::Payload(_))));
}
