#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use std::path::Path;

use expect_test::{Expect, expect};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value as Json, json};

use super::*;
use crate::embed::{EmbedRole, Truncate};

const HIDDEN: usize = 8;
const INNER: usize = 12;

fn write(home: &Path, name: &str, json: Json) {
    let path = home.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, json.to_string()).unwrap();
}

fn config() -> Json {
    json!({
        "model_type": "bert", "architectures": ["BertModel"], "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": 1, "num_attention_heads": 2,
        "vocab_size": 9, "max_position_embeddings": 16, "type_vocab_size": 2,
    })
}

fn modules(kinds: &[&str]) -> Json {
    let module = |(number, kind): (usize, &&str)| {
        let path = if number == 0 { String::new() } else { format!("{number}_{kind}") };
        json!({ "type": format!("sentence_transformers.models.{kind}"), "path": path })
    };
    kinds.iter().enumerate().map(module).collect()
}

/// A BERT of nine pieces whose weights follow from their names and places.
fn tiny(home: &Path) {
    write(home, "config.json", config());
    write(home, "modules.json", modules(&["Transformer", "Pooling"]));
    write(home, "1_Pooling/config.json", json!({ "pooling_mode_mean_tokens": true }));
    write(home, "sentence_bert_config.json", json!({ "max_seq_length": 5 }));
    let prompts = json!({ "prompts": { "query": "sun " } });
    write(home, "config_sentence_transformers.json", prompts);
    let pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "sun", "rain", "##fall", "wind", "snow"];
    std::fs::write(home.join("vocab.txt"), pieces.join("\n")).unwrap();
    weights(home, &tensors());
}

fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut all = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![9, HIDDEN]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![16, HIDDEN]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, HIDDEN]),
    ];
    let mut pair = |name: &str, out: usize, into: Option<usize>| {
        all.push((format!("{name}.weight"), [out].into_iter().chain(into).collect()));
        all.push((format!("{name}.bias"), vec![out]));
    };
    pair("embeddings.LayerNorm", HIDDEN, None);
    let layer = "encoder.layer.0";
    for part in ["self.query", "self.key", "self.value", "output.dense"] {
        pair(&format!("{layer}.attention.{part}"), HIDDEN, Some(HIDDEN));
    }
    pair(&format!("{layer}.attention.output.LayerNorm"), HIDDEN, None);
    pair(&format!("{layer}.intermediate.dense"), INNER, Some(HIDDEN));
    pair(&format!("{layer}.output.dense"), HIDDEN, Some(INNER));
    pair(&format!("{layer}.output.LayerNorm"), HIDDEN, None);
    all
}

fn weights(home: &Path, tensors: &[(String, Vec<usize>)]) {
    let floats = |name: &str, shape: &[usize]| -> Vec<u8> {
        let seed: usize = name.bytes().map(usize::from).sum();
        let float = |at: usize| ((seed + at * 37) % 101) as f32 / 50.5 - 1.0;
        (0..shape.iter().product()).flat_map(|at| float(at).to_le_bytes()).collect()
    };
    let data: Vec<_> = tensors.iter().map(|(name, shape)| floats(name, shape)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape), data)| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
    });
    serialize_to_file(views, None, &home.join("model.safetensors")).unwrap();
}

fn open(home: &Path) -> Result<Sentence, String> {
    let config = Config { path: home.to_owned() };
    Sentence::open("here", &config, Path::new("/")).map_err(|error| error.to_string())
}

fn call(texts: &[&str]) -> EmbedCall {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    EmbedCall { model: "tiny".to_owned(), texts, ..EmbedCall::default() }
}

async fn one(model: &Sentence, call: EmbedCall) -> Vec<f32> {
    model.embed(&call).await.unwrap().vectors.remove(0)
}

#[tokio::test]
async fn a_text_has_the_same_vector_in_any_company() {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    let model = open(home.path()).unwrap();
    let texts = ["sun", "Rainfall and wind", "snow snow snow", ""];
    let together = model.embed(&call(&texts)).await.unwrap();
    assert_eq!(together.input_tokens, 3 + 5 + 5 + 2);
    for (text, vector) in texts.iter().zip(&together.vectors) {
        assert_eq!(&one(&model, call(&[text])).await, vector);
        assert_eq!(vector.len(), HIDDEN);
    }
    let crowd: Vec<&str> = texts.iter().copied().cycle().take(1500).collect();
    let crowd = model.embed(&call(&crowd)).await.unwrap();
    assert_eq!(crowd.vectors[1496..], together.vectors[..]);
    let unit = one(&model, EmbedCall { normalize: true, ..call(&["sun"]) }).await;
    assert!((unit.iter().map(|n| n * n).sum::<f32>() - 1.0).abs() < 1e-6);
}

#[tokio::test]
async fn a_long_text_loses_its_end_or_its_start_or_is_refused() {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    let model = open(home.path()).unwrap();
    let cut = |truncate| EmbedCall { truncate: Some(truncate), ..call(&["sun rain wind snow"]) };
    assert_eq!(one(&model, cut(Truncate::End)).await, one(&model, call(&["sun rain wind"])).await);
    let start = one(&model, cut(Truncate::Start)).await;
    assert_eq!(start, one(&model, call(&["rain wind snow"])).await);
    let error = model.embed(&cut(Truncate::Never)).await.unwrap_err();
    expect!["here: text 0 has 4 tokens, the model reads 3 (CR0034)"].assert_eq(&error.to_string());
}

#[tokio::test]
async fn a_question_is_asked_with_the_models_own_prompt() {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    let model = open(home.path()).unwrap();
    let question = EmbedCall { role: EmbedRole::Query, ..call(&["rain"]) };
    assert_eq!(one(&model, question).await, one(&model, call(&["sun rain"])).await);
}

/// What is said of a directory that is not as it should be.
async fn check(spoil: impl Fn(&Path), expected: Expect) {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    spoil(home.path());
    let said = match open(home.path()) {
        Err(error) => format!("start: {error}"),
        Ok(model) => {
            match model.embed(&EmbedCall { dimensions: Some(4), ..call(&["sun"]) }).await {
                Ok(_) => "served".to_owned(),
                Err(error) => format!("call: {error}"),
            }
        }
    };
    expected.assert_eq(&said.replace(&home.path().display().to_string(), "HOME"));
}

/// A configuration with one member of its own.
fn with(member: &'static str, value: Json) -> impl Fn(&Path) {
    move |home| {
        let mut config = config();
        config[member] = value.clone();
        write(home, "config.json", config);
    }
}

#[tokio::test]
async fn what_is_not_built_is_refused_by_name() {
    check(|_| {}, expect!["call: here: its vectors have 8 numbers, and 4 were asked for (CR0037)"])
        .await;
    check(with("model_type", json!("t5")), expect![[r#"start: [providers.here] path = "HOME": the architecture "t5" ("BertModel") is not built; there are bert, camembert, distilbert, mpnet, roberta, xlm-roberta (CR0008)"#]]).await;
    check(
        with("hidden_act", json!("swish")),
        expect![[
            r#"start: [providers.here] path = "HOME": the activation "swish" is not built (CR0008)"#
        ]],
    )
    .await;
    check(with("position_embedding_type", json!("relative_key")), expect![[r#"start: [providers.here] path = "HOME": position_embedding_type "relative_key" is not built, only "absolute" (CR0008)"#]]).await;
    check(with("num_attention_heads", json!(3)), expect![[r#"start: [providers.here] path = "HOME": config.json: 8 numbers do not divide into 3 heads (CR0008)"#]]).await;
    check(with("vocab_size", json!(8)), expect![[r#"start: [providers.here] path = "HOME": model.safetensors: embeddings.word_embeddings.weight is of [9, 8] and must be of [8, 8] (CR0008)"#]]).await;
    let far = |home: &Path| {
        let mut config = config();
        (config["model_type"], config["pad_token_id"]) = (json!("mpnet"), json!(u64::MAX));
        write(home, "config.json", config);
    };
    check(far, expect![[r#"start: [providers.here] path = "HOME": config.json: 16 positions are too few (CR0008)"#]]).await;
    check(
        with("model_type", json!("roberta")),
        expect![[r#"start: [providers.here] path = "HOME": HOME has no tokenizer.json (CR0008)"#]],
    )
    .await;
}

#[tokio::test]
async fn a_file_that_is_not_there_is_refused_by_name() {
    check(|home| std::fs::remove_file(home.join("model.safetensors")).unwrap(), expect![[r#"start: [providers.here] path = "HOME": HOME has no model.safetensors; no other form of weights is read (CR0008)"#]])
        .await;
    check(
        |home| std::fs::write(home.join("model.safetensors"), "none").unwrap(),
        expect![[
            r#"start: [providers.here] path = "HOME": model.safetensors: header too small (CR0008)"#
        ]],
    )
    .await;
    check(|home| weights(home, &tensors()[..9]), expect![[r#"start: [providers.here] path = "HOME": model.safetensors has no encoder.layer.0.attention.self.value.weight (CR0008)"#]]).await;
    check(
        |home| std::fs::remove_file(home.join("vocab.txt")).unwrap(),
        expect![[r#"start: [providers.here] path = "HOME": HOME has no tokenizer.json (CR0008)"#]],
    )
    .await;
}

#[tokio::test]
async fn modules_that_are_not_built_or_stand_elsewhere_are_refused_by_name() {
    let extra =
        |home: &Path| write(home, "modules.json", modules(&["Transformer", "Pooling", "LSTM"]));
    check(extra, expect![[r#"start: [providers.here] path = "HOME": the module "sentence_transformers.models.LSTM" is not built; Pooling, Dense and Normalize are (CR0008)"#]]).await;
    let outside = |home: &Path| {
        write(home, "modules.json", json!([{ "type": "x.Transformer", "path": "../x" }]));
    };
    check(outside, expect![[r#"start: [providers.here] path = "HOME": modules.json names "../x", which is outside of it (CR0008)"#]]).await;
    check(
        |home| pooled(home, json!({ "pooling_mode_attention_tokens": true })),
        expect![[r#"start: [providers.here] path = "HOME": the pooling "pooling_mode_attention_tokens" is not built (CR0008)"#]],
    )
    .await;
}

#[tokio::test]
async fn weights_that_are_not_as_their_header_says_are_refused() {
    let cut = |home: &Path| {
        let file = std::fs::File::options().write(true).open(home.join("model.safetensors"));
        let file = file.unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    check(cut, expect![[r#"start: [providers.here] path = "HOME": model.safetensors has 2552 bytes, and by its header 5104 (CR0008)"#]]).await;
    let header = |header: String| {
        move |home: &Path| {
            let length = (header.len() as u64).to_le_bytes();
            let bytes = [&length[..], header.as_bytes()].concat();
            std::fs::write(home.join("model.safetensors"), bytes).unwrap();
        }
    };
    let huge = |side: u64, end: u64| {
        let word = json!({ "dtype": "F32", "shape": [side, HIDDEN], "data_offsets": [0, end] });
        header(json!({ "embeddings.word_embeddings.weight": word }).to_string())
    };
    check(huge(9, u64::MAX), expect![[r#"start: [providers.here] path = "HOME": model.safetensors: its header: invalid shape, data type, or offset for tensor (CR0008)"#]]).await;
    let of_many = move |home: &Path| {
        with("vocab_size", json!(1_u64 << 61))(home);
        huge(1 << 61, 0)(home);
    };
    check(of_many, expect![[r#"start: [providers.here] path = "HOME": model.safetensors: its header: overflow computing buffer size from shape and/or element type (CR0008)"#]]).await;
    let endless = |home: &Path| {
        std::fs::write(home.join("model.safetensors"), [0xff; 64]).unwrap();
    };
    check(endless, expect![[r#"start: [providers.here] path = "HOME": model.safetensors: its header has 18446744073709551615 bytes, more than 8388608 (CR0008)"#]]).await;
}

/// One more module after the first, by its configuration.
fn pooled(home: &Path, pooling: Json) {
    write(home, "1_Pooling/config.json", pooling);
}

#[tokio::test]
async fn tokens_become_one_vector_in_every_way_that_there_is() {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    // The rows themselves, by the pooling of the first token of each.
    let model = open(home.path()).unwrap();
    let loaded = model.model().await.unwrap();
    let pieces = loaded.texts.pieces(&call(&["sun rain"])).unwrap();
    let rows = loaded.encoder.forward(&pieces).remove(0);
    assert_eq!(rows.nrows(), 4);
    let column = |at: usize| rows.column(at).to_vec();
    type Of = fn(&[f32]) -> f32;
    let ways: [(&str, Of); 6] = [
        ("cls", |column| column[0]),
        ("max", |column| column.iter().copied().fold(f32::MIN, f32::max)),
        ("mean", |column| column.iter().sum::<f32>() / 4.0),
        ("mean_sqrt_len_tokens", |column| column.iter().sum::<f32>() / 2.0),
        ("weightedmean", |c| (c[0] + 2.0 * c[1] + 3.0 * c[2] + 4.0 * c[3]) / 10.0),
        ("lasttoken", |column| column[3]),
    ];
    for (name, way) in ways {
        pooled(home.path(), json!({ "pooling_mode": name }));
        let vector = one(&open(home.path()).unwrap(), call(&["sun rain"])).await;
        for (at, number) in vector.iter().enumerate() {
            assert!((number - way(&column(at))).abs() < 1e-5, "{name}");
        }
    }
    // By switches, the mean is on unless it is said to be off.
    pooled(home.path(), json!({ "pooling_mode_cls_token": true }));
    assert_eq!(one(&open(home.path()).unwrap(), call(&["sun rain"])).await.len(), 2 * HIDDEN);
}

#[tokio::test]
async fn weights_that_are_no_numbers_make_no_vectors() {
    let home = tempfile::tempdir().unwrap();
    tiny(home.path());
    let file = home.path().join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&file, &bytes).unwrap();
    let model = open(home.path()).unwrap();
    let texts = ["sun", "rain", "wind", "snow", ""];
    let error = model.embed(&call(&texts)).await.unwrap_err().to_string();
    assert!(error.contains("vectors that are no numbers"), "{error}");
}
