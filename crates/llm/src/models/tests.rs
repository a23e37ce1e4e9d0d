#![allow(clippy::needless_pass_by_value, reason = "`json!` and `expect!` read best in place")]

use expect_test::{Expect, expect};

use super::*;

fn open(toml: &str, rules_by_default: bool) -> Result<Models, String> {
    let config: Config = toml::from_str(toml).map_err(|error| error.message().to_owned())?;
    let config = Config { rules_by_default, ..config };
    Models::open(config, net::Client::new(net::Config::default())).map_err(|e| e.to_string())
}

fn check(toml: &str, id: &str, expected: Expect) {
    let seen = match open(toml, false).map(|models| models.resolve(id)) {
        Ok(Ok(found)) => format!("{} → {}", found.provider_name, found.model),
        Ok(Err(error)) => format!("{:?}: {error}", error.kind),
        Err(error) => format!("configuration: {error}"),
    };
    expected.assert_eq(&seen);
}

const MAP: &str = r#"
[providers.cloud]
kind = "openai"
api_key_env = "SOME_KEY"

[providers.local]
kind = "openai"
base_url = "http://127.0.0.1:11434/v1"
timeout_seconds = 20

[[models]]
match = "anthropic.claude-*-haiku-*"
provider = "local"
model = "qwen3:8b"

[[models]]
match = "anthropic.claude-*"
provider = "cloud"
model = "big"

[[models]]
match = "eu.meta.*"
provider = "local"
model = "europe/{id}"

[[models]]
match = "house.?"
provider = "rules"
"#;

#[test]
fn the_first_rule_that_matches_wins() {
    check(MAP, "anthropic.claude-3-haiku-20240307-v1:0", expect!["local → qwen3:8b"]);
    check(MAP, "anthropic.claude-3-5-sonnet-20241022-v2:0", expect!["cloud → big"]);
    check(MAP, "house.a", expect!["rules → house.a"]);
}

#[test]
fn an_arn_and_a_cross_region_id_are_known_by_the_model_they_end_in() {
    for id in [
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-opus-20240229-v1:0",
        "us-gov.anthropic.claude-3-opus-20240229-v1:0",
        "global.anthropic.claude-sonnet-4-20250514-v1:0",
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-opus-4-v1:0",
    ] {
        check(MAP, id, expect!["cloud → big"]);
    }
    check(
        MAP,
        "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.meta.llama3-v1:0",
        expect![
            "local → europe/arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.meta.llama3-v1:0"
        ],
    );
}

#[test]
fn an_unmapped_id_names_the_lines_to_add() {
    check(
        MAP,
        "meta.llama3-v1:0",
        expect![[r#"
            NotMapped: no provider is mapped to model "meta.llama3-v1:0", only to ["anthropic.claude-*-haiku-*", "anthropic.claude-*", "eu.meta.*", "house.?"]; add to craton.toml:
            [[models]]
            match = "meta.llama3-v1:0"
            provider = "cloud"
            model = "NAME OF THE MODEL THERE"
            # (CR0010)"#]],
    );
    check(
        "",
        "meta.llama3-v1:0",
        expect![[r#"
            NotMapped: no provider is mapped to model "meta.llama3-v1:0"; add to craton.toml:
            [providers.local]
            kind = "openai"
            base_url = "http://127.0.0.1:11434/v1"
            [[models]]
            match = "meta.llama3-v1:0"
            provider = "local"
            model = "NAME OF THE MODEL THERE"
            # (CR0010)"#]],
    );
}

#[test]
fn without_providers_development_falls_back_to_the_embedded_rules() {
    let found = open("", true).unwrap().resolve("meta.llama3-v1:0").unwrap();
    assert_eq!((found.provider_name.as_str(), found.model.as_str()), ("rules", "craton.rules"));
    let error = open(MAP, true).unwrap().resolve("meta.llama3-v1:0").map(|_| ()).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::NotMapped);
    check(MAP, "craton.rules", expect!["rules → craton.rules"]);
}

#[test]
fn a_mistake_in_the_configuration_names_its_place() {
    check(
        "[providers.x]\nkind = \"openai\"\nbase = \"y\"",
        "m",
        expect![
            "configuration: unknown field `base`, expected one of `base_url`, `api_key`, `api_key_env`, `timeout_seconds`, `dialect`, `max_tokens_field`, `differs`, `api_version`, `headers`"
        ],
    );
    check(
        "[providers.x]\nkind = \"clumsiest\"",
        "m",
        expect![
            "configuration: unknown variant `clumsiest`, expected one of `openai`, `responses`, `anthropic`, `gemini`, `bedrock`, `scripted`, `rules`, `clumsy`, `sentence-transformer`, `hashing`"
        ],
    );
    check(
        "[providers.x]\nkind = \"openai\"\nbase_url = \"localhost:1\"",
        "m",
        expect![[
            r#"configuration: [providers.x] base_url = "localhost:1": not an http or https URL; write it as in "http://127.0.0.1:11434/v1" (CR0008)"#
        ]],
    );
    check(
        "[providers.x]\nkind = \"openai\"\napi_key = \"env:A\"\napi_key_env = \"A\"",
        "m",
        expect![
            "configuration: [providers.x] has api_key and api_key_env; keep one of them (CR0008)"
        ],
    );
    check(
        "[[models]]\nmatch = \"*\"\nprovider = \"gone\"",
        "m",
        expect![[
            r#"configuration: [[models]] match = "*": there is no provider "gone"; add [providers.gone] or use one of: clumsy, hashing, rules (CR0008)"#
        ]],
    );
}

#[test]
fn the_embedded_rules_are_named_so_whatever_the_configuration_calls_them() {
    let named = "[providers.gpt]\nkind = \"rules\"\n[[models]]\nmatch = \"*\"\nprovider = \"gpt\"";
    check(named, "m", expect!["rules → m"]);
    check(
        "[providers.rules]\nkind = \"openai\"",
        "m",
        expect![
            "configuration: [providers.rules]: that name is the embedded provider's; choose another (CR0008)"
        ],
    );
}

#[test]
fn clumsy_takes_its_seed_from_the_id_or_from_the_configuration() {
    let everything =
        "[providers.x]\nkind = \"openai\"\n[[models]]\nmatch = \"*\"\nprovider = \"x\"";
    check(everything, "craton.clumsy:7", expect!["clumsy → craton.clumsy:7"]);
    check(everything, "craton.rules", expect!["rules → craton.rules"]);
    check(
        "",
        "arn:aws:bedrock:us-east-1::foundation-model/craton.clumsy:7",
        expect!["clumsy → craton.clumsy:7"],
    );
    check(
        "",
        "craton.clumsy",
        expect![[
            r#"NotMapped: "craton.clumsy" is no model; craton.clumsy takes a seed, a whole number, as in "craton.clumsy:7" (CR0010)"#
        ]],
    );
    check(
        "",
        "craton.clumsy:seven",
        expect![[
            r#"NotMapped: "craton.clumsy:seven" is no model; craton.clumsy takes a seed, a whole number, as in "craton.clumsy:7" (CR0010)"#
        ]],
    );
    let named = "[providers.gpt]\nkind = \"clumsy\"\nseed = 3\n[[models]]\nmatch = \"*\"\nprovider = \"gpt\"";
    check(named, "m", expect!["clumsy → m"]);
    check(
        "[[models]]\nmatch = \"craton.*\"\nprovider = \"rules\"",
        "craton.clumsy:7",
        expect!["rules → craton.clumsy:7"],
    );
}

#[test]
fn the_maps_fields_lie_beneath_those_of_the_call() {
    let map = "[providers.x]\nkind = \"openai\"\n[[models]]\nmatch = \"*\"\nprovider = \"x\"\n\
               request_fields = { thinking = { budget = 1 }, top_k = 2 }";
    let found = open(map, false).unwrap().resolve("m").unwrap();
    let fields = &found.rule.as_ref().unwrap().1.request_fields;
    let merged = beneath(fields, &serde_json::json!({ "top_k": 9 }));
    expect![[r#"{"thinking":{"budget":1},"top_k":9}"#]].assert_eq(&merged.to_string());
    assert_eq!(beneath(fields, &Json::Bool(true)), Json::Bool(true));
}

#[test]
fn stars_match_any_text_and_question_marks_one_character() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "a-b-b", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("abc", "abcd", false),
        ("*bcd", "abcbcd", true),
    ] {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
    }
}

#[test]
fn in_development_awss_embedding_models_are_the_hashing_embedder() {
    let models = open("", true).unwrap();
    let told = |id: &str| {
        let found = models.resolve(id).unwrap();
        format!("{} → {}", found.provider_name, found.model)
    };
    for (id, expected) in [
        ("amazon.titan-embed-text-v1", "hashing → craton.hash:1536"),
        ("amazon.titan-embed-text-v2:0", "hashing → craton.hash"),
        ("us.cohere.embed-v4:0", "hashing → craton.hash:1536"),
        ("cohere.embed-english-v3", "hashing → craton.hash"),
        ("amazon.titan-text-express-v1", "rules → craton.rules"),
        ("craton.hash:256", "hashing → craton.hash:256"),
    ] {
        assert_eq!(told(id), expected, "{id}");
    }
    check(MAP, "craton.hash", expect!["hashing → craton.hash"]);
    let here = "[providers.h]\nkind = \"hashing\"\n";
    assert!(open(here, false).unwrap().common("h").local);
    let own = "[providers.h]\nkind = \"hashing\"\ndimensions = 100\n";
    check(
        own,
        "craton.hash",
        expect![
            "configuration: [providers.h] hashing: vectors of 100 numbers are not made; choose one of [256, 384, 512, 1024, 1536, 3072] (CR0008)"
        ],
    );
    let nowhere = "[providers.s]\nkind = \"sentence-transformer\"\npath = \"/nowhere\"\n";
    check(
        nowhere,
        "x",
        expect![[
            r#"configuration: [providers.s] path = "/nowhere": /nowhere/config.json: No such file or directory (os error 2) (CR0008)"#
        ]],
    );
}
