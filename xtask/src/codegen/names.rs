//! AWS's names as Rust identifiers. The same name always gives the same identifier.

use std::collections::BTreeSet;

/// Words that a field cannot be called as they are.
const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "static", "struct", "trait", "true", "try", "type", "unsafe", "use", "where",
    "while", "yield",
];

/// `agentName` → `agent_name`, `KMSKeyArn` → `kms_key_arn`, `type` → `r#type`.
pub(crate) fn field(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        if letter.is_ascii_uppercase() && i > 0 {
            let after_word = !letters[i - 1].is_ascii_uppercase() && letters[i - 1] != '_';
            let ends_acronym = letters.get(i + 1).is_some_and(char::is_ascii_lowercase)
                && letters[i - 1].is_ascii_uppercase();
            if after_word || ends_acronym {
                snake.push('_');
            }
        }
        snake.push(letter.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&snake.as_str()) { format!("r#{snake}") } else { snake }
}

/// A shape's or union member's name: only the first letter may have to change.
pub(crate) fn type_name(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).filter(|letter| *letter != '_').collect()
}

/// An enum's values as variants, in order and all different: `RETURN_CONTROL` → `ReturnControl`,
/// `python3.12` → `Python3_12`, a digit in front gets a `V`.
pub(crate) fn variants(values: &[String]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    values
        .iter()
        .map(|value| {
            let mut name = variant(value);
            while !taken.insert(name.clone()) {
                name.push_str("Again");
            }
            name
        })
        .collect()
}

fn variant(value: &str) -> String {
    let mut name = String::new();
    for word in value.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let digits_meet = name.ends_with(|letter: char| letter.is_ascii_digit())
            && word.starts_with(|letter: char| letter.is_ascii_digit());
        if digits_meet {
            name.push('_');
        }
        name.push_str(&capital(word));
    }
    if name.is_empty() {
        name.push_str("Empty");
    }
    if name.starts_with(|letter: char| letter.is_ascii_digit()) {
        name.insert(0, 'V');
    }
    if name == "Self" { "SelfValue".to_owned() } else { name }
}

fn capital(word: &str) -> String {
    let shouted = word.chars().all(|letter| !letter.is_ascii_lowercase());
    let mut letters = word.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let rest = letters.map(|letter| if shouted { letter.to_ascii_lowercase() } else { letter });
    first.into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn members_become_fields() {
        let names = ["agentName", "KMSKeyArn", "CodeSha256", "S3Bucket", "type", "VPCId"];
        let fields: Vec<_> = names.iter().map(|name| super::field(name)).collect();
        let expected =
            ["agent_name", "kms_key_arn", "code_sha256", "s3_bucket", "r#type", "vpc_id"];
        assert_eq!(fields, expected);
    }

    #[test]
    fn enum_values_become_different_variants() {
        let values =
            ["RETURN_CONTROL", "python3.12", "x86_64", "nodejs4.3-edge", "", "4xx", "a", "A"];
        let expected = [
            "ReturnControl",
            "Python3_12",
            "X86_64",
            "Nodejs4_3Edge",
            "Empty",
            "V4xx",
            "A",
            "AAgain",
        ];
        assert_eq!(super::variants(&values.map(str::to_owned)), expected);
    }
}
