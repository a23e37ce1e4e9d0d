//! Files that a client attaches to its question (`sessionState.files`), as blocks for the model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use engine::request::Input;
use serde_json::json;
use wire::bedrock_agent_runtime::types::{FileSource, FileSourceType, FileUseCase, InputFile};
use wire::converse::Block;
use wire::fault::Fault;

use crate::bedrock_agent::feature::refused;
use crate::cx::Cx;

/// AWS: at most five files of 10 MB together (API reference, `ByteContentFile`).
const FILES: usize = 5;
const BYTES: usize = 10_485_760;

/// Media types, endings and formats. AWS: the formats are Converse's (API reference, `ImageBlock`,
/// `DocumentBlock`).
const IMAGES: [(&str, &str, &str); 5] = [
    ("image/png", "png", "png"),
    ("image/jpeg", "jpg", "jpeg"),
    ("image/jpeg", "jpeg", "jpeg"),
    ("image/gif", "gif", "gif"),
    ("image/webp", "webp", "webp"),
];
const DOCUMENTS: [(&str, &str, &str); 9] = [
    ("application/pdf", "pdf", "pdf"),
    ("text/csv", "csv", "csv"),
    ("text/plain", "txt", "txt"),
    ("text/html", "html", "html"),
    ("text/markdown", "md", "md"),
    ("application/msword", "doc", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", "docx"),
    ("application/vnd.ms-excel", "xls", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "xlsx"),
];

pub(super) async fn read(
    cx: &Cx,
    files: Vec<InputFile>,
    asked: &Input,
) -> Result<Vec<Block>, Fault> {
    if !files.is_empty() && !matches!(asked, Input::Text(_)) {
        return Err(Fault::validation("'sessionState.files' come with inputText and nothing else"));
    }
    if files.len() > FILES {
        return Err(Fault::validation(format!(
            "{} files at 'sessionState.files' are more than {FILES}",
            files.len()
        )));
    }
    let (mut blocks, mut left) = (Vec::new(), BYTES);
    for file in files {
        if file.use_case == FileUseCase::CodeInterpreter {
            let field = "sessionState.files.useCase";
            return Err(refused(field, file.use_case.as_str(), "the code interpreter"));
        }
        let (kind, bytes) = content(cx, &file, left).await?;
        left = left.checked_sub(bytes.len()).ok_or_else(too_large)?;
        blocks.push(block(&file.name, &kind, &bytes)?);
    }
    Ok(blocks)
}

fn too_large() -> Fault {
    Fault::validation(format!("the files at 'sessionState.files' have more than {BYTES} bytes"))
}

/// What a file is, by its media type or the ending of its key, and its bytes.
async fn content(cx: &Cx, file: &InputFile, most: usize) -> Result<(String, Bytes), Fault> {
    let FileSource { byte_content, s3_location, source_type } = &file.source;
    match (source_type, byte_content, s3_location) {
        (FileSourceType::ByteContent, Some(content), None) => {
            Ok((content.media_type.clone(), content.data.clone()))
        }
        (FileSourceType::S3, None, Some(location)) => {
            let path = location.uri.strip_prefix("s3://").unwrap_or_default();
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            cx.authorize_object(bucket, key)?;
            let read = cx.engine.buckets().read(bucket, key, most as u64).await;
            let bytes = read.map_err(|error| {
                Fault::validation(format!("{} at 'sessionState.files': {error}", location.uri))
            })?;
            let ending = key.rsplit('.').next().unwrap_or_default();
            Ok((ending.to_ascii_lowercase(), bytes))
        }
        _ => Err(Fault::validation(format!(
            "file '{}' at 'sessionState.files' must have what its sourceType {} names, and nothing \
             else: byteContent or s3Location",
            file.name,
            source_type.as_str()
        ))),
    }
}

fn block(name: &str, kind: &str, bytes: &Bytes) -> Result<Block, Fault> {
    let plain = kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase();
    let is = |(media, ending, _): &&(&str, &str, &str)| *media == plain || *ending == plain;
    let source = json!({"bytes": STANDARD.encode(bytes)});
    if let Some((.., format)) = IMAGES.iter().find(is) {
        return Ok(Block::Image(json!({"format": format, "source": source})));
    }
    if let Some((.., format)) = DOCUMENTS.iter().find(is) {
        let name = document_name(name);
        return Ok(Block::Document(json!({"format": format, "name": name, "source": source})));
    }
    let known: Vec<&str> = IMAGES.iter().chain(&DOCUMENTS).map(|(media, ..)| *media).collect();
    Err(Fault::validation(format!(
        "the type '{kind}' of file '{name}' at 'sessionState.files' is none of {}",
        known.join(", ")
    )))
}

/// AWS: a document's name has letters, digits, single spaces, hyphens, parentheses and brackets (API
/// reference, `DocumentBlock`). A file's has more.
fn document_name(name: &str) -> String {
    let fits = |sign: char| sign.is_ascii_alphanumeric() || "-()[]".contains(sign);
    let words: String = name.chars().map(|sign| if fits(sign) { sign } else { ' ' }).collect();
    let name = words.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "file".to_owned() } else { name.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, kind: &str, expected: &str) {
        let told = match block(name, kind, &Bytes::from_static(b"abc")) {
            Ok(Block::Image(image)) => format!("image {image}"),
            Ok(Block::Document(document)) => format!("document {document}"),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => fault.message().chars().take(70).collect(),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn a_file_is_an_image_or_a_document_by_its_type() {
        check("a.png", "image/png", r#"image {"format":"png","source":{"bytes":"YWJj"}}"#);
        check("x", "jpg", r#"image {"format":"jpeg","source":{"bytes":"YWJj"}}"#);
        check(
            "bill_7, (new).pdf",
            "application/PDF",
            r#"document {"format":"pdf","name":"bill 7 (new) pdf","source":{"bytes":"YWJj"}}"#,
        );
        check(
            "__",
            "text/csv; charset=utf-8",
            r#"document {"format":"csv","name":"file","source":{"bytes":"YWJj"}}"#,
        );
        check(
            "a.exe",
            "application/x-msdownload",
            "the type 'application/x-msdownload' of file 'a.exe' at 'sessionState.f",
        );
    }
}
