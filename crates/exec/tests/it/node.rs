//! Node handlers: how they are found, called and answered, as AWS's runtime does it.

use exec::{Config, ExecError, FunctionError};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::{Bench, log_of};

/// Deploys files and calls the handler with `{"n": 1}`: its answer, or its error's type and first
/// words.
async fn check(runtime: &str, files: &[(&str, &str)], handler: &str, expected: Expect) {
    let bench = Bench::jailed();
    let function = bench.other(runtime, files, handler).await;
    let invoked = bench.call(&function, json!({ "n": 1 })).await.unwrap();
    let told: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let told = match invoked.error {
        None => told.to_string(),
        Some(_) => {
            let message = told["errorMessage"].as_str().unwrap().lines().next().unwrap_or_default();
            let message = message.split_once(" Error: ").map_or(message, |(_, after)| after);
            let cut = message.char_indices().nth(60).map_or(message.len(), |(at, _)| at);
            let more = if cut < message.len() { "…" } else { "" };
            let known = if invoked.outcome_known { "" } else { " (outcome unknown)" };
            format!("{}: {}{more}{known}", told["errorType"].as_str().unwrap(), &message[..cut])
        }
    };
    expected.assert_eq(&told);
}

const CJS: &str = "exports.handler = async (event) => event.n + 1;";
const ESM: &str = "export const handler = async (event) => event.n + 1;";

#[tokio::test]
async fn handlers_are_found_where_aws_finds_them() {
    let module = ("package.json", r#"{"type": "module"}"#);
    check("nodejs20.x", &[("index.js", CJS)], "index.handler", expect!["2"]).await;
    check("nodejs22.x", &[("index.mjs", ESM)], "index.handler", expect!["2"]).await;
    check("nodejs18.x", &[("a/b/app.cjs", CJS), module], "a/b/app.handler", expect!["2"]).await;
    check("nodejs24.x", &[("src/app.js", ESM), module], "src/app.handler", expect!["2"]).await;
    check("nodejs20.x", &[("handler", CJS)], "handler.handler", expect!["2"]).await;
    let nested = "exports.orders = { get: async () => 'got' };";
    check("nodejs20.x", &[("index.js", nested)], "index.orders.get", expect![[r#""got""#]]).await;
    let package = [
        ("node_modules/app/package.json", r#"{"main": "lib.js"}"#),
        ("node_modules/app/lib.js", CJS),
    ];
    check("nodejs20.x", &package, "app.handler", expect!["2"]).await;
    let top = "const n = await Promise.resolve(5); export const handler = async () => n;";
    check("nodejs20.x", &[("index.mjs", top)], "index.handler", expect!["5"]).await;
}

#[tokio::test]
async fn every_way_of_answering_counts() {
    let js = async |source: &str, expected: Expect| {
        check("nodejs22.x", &[("index.js", source)], "index.handler", expected).await;
    };
    js(
        "exports.handler = (e, c, done) => done(null, 'called back')",
        expect![[r#""called back""#]],
    )
    .await;
    js("exports.handler = (e, c, done) => done(new TypeError('no'))", expect!["TypeError: no"])
        .await;
    let work_is_left = "exports.handler = (e, c, done) => { done(null, 1); setTimeout(log, 20) };
                        const log = () => console.log('late')";
    js(work_is_left, expect!["1"]).await;
    js(
        "exports.handler = (event, context, done) => {
           context.callbackWaitsForEmptyEventLoop = false;
           setInterval(() => 0, 1000);
           done(null, 2)
         }",
        expect!["2"],
    )
    .await;
    js("exports.handler = (e, c) => c.succeed('old')", expect![[r#""old""#]]).await;
    js("exports.handler = (e, c) => c.fail(new Error('older'))", expect!["Error: older"]).await;
    js("exports.handler = () => 'ignored'", expect!["null"]).await;
    js("exports.handler = () => Promise.resolve({ a: undefined, b: 1 })", expect![[r#"{"b":1}"#]])
        .await;
    js("exports.handler = async () => {}", expect!["null"]).await;
    js("exports.handler = async () => { await new Promise(() => 0) }", expect!["null"]).await;
    check(
        "nodejs24.x",
        &[("index.js", "exports.handler = () => 'returned'")],
        "index.handler",
        expect![[r#""returned""#]],
    )
    .await;
}

#[tokio::test]
async fn errors_have_awss_types() {
    let js = async |source: &str, expected: Expect| {
        check("nodejs20.x", &[("index.js", source)], "index.handler", expected).await;
    };
    js(
        "class ShopError extends Error { name = 'ShopError' };
         exports.handler = async () => { throw new ShopError('closed') }",
        expect!["ShopError: closed"],
    )
    .await;
    js("exports.handler = async () => { throw 'a text' }", expect!["string: a text"]).await;
    js(
        "exports.handler = () => { throw new RangeError('at once') }",
        expect!["RangeError: at once"],
    )
    .await;
    js(
        "exports.handler = async () => { const a = {}; a.a = a; return a }",
        expect!["Runtime.JSONStringifyError: Unable to stringify response body"],
    )
    .await;
    js(
        "exports.handler = async () => 10n",
        expect!["Runtime.JSONStringifyError: Unable to stringify response body"],
    )
    .await;
    js(
        "exports.other = 1",
        expect!["Runtime.HandlerNotFound: index.handler is undefined or not exported"],
    )
    .await;
    js("exports.handler = 1", expect!["Runtime.HandlerNotFound: index.handler is not a function"])
        .await;
    js(
        "exports.handler = async ( => 1",
        expect!["Runtime.UserCodeSyntaxError: SyntaxError: Unexpected token '=>'"],
    )
    .await;
    js(
        "require('left-pad')",
        expect!["Runtime.ImportModuleError: Error: Cannot find module 'left-pad'"],
    )
    .await;
    js("throw new Error('at load')", expect!["Error: at load"]).await;
    js(
        "exports.handler = async () => process.exit(5)",
        expect!["Runtime.ExitError: Runtime exited with error: exit status 5 (outcome unknown)"],
    )
    .await;
    js(
        "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(wait) };
         const wait = (done) => setTimeout(done, 9000)",
        expect!["Runtime.UnhandledPromiseRejection: Error: lost"],
    )
    .await;
    js(
        "exports.handler = () => { setTimeout(fail, 1); return new Promise(wait) };
         const fail = () => { throw new Error('astray') };
         const wait = (done) => setTimeout(done, 9000)",
        expect!["Error: astray"],
    )
    .await;
    js(
        "exports.handler = awslambda.streamifyResponse(async () => 1)",
        expect!["Craton.NotServed: awslambda.streamifyResponse: craton does not serve response …"],
    )
    .await;
    let three = [("index.js", "exports.handler = (event, context, callback) => callback(null, 1)")];
    let handler = "index.handler";
    check("nodejs24.x", &three, handler, expect!["Runtime.CallbackHandlerDeprecated: ERROR: AWS Lambda has removed support for callback-based fun…"]).await;
    check(
        "nodejs20.x",
        &[("index.js", CJS)],
        "main.handler",
        expect!["Runtime.ImportModuleError: Error: Cannot find module 'main'"],
    )
    .await;
    check("nodejs20.x", &[("index.js", CJS)], "../index.handler", expect!["Runtime.MalformedHandlerName: '../index.handler' is not a valid handler name. Use absolute…"]).await;
}

#[tokio::test]
async fn a_missing_package_says_how_to_bundle_it() {
    let bench = Bench::new(|_| ());
    for (file, source) in [
        ("index.js", "require('@aws-sdk/client-s3/dist'); exports.handler = async () => 1"),
        ("index.mjs", "import '@aws-sdk/client-s3'; export const handler = async () => 1"),
    ] {
        let function = bench.other("nodejs20.x", &[(file, source)], "index.handler").await;
        let invoked = bench.call(&function, json!({})).await.unwrap();
        let told = String::from_utf8_lossy(&invoked.payload).into_owned();
        let advice = "npm install @aws-sdk/client-s3 in the folder that is zipped";
        assert!(told.contains(advice), "{told}");
    }
}

#[tokio::test]
async fn an_error_has_its_stack_and_a_line_in_the_log() {
    let bench = Bench::new(|_| ());
    let source = "exports.handler = async () => {
  throw Object.assign(new Error('no such order'), { code: 'E404' });
};";
    let function = bench.other("nodejs20.x", &[("index.js", source)], "index.handler").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let told: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let trace = told["trace"].as_array().unwrap();
    assert_eq!(trace[0], "Error: no such order");
    assert!(trace[1].as_str().unwrap().contains("index.js:2:"), "{told}");
    let log = log_of(&invoked);
    let line = log.lines().find(|line| line.contains("Invoke Error")).unwrap();
    let fields = line.split('\t').skip(2).collect::<Vec<_>>();
    assert_eq!(fields[..2], ["ERROR", "Invoke Error"]);
    let logged: Value = serde_json::from_str(fields[2]).unwrap();
    assert_eq!((&logged["errorType"], &logged["code"]), (&json!("Error"), &json!("E404")));
}

#[tokio::test]
async fn a_handler_gets_the_context_of_aws() {
    let bench = Bench::new(|_| ());
    let source = "
exports.handler = async (event, context) => [event, context.functionName, context.functionVersion,
  context.invokedFunctionArn, context.memoryLimitInMB, context.awsRequestId.slice(0, 8),
  context.logGroupName, context.clientContext.custom.who, context.identity === undefined,
  context.callbackWaitsForEmptyEventLoop, process.cwd() === process.env.LAMBDA_TASK_ROOT,
  18000 < context.getRemainingTimeInMillis() && context.getRemainingTimeInMillis() <= 20000,
  process.env.AWS_EXECUTION_ENV, process.env._X_AMZN_TRACE_ID.slice(0, 7), process.env.CARGO_HOME];
";
    let function = bench.other("nodejs20.x", &[("index.js", source)], "index.handler").await;
    let answer = bench.answer(&function, json!({ "order": "Ä-1" })).await;
    expect![[r#"
        [{"order":"Ä-1"}
        "probe"
        "$LATEST"
        "arn:aws:lambda:us-east-1:000000000000:function:probe"
        "256"
        "00000000"
        "/aws/lambda/probe"
        "Zoë"
        true
        true
        true
        true
        "AWS_Lambda_nodejs20.x"
        "Root=1-"
        null]"#]]
    .assert_eq(&answer.to_string().replace(',', "\n"));
}

#[tokio::test]
async fn what_is_logged_has_time_request_and_level_and_processes_stay_warm() {
    let bench = Bench::new(|_| ());
    let source = "
let calls = 0;
exports.handler = async (event) => {
  console.log('order %d', 7, { a: [1] });
  console.warn('low');
  console.error(new Error('bad').message);
  process.stderr.write('raw\\n');
  return [process.pid, ++calls];
};";
    let function = bench.other("nodejs20.x", &[("index.js", source)], "index.handler").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let log = log_of(&invoked);
    let lines = log.lines().map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [time, id, level, message] if time.ends_with('Z') && id.len() == 36 => {
            format!("{level} {message}")
        }
        _ => line.split(' ').next().unwrap().to_owned(),
    });
    expect![[r#"
        START
        INFO order 7 { a: [ 1 ] }
        WARN low
        ERROR bad
        raw
        END
        REPORT"#]]
    .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
    let first: Value = serde_json::from_slice(&invoked.payload).unwrap();
    let second = bench.answer(&function, json!({})).await;
    assert_eq!((&first[0], &first[1], &second[1]), (&second[0], &json!(1), &json!(2)));
}

#[tokio::test]
async fn where_node_is_missing_the_error_says_what_to_do() {
    let bench = Bench::new(|config: &mut Config| config.node = Some("/nowhere/node".into()));
    let function = bench.other("nodejs20.x", &[("index.js", CJS)], "index.handler").await;
    let refused = bench.call(&function, json!({})).await.unwrap_err();
    assert!(matches!(&refused, ExecError::Refused(_)));
    let advice = "; install Node.js 18 or later, or set functions.node in craton.toml (CR0017)";
    assert!(refused.to_string().ends_with(advice), "{refused}");
}

#[tokio::test]
async fn a_rejection_that_nobody_handles_ends_the_process_and_the_next_call_has_another() {
    let bench = Bench::new(|_| ());
    let source = "
exports.handler = async (event) => {
  if (event) Promise.reject(new Error('lost'));
  if (event) await new Promise((done) => setTimeout(done, 9000));
  return process.pid;
};";
    let function = bench.other("nodejs20.x", &[("index.js", source)], "index.handler").await;
    let before = bench.answer(&function, json!(0)).await;
    let failed = bench.call(&function, json!(1)).await.unwrap();
    assert_eq!(failed.error, Some(FunctionError::Unhandled));
    assert_ne!(bench.answer(&function, json!(0)).await, before);
}
