use api::{Cx, Handler, Reply};
use expect_test::expect;
use wire::fault::Fault;
use wire::value::{Map, Value};

use super::*;

fn operations(service: &str, operation: &str) -> Option<Handler> {
    Some(match (service, operation) {
        ("sts", "GetCallerIdentity") => |cx, _| Box::pin(async move { Ok(identity(&cx)) }),
        ("bedrock-agent", "GetAgent") => |cx, _| Box::pin(async move { Err(missing(&cx)) }),
        ("bedrock-agent", "DeleteAgent") => |_, _| Box::pin(async { panic!("a bug") }),
        ("bedrock-agent", "CreateAgent") => |_, input| Box::pin(async { Ok(echo(input)) }),
        ("lambda", "Invoke") => |_, _| Box::pin(async { Ok(Reply::value(Value::Null)) }),
        _ => return None,
    })
}

fn identity(cx: &Cx) -> Reply {
    let text = |text: &str| Value::String(text.into());
    let members = [("Account", text(&cx.caller.account)), ("Arn", text(&cx.caller.arn))];
    let members: Map = members.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Reply::value(Value::Map(members)).header("x-craton-run-id", cx.request.id.clone())
}

fn missing(cx: &Cx) -> Fault {
    Fault::not_found("agent in", &cx.caller.region)
}

fn echo(input: Value) -> Reply {
    let Value::Map(mut input) = input else { unreachable!("inputs are structures") };
    input.retain(|name, _| name == "agentName");
    Reply::value(Value::Map(Map::from([("agent".into(), Value::Map(input))])))
}

async fn dev() -> Server {
    Server::start(Config::default(), operations).await
}

async fn keyed() -> Server {
    let keys = vec![key("AKIDEXAMPLE", Some(&["iam:*", "lambda:Get*"]))];
    Server::start(Config { dev: false, keys, ..Config::default() }, operations).await
}

const FORM: &str = "content-type: application/x-www-form-urlencoded; charset=utf-8";
const IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

#[tokio::test]
async fn dev_mode_takes_the_account_from_the_access_key() {
    let server = dev().await;
    let answer = server.send(&request("POST /", &[FORM, &scope("sts")], IDENTITY)).await;
    expect![[r#"
        HTTP/1.1 200 OK
        x-amzn-requestid: request-1
        content-type: text/xml
        x-craton-run-id: request-1
        connection: close
        content-length: 297

        <GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:root</Arn></GetCallerIdentityResult><ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#]].assert_eq(&undated(&answer));
    let unsigned = server.send(&request("POST /", &[FORM], IDENTITY)).await;
    assert!(unsigned.contains("arn:aws:iam::000000000000:root"), "{unsigned}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_the_protocol_of_the_service() {
    let server = dev().await;
    let mut lines = Vec::new();
    for (line, head, body) in [
        ("GET /agents/ABCDEFGHIJ/", &[scope("bedrock")][..], ""),
        ("GET /agents/!/", &[scope("bedrock")], ""),
        ("PUT /agents/", &[scope("bedrock")], "{\"agentName\": 7}"),
        ("PUT /agents/", &[scope("bedrock")], "{\"agentName\":"),
        ("POST /flows/", &[scope("bedrock")], "{}"),
        ("GET /nothing", &[scope("bedrock")], ""),
        ("HEAD /nothing", &[], ""),
        ("OPTIONS /agents/", &[], ""),
        ("POST /", &[scope("sts"), FORM.into()], "Action=Nothing&Version=2011-06-15"),
        ("POST /", &[scope("iam"), FORM.into()], "Action=ListUsers&Version=2010-05-08"),
        ("PUT /bucket/key", &[scope("s3")], ""),
        ("POST /", &[scope("dynamodb"), "x-amz-target: DynamoDB_20120810.ListTables".into()], "{}"),
        ("POST /", &[scope("sqs"), FORM.into()], "Action=SendMessage&Version=2012-11-05"),
    ] {
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let answer = server.send(&request(line, &head, body)).await;
        let (head, body) = answer.split_once("\n\n").unwrap();
        let status = head.lines().next().unwrap().trim_start_matches("HTTP/1.1 ");
        let kind = head.lines().find(|line| line.starts_with("x-amzn-errortype")).unwrap_or("");
        lines.push(format!("{line}: {status} {kind} {body}"));
    }
    expect![[r#"
        GET /agents/ABCDEFGHIJ/: 404 Not Found x-amzn-errortype: ResourceNotFoundException {"message":"agent in eu-west-1 was not found"}
        GET /agents/!/: 400 Bad Request x-amzn-errortype: ValidationException {"message":"1 validation error detected: Value '!' at 'agentId' failed to satisfy constraint: Member must satisfy regular expression pattern: [0-9a-zA-Z]{10}"}
        PUT /agents/: 400 Bad Request x-amzn-errortype: SerializationException {"message":"NUMBER_VALUE can not be converted to a String"}
        PUT /agents/: 400 Bad Request x-amzn-errortype: SerializationException {"message":"the body is not valid JSON: EOF while parsing a value at line 1 column 13"}
        POST /flows/: 501 Not Implemented x-amzn-errortype: NotImplementedException {"message":"craton does not serve bedrock-agent CreateFlow: it is planned, not built"}
        GET /nothing: 404 Not Found x-amzn-errortype: UnknownOperationException {"message":"no operation has GET /nothing"}
        HEAD /nothing: 404 Not Found x-amzn-errortype: UnknownOperationException 
        OPTIONS /agents/: 204 No Content  
        POST /: 400 Bad Request  <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Nothing for version 2011-06-15</Message></Error><RequestId>request-9</RequestId></ErrorResponse>
        POST /: 501 Not Implemented  <ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Receiver</Type><Code>NotImplementedException</Code><Message>craton does not serve iam ListUsers: craton keeps no people, passwords or second factors; access keys are set in craton.toml</Message></Error><RequestId>request-10</RequestId></ErrorResponse>
        PUT /bucket/key: 501 Not Implemented  <Error><Code>NotImplementedException</Code><Message>craton does not serve s3 PutObject: the service is not part of craton; keep it on AWS with the lines of `craton env`, or name it in [forward] of craton.toml</Message><RequestId>request-11</RequestId></Error>
        POST /: 501 Not Implemented  {"__type":"NotImplementedException","message":"craton does not serve dynamodb ListTables: the service is not part of craton; keep it on AWS with the lines of `craton env`, or name it in [forward] of craton.toml"}
        POST /: 501 Not Implemented  <ErrorResponse><Error><Type>Receiver</Type><Code>NotImplementedException</Code><Message>craton does not serve sqs SendMessage: the service is not part of craton; keep it on AWS with the lines of `craton env`, or name it in [forward] of craton.toml</Message></Error><RequestId>request-13</RequestId></ErrorResponse>"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_panic_is_a_500_with_a_request_id_and_the_server_lives() {
    let server = dev().await;
    let answer = server.send(&request("DELETE /agents/ABCDEFGHIJ/", &[], "")).await;
    expect![[r#"
        HTTP/1.1 500 Internal Server Error
        x-amzn-requestid: request-1
        x-amzn-errortype: InternalServerException
        content-type: application/json
        connection: close
        content-length: 85

        {"message":"the request failed inside craton; its request id is in the server's log"}"#]]
    .assert_eq(&undated(&answer));
    let answer = server.send(&request("POST /", &[FORM], IDENTITY)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn foreign_hosts_and_pages_are_refused_before_anything_else() {
    let server = dev().await;
    let foreign = request("POST /", &[FORM], IDENTITY).replace("localhost", "evil.example");
    assert!(server.send(&foreign).await.starts_with("HTTP/1.1 403"));
    let page = request("POST /", &[FORM, "origin: https://evil.example"], IDENTITY);
    assert!(server.send(&page).await.starts_with("HTTP/1.1 403"));
    let own = request("POST /", &[FORM, "origin: http://localhost:4747"], IDENTITY);
    assert!(server.send(&own).await.starts_with("HTTP/1.1 200"));
}

/// Rightly signed, for an action that the key does not have.
const CONVERSE: &str = "POST /model/anthropic.claude-3-haiku%3A0/converse HTTP/1.1
Host: 127.0.0.1:4747
Connection: close
Content-Type: application/json
Content-Length: 15
X-Amz-Date: 20261120T100000Z
Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=dfd0b6fdd0efe1773a1eef1ced876b5ea6158c3a920de1b6be158bfa6f12c666

{\"messages\":[]}";

/// Signed by botocore with the key's secret, at the time of these tests.
fn signed(access_key: &str) -> String {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:4747\r\nConnection: close\r\n{FORM}\r\n\
         X-Spaced:   a   b\r\nX-Amz-Date: 20261120T100000Z\r\nContent-Length: 43\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential={access_key}/20261120/us-east-1/sts/\
         aws4_request, SignedHeaders=content-type;host;x-amz-date;x-spaced, \
         Signature=69dcc76a50470d43a80f5bca769b06cf12648447cb64b88363c363b9bbb19f51\r\n\r\n"
    );
    head + IDENTITY
}

#[tokio::test]
async fn with_keys_only_what_a_listed_key_signed_and_may_do_is_done() {
    let server = keyed().await;
    let answer = server.send(&signed("AKIDEXAMPLE")).await;
    assert!(answer.contains("arn:aws:iam::123456789012:user/AKIDEXAMPLE"), "{answer}");
    let mut lines = Vec::new();
    for request in [
        signed("AKIDNOBODY"),
        CONVERSE.replace('\n', "\r\n"),
        signed("AKIDEXAMPLE").replace("2011-06-15", "2011-06-16"),
        request("POST /", &[FORM], IDENTITY),
        request("GET /agents/ABCDEFGHIJ/", &[], ""),
        request("POST /", &[FORM, &scope("ec2")], "Action=RunInstances"),
    ] {
        let answer = server.send(&request).await;
        let (head, body) = answer.split_once("\n\n").unwrap();
        lines.push(format!("{} {body}", head.lines().next().unwrap()));
    }
    expect![[r#"
        HTTP/1.1 403 Forbidden <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error><RequestId>request-2</RequestId></ErrorResponse>
        HTTP/1.1 403 Forbidden {"message":"User: arn:aws:iam::123456789012:user/AKIDEXAMPLE is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku:0 because no identity-based policy allows the bedrock:InvokeModel action"}
        HTTP/1.1 403 Forbidden <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.</Message></Error><RequestId>request-4</RequestId></ErrorResponse>
        HTTP/1.1 403 Forbidden <ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>MissingAuthenticationToken</Code><Message>Request is missing Authentication Token</Message></Error><RequestId>request-5</RequestId></ErrorResponse>
        HTTP/1.1 403 Forbidden {"message":"Missing Authentication Token"}
        HTTP/1.1 403 Forbidden <Response><Errors><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error></Errors><RequestID>request-7</RequestID></Response>"#]].assert_eq(&lines.join("\n"));
}

#[tokio::test]
async fn a_body_over_the_operations_limit_is_refused_and_the_client_hears_it() {
    let server = dev().await;
    let line = "POST /2015-03-31/functions/f/invocations";
    let announced = ["expect: 100-continue", "content-length: 99999999"];
    let answer = server.send(&request(line, &announced, "")).await;
    expect![[r#"
        HTTP/1.1 413 Payload Too Large
        x-amzn-requestid: request-1
        x-amzn-errortype: RequestEntityTooLargeException
        content-type: application/json
        connection: close
        content-length: 81

        {"message":"Request must be smaller than 6291456 bytes for the Invoke operation"}"#]]
    .assert_eq(&undated(&answer));
    let whole = "x".repeat(crate::limits::BODY_INVOKE + 1);
    let answer = server.send(&request(line, &[], &whole)).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_asked() {
    let server = dev().await;
    let mut stream = server.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{FORM}\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        IDENTITY.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(IDENTITY.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_is_refused_and_closed() {
    let server = dev().await;
    let long = format!("x-long: {}", "a".repeat(crate::limits::HEAD_BYTES));
    for (request, status) in [
        ("NOT HTTP AT ALL\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        (request("GET /", &["content-length: 4"], "abc"), "HTTP/1.1 400"),
        (request("GET /", &[&long], ""), "HTTP/1.1 431"),
    ] {
        let answer = server.send(&request).await;
        assert!(answer.starts_with(status), "{answer}");
    }
}
