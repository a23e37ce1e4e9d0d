//! Says how deep the brackets of a YAML text are nested, before anything reads it.
//!
//! The YAML crate refuses 128 levels, but only after its scanner has looked at all open brackets with
//! every token: 80 KB of them take it seconds, a megabyte hours. Brackets within texts cost nothing and
//! are not counted: cassettes hold any text. Nothing is judged here but depth; what is no YAML is the crate's to say.

/// Brackets that may be open at once. Ours: the YAML crate reads 128, and this many cost it nothing.
const OPEN_BRACKETS: usize = 1_000;

/// Whether reading the text would take longer than it is worth.
pub fn is_too_deep(text: &str) -> bool {
    deepest(text) > OPEN_BRACKETS
}

/// The most brackets that are open at once.
fn deepest(text: &str) -> usize {
    let mut lines = text.lines().peekable();
    let (mut open, mut most) = (Open::default(), 0);
    while let Some(line) = lines.next() {
        if open.depth > 0 {
            most = most.max(open.take(line));
            continue;
        }
        match value(line) {
            Value::Brackets(rest) => most = most.max(open.take(rest)),
            Value::Block { under } => {
                // Blank lines belong to it, and so do those that stand further right.
                while lines.next_if(|next| indent(next).is_none_or(|at| at > under)).is_some() {}
            }
            Value::Text => {}
        }
    }
    most
}

/// What a line outside of brackets ends in.
enum Value<'a> {
    Brackets(&'a str),
    /// A text whose lines stand right of this column.
    Block {
        under: usize,
    },
    Text,
}

fn value(line: &str) -> Value<'_> {
    let mut rest = line.trim_start();
    let column = |rest: &str| line.len() - rest.len();
    let mut under = column(rest);
    while let Some(after) = item(rest) {
        (under, rest) = (column(rest), after);
    }
    rest = bare(rest);
    if let Some(after) = after_name(rest) {
        (under, rest) = (column(rest), bare(after));
    }
    match rest.as_bytes().first() {
        Some(b'[' | b'{') => Value::Brackets(rest),
        Some(b'|' | b'>') => Value::Block { under },
        _ => Value::Text,
    }
}

/// What follows the mark of an item, of an explicit name or of a document.
fn item(rest: &str) -> Option<&str> {
    let after = ["---", "-", "?", ":"].iter().find_map(|mark| rest.strip_prefix(mark))?;
    after.starts_with(' ').then(|| after.trim_start())
}

/// Without what is said of a value before it.
fn bare(mut rest: &str) -> &str {
    while rest.starts_with(['&', '!']) {
        rest = rest.split_once(' ').map_or("", |(_, after)| after.trim_start());
    }
    rest
}

/// What follows a name and its colon.
fn after_name(rest: &str) -> Option<&str> {
    let quoted = |quote| Some(rest.strip_prefix(quote)?.split_once(quote)?.1.trim_start());
    let after = match rest.as_bytes().first()? {
        b'[' | b'{' | b'|' | b'>' | b'#' => return None,
        b'"' => quoted('"')?,
        b'\'' => quoted('\'')?,
        _ => &rest[rest.find(": ")?..],
    };
    Some(after.strip_prefix(": ")?.trim_start())
}

/// `None` of a blank line.
fn indent(line: &str) -> Option<usize> {
    line.find(|c: char| !c.is_whitespace())
}

/// Brackets under way.
#[derive(Default)]
struct Open {
    depth: usize,
    /// Within a text in double quotes, which may go on over lines.
    quoted: bool,
}

impl Open {
    /// The most that are open at once on this line.
    fn take(&mut self, line: &str) -> usize {
        let (mut most, mut before, mut bytes) = (self.depth, b' ', line.bytes());
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' if self.quoted => drop(bytes.next()),
                b'"' if self.quoted => self.quoted = false,
                _ if self.quoted => {}
                // Elsewhere a quote is a letter like any other.
                b'"' if matches!(before, b' ' | b'[' | b'{' | b',' | b':') => self.quoted = true,
                b'#' if before == b' ' => break,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            before = byte;
            most = most.max(self.depth);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, depth: usize) {
        assert_eq!(deepest(text), depth, "{text:.200}");
    }

    #[test]
    fn brackets_are_counted_where_they_are_brackets() {
        check("a: [{b: [1]}, [2]]", 3);
        check("- - ? {a: [\n  [], {\n", 3);
        check("--- &x !t {a: 1}", 1);
        check("\"a: b\": [1]\n'c': {d: []}", 2);
        check("{\"a\": \"[[[[\", \"b\": {\n\"c\": \"\\\"[[\"}}", 2);
        check("a: b [[[\nc: '[[ {'\nd: \"{{{\" # [[[\n# [[\n", 0);
        check("a: |\n  [[[[\n\n   {{{\nb: [1]\n- c: >-\n    [[[\n  d: []\n- |-\n  [[[[", 1);
        check("don't: [it's, \"[\"]", 1);
    }

    #[test]
    fn nesting_without_end_is_too_deep_however_it_is_written() {
        for (open, close) in [("[", "]"), ("{a: ", "}"), ("[\n", "]"), ("{\"a\": [", "]}")] {
            let deep = format!("cassette: {}{}", open.repeat(100_000), close.repeat(100_000));
            assert!(is_too_deep(&deep), "{open}");
            assert!(is_too_deep(&deep["cassette: ".len()..]), "{open}");
        }
        assert!(!is_too_deep(&format!("a: |\n  {}", "[".repeat(100_000))));
        assert!(!is_too_deep(&format!("a: {}1{}", "[".repeat(50), "]".repeat(50))));
    }
}
