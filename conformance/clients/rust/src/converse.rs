//! aws-sdk-bedrockruntime: Converse and ConverseStream.

use aws_config::SdkConfig;
use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::config::Builder;
use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::error::ProvideErrorMetadata;
use aws_sdk_bedrockruntime::operation::converse_stream::{
    ConverseStreamError, ConverseStreamOutput,
};
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput as Event, Message,
    StopReason, Tool, ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock,
    ToolSpecification,
};
use aws_smithy_types::Document;
use serde_json::{Value, json};

use crate::{Found, say, text};

fn user(content: Vec<ContentBlock>) -> Message {
    let message = Message::builder().role(ConversationRole::User).set_content(Some(content));
    message.build().expect("role and content are set")
}

fn document(fields: &[(&str, Document)]) -> Document {
    Document::Object(
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
    )
}

fn weather() -> Result<ToolConfiguration, Box<dyn std::error::Error>> {
    let city = document(&[("type", Document::from("string"))]);
    let schema = document(&[
        ("type", Document::from("object")),
        ("properties", document(&[("city", city)])),
        ("required", Document::Array(vec![Document::from("city")])),
    ]);
    let tool = ToolSpecification::builder()
        .name("weather")
        .description("The weather in a city")
        .input_schema(ToolInputSchema::Json(schema))
        .build()?;
    Ok(ToolConfiguration::builder().tools(Tool::ToolSpec(tool)).build()?)
}

pub(crate) async fn tool_loop(settings: &SdkConfig, given: &Value) -> Found {
    let client = Client::new(settings);
    let mut messages = vec![user(vec![ContentBlock::Text("What is the weather in Oslo?".into())])];
    let mut stops = Vec::new();
    loop {
        let request = client.converse().model_id(text(given, "model")?).tool_config(weather()?);
        let answer = request.set_messages(Some(messages.clone())).send().await?;
        let output = answer.output().ok_or("no output")?;
        let said = output.as_message().map_err(|_| "no message")?.clone();
        stops.push(answer.stop_reason().as_str().to_owned());
        if *answer.stop_reason() != StopReason::ToolUse {
            let words: String =
                said.content().iter().filter_map(|block| block.as_text().ok().cloned()).collect();
            let tokens = answer.usage().map(|usage| usage.total_tokens());
            return Ok(json!({ "stops": stops, "text": words, "tokens": tokens }));
        }
        let results = said.content().iter().filter_map(|block| block.as_tool_use().ok());
        let results = results.map(|call| {
            let city = call.input().as_object().and_then(|input| input.get("city")).cloned();
            let found = [("city", city.unwrap_or_default()), ("degrees", Document::from(18))];
            let result = ToolResultBlock::builder()
                .tool_use_id(call.tool_use_id())
                .content(ToolResultContentBlock::Json(document(&found)));
            result.build().map(ContentBlock::ToolResult)
        });
        let results = results.collect::<Result<Vec<_>, _>>()?;
        messages.extend([said, user(results)]);
    }
}

async fn open(
    client: &Client,
    given: &Value,
) -> Result<ConverseStreamOutput, Box<dyn std::error::Error>> {
    let message = user(vec![ContentBlock::Text("Hello".into())]);
    let request = client.converse_stream().model_id(text(given, "model")?).messages(message);
    Ok(request.send().await?)
}

fn words(event: &Event) -> Option<&str> {
    let Event::ContentBlockDelta(delta) = event else { return None };
    match delta.delta() {
        Some(ContentBlockDelta::Text(text)) => Some(text),
        _ => None,
    }
}

/// Says each piece of text as it comes; finds how the stream ended.
pub(crate) async fn streamed(settings: &SdkConfig, given: &Value) -> Found {
    let mut stream = open(&Client::new(settings), given).await?.stream;
    let (mut stop, mut tokens) = (None, None);
    while let Some(event) = stream.recv().await? {
        if let Some(text) = words(&event) {
            say(&json!(text));
        }
        match event {
            Event::MessageStop(end) => stop = Some(end.stop_reason().as_str().to_owned()),
            Event::Metadata(metadata) => tokens = metadata.usage().map(|u| u.total_tokens()),
            _ => {}
        }
    }
    Ok(json!({ "stop": stop, "tokens": tokens }))
}

/// Says `true` for each event that the SDK does not know; finds the text.
pub(crate) async fn kept_alive(settings: &SdkConfig, given: &Value) -> Found {
    let mut stream = open(&Client::new(settings), given).await?.stream;
    let mut heard = String::new();
    while let Some(event) = stream.recv().await? {
        heard.push_str(words(&event).unwrap_or_default());
        if event.is_unknown() {
            say(&json!(true));
        }
    }
    Ok(json!(heard))
}

pub(crate) async fn refused_before_the_stream(settings: &SdkConfig, given: &Value) -> Found {
    let once = Builder::from(settings).retry_config(RetryConfig::disabled()).build();
    let failure = open(&Client::from_conf(once), given).await.err().ok_or("nothing failed")?;
    let failure =
        failure.downcast::<aws_sdk_bedrockruntime::error::SdkError<ConverseStreamError>>()?;
    let status = failure.raw_response().map(|response| response.status().as_u16());
    let failure = failure.into_service_error();
    let typed = matches!(failure, ConverseStreamError::ThrottlingException(_));
    Ok(json!({ "typed": typed, "status": status, "message": failure.message() }))
}

pub(crate) async fn refused_in_the_stream(settings: &SdkConfig, given: &Value) -> Found {
    let mut stream = open(&Client::new(settings), given).await?.stream;
    let mut heard = String::new();
    let failure = loop {
        match stream.recv().await {
            Ok(Some(event)) => heard.push_str(words(&event).unwrap_or_default()),
            Ok(None) => return Err("nothing failed".into()),
            Err(failure) => break failure.into_service_error(),
        }
    };
    let typed = matches!(failure, ConverseStreamOutputError::ModelStreamErrorException(_));
    Ok(json!({ "text": heard, "typed": typed, "message": failure.message() }))
}
