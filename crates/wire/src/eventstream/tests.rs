use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model;

fn stream(service: &str, shape: &str) -> (&'static Service, ShapeId) {
    let service = model::service(service).expect("the service exists");
    let place = service.shapes.iter().position(|s| s.name == shape).expect("the shape exists");
    (service, ShapeId(place as u16))
}

fn read(bytes: &[u8]) -> Frame {
    let mut reader = FrameReader::default();
    reader.push(bytes);
    let frame = reader.next_frame().expect("a good frame").expect("a whole frame");
    reader.finish().expect("nothing is left");
    frame
}

#[test]
fn an_event_comes_back_as_it_went() {
    let (service, shape) = stream("bedrock-agent-runtime", "ResponseStream");
    let chunk = Value::Map(Map::from([("bytes".into(), Value::Blob("hi".into()))]));
    let event = Value::Map(Map::from([("chunk".into(), chunk)]));
    let frame = read(&frame_event(service, shape, &event));
    assert_eq!(frame.header(":message-type"), Some("event"));
    assert_eq!(frame.header(":event-type"), Some("chunk"));
    assert_eq!(frame.header(":content-type"), Some("application/json"));
    assert_eq!(frame.payload().as_ref(), br#"{"bytes":"aGk="}"#);
    assert_eq!(frame.event(service, shape).expect("decodes"), Some(event));
}

#[test]
fn an_event_that_the_stream_does_not_have_is_an_internal_error() {
    let (service, shape) = stream("bedrock-agent-runtime", "ResponseStream");
    for event in [json!({}), json!({"chunk": {}, "trace": {}}), json!({"nope": {}}), json!(1)] {
        let frame = read(&frame_event(service, shape, &Value::from(event)));
        assert_eq!(frame.header(":message-type"), Some("exception"));
        assert_eq!(frame.header(":exception-type"), Some("internalServerException"));
    }
}

#[test]
fn an_exception_is_the_streams_own_where_it_has_it() {
    let (service, shape) = stream("bedrock-agent-runtime", "ResponseStream");
    let fault = Fault::new("DependencyFailedException", 424, "the model is down")
        .with("resourceName", Value::String("m".into()));
    let frame = read(&frame_fault(service, shape, &fault));
    assert_eq!(frame.header(":exception-type"), Some("dependencyFailedException"));
    let body: serde_json::Value = serde_json::from_slice(frame.payload()).expect("JSON");
    assert_eq!(body, json!({"message": "the model is down", "resourceName": "m"}));

    let fault = Fault::new("NotImplementedException", 501, "é".repeat(60_000));
    let frame = read(&frame_fault(service, shape, &fault));
    assert_eq!(frame.header(":message-type"), Some("error"));
    assert_eq!(frame.header(":error-code"), Some("NotImplementedException"));
}

#[test]
fn a_keep_alive_is_an_event_of_a_type_that_no_stream_has() {
    let (service, shape) = stream("bedrock-runtime", "ConverseStreamOutput");
    let frame = read(&frame_keepalive());
    assert_eq!(frame.header(":event-type"), Some("craton-keep-alive"));
    assert_eq!(frame.event(service, shape).expect("reads"), None);
}

#[test]
fn over_long_frames_are_refused_from_their_first_bytes() {
    let mut reader = FrameReader::default();
    reader.push(&u32::MAX.to_be_bytes());
    let error = reader.next_frame().expect_err("too long");
    assert_eq!(error, FrameError::TooLong(u32::MAX as usize));
    assert_eq!(error.into_fault().status(), 400);
    let mut reader = FrameReader::default();
    reader.push(&frame_keepalive()[..20]);
    assert_eq!(reader.next_frame(), Ok(None));
    assert_eq!(reader.finish(), Err(FrameError::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_may_come_in_any_pieces(texts in prop::collection::vec(".{0,40}", 0..5), size in 1usize..40) {
        let (service, shape) = stream("bedrock-runtime", "ConverseStreamOutput");
        let event = |text: &str| Value::from(json!({
            "contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}
        }));
        let bytes: Vec<u8> =
            texts.iter().flat_map(|text| frame_event(service, shape, &event(text))).collect();
        let (mut reader, mut seen) = (FrameReader::default(), Vec::new());
        for piece in bytes.chunks(size) {
            reader.push(piece);
            while let Some(frame) = reader.next_frame().expect("a good frame") {
                seen.push(frame.event(service, shape).expect("decodes").expect("is known"));
            }
        }
        prop_assert_eq!(seen, texts.iter().map(|text| event(text)).collect::<Vec<_>>());
    }

    #[test]
    fn broken_frames_are_refused_and_never_panic(place: prop::sample::Index, flip in 1u8.., more: Vec<u8>) {
        let (service, shape) = stream("bedrock-agent-runtime", "ResponseStream");
        let event = Value::from(json!({"chunk": {"bytes": "aGk="}}));
        let mut bytes = frame_event(service, shape, &event).to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        bytes.extend(more);
        let mut reader = FrameReader::default();
        reader.push(&bytes);
        // A changed length may make the reader wait; a whole frame always fails its checksum.
        prop_assert!(!matches!(reader.next_frame(), Ok(Some(_))));
    }

    #[test]
    fn any_bytes_are_frames_or_refused(bytes: Vec<u8>) {
        let mut reader = FrameReader::default();
        reader.push(&bytes);
        while let Ok(Some(frame)) = reader.next_frame() {
            let (service, shape) = stream("bedrock-agent-runtime", "ResponseStream");
            drop(frame.event(service, shape));
        }
    }
}
