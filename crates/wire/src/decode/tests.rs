#![expect(clippy::needless_pass_by_value, reason = "tables of cases read better by value")]

use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::load;
use crate::model::SERVICES;
use crate::value::Timestamp;

fn model(protocol: &str) -> &'static Service {
    let model = json!({
        "metadata": {"protocol": protocol},
        "operations": {"Put": {"http": {"method": "POST", "requestUri": "/put/{id}"}, "input": {"shape": "Input"}}},
        "shapes": {
            "Input": {"type": "structure", "members": {
                "id": {"shape": "Text", "location": "uri", "locationName": "id"},
                "limit": {"shape": "Count", "location": "querystring", "locationName": "limit"},
                "dates": {"shape": "Dates", "location": "header", "locationName": "x-dates"},
                "text": {"shape": "Text"}, "count": {"shape": "Count"}, "long": {"shape": "Long"},
                "share": {"shape": "Share"}, "on": {"shape": "Flag"}, "data": {"shape": "Data"},
                "at": {"shape": "At"}, "since": {"shape": "Since"}, "any": {"shape": "Any"},
                "list": {"shape": "Texts"}, "map": {"shape": "Map"}, "self": {"shape": "Self"},
            }},
            "Self": {"type": "structure", "members": {
                "inner": {"shape": "Self"}, "text": {"shape": "Text"}}},
            "Text": {"type": "string"}, "Count": {"type": "integer"}, "Long": {"type": "long"},
            "Share": {"type": "double"}, "Flag": {"type": "boolean"}, "Data": {"type": "blob"},
            "At": {"type": "timestamp"},
            "Since": {"type": "timestamp", "timestampFormat": "iso8601"},
            "Any": {"type": "structure", "document": true, "members": {}},
            "Texts": {"type": "list", "member": {"shape": "Text"}},
            "Dates": {"type": "list", "member": {"shape": "At"}},
            "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Count"}},
        },
    });
    load::service(&model).expect("the model is whole")
}

fn decode_body(service: &'static Service, body: &[u8]) -> Result<Value, Fault> {
    let body = Bytes::copy_from_slice(body);
    let headers = HeaderMap::new();
    let parts =
        RequestParts { path_labels: BTreeMap::new(), query: "", headers: &headers, body: &body };
    request(service, &service.operations[0], &parts)
}

#[track_caller]
fn check(protocol: &str, body: &[u8], expected: Expect) {
    let said = match decode_body(model(protocol), body) {
        Ok(value) => serde_json::Value::from(value).to_string(),
        Err(fault) => fault.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn json_is_read_by_table() {
    check(
        "rest-json",
        br#"{"text":"a","count":-1,"long":9007199254740993,"share":"NaN","on":true,"data":"aGk=","at":1.5,
            "since":"2020-01-01T00:00:00Z","any":{"x":[1,null]},"list":["a"],"map":{"k":1,"n":null},
            "self":{"inner":{"text":"deep"}},"unknown":{"deep":[1]},"id":"not from here"}"#,
        expect![[
            r#"{"any":{"x":[1,null]},"at":1.5,"count":-1,"data":"aGk=","list":["a"],"long":9007199254740993,"map":{"k":1},"on":true,"self":{"inner":{"text":"deep"}},"share":null,"since":1577836800.0,"text":"a"}"#
        ]],
    );
    check("rest-json", br#"{"text":null,"list":null}"#, expect!["{}"]);
}

#[test]
fn json_that_is_not_the_models_is_a_serialization_exception() {
    let refused = [
        "",
        "nul",
        "null",
        "[]",
        "\"x\"",
        "{",
        r#"{"text":"#,
        r#"{"text":1}"#,
        r#"{"text":true}"#,
        r#"{"text":{}}"#,
        r#"{"text":[]}"#,
        r#"{"count":"1"}"#,
        r#"{"count":1.5}"#,
        r#"{"count":2147483648}"#,
        r#"{"long":9223372036854775808}"#,
        r#"{"on":"true"}"#,
        r#"{"on":1}"#,
        r#"{"data":"a"}"#,
        r#"{"data":"!!!!"}"#,
        r#"{"share":"1"}"#,
        r#"{"at":"2020-01-01T00:00:00Z"}"#,
        r#"{"at":1e300}"#,
        r#"{"since":1}"#,
        r#"{"since":"soon"}"#,
        r#"{"list":"a"}"#,
        r#"{"list":{}}"#,
        r#"{"map":[]}"#,
        r#"{"self":"x"}"#,
        r#"{"text":"a","text":"b"}"#,
        r#"{"text":null,"text":"b"}"#,
        r#"{"map":{"a":1,"a":1}}"#,
        r#"{"any":{"a":1,"a":1}}"#,
        r#"{} {}"#,
        r#"{"text":"\ud800"}"#,
    ];
    let service = model("rest-json");
    for body in refused {
        let fault = decode_body(service, body.as_bytes()).expect_err(body);
        assert_eq!((fault.code(), fault.status()), ("SerializationException", 400), "{body}");
    }
    let fault = decode_body(service, b"{\"text\":\"\xff\"}").expect_err("no UTF-8");
    assert_eq!(fault.message(), "the body is not UTF-8 at byte 9");
}

#[test]
fn messages_are_awss_and_repeat_no_value() {
    check(
        "rest-json",
        br#"{"text":{"secret":1}}"#,
        expect!["SerializationException: Start of structure or map found where not expected"],
    );
    check(
        "rest-json",
        br#"{"count":"hunter2"}"#,
        expect!["SerializationException: STRING_VALUE can not be converted to an Integer"],
    );
    check(
        "rest-json",
        br#"{"text" "hunter2"}"#,
        expect![
            "SerializationException: the body is not valid JSON: expected `:` at line 1 column 9"
        ],
    );
}

#[test]
fn nesting_is_bounded() {
    let service = model("rest-json");
    let nest = |open: &str, close: &str, depth: usize| {
        format!("{{\"any\":1,\"self\":{}{{}}{}}}", open.repeat(depth), close.repeat(depth))
    };
    let fits = nest("{\"inner\":", "}", crate::limits::JSON_DEPTH - 3);
    decode_body(service, fits.as_bytes()).expect("fits");
    let deep = nest("{\"inner\":", "}", crate::limits::JSON_DEPTH);
    assert_eq!(decode_body(service, deep.as_bytes()).expect_err("deep").status(), 400);
    let deep = format!("{{\"any\":{}", "[".repeat(1_000_000));
    assert_eq!(decode_body(service, deep.as_bytes()).expect_err("deep").status(), 400);
    let skipped = format!("{{\"unknown\":{}", "[".repeat(1_000_000));
    assert_eq!(decode_body(service, skipped.as_bytes()).expect_err("open").status(), 400);
}

#[test]
fn labels_queries_and_headers_are_read() {
    let service = model("rest-json");
    let mut headers = HeaderMap::new();
    let dates = "Mon, 16 Dec 2019 23:48:18 GMT, Tue, 29 Apr 2014 18:30:38 GMT";
    headers.insert("x-dates", dates.parse().expect("a header"));
    let (body, labels) = (Bytes::from_static(b"{}"), [("id".to_owned(), "a/b".to_owned())]);
    let mut parts = RequestParts {
        path_labels: labels.into(),
        query: "limit=3",
        headers: &headers,
        body: &body,
    };
    let value = request(service, &service.operations[0], &parts).expect("decodes");
    let times = [1_576_540_098_000, 1_398_796_238_000].map(|t| Value::Time(Timestamp(t)));
    let expected = Map::from([
        ("id".to_owned(), Value::String("a/b".into())),
        ("limit".to_owned(), Value::Integer(3)),
        ("dates".to_owned(), Value::List(times.into())),
    ]);
    assert_eq!(value, Value::Map(expected));
    for query in ["limit=x", "limit=", "limit=1&limit=2", "limit=99999999999", "limit=%ff"] {
        parts.query = query;
        let fault = request(service, &service.operations[0], &parts).expect_err(query);
        assert_eq!(fault.code(), "SerializationException", "{query}");
    }
}

#[test]
fn forms_are_read_in_the_order_of_their_numbers() {
    check(
        "query",
        b"Action=Put&list.member.10=c&list.member.9=b&list.member.1=a&map.entry.1.key=k&map.entry.1.value=7&text=a+b%2B",
        expect![[r#"{"list":["a","b","c"],"map":{"k":7},"text":"a b+"}"#]],
    );
}

#[test]
fn forms_that_are_not_the_models_are_malformed_input() {
    let long = format!("text{}=1", ".a".repeat(100));
    let refused = [
        "count=x",
        "count=",
        "text=%ff",
        "list.member.x=1",
        "map.entry.1.key=k",
        "text.a=1",
        "text=1&text=2",
        "map.entry.1.value=1",
        long.as_str(),
    ];
    let service = model("query");
    for body in refused {
        let fault = decode_body(service, body.as_bytes()).expect_err(body);
        assert_eq!((fault.code(), fault.status()), ("MalformedInput", 400), "{body}");
    }
}

/// A value of every shape, as an operation would answer it.
fn any_value(service: &'static Service, shape: ShapeId, depth: u32) -> BoxedStrategy<Value> {
    use crate::model::Kind;
    match &service.shape(shape).kind {
        Kind::Structure(structure) if depth > 0 => {
            let bodied =
                structure.members.iter().filter(|m| m.location == crate::model::Location::Body);
            let members: Vec<_> = bodied
                .map(|m| {
                    let value = any_value(service, m.shape, depth - 1);
                    (Just(m.name.to_owned()), proptest::option::of(value))
                })
                .collect();
            let set = members.prop_map(|members| {
                members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            });
            set.prop_map(Value::Map).boxed()
        }
        Kind::List { item, .. } if depth > 0 => {
            let items = proptest::collection::vec(any_value(service, *item, depth - 1), 0..4);
            items.prop_map(Value::List).boxed()
        }
        Kind::Map { value, .. } if depth > 0 => {
            let entry = (".*", any_value(service, *value, depth - 1));
            let entries = proptest::collection::btree_map(entry.0, entry.1, 0..4);
            entries.prop_map(Value::Map).boxed()
        }
        Kind::Structure(_) | Kind::Map { .. } => Just(Value::Map(Map::new())).boxed(),
        Kind::List { .. } => Just(Value::List(Vec::new())).boxed(),
        Kind::String { .. } => ".*".prop_map(Value::String).boxed(),
        Kind::Blob { .. } => any::<Vec<u8>>().prop_map(|b| Value::Blob(Bytes::from(b))).boxed(),
        Kind::Boolean => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::Integer { .. } => any::<i32>().prop_map(|i| Value::Integer(i.into())).boxed(),
        Kind::Long { .. } => any::<i64>().prop_map(Value::Integer).boxed(),
        Kind::Float { .. } | Kind::Double { .. } => (-1e15..1e15).prop_map(Value::Double).boxed(),
        Kind::Timestamp(_) => {
            (0i64..4_000_000_000_000).prop_map(|t| Value::Time(Timestamp(t))).boxed()
        }
        Kind::Document => ".*".prop_map(Value::String).boxed(),
    }
}

/// A value of a structure of the real tables.
struct Sample {
    service: &'static Service,
    shape: ShapeId,
    value: Value,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shape = self.service.shape(self.shape).name;
        write!(f, "{} {shape} {:?}", self.service.name, self.value)
    }
}

fn any_structure() -> impl Strategy<Value = Sample> {
    let structures: Vec<(usize, ShapeId)> = (0..SERVICES.len())
        .flat_map(|place| {
            let ids = 0..SERVICES[place].shapes.len();
            ids.map(move |id| (place, ShapeId(id as u16)))
        })
        .filter(|(place, id)| {
            let shape = SERVICES[*place].shape(*id);
            matches!(&shape.kind, crate::model::Kind::Structure(s) if !s.event_stream)
        })
        .collect();
    proptest::sample::select(structures).prop_flat_map(|(place, shape)| {
        let service = SERVICES[place];
        any_value(service, shape, 4).prop_map(move |value| Sample { service, shape, value })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn json_comes_back_as_it_went(sample in any_structure()) {
        let Sample { service, shape, value } = sample;
        let text = crate::encode::json_text(service, shape, &value);
        prop_assert_eq!(json::read(service, shape, &text).expect("our own text"), value);
    }

    #[test]
    fn broken_json_is_refused_and_never_panics(
        sample in any_structure(), place: prop::sample::Index, byte: u8, cut: bool,
    ) {
        let Sample { service, shape, value } = sample;
        let mut text = crate::encode::json_text(service, shape, &value);
        let place = place.index(text.len());
        if cut { text.truncate(place) } else { text[place] = byte }
        let read = json::read(service, shape, &text);
        prop_assert!(!cut || read.is_err());
        if let Ok(value) = read {
            drop(crate::validate::check(service, shape, &value));
            crate::redact::loggable(service, shape, &value);
        }
    }

    #[test]
    fn any_form_is_read_or_refused(body in "([a-z]{1,5}(\\.(member|entry|key|value|[0-9]{1,2})){0,3}=[ -~]{0,6}&){0,6}") {
        drop(decode_body(model_query(), body.as_bytes()));
    }

    #[test]
    fn any_header_and_query_are_read_or_refused(header: Vec<u8>, query in ".{0,40}", label in ".*") {
        let (mut headers, body) = (HeaderMap::new(), Bytes::from_static(b"{}"));
        if let Ok(value) = ::http::HeaderValue::from_bytes(&header) {
            headers.append("x-dates", value.clone());
            headers.append("x-dates", value);
        }
        let path_labels = [("id".to_owned(), label)].into();
        let parts = RequestParts { path_labels, query: &query, headers: &headers, body: &body };
        drop(request(model_json(), &model_json().operations[0], &parts));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>) {
        drop(decode_body(model_query(), &body));
        drop(decode_body(model_json(), &body));
    }
}

fn model_query() -> &'static Service {
    static MODEL: std::sync::LazyLock<&'static Service> =
        std::sync::LazyLock::new(|| model("query"));
    *MODEL
}

fn model_json() -> &'static Service {
    static MODEL: std::sync::LazyLock<&'static Service> =
        std::sync::LazyLock::new(|| model("rest-json"));
    *MODEL
}
