//! Tools as data: a schema and what comes of it, through one `check` per question.

mod calling;
mod compiling;
mod errors;
mod mcp;
mod replies;
mod requests;

use serde_json::{Value as Json, json};

use super::{SchemaProblem, Tool, compile};
use crate::agent::config::{ActionGroup, Executor, Function, Parameter, ParameterKind, Schema};

fn group(name: &str, schema: Schema) -> ActionGroup {
    ActionGroup {
        id: "GROUP00001".to_owned(),
        name: name.to_owned(),
        description: Some("About orders.".to_owned()),
        executor: Executor::Lambda(
            "arn:aws:lambda:us-east-1:000000000000:function:orders".to_owned(),
        ),
        schema,
    }
}

/// Parameters as `name: kind` or `name!: kind` where required.
fn function(name: &str, description: Option<&str>, parameters: &[&str]) -> Function {
    let parameters = parameters.iter().map(|text| {
        let (name, kind) = text.split_once(": ").unwrap();
        let kind: ParameterKind = serde_json::from_value(json!(kind)).unwrap();
        let plain = name.trim_end_matches('!');
        let parameter = Parameter {
            kind,
            description: Some(format!("The {plain}.")),
            required: name.ends_with('!'),
        };
        (plain.to_owned(), parameter)
    });
    Function {
        name: name.to_owned(),
        description: description.map(str::to_owned),
        parameters: parameters.collect(),
        confirm: false,
    }
}

fn refund() -> Tool {
    let refund = function(
        "refund",
        Some("Refunds an order."),
        &[
            "order_id!: string",
            "amount!: number",
            "count: integer",
            "notify: boolean",
            "lines: array",
        ],
    );
    compile(&[group("orders", Schema::Functions(vec![refund]))]).unwrap().remove(0)
}

fn openapi(document: &str) -> Result<Vec<Tool>, SchemaProblem> {
    compile(&[group("orders", Schema::OpenApi(document.to_owned()))])
}

const PLACE_ORDER: &str = r##"
openapi: 3.0.0
info: {title: Orders, version: "1"}
paths:
  /customers/{id}/orders:
    parameters:
      - {$ref: "#/components/parameters/Customer"}
    post:
      operationId: placeOrder
      description: "Places an order  for a customer.\n  Ask first. "
      parameters:
        - {name: dry run, in: query, schema: {type: boolean, default: false}}
      requestBody:
        required: true
        content:
          text/xml: {schema: {type: string}}
          application/json:
            schema: {$ref: "#/components/schemas/Order"}
      responses:
        200: {description: done}
components:
  parameters:
    Customer: {name: id, in: path, required: true, description: Whose order it is., schema: {type: string}}
  schemas:
    Order:
      allOf:
        - type: object
          required: [number, lines]
          properties:
            number: {$ref: "#/components/schemas/Number"}
            lines: {type: array, items: {$ref: "#/components/schemas/Line"}}
        - properties:
            id: {type: string, nullable: true, example: A-1}
            state: {type: string, enum: [open, held], nullable: true}
    Number: {type: integer, readOnly: true}
    Line:
      type: object
      required: [sku]
      properties:
        <<: {sku: {type: string, maxLength: 9}}
        count: {type: integer, minimum: 0, exclusiveMinimum: true}
        parts: {type: array, items: {$ref: "#/components/schemas/Line"}}
"##;

fn place_order() -> Tool {
    openapi(PLACE_ORDER).unwrap().remove(0)
}

fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).unwrap()
}
