//! How many tokens the input of a call can have, and about how many it has, without a vocabulary.
//!
//! Budgets hold back the former, gates and caps of one call weigh the latter. Text counts by its bytes,
//! of which no token has less than one, pictures by their size, PDFs by their pages; nobody is asked.

use std::io::Read as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::ZlibDecoder;
use serde_json::Value as Json;
use wire::converse::{Block, Call, ResultBlock};

use crate::limits::{
    BYTES_PER_TOKEN, OWN_TOKENS, PAGE_TOKENS, PDF_INFLATED_BYTES, PDF_OBJECT_STREAMS,
    PICTURE_TOKENS,
};
use crate::tokens;

/// The tokens of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Input {
    /// An upper bound.
    pub most: u64,
    /// An estimate.
    pub about: u64,
}

impl Input {
    fn of_bytes(bytes: usize) -> Input {
        let bytes = bytes as u64;
        Input { most: bytes, about: bytes.div_ceil(BYTES_PER_TOKEN as u64) }
    }

    fn and(self, other: Input) -> Input {
        Input {
            most: self.most.saturating_add(other.most),
            about: self.about.saturating_add(other.about),
        }
    }
}

/// Everything that a provider is sent: the JSON of the call, but media for what is read in them.
pub fn input(call: &Call) -> Input {
    // Whether somebody reads along is nothing that a model reads.
    let stream = format!(",\"stream\":{}", call.stream).len();
    let json = serde_json::to_vec(call).expect("its maps have string keys").len() - stream;
    let encoded: usize = all_media(call).map(|(_, media)| base64(media).len()).sum();
    let media = all_media(call).map(|(kind, media)| of_media(kind, media));
    let sum = media.fold(Input::of_bytes(json.saturating_sub(encoded)), Input::and);
    // What providers say of tools and schemas in words of their own.
    let own = !call.tools.is_empty() || call.options.output.is_some();
    sum.and(Input { most: if own { OWN_TOKENS } else { 0 }, about: 0 })
}

/// About how many tokens are read in the media of a block.
pub fn media(block: &Block) -> u64 {
    media_of(block).into_iter().map(|(kind, media)| of_media(kind, media).about).sum()
}

#[derive(Clone, Copy)]
enum Kind {
    Picture,
    Document,
    Video,
    Audio,
}

fn all_media(call: &Call) -> impl Iterator<Item = (Kind, &Json)> {
    call.messages.iter().flat_map(|message| &message.content).flat_map(media_of)
}

fn media_of(block: &Block) -> Vec<(Kind, &Json)> {
    fn of_result(block: &ResultBlock) -> Option<(Kind, &Json)> {
        match block {
            ResultBlock::Image(media) => Some((Kind::Picture, media)),
            ResultBlock::Document(media) => Some((Kind::Document, media)),
            ResultBlock::Video(media) => Some((Kind::Video, media)),
            ResultBlock::Text(_) | ResultBlock::Json(_) | ResultBlock::SearchResult(_) => None,
        }
    }
    match block {
        Block::Image(media) => vec![(Kind::Picture, media)],
        Block::Document(media) => vec![(Kind::Document, media)],
        Block::Video(media) => vec![(Kind::Video, media)],
        Block::Audio(media) => vec![(Kind::Audio, media)],
        Block::ToolResult(result) => result.content.iter().filter_map(of_result).collect(),
        Block::Text(_)
        | Block::ToolUse(_)
        | Block::ReasoningContent(_)
        | Block::SearchResult(_)
        | Block::CitationsContent(_)
        | Block::GuardContent(_)
        | Block::CachePoint(_) => Vec::new(),
    }
}

fn base64(media: &Json) -> &str {
    media["source"]["bytes"].as_str().unwrap_or_default()
}

/// What is read in one file. Its other members are text of the call.
fn of_media(kind: Kind, media: &Json) -> Input {
    let encoded = base64(media).len() as u64;
    match kind {
        Kind::Picture => of_picture(media),
        Kind::Document => of_document(media),
        // Some 300 tokens of a second, which has 100 KB or more (Gemini API, "Video understanding").
        Kind::Video => Input { most: encoded, about: encoded / 400 },
        // Some 32 of a second of 8 KB (Gemini API, "Audio understanding").
        Kind::Audio => Input { most: encoded, about: encoded / 250 },
    }
}

fn of_picture(picture: &Json) -> Input {
    let bytes = BASE64_STANDARD.decode(base64(picture)).unwrap_or_default();
    let size = imagesize::blob_size(&bytes).ok();
    let most = size.map_or(PICTURE_TOKENS, |size| tiles(size.width as u64, size.height as u64));
    Input { most, about: tokens::of_picture(picture) }
}

/// What a picture counts as for the model that counts the most (OpenAI, "Images and vision",
/// gpt-4o-mini): it is shrunk into a square of 2,048 pixels, then to a short side of 768, and read by
/// tiles of 512.
fn tiles(width: u64, height: u64) -> u64 {
    let (long, short) = (width.max(height).max(1), width.min(height).max(1));
    let fit = |side: u64, to: u64, of: u64| if of > to { (side * to).div_ceil(of) } else { side };
    let (long, short) = (fit(long, 2_048, long), fit(short, 2_048, long));
    let (long, short) = (fit(long, 768, short), fit(short, 768, short));
    2_833 + 5_667 * long.div_ceil(512) * short.div_ceil(512)
}

fn of_document(document: &Json) -> Input {
    let encoded = base64(document).len() as u64;
    let Ok(bytes) = BASE64_STANDARD.decode(base64(document)) else {
        return Input { most: encoded, about: encoded / BYTES_PER_TOKEN as u64 };
    };
    let most = match bytes.get(..4) {
        Some(b"%PDF") => return of_pdf(&bytes),
        Some(b"PK\x03\x04") => encoded.max(unpacked(&bytes)),
        _ => encoded,
    };
    Input { most, about: most / BYTES_PER_TOKEN as u64 }
}

fn of_pdf(bytes: &[u8]) -> Input {
    let pages = pages(bytes);
    let most = pages.saturating_mul(PAGE_TOKENS);
    // Nobody sees how many pages an encrypted one has, nor one without any that is found.
    let hidden = pages == 0 || bytes.windows(8).any(|at| at == b"/Encrypt");
    let most = if hidden { most.max(bytes.len() as u64) } else { most };
    Input { most, about: pages.max(1).saturating_mul(tokens::PER_PAGE) }
}

/// The pages of a PDF: those that stand in the open or in its streams of objects, or as many as it says.
pub(crate) fn pages(pdf: &[u8]) -> u64 {
    let (mut listed, mut said) = listed(pdf);
    let mut room = PDF_INFLATED_BYTES;
    for stream in object_streams(pdf) {
        let mut inflated = Vec::new();
        // What is cut off or broken is read as far as it goes.
        let _ = ZlibDecoder::new(stream).take(room).read_to_end(&mut inflated);
        room = room.saturating_sub(inflated.len() as u64);
        let more = self::listed(&inflated);
        listed += more.0;
        said = said.max(more.1);
    }
    listed.max(said)
}

/// The compressed streams in which a PDF of version 1.5 and later may keep its objects. None reaches
/// into the next, so that each byte is looked at once, whatever the file has been made of.
fn object_streams(pdf: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MARK: &[u8] = b"stream";
    let marks = pdf.windows(MARK.len()).enumerate().filter(|(_, at)| *at == MARK);
    // `endstream` has the mark too: what is between two of them is a dictionary or a stream.
    let mut ends = marks.map(|(at, _)| at).chain([pdf.len()]);
    let mut before: &[u8] = &pdf[..ends.next().unwrap_or_default()];
    let mut from = before.len();
    let between = ends.map(move |end| {
        let here = pdf[from..end].strip_prefix(MARK).unwrap_or_default();
        from = end;
        (std::mem::replace(&mut before, here), here)
    });
    let holding =
        between.filter(|(dictionary, _)| dictionary.windows(7).any(|at| at == b"/ObjStm"));
    let streams = holding.map(|(_, stream)| stream.trim_ascii_start());
    streams.take(PDF_OBJECT_STREAMS)
}

/// How many pages are listed, and the most that a `/Count` of a tree of pages says.
fn listed(objects: &[u8]) -> (u64, u64) {
    let close: Vec<u8> =
        objects.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (mut pages, mut said) = (0, 0);
    for at in 0..close.len() {
        let rest = &close[at..];
        if let Some(after) = rest.strip_prefix(b"/Type/Page") {
            pages += u64::from(after.first() != Some(&b's'));
        } else if let Some(after) = rest.strip_prefix(b"/Count") {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).take(6);
            said = said.max(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        }
    }
    (pages, said)
}

/// What the files of a ZIP, as those of Word and Excel are, have unpacked, as its directory says.
fn unpacked(zip: &[u8]) -> u64 {
    let mark = b"PK\x01\x02";
    let entries = zip.windows(28).filter(|at| at.starts_with(mark));
    let sizes = entries.map(|at| u64::from(u32::from_le_bytes([at[24], at[25], at[26], at[27]])));
    sizes.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use serde_json::json;

    use super::*;

    fn of(content: &Json) -> Input {
        let call = json!({ "model": "m", "messages": [{ "role": "user", "content": [content] }] });
        let mut call: Call = serde_json::from_value(call).unwrap();
        let whole = input(&call);
        let source = call.messages[0].content.iter_mut().find_map(|block| match block {
            Block::Image(media) | Block::Document(media) | Block::Video(media) => Some(media),
            _ => None,
        });
        if let Some(source) = source {
            source["source"]["bytes"] = json!("");
        }
        let text = (serde_json::to_vec(&call).unwrap().len() - r#","stream":false"#.len()) as u64;
        Input { most: whole.most - text, about: whole.about - text.div_ceil(4) }
    }

    fn file(kind: &str, format: &str, bytes: &[u8]) -> Json {
        let source = json!({ "bytes": BASE64_STANDARD.encode(bytes) });
        json!({ kind: { "format": format, "name": "n", "source": source } })
    }

    fn png(width: u32, height: u32) -> Json {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend(width.to_be_bytes().into_iter().chain(height.to_be_bytes()));
        png.extend([8, 2, 0, 0, 0]);
        file("image", "png", &png)
    }

    /// A PDF whose pages stand in a compressed stream of objects.
    fn hidden(pages: usize) -> Vec<u8> {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all("<</Type /Page /Parent 1 0 R>> ".repeat(pages).as_bytes()).unwrap();
        let mut pdf =
            b"%PDF-1.7\n1 0 obj <</Type /ObjStm /Filter /FlateDecode>> stream\r\n".to_vec();
        pdf.extend(packed.finish().unwrap());
        pdf.extend(b"\nendstream");
        pdf
    }

    #[test]
    fn a_picture_counts_for_no_less_than_any_model_reads_in_it_however_few_bytes_it_has() {
        // OpenAI's own example: 25,501 and 48,169.
        let most = |width, height| of(&png(width, height)).most;
        assert_eq!((most(1_024, 1_024), most(4_096, 8_192)), (25_501, 48_169 - 2 * 5_667));
        assert_eq!((most(16, 16), most(2_048, 768)), (8_500, 48_169));
        for (width, height) in [(1, 1), (300, 4_000), (1_568, 1_568), (60_000, 60_000), (0, 0)] {
            let Input { most, about } = of(&png(width, height));
            assert!((about..=PICTURE_TOKENS).contains(&most), "{width} × {height}: {most}");
        }
        let odd = of(&file("image", "png", &[7; 400_000]));
        assert_eq!((odd.most, odd.about), (PICTURE_TOKENS, 1_600));
    }

    #[test]
    fn a_document_counts_by_its_pages_and_by_what_is_packed_in_it() {
        let open = b"%PDF-1.4 <</Type /Pages /Count 3>> <</Type /Page>> <</Type/Page>>";
        let counted = |pdf: &[u8]| of(&file("document", "pdf", pdf));
        let by_pages = |pages: u64| Input { most: pages * PAGE_TOKENS, about: pages * 2_250 };
        assert_eq!(counted(open), by_pages(3), "as many as it says");
        let small = hidden(100);
        assert!(small.len() < 400, "{}", small.len());
        assert_eq!(counted(&small), by_pages(100));
        assert_eq!(pages(&[b"%PDF ", small.as_slice(), small.as_slice()].concat()), 200);
        // Whoever looked for the stream of each of these would not come to an end.
        assert_eq!(pages(&b"/ObjStm".repeat(600_000)), 0);
        let nested = b"/ObjStm stream\x78\x01\0\0\0\xff\xff".repeat(9);
        assert_eq!(
            object_streams(&nested).map(<[u8]>::len).collect::<Vec<_>>(),
            [15, 15, 15, 15, 15, 15, 15, 15, 7]
        );
        let secret = [b"%PDF-1.4 /Encrypt 5 0 R ".to_vec(), vec![b'x'; 9_000]].concat();
        assert!(counted(&secret).most >= 9_000);
        assert!(counted(b"%PDF-1.4 nothing is found").most > 0);
        let mut docx = b"PK\x03\x04PK\x01\x02".to_vec();
        docx.resize(4 + 24, 0);
        docx.extend(90_000u32.to_le_bytes());
        docx.extend([0; 40]);
        assert_eq!(of(&file("document", "docx", &docx)).most, 90_000);
        assert_eq!(of(&file("document", "txt", &[b'a'; 300])).most, 400);
    }

    #[test]
    fn whatever_is_sent_counts() {
        let bare = json!({ "model": "m", "messages": [] });
        let bare: Call = serde_json::from_value(bare).unwrap();
        let mut more = bare.clone();
        more.options.output = Some(json!({ "textFormat": "x".repeat(5_000) }));
        assert!(input(&more).most > input(&bare).most + 5_000);
        let mut more = bare.clone();
        more.additional = json!({ "prediction": "y".repeat(300) });
        assert!(input(&more).most > input(&bare).most + 300);
    }
}
