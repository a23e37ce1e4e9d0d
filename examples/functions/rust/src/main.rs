//! A function in Rust on AWS's own `lambda_runtime`: the status of an order, for `provided.al2023`.
//!
//! Built as `bootstrap`, zipped, and deployed like any function; nothing in it knows Craton.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(status)).await
}

async fn status(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (event, context) = event.into_parts();
    let Some(order) = event["order"].as_str() else {
        return Err("the event has no order".into());
    };
    println!("looking for {order}");
    Ok(json!({
        "order": order,
        "status": "shipped",
        "request": context.request_id,
        "arn": context.invoked_function_arn,
        "function": context.env_config.function_name,
        "deadline": context.deadline,
    }))
}
