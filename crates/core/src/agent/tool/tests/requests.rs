use expect_test::{Expect, expect};

use super::*;
use crate::agent::tool::{HttpCall, Target, http_call};

/// The tool of a document with one operation, of a verb and a path, made of these members.
fn operation(verb: &str, path: &str, members: &Json) -> Tool {
    let mut operation =
        json!({"operationId": "call", "description": "d", "responses": {"200": {}}});
    for (name, value) in members.as_object().unwrap() {
        operation[name] = value.clone();
    }
    let document = json!({"openapi": "3.1.0", "paths": {path: {verb: operation}}});
    openapi(&document.to_string()).unwrap().remove(0)
}

fn call(tool: &Tool, arguments: &Json) -> Result<HttpCall, String> {
    let Target::Api(operation) = &tool.target else { panic!("an operation") };
    http_call(operation, arguments)
}

fn written(call: &HttpCall) -> String {
    let mut lines = vec![format!("{} {}", call.method, call.path_and_query)];
    let headers = call.headers.iter().filter(|(name, _)| name != "accept");
    lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
    if !call.body.is_empty() {
        lines.push(String::from_utf8_lossy(&call.body).replace("\r\n", "\n"));
    }
    lines.join("\n")
}

fn check(tool: &Tool, arguments: &Json, expect: &Expect) {
    let said = match call(tool, arguments) {
        Ok(call) => written(&call),
        Err(why) => format!("refused: {why}"),
    };
    expect.assert_eq(&said);
}

/// A parameter `color` in a place and style, and what comes of the values of the specification's
/// table: the empty string, a string, an array, an object.
fn color(place: &str, style: &str, explode: bool) -> [String; 4] {
    let path = if place == "path" { "/x{color}" } else { "/x" };
    let parameter = json!({"name": "color", "in": place, "style": style, "explode": explode,
        "schema": {}});
    let tool = operation("get", path, &json!({"parameters": [parameter]}));
    let values = [
        json!(""),
        json!("blue"),
        json!(["blue", "black", "brown"]),
        json!({"R": 100, "G": 200, "B": 150}),
    ];
    values.map(|value| match call(&tool, &json!({"color": value})) {
        Ok(call) if place == "header" || place == "cookie" => {
            let name = if place == "header" { "color" } else { "cookie" };
            let found = call.headers.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        }
        Ok(call) => call.path_and_query.trim_start_matches("/x").to_owned(),
        Err(why) => why,
    })
}

/// The specification's table of style examples (OpenAPI 3.1.1, "Style Examples"). Members of an
/// object have no order of their own: here it is that of their names.
const TABLE: &[(&str, &str, bool, [&str; 4])] = &[
    (
        "path",
        "matrix",
        false,
        [";color", ";color=blue", ";color=blue,black,brown", ";color=B,150,G,200,R,100"],
    ),
    (
        "path",
        "matrix",
        true,
        [";color", ";color=blue", ";color=blue;color=black;color=brown", ";B=150;G=200;R=100"],
    ),
    ("path", "label", false, [".", ".blue", ".blue,black,brown", ".B,150,G,200,R,100"]),
    ("path", "label", true, [".", ".blue", ".blue.black.brown", ".B=150.G=200.R=100"]),
    ("path", "simple", false, ["", "blue", "blue,black,brown", "B,150,G,200,R,100"]),
    ("path", "simple", true, ["", "blue", "blue,black,brown", "B=150,G=200,R=100"]),
    ("header", "simple", false, ["", "blue", "blue,black,brown", "B,150,G,200,R,100"]),
    ("header", "simple", true, ["", "blue", "blue,black,brown", "B=150,G=200,R=100"]),
    (
        "query",
        "form",
        false,
        ["?color=", "?color=blue", "?color=blue,black,brown", "?color=B,150,G,200,R,100"],
    ),
    (
        "query",
        "form",
        true,
        ["?color=", "?color=blue", "?color=blue&color=black&color=brown", "?B=150&G=200&R=100"],
    ),
    (
        "cookie",
        "form",
        false,
        ["color=", "color=blue", "color=blue,black,brown", "color=B,150,G,200,R,100"],
    ),
    (
        "cookie",
        "form",
        true,
        ["color=", "color=blue", "color=blue; color=black; color=brown", "B=150; G=200; R=100"],
    ),
    (
        "query",
        "spaceDelimited",
        false,
        [
            "?color=",
            "?color=blue",
            "?color=blue%20black%20brown",
            "?color=B%20150%20G%20200%20R%20100",
        ],
    ),
    (
        "query",
        "spaceDelimited",
        true,
        ["?color=", "?color=blue", "?color=blue&color=black&color=brown", "?B=150&G=200&R=100"],
    ),
    (
        "query",
        "pipeDelimited",
        false,
        [
            "?color=",
            "?color=blue",
            "?color=blue%7Cblack%7Cbrown",
            "?color=B%7C150%7CG%7C200%7CR%7C100",
        ],
    ),
    (
        "query",
        "pipeDelimited",
        true,
        ["?color=", "?color=blue", "?color=blue&color=black&color=brown", "?B=150&G=200&R=100"],
    ),
    (
        "query",
        "deepObject",
        true,
        [
            "?color=",
            "?color=blue",
            "?color%5B0%5D=blue&color%5B1%5D=black&color%5B2%5D=brown",
            "?color%5BB%5D=150&color%5BG%5D=200&color%5BR%5D=100",
        ],
    ),
];

#[test]
fn every_style_is_spelled_as_the_specification_has_it() {
    for (place, style, explode, expected) in TABLE {
        assert_eq!(&color(place, style, *explode), expected, "{style} in {place}, {explode}");
    }
}

fn everywhere() -> Tool {
    let parameters = json!([
        {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
        {"name": "q", "in": "query", "schema": {"type": "string"}},
        {"name": "tags", "in": "query", "schema": {"type": "array"}},
        {"name": "filter", "in": "query", "style": "deepObject", "explode": true, "schema": {"type": "object"}},
        {"name": "next", "in": "query", "allowReserved": true, "schema": {"type": "string"}},
        {"name": "at", "in": "query", "content": {"application/json": {"schema": {"type": "object"}}}},
        {"name": "page[size]", "in": "query", "schema": {"type": "integer"}},
        {"name": "X-Trace", "in": "header", "schema": {"type": "array"}},
        {"name": "Authorization", "in": "header", "schema": {"type": "string"}},
        {"name": "session", "in": "cookie", "schema": {"type": "string"}},
        {"name": "theme", "in": "cookie", "schema": {"type": "string"}},
    ]);
    operation("get", "/shops/main street/items/{id}", &json!({"parameters": parameters}))
}

#[test]
fn values_stay_inside_their_parameters() {
    let tool = everywhere();
    check(
        &tool,
        &json!({
            "id": "a/b?c#d e&f", "q": "x&admin=1#y z", "tags": ["a,b", "c d", null, {"e": 1}],
            "filter": {"name": "ä", "of": {"kind": ["k1", "k2"]}, "none": null},
            "next": "/p?x=1&y=[2]#3%20%zz", "at": {"lat": 1.5}, "page_size_": 20,
            "X-Trace": ["a", "b c"], "Authorization": "Bearer stolen",
            "session": "a; admin=1", "theme": "dark",
        }),
        &expect![[r#"
            GET /shops/main%20street/items/a%2Fb%3Fc%23d%20e%26f?q=x%26admin%3D1%23y%20z&tags=a%2Cb&tags=c%20d&tags=%7B%22e%22%3A1%7D&filter%5Bname%5D=%C3%A4&filter%5Bof%5D%5Bkind%5D%5B0%5D=k1&filter%5Bof%5D%5Bkind%5D%5B1%5D=k2&next=/p?x=1%26y=%5B2%5D%233%20%25zz&at=%7B%22lat%22%3A1.5%7D&page%5Bsize%5D=20
            X-Trace: a,b c
            cookie: session=a%3B%20admin%3D1; theme=dark"#]],
    );
    check(
        &tool,
        &json!({"id": 7, "q": null, "tags": [], "filter": {}}),
        &expect!["GET /shops/main%20street/items/7"],
    );
}

#[test]
fn no_value_climbs_or_shortens_the_path() {
    let tool = everywhere();
    for (id, why) in [
        ("", "the path's step {id} cannot be \"\""),
        (".", "the path's step {id} cannot be \".\""),
        ("..", "id: .. has no place in a path"),
        ("../../admin", "id: .. has no place in a path"),
        ("a\\..\\b", "id: .. has no place in a path"),
    ] {
        let call = call(&tool, &json!({"id": id})).unwrap_err();
        assert_eq!(call, why);
    }
    check(&tool, &json!({"id": "%2e%2e"}), &expect!["GET /shops/main%20street/items/%252e%252e"]);
    check(
        &tool,
        &json!({"id": "1", "X-Trace": "a\r\nHost: b"}),
        &expect!["refused: X-Trace: a header holds no control characters"],
    );
}

#[test]
fn what_cannot_be_spelled_is_refused_by_name() {
    let refused = |parameter: Json, expect: Expect| {
        let name = parameter["name"].as_str().unwrap().to_owned();
        let tool = operation("get", "/x", &json!({"parameters": [parameter]}));
        check(&tool, &json!({name: "v"}), &expect);
    };
    refused(
        json!({"name": "a", "in": "query", "style": "csv", "schema": {}}),
        expect![[r#"refused: the style of a in query is "csv", which is not served"#]],
    );
    refused(
        json!({"name": "a", "in": "header", "style": "deepObject", "schema": {}}),
        expect![[r#"refused: the style of a in header is "deepObject", which is not served"#]],
    );
    refused(
        json!({"name": "a", "in": "querystring", "schema": {}}),
        expect!["refused: parameter a is in querystring, which is no place of OpenAPI 3.1"],
    );
    refused(
        json!({"name": "Transfer-Encoding", "in": "header", "schema": {}}),
        expect!["refused: the header Transfer-Encoding is not a parameter's to set"],
    );
    check(
        &operation("get", "/x/{id}", &json!({})),
        &json!({}),
        &expect!["refused: the path names {id}, which has no value"],
    );
}

/// A body of a media type with these properties, and what else is said of it.
fn body(media: &str, schema: &Json, encoding: &Json) -> Tool {
    let content = json!({media: {"schema": schema, "encoding": encoding}});
    operation("post", "/x", &json!({"requestBody": {"content": content}}))
}

fn address() -> Json {
    json!({"type": "object", "additionalProperties": true, "properties": {
        "id": {"type": "string"},
        "address": {"type": "object"},
        "lines": {"type": "array", "items": {"type": "string"}},
        "icon": {"type": "string", "format": "binary"},
    }})
}

fn arguments() -> Json {
    json!({
        "id": "a&b \"1\"", "address": {"zip": "9+1", "no": null}, "lines": ["x y", "z"],
        "icon": "PNG…", "count": 2,
    })
}

#[test]
fn bodies_are_json_forms_or_parts() {
    check(
        &body("application/vnd.shop+json", &address(), &json!({})),
        &arguments(),
        &expect![[r#"
            POST /x
            content-type: application/vnd.shop+json
            {"address":{"no":null,"zip":"9+1"},"count":2,"icon":"PNG…","id":"a&b \"1\"","lines":["x y","z"]}"#]],
    );
    check(
        &body("application/x-www-form-urlencoded", &address(), &json!({})),
        &arguments(),
        &expect![[r#"
            POST /x
            content-type: application/x-www-form-urlencoded
            address=%7B%22no%22%3Anull%2C%22zip%22%3A%229%2B1%22%7D&icon=PNG%E2%80%A6&id=a%26b+%221%22&lines=x+y&lines=z&count=2"#]],
    );
    let styles = json!({
        "address": {"style": "deepObject", "explode": true},
        "lines": {"explode": false}, "icon": {"contentType": "image/png, image/jpeg"},
    });
    check(
        &body("application/x-www-form-urlencoded", &address(), &styles),
        &arguments(),
        &expect![[r#"
            POST /x
            content-type: application/x-www-form-urlencoded
            address%5Bzip%5D=9%2B1&icon=PNG%E2%80%A6&id=a%26b+%221%22&lines=x+y,z&count=2"#]],
    );
    check(
        &body("multipart/form-data", &address(), &styles),
        &arguments(),
        &expect![[r#"
            POST /x
            content-type: multipart/form-data; boundary=craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            Content-Disposition: form-data; name="address[zip]"

            9+1
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            Content-Disposition: form-data; name="icon"; filename="icon"
            Content-Type: image/png

            PNG…
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            Content-Disposition: form-data; name="id"

            a&b "1"
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            Content-Disposition: form-data; name="lines"

            x y,z
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0
            Content-Disposition: form-data; name="count"

            2
            --craton-6a0372646c30f5bbae7854cc9c6482372c94aae0--
        "#]],
    );
}

#[test]
fn a_body_of_one_value_goes_as_it_is() {
    let text = json!({"type": "string"});
    check(
        &body("text/plain", &text, &json!({})),
        &json!({"body": "a\nb"}),
        &expect![[r#"
        POST /x
        content-type: text/plain
        a
        b"#]],
    );
    check(
        &body("application/json", &text, &json!({})),
        &json!({"body": "a"}),
        &expect![[r#"
        POST /x
        content-type: application/json
        "a""#]],
    );
    let list = json!({"type": "array"});
    check(
        &body("*/*", &list, &json!({})),
        &json!({"body": [1, "b"]}),
        &expect![[r#"
        POST /x
        content-type: application/json
        [1,"b"]"#]],
    );
    check(
        &body("text/csv", &list, &json!({})),
        &json!({"body": [1]}),
        &expect![
            "refused: a list or an object cannot be sent as text/csv; describe the body as JSON"
        ],
    );
    check(
        &body("application/xml", &address(), &json!({})),
        &arguments(),
        &expect!["refused: an object cannot be sent as application/xml; describe the body as JSON"],
    );
    check(
        &body("application/json", &address(), &json!({})),
        &json!({}),
        &expect![[r#"
        POST /x
        content-type: application/json
        {}"#]],
    );
    let optional = json!({"requestBody": {"required": false,
        "content": {"application/json": {"schema": address()}}}});
    check(&operation("post", "/x", &optional), &json!({}), &expect!["POST /x"]);
}

#[test]
fn a_document_says_where_and_for_whom() {
    let compiled = |document: &Json| {
        let tool = openapi(&document.to_string()).unwrap().remove(0);
        let Target::Api(operation) = tool.target else { panic!("an operation") };
        format!("{:?} {:?} {:?}", operation.server, operation.security, operation.answers)
    };
    let mut document = json!({
        "openapi": "3.0.3",
        "servers": [{"url": "https://{region}.example.com/{base}", "variables": {
            "region": {"default": "eu", "enum": ["eu", "us"]}, "base": {"default": "v1"}}},
            {"url": "https://other.example.com"}],
        "security": [{"key": []}, {"app": [], "user": ["read"]}],
        "paths": {"/x": {"get": {"operationId": "x", "description": "d", "responses": {
            "200": {"$ref": "#/components/responses/Fine"}, "404": {"content": {"text/html": {}}}}}}},
        "components": {"responses": {"Fine": {"description": "f",
            "content": {"application/json": {}, "text/csv": {}}}}},
    });
    expect![[r#"Some("https://eu.example.com/v1") Some([["key"], ["app", "user"]]) ["application/json", "text/csv"]"#]].assert_eq(&compiled(&document));
    document["paths"]["/x"]["servers"] = json!([{"url": "/relative"}]);
    document["paths"]["/x"]["get"]["security"] = json!([]);
    expect![[r#"Some("/relative") Some([]) ["application/json", "text/csv"]"#]]
        .assert_eq(&compiled(&document));
    document["paths"]["/x"]["get"]["servers"] = json!([{"url": "http://{host}/"}]);
    document["paths"]["/x"]["get"]["security"] = json!([{}]);
    document.as_object_mut().unwrap().remove("components");
    document["paths"]["/x"]["get"]["responses"] = json!({"204": {"description": "gone"}});
    expect![[r#"Some("http://{host}/") Some([[]]) []"#]].assert_eq(&compiled(&document));
}
