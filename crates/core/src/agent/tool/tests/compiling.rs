use expect_test::{Expect, expect};

use super::*;
use crate::agent::tool::{Target, canonical};

fn told(tool: &Tool) -> String {
    let mut lines = vec![
        format!("{} effect={:?}", tool.name, tool.effect),
        format!("{:?}", tool.description),
        canonical(&tool.input).replace("},\"", "},\n  \""),
    ];
    match &tool.target {
        Target::Function { name, parameters } => {
            lines.push(format!("function {name} {parameters:?}"));
        }
        Target::Mcp { name, digest } => lines.push(format!("mcp {name} {digest}")),
        Target::Api(operation) => {
            lines.push(format!("{} {} {}", operation.verb, operation.path, operation.operation_id));
            let fields = |fields: &[crate::agent::tool::Field]| -> String {
                let one = |f: &crate::agent::tool::Field| {
                    format!(" {}={}:{}", f.argument, f.name, f.kind)
                };
                fields.iter().map(one).collect()
            };
            lines.push(format!("parameters{}", fields(&operation.parameters)));
            if let Some(body) = &operation.body {
                lines.push(format!("{} open={}{}", body.media, body.open, fields(&body.fields)));
            }
        }
    }
    lines.join("\n")
}

fn check(tools: &[Tool], expect: &Expect) {
    expect.assert_eq(&tools.iter().map(told).collect::<Vec<_>>().join("\n\n"));
}

fn refused(groups: &[ActionGroup], expect: &Expect) {
    expect.assert_eq(&compile(groups).unwrap_err().to_string());
}

fn refused_document(document: &str, expect: &Expect) {
    refused(&[group("orders", Schema::OpenApi(document.to_owned()))], expect);
}

/// A document with one operation, `get /x`, made of these members.
fn one_operation(members: &str) -> String {
    format!(r#"{{"openapi": "3.0.0", "paths": {{"/x": {{"get": {{{members}}}}}}}}}"#)
}

#[test]
fn a_function_becomes_a_tool() {
    let undescribed = function("list_orders", None, &[]);
    let tools = compile(&[group("orders", Schema::Functions(vec![undescribed]))]).unwrap();
    check(
        &[refund(), tools[0].clone()],
        &expect![[r#"
        orders__refund effect=None
        "Refunds an order."
        {"additionalProperties":false,"properties":{"amount":{"description":"The amount.","type":"number"},
          "count":{"description":"The count.","type":"integer"},
          "lines":{"description":"The lines.","items":{},
          "type":"array"},
          "notify":{"description":"The notify.","type":"boolean"},
          "order_id":{"description":"The order_id.","type":"string"}},
          "required":["amount","order_id"],"type":"object"}
        function refund [("amount", Number), ("count", Integer), ("lines", Array), ("notify", Boolean), ("order_id", String)]

        orders__list_orders effect=None
        "About orders."
        {"additionalProperties":false,"properties":{},
          "type":"object"}
        function list_orders []"#]],
    );
}

#[test]
fn an_operation_becomes_a_tool_with_every_reference_expanded() {
    check(
        &[place_order()],
        &expect![[r#"
        post__orders__placeOrder effect=None
        "Places an order  for a customer.\n  Ask first. "
        {"additionalProperties":false,"properties":{"body_id":{"examples":["A-1"],"type":["string","null"]},
          "dry_run":{"default":false,"type":"boolean"},
          "id":{"description":"Whose order it is.","type":"string"},
          "lines":{"items":{"properties":{"count":{"exclusiveMinimum":0,"type":"integer"},
          "parts":{"items":{"description":"as Line above"},
          "type":"array"},
          "sku":{"maxLength":9,"type":"string"}},
          "required":["sku"],"type":"object"},
          "type":"array"},
          "state":{"enum":["open","held",null],"type":["string","null"]}},
          "required":["id","lines"],"type":"object"}
        post /customers/{id}/orders placeOrder
        parameters id=id:string dry_run=dry run:boolean
        application/json open=false body_id=id:string lines=lines:array state=state:string"#]],
    );
}

#[test]
fn verbs_say_what_may_be_repeated_and_forms_are_bodies() {
    let operation = |id: &str, body: &str| {
        format!(r#"{{"operationId": "{id}", "summary": "s", "responses": {{}}{body}}}"#)
    };
    let form = r#", "requestBody": {"required": false, "content": {"application/x-www-form-urlencoded":
        {"schema": {"type": "object", "required": ["a"], "additionalProperties": true, "properties": {"a": {"type": "string"}}}}}}"#;
    let list = r#", "requestBody": {"content": {"application/json": {"schema": {"type": ["array", "null"], "items": {"type": "string"}}}}}"#;
    let document = format!(
        r#"{{"openapi": "3.1.0", "paths": {{"/o": {{"get": {}, "put": {}, "patch": {}}}}}}}"#,
        operation("read", ""),
        operation("replace", form),
        operation("change", list),
    );
    check(
        &openapi(&document).unwrap(),
        &expect![[r#"
        get__orders__read effect=Some(Read)
        "s"
        {"additionalProperties":false,"properties":{},
          "type":"object"}
        get /o read
        parameters

        put__orders__replace effect=Some(Keyed)
        "s"
        {"properties":{"a":{"type":"string"}},
          "type":"object"}
        put /o replace
        parameters
        application/x-www-form-urlencoded open=true a=a:string

        patch__orders__change effect=None
        "s"
        {"additionalProperties":false,"properties":{"body":{"items":{"type":"string"},
          "type":["array","null"]}},
          "required":["body"],"type":"object"}
        patch /o change
        parameters
        application/json open=false body=body:array"#]],
    );
}

#[test]
fn a_refused_schema_says_where_why_and_what_to_do() {
    refused_document(
        &one_operation(r#""description": "d", "responses": {}"#),
        &expect![
            "action group orders: get /x: operationId is missing; name the operation, for example getOrder"
        ],
    );
    refused_document(
        &one_operation(r#""operationId": "x", "responses": {}"#),
        &expect![
            "action group orders: get /x: description is missing; say in a description what the operation does and when to call it"
        ],
    );
    refused_document(
        &one_operation(r#""operationId": "x", "description": "d""#),
        &expect![
            "action group orders: get /x: responses is missing; describe at least the 200 response"
        ],
    );
    refused_document(
        &one_operation(r#""operationId": "get x", "description": "d", "responses": {}"#),
        &expect![
            "action group orders: get /x: the tool name get__orders__get x contains ' '; use only letters, digits, _ and - in the function name or operationId"
        ],
    );
    refused_document(
        &one_operation(
            r#""operationId": "x", "description": "d", "responses": {}, "parameters": [{"name": "id"}]"#,
        ),
        &expect![[
            r#"action group orders: get /x: parameter id does not say "in"; give every parameter a name, a place (in) and a schema"#
        ]],
    );
    refused_document(
        &one_operation(
            r##""operationId": "x", "description": "d", "responses": {}, "parameters": [{"name": "id", "in": "query", "schema": {"$ref": "#/components/schemas/Id"}}]"##,
        ),
        &expect![
            "action group orders: get /x: parameter id: $ref #/components/schemas/Id names nothing in the document; define it or correct the reference"
        ],
    );
    refused_document(
        &one_operation(
            r#""operationId": "x", "description": "d", "responses": {}, "parameters": [{"name": "id", "in": "query", "schema": {"type": "text"}}]"#,
        ),
        &expect![[
            r#"action group orders: get /x: parameter id: "text" is not a type; use one of string, number, integer, boolean, array, object, null"#
        ]],
    );
    refused_document(
        &one_operation(
            r#""operationId": "x", "description": "d", "responses": {}, "parameters": [{"name": "id", "in": "query", "schema": {"pattern": "("}}]"#,
        ),
        &expect![[
            r#"action group orders: get /x: the schema is not valid at /properties/id/pattern: "(" is not a "regex"; correct the schema"#
        ]],
    );
    refused_document(
        &one_operation(
            r#""operationId": "x", "description": "d", "responses": {}, "x-requireConfirmation": true"#,
        ),
        &expect![[
            r#"action group orders: get /x: x-requireConfirmation is true; set it to ENABLED or DISABLED, or remove it"#
        ]],
    );
    refused_document(
        "{\"openapi\": \"3.0.0\",\n \"paths\": }",
        &expect![
            "action group orders: the document cannot be read: expected value at line 2 column 11; send an OpenAPI 3 document as JSON or YAML"
        ],
    );
    refused_document(
        "openapi: 3.0.0\npaths: [\n",
        &expect![
            "action group orders: the document cannot be read: did not find expected node content at line 3 column 1, while parsing a flow node; send an OpenAPI 3 document as JSON or YAML"
        ],
    );
    refused_document(
        r#"{"swagger": "2.0", "paths": {}}"#,
        &expect![[
            r#"action group orders: it is a Swagger 2 document; write OpenAPI 3.0 or 3.1, with "openapi": "3.0.0""#
        ]],
    );
    refused_document(
        r#"{"openapi": "3.0.0", "paths": {}}"#,
        &expect![
            "action group orders: the document has no paths; describe at least one operation under paths"
        ],
    );
    refused_document(
        r#"{"openapi": "3.0.0", "paths": {"x": {}}}"#,
        &expect![[
            r#"action group orders: the path "x" does not begin with /; begin every path with /"#
        ]],
    );
}

#[test]
fn names_are_bounded_and_unique_in_the_agent() {
    let functions = |names: &[&str]| {
        Schema::Functions(names.iter().map(|name| function(name, Some("d"), &[])).collect())
    };
    refused(
        &[group(&"g".repeat(60), functions(&["list"]))],
        &expect![
            "action group gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg: function list: the tool name gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg__list has 66 characters of at most 64; shorten the name of the action group, the function or the operationId"
        ],
    );
    refused(
        &[group("a", functions(&["b__c"])), group("a__b", functions(&["c"]))],
        &expect![
            "action group a__b: function c: another tool of this agent is named a__b__c already; give each function or operationId of an action group its own name"
        ],
    );
    refused(
        &[group("a", functions(&["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]))],
        &expect![
            "action group a: it has 12 actions of at most 11; spread them over several action groups"
        ],
    );
    refused(
        &[group("a", functions(&[]))],
        &expect!["action group a: it defines no function; define at least one function"],
    );
}

#[test]
fn references_that_fan_out_are_bounded() {
    let mut schemas = String::from(r#""S0": {"type": "string"}"#);
    for level in 1..40 {
        let below = format!(r##"{{"$ref": "#/components/schemas/S{}"}}"##, level - 1);
        schemas += &format!(r#", "S{level}": {{"properties": {{"a": {below}, "b": {below}}}}}"#);
    }
    let body = r##""operationId": "x", "description": "d", "responses": {}, "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S39"}}}}"##;
    let document = format!(
        r#"{{"openapi": "3.0.0", "paths": {{"/x": {{"get": {{{body}}}}}}}, "components": {{"schemas": {{{schemas}}}}}}}"#
    );
    let said = openapi(&document).unwrap_err().to_string();
    assert!(said.contains("larger than 5000 nodes"), "{said}");
}

#[test]
fn a_document_of_aliases_stays_small() {
    let mut document = String::from("openapi: 3.0.0\nx0: &x0 [a, a, a, a, a, a, a, a, a]\n");
    for level in 1..30 {
        let below = vec![format!("*x{}", level - 1); 9].join(", ");
        document += &format!("x{level}: &x{level} [{below}]\n");
    }
    refused_document(
        &document,
        &expect![
            "action group orders: the document cannot be read: x5[0][3][3][7][1]: it has more than 100000 nodes, aliases counted at line 2 column 5; send an OpenAPI 3 document as JSON or YAML"
        ],
    );
    let deep = format!("{}{}", "[".repeat(9_000), "]".repeat(9_000));
    refused_document(
        &format!("openapi: 3.0.0\npaths: {deep}"),
        &expect![
            "action group orders: the document cannot be read: its brackets are nested too deeply; send an OpenAPI 3 document as JSON or YAML"
        ],
    );
    refused_document(
        &format!("{{\"openapi\": \"3.0.0\", \"paths\": {deep}}}"),
        &expect![
            "action group orders: the document cannot be read: recursion limit exceeded at line 1 column 157; send an OpenAPI 3 document as JSON or YAML"
        ],
    );
}

#[test]
fn closed_parts_of_an_all_of_are_one_object() {
    let part = |name: &str| {
        format!(
            r#"{{"additionalProperties": false, "properties": {{"{name}": {{"type": "string"}}}}}}"#
        )
    };
    let body = format!(
        r#""operationId": "x", "description": "d", "responses": {{}}, "requestBody": {{"content": {{"application/json": {{"schema": {{"allOf": [{}, {}]}}}}}}}}"#,
        part("a"),
        part("b"),
    );
    check(
        &openapi(&one_operation(&body)).unwrap(),
        &expect![[r#"
        get__orders__x effect=Some(Read)
        "d"
        {"additionalProperties":false,"properties":{"a":{"type":"string"},
          "b":{"type":"string"}},
          "type":"object"}
        get /x x
        parameters
        application/json open=false a=a:string b=b:string"#]],
    );
}
