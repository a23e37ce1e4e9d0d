//! Policies as tables: what goes in, what is ruled.

mod arguments;
mod breaker;
mod conditions;
mod looping;
mod settings;
mod waits;

use std::collections::BTreeMap;

use crate::agent::config::{ActionGroup, Executor, Function, Parameter, ParameterKind, Schema};
use crate::agent::tool::{self, Tool};

fn group(schema: Schema) -> Tool {
    let group = ActionGroup {
        id: "G".to_owned(),
        name: "g".to_owned(),
        description: None,
        executor: Executor::Lambda("f".to_owned()),
        schema,
    };
    tool::compile(&[group]).expect("the schema compiles").remove(0)
}

/// A function with these parameters, all of them optional texts.
fn function(parameters: &[&str]) -> Tool {
    let parameter = Parameter { kind: ParameterKind::String, description: None, required: false };
    let parameters: BTreeMap<_, _> =
        parameters.iter().map(|name| ((*name).to_owned(), parameter.clone())).collect();
    let name = "act".to_owned();
    let function = Function { name, description: None, parameters, confirm: false };
    group(Schema::Functions(vec![function]))
}

/// An operation with a path parameter and a body that both have an `id`.
fn operation() -> Tool {
    group(Schema::OpenApi(
        r#"{"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {"/customers/{id}": {
            "put": {"operationId": "update", "description": "Updates a customer.",
                "parameters": [{"name": "id", "in": "path", "required": true,
                                "description": "whose", "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {
                    "type": "object", "properties": {
                        "id": {"type": "string"}, "email": {"type": "string"},
                        "accountStatus": {"type": "string"},
                        "address": {"type": "object", "properties": {
                            "city": {"type": "string"}, "role": {"type": "string"}}}}}}}},
                "responses": {"200": {"description": "done"}}}}}}"#
            .to_owned(),
    ))
}
