//! Texts to the numbers of their pieces, by the model's own `tokenizer.json`, or by the `vocab.txt`
//! of a BERT that has none.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Model as _, PostProcessor as _, Tokenizer, TruncationDirection};

use super::family::Family;
use super::folder::{Folder, Reading, bytes, required};
use crate::embed::{EmbedCall, EmbedRole, Truncate};
use crate::limits::VOCABULARY_BYTES;

pub(super) struct Texts {
    tokenizer: Tokenizer,
    reading: Reading,
    /// Tokens of the text itself; the marks around it are counted off.
    room: usize,
}

impl Texts {
    pub(super) fn load(folder: &Folder) -> Result<Texts, String> {
        let mut tokenizer = tokenizer(&folder.transformer, folder.shape.family)?;
        // The file may cut and fill up as it was last used; both are decided here.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        let marks = tokenizer.get_post_processor().map_or(0, |marks| marks.added_tokens(false));
        let reading = folder.reading.clone();
        let room = reading.max_tokens.saturating_sub(marks);
        if room == 0 {
            return Err(format!("max_seq_length {} leaves no room", reading.max_tokens));
        }
        Ok(Texts { tokenizer, reading, room })
    }

    pub(super) fn vocabulary(&self) -> usize {
        let numbers = self.tokenizer.get_vocab(true).into_values();
        numbers.max().map_or(0, |last| last as usize + 1)
    }

    pub(super) fn pieces(&self, call: &EmbedCall) -> Result<Vec<Vec<u32>>, String> {
        let prompt = match call.role {
            EmbedRole::Query => &self.reading.query,
            EmbedRole::Document => &self.reading.document,
        };
        let texts = call.texts.iter().enumerate();
        texts.map(|(at, text)| self.piece(prompt, text, call.truncate, at)).collect()
    }

    fn piece(
        &self,
        prompt: &str,
        text: &str,
        truncate: Option<Truncate>,
        at: usize,
    ) -> Result<Vec<u32>, String> {
        let mut text = format!("{prompt}{text}").trim().to_owned();
        if self.reading.lower_case {
            text = text.to_lowercase();
        }
        let cannot = |error: tokenizers::Error| format!("text {at} cannot be read: {error}");
        let mut pieces = self.tokenizer.encode_fast(text, false).map_err(cannot)?;
        let direction = match truncate {
            Some(Truncate::Never) if pieces.len() > self.room => {
                let (found, room) = (pieces.len(), self.room);
                return Err(format!("text {at} has {found} tokens, the model reads {room}"));
            }
            None | Some(Truncate::Never | Truncate::End) => TruncationDirection::Right,
            Some(Truncate::Start) => TruncationDirection::Left,
        };
        pieces.truncate(self.room, 0, direction);
        pieces.take_overflowing();
        let marked = self.tokenizer.post_process(pieces, None, true).map_err(cannot)?;
        Ok(marked.get_ids().to_vec())
    }
}

fn tokenizer(path: &Path, family: Family) -> Result<Tokenizer, String> {
    match vocabulary(path, family)? {
        Vocabulary::Whole(file) => {
            let read = bytes(&file, VOCABULARY_BYTES)?;
            Tokenizer::from_bytes(read).map_err(|error| format!("tokenizer.json: {error}"))
        }
        Vocabulary::Pieces => word_pieces(path),
    }
}

enum Vocabulary {
    Whole(PathBuf),
    Pieces,
}

fn vocabulary(path: &Path, family: Family) -> Result<Vocabulary, String> {
    let file = path.join("tokenizer.json");
    let pieces = || path.join("vocab.txt").is_file();
    match family {
        _ if file.is_file() => Ok(Vocabulary::Whole(file)),
        Family::Bert | Family::DistilBert if pieces() => Ok(Vocabulary::Pieces),
        _ => Err(format!("{} has no tokenizer.json", path.display())),
    }
}

/// Fails early where there is no vocabulary.
pub(super) fn check(path: &Path, family: Family) -> Result<(), String> {
    vocabulary(path, family).map(drop)
}

/// BERT's own way, from the list of its pieces.
fn word_pieces(path: &Path) -> Result<Tokenizer, String> {
    #[derive(Deserialize)]
    struct Settings {
        #[serde(default = "yes")]
        do_lower_case: bool,
        #[serde(default = "yes")]
        tokenize_chinese_chars: bool,
        strip_accents: Option<bool>,
    }
    fn yes() -> bool {
        true
    }
    let file = path.join("tokenizer_config.json");
    let settings = if file.exists() { required(&file)? } else { Json::Object(Default::default()) };
    let settings = Settings::deserialize(settings).map_err(|error| error.to_string())?;
    let vocabulary = path.join("vocab.txt");
    // The library reads the file itself, however large.
    bytes(&vocabulary, VOCABULARY_BYTES)?;
    let cannot = |error: tokenizers::Error| format!("vocab.txt: {error}");
    let model = WordPiece::from_file(&vocabulary.to_string_lossy()).build().map_err(cannot)?;
    let mark = |mark: &str| match model.token_to_id(mark) {
        Some(number) => Ok((mark.to_owned(), number)),
        None => Err(format!("vocab.txt has no {mark}")),
    };
    let marks = BertProcessing::new(mark("[SEP]")?, mark("[CLS]")?);
    let mut tokenizer = Tokenizer::new(model);
    let Settings { do_lower_case, tokenize_chinese_chars, strip_accents } = settings;
    let words = BertNormalizer::new(true, tokenize_chinese_chars, strip_accents, do_lower_case);
    tokenizer.with_normalizer(Some(words)).map_err(|error| error.to_string())?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer)).with_post_processor(Some(marks));
    Ok(tokenizer)
}
