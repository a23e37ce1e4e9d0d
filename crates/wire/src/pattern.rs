//! The models' patterns: Java's regular expressions, compiled on first use and kept.
//!
//! `regex` runs them in linear time; the few with look-around go to `fancy-regex`, whose steps are
//! bounded. A pattern must match the whole value, as Java's `matches` does.
//! AWS: whole match (`1 validation error detected … regular expression pattern` for any rest).

use std::collections::HashMap;
use std::sync::{LazyLock, RwLock};

use crate::limits;

#[derive(Debug)]
pub(crate) enum Pattern {
    Linear(regex::Regex),
    /// Has look-around or a back-reference.
    Fancy(fancy_regex::Regex),
}

/// By the text's address: the tables hold each pattern once, and its text need not be hashed.
type Compiled = HashMap<(usize, usize), Option<&'static Pattern>>;

static COMPILED: LazyLock<RwLock<Compiled>> = LazyLock::new(RwLock::default);

/// Whether the whole of `text` matches. A pattern that no engine takes lets every value pass:
/// a test over the tables holds that there is none.
pub(crate) fn matches(pattern: &'static str, text: &str) -> bool {
    compiled(pattern).is_none_or(|compiled| compiled.matches(text))
}

fn compiled(pattern: &'static str) -> Option<&'static Pattern> {
    let key = (pattern.as_ptr().addr(), pattern.len());
    let known = COMPILED.read().expect("no holder of this lock panics").get(&key).copied();
    if let Some(known) = known {
        return known;
    }
    // Two threads may both compile; the first to come back is kept.
    let made: Option<&'static Pattern> = match Pattern::compile(pattern) {
        Ok(made) => Some(Box::leak(Box::new(made))),
        Err(_) => None,
    };
    *COMPILED.write().expect("no holder of this lock panics").entry(key).or_insert(made)
}

impl Pattern {
    pub(crate) fn compile(pattern: &str) -> Result<Pattern, String> {
        let whole = format!(r"\A(?:{})\z", translate(pattern));
        let linear = regex::RegexBuilder::new(&whole).size_limit(limits::PATTERN_SIZE).build();
        match linear {
            Ok(linear) => Ok(Pattern::Linear(linear)),
            Err(_) => fancy_regex::RegexBuilder::new(&whole)
                .backtrack_limit(limits::PATTERN_BACKTRACKS)
                .delegate_size_limit(limits::PATTERN_SIZE)
                .build()
                .map(Pattern::Fancy)
                .map_err(|e| format!("{pattern}: {e}")),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Linear(regex) => regex.is_match(text),
            // Beyond the bound of steps the value is refused rather than let through.
            Pattern::Fancy(regex) => regex.is_match(text).unwrap_or(false),
        }
    }
}

/// Rewrites what Java means otherwise than the crates: `\d \w \s` are ASCII, `.` stops at every
/// line end, and `--`, `~~` inside a class are plain characters.
fn translate(java: &str) -> String {
    let mut out = String::with_capacity(java.len() + 16);
    let mut chars = java.chars().peekable();
    let mut class = 0usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => escape(chars.next(), class > 0, &mut out),
            '[' => {
                class += 1;
                out.push(c);
            }
            ']' if class > 0 => {
                class -= 1;
                out.push(c);
            }
            '.' if class == 0 => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            '-' | '~' if class > 0 && chars.peek() == Some(&c) => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

fn escape(next: Option<char>, in_class: bool, out: &mut String) {
    let set = match next {
        Some('d') => "0-9",
        Some('w') => "a-zA-Z0-9_",
        Some('s') => r" \t\n\x0B\f\r",
        Some('h') => r" \t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}",
        Some('D') => "^0-9",
        Some('W') => "^a-zA-Z0-9_",
        Some('S') => r"^ \t\n\x0B\f\r",
        Some('Z') => return out.push_str(r"\z"),
        Some(other) => {
            out.push('\\');
            return out.push(other);
        }
        None => return out.push_str(r"\\"),
    };
    let negated = set.starts_with('^');
    if in_class && !negated {
        out.push_str(set);
    } else {
        out.push('[');
        out.push_str(set);
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, good: &[&str], bad: &[&str]) {
        let compiled = Pattern::compile(pattern).expect("compiles");
        for text in good {
            assert!(compiled.matches(text), "{pattern} should take {text:?}");
        }
        for text in bad {
            assert!(!compiled.matches(text), "{pattern} should refuse {text:?}");
        }
    }

    #[test]
    fn patterns_mean_what_they_mean_in_java() {
        check("[a-z]+", &["abc"], &["abc1", "1abc", "abc\n", ""]);
        check("^[a-z]+$", &["abc"], &["abc\n"]);
        check("a|bc", &["a", "bc"], &["ac", "abc"]);
        check(r"\d\w\s", &["1a "], &["٣a ", "1é ", "1a\u{a0}"]);
        check(r"[\w-]{2}", &["a-"], &["é-"]);
        check(r"[^\S]", &[" "], &["a"]);
        check("a.b", &["axb", "a😹b"], &["a\u{2028}b", "a\rb"]);
        check(r"[\s\S]*", &["a\nb", ""], &[]);
        check(r"[!-~--]+", &["a-b"], &["é"]);
        check("(?!x)[a-z]+", &["abc"], &["xbc"]);
        check(r"[\u0009\u0020-\u00FF]*", &["é\t"], &["ā"]);
        check(r"[\p{L}\p{N}]{2}", &["é1"], &["é-"]);
    }

    #[test]
    fn a_pattern_is_compiled_once() {
        static TEXT: &str = "[a-c]{1,3}";
        let first = compiled(TEXT).expect("compiles");
        assert!(std::ptr::eq(first, compiled(TEXT).expect("compiles")));
    }
}
