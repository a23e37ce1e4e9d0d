use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-11-20T10:00:00Z
const NOW: i64 = 1_795_168_800_000;

fn authorization(
    service: &str,
    token: Option<&str>,
    content_type: Option<&str>,
    line: (&str, &str, &str),
    body: &str,
) -> String {
    let (method, path, query) = line;
    let mut headers = HeaderMap::new();
    headers.extend(content_type.map(|value| (CONTENT_TYPE, value.parse().unwrap())));
    let signer = Signer {
        access_key: "AKIDEXAMPLE",
        secret_key: SECRET,
        session_token: token,
        region: "us-east-1",
        service,
    };
    let (host, body) = ("127.0.0.1:4747", body.as_bytes());
    let request = Unsigned { method, host, path, query, headers: &headers, body };
    let added = signer.sign(&request, NOW).unwrap();
    added[AUTHORIZATION].to_str().unwrap().to_owned()
}

/// The signatures were made by botocore 1.43.
#[test]
fn a_request_is_signed_as_botocore_signs_it() {
    let line = ("POST", "/model/anthropic.claude-3-haiku%3A0/converse", "");
    assert_eq!(
        authorization("bedrock", None, Some("application/json"), line, "{\"messages\":[]}"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=dfd0b6fdd0efe1773a1eef1ced876b5ea6158c3a920de1b6be158bfa6f12c666"
    );
    let line = ("GET", "/2015-03-31/functions/", "MaxItems=5&Marker=a%2Fb%20c");
    assert_eq!(
        authorization("lambda", Some("TOKEN=="), None, line, ""),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/lambda/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, \
         Signature=1438429b7e31874e74b3ea60ebc8967046d24f08db4acc24d69a9a05ba4431d3"
    );
}

#[test]
fn a_credential_that_fits_into_no_header_is_said() {
    let signer = Signer {
        access_key: "AKID\n",
        secret_key: SECRET,
        session_token: None,
        region: "us-east-1",
        service: "lambda",
    };
    let (headers, host) = (HeaderMap::new(), "localhost");
    let (path, query) = ("/", "");
    let request = Unsigned { method: "GET", host, path, query, headers: &headers, body: b"" };
    assert_eq!(signer.sign(&request, NOW), Err(Unsignable));
}
