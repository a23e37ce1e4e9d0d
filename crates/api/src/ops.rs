//! The table of every operation that Craton serves: one row each, to the function that answers it.
//!
//! A test compares the rows with the operations that the models mark as served.

use futures_core::future::BoxFuture;
use wire::fault::Fault;
use wire::value::Value;

use crate::cx::Cx;
use crate::reply::Reply;

/// Takes the decoded and validated input.
pub type Handler = fn(Cx, Value) -> BoxFuture<'static, Result<Reply, Fault>>;

pub struct Row {
    /// As in [`wire::model::Service::name`].
    pub service: &'static str,
    pub operation: &'static str,
    pub handler: Handler,
}

pub fn find(service: &str, operation: &str) -> Option<Handler> {
    let row = ROWS.iter().find(|row| row.operation == operation && row.service == service)?;
    Some(row.handler)
}

/// `"service": { Operation => module::function, … }`. A function is
/// `async fn(&Cx, Input) -> Result<Output, Fault>`, Output being the generated type or a [`Reply`].
macro_rules! ops {
    ($($service:literal: { $($operation:ident => $function:path),* $(,)? })*) => {
        pub static ROWS: &[Row] = &[$($(Row {
            service: $service,
            operation: stringify!($operation),
            handler: |cx, input| Box::pin(async move {
                let input = wire::shape::Shape::from_value(input).map_err(Fault::internal)?;
                $function(&cx, input).await.map(crate::reply::IntoReply::into_reply)
            }),
        },)*)*];
    };
}

ops! {
    "bedrock": {}
    "bedrock-agent": {}
    "bedrock-agent-runtime": {}
    "bedrock-runtime": {}
    "iam": {}
    "lambda": {}
    "sts": {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::model::State;

    #[test]
    fn every_row_is_an_operation_that_the_models_mark_as_served_and_stands_once() {
        for (at, row) in ROWS.iter().enumerate() {
            let name = format!("{} {}", row.service, row.operation);
            let service = wire::model::service(row.service).expect(&name);
            let operation = service.operation(row.operation).expect(&name);
            assert_eq!(operation.state, State::Served, "{name}");
            let same =
                |other: &Row| (other.service, other.operation) == (row.service, row.operation);
            assert!(!ROWS[..at].iter().any(same), "{name} has two rows");
        }
    }
}
