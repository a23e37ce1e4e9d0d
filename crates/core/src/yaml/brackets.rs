//! Follows a YAML text as libyaml's scanner does, for its brackets alone.
//!
//! Whether `[` opens anything depends on all that stands before it: texts in quotes and blocks may hold
//! brackets, and what is a text hangs on columns, on keys and on the version of YAML that libyaml reads
//! (1.1, with line ends such as U+0085, and tabs where 1.2 has none). So the rules here are its rules,
//! and each step stands for the one that makes a token there. Time and memory grow with the text.
//!
//! It never says that a text is wrong: where libyaml would stop, whatever comes here is of no account.

/// A key has to end within its line and so many bytes; libyaml's, for the 1024 characters of YAML.
const KEY: usize = 1024;

/// Steps from bracket to bracket.
pub(super) struct Brackets<'a> {
    rest: &'a str,
    line: usize,
    column: isize,
    /// Open brackets.
    depth: usize,
    /// The column of the block that `rest` stands in, and of those around it.
    indent: isize,
    around: Vec<isize>,
    /// Whether a key may begin here, outside of brackets.
    may_be_key: bool,
    /// The last thing outside of brackets that a colon would make a key.
    key: Option<Key>,
}

struct Key {
    /// How much of the text there was from here on.
    rest: usize,
    line: usize,
    column: isize,
}

impl<'a> Brackets<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Brackets {
            rest: text,
            line: 0,
            column: 0,
            depth: 0,
            indent: -1,
            around: Vec::new(),
            may_be_key: true,
            key: None,
        }
    }

    /// How many brackets are open behind the next one; `None` at the end.
    pub(super) fn next_depth(&mut self) -> Option<usize> {
        loop {
            self.find_token();
            let first = self.first()?;
            if matches!(first, '[' | '{' | ']' | '}') {
                self.bracket(first);
                return Some(self.depth);
            }
            self.token(first)?;
        }
    }

    fn bracket(&mut self, bracket: char) {
        let opens = matches!(bracket, '[' | '{');
        if opens {
            self.save_key();
            self.depth += 1;
        } else {
            self.depth = self.depth.saturating_sub(1);
        }
        self.may_be_key = opens;
        self.skip();
    }

    /// Anything but a bracket; `None` where no token begins so.
    fn token(&mut self, first: char) -> Option<()> {
        let in_block = self.depth == 0;
        let ends = is_blank_or_end(self.nth(1));
        match first {
            '%' if self.column == 0 => self.directive(),
            '-' | '.' if self.is_document_mark() => self.document_mark(),
            ',' => self.entry(true),
            '-' if ends => {
                self.roll(self.column);
                self.entry(true);
            }
            '?' if !in_block || ends => {
                self.roll(self.column);
                self.entry(in_block);
            }
            ':' if !in_block || ends => self.value(),
            '*' | '&' => {
                self.begin(false);
                self.skip();
                self.skip_while(is_name);
            }
            '!' => self.tag(),
            '|' | '>' if in_block => self.block_text(),
            '\'' => self.single_quoted(),
            '"' => self.double_quoted(),
            '#' | '|' | '>' | '%' | '@' | '`' => return None,
            blank if is_blank_or_end(Some(blank)) => return None,
            _ => self.plain(),
        }
        Some(())
    }

    /// Past blanks, comments and line ends, and out of the blocks that end there.
    fn find_token(&mut self) {
        loop {
            if self.column == 0 && self.first() == Some('\u{feff}') {
                self.skip();
            }
            let tabs = self.depth > 0 || !self.may_be_key;
            self.skip_while(|c| c == ' ' || (tabs && c == '\t'));
            if self.first() == Some('#') {
                self.skip_while(|c| !is_break(c));
            }
            if !self.first().is_some_and(is_break) {
                break;
            }
            self.skip_line();
            self.may_be_key |= self.depth == 0;
        }
        let (line, rest) = (self.line, self.rest.len());
        self.key.take_if(|key| key.line < line || key.rest - rest > KEY);
        self.unroll(self.column);
    }

    fn directive(&mut self) {
        self.unroll(-1);
        self.begin(false);
        self.key = None;
        self.skip_while(|c| !is_break(c));
        self.skip_line();
    }

    fn is_document_mark(&self) -> bool {
        let marked = self.rest.get(..3).is_some_and(|mark| matches!(mark, "---" | "..."));
        self.column == 0 && marked && is_blank_or_end(self.nth(3))
    }

    fn document_mark(&mut self) {
        self.unroll(-1);
        self.key = None;
        self.may_be_key = false;
        (0..3).for_each(|_| self.skip());
    }

    /// A comma, or the mark of an item or a key.
    fn entry(&mut self, may_be_key: bool) {
        if self.depth == 0 {
            self.key = None;
        }
        self.may_be_key = may_be_key;
        self.skip();
    }

    /// The colon of a key, which opens a block at the column of its first.
    fn value(&mut self) {
        if self.depth == 0 {
            self.may_be_key = self.key.is_none();
            let column = self.key.take().map_or(self.column, |key| key.column);
            self.roll(column);
        } else {
            self.may_be_key = false;
        }
        self.skip();
    }

    fn tag(&mut self) {
        self.begin(false);
        self.skip();
        let whole = self.first() == Some('<');
        if whole {
            self.skip();
        }
        self.skip_while(|c| is_name(c) || (whole && ",[]".contains(c)) || TAG.contains(c));
        if whole && self.first() == Some('>') {
            self.skip();
        }
    }

    /// `|` or `>`: lines that stand as far right as the first, or as the header says.
    fn block_text(&mut self) {
        self.key = None;
        self.may_be_key = true;
        self.skip();
        let mut wanted = 0;
        while let Some(mark @ ('+' | '-' | '0'..='9')) = self.first() {
            wanted = mark.to_digit(10).map_or(wanted, |digit| digit as isize);
            self.skip();
        }
        self.skip_while(is_blank);
        if self.first() == Some('#') {
            self.skip_while(|c| !is_break(c));
        }
        self.skip_line();
        let wanted = if wanted > 0 { self.indent.max(0) + wanted } else { 0 };
        let indent = self.block_indent(wanted);
        while self.column == indent && self.first().is_some() {
            self.skip_while(|c| !is_break(c));
            self.skip_line();
            self.block_indent(indent);
        }
    }

    /// Past empty lines, to the column where the text's next line begins.
    fn block_indent(&mut self, wanted: isize) -> isize {
        let mut most = 0;
        loop {
            while (wanted == 0 || self.column < wanted) && self.first() == Some(' ') {
                self.skip();
            }
            most = most.max(self.column);
            if !self.first().is_some_and(is_break) {
                break;
            }
            self.skip_line();
        }
        if wanted > 0 { wanted } else { most.max(self.indent + 1).max(1) }
    }

    fn single_quoted(&mut self) {
        self.begin(false);
        self.skip();
        while let Some(c) = self.first() {
            if c == '\'' && self.nth(1) == Some('\'') {
                self.skip();
            } else if c == '\'' {
                return self.skip();
            }
            self.skip_any();
        }
    }

    fn double_quoted(&mut self) {
        self.begin(false);
        self.skip();
        while let Some(c) = self.first() {
            if c == '"' {
                return self.skip();
            }
            if c == '\\' {
                self.skip();
            }
            self.skip_any();
        }
    }

    /// Text without quotes, which may go on over lines.
    fn plain(&mut self) {
        self.begin(false);
        let indent = self.indent + 1;
        while !self.is_document_mark() && self.first() != Some('#') {
            while self.first().is_some_and(|c| !self.ends_plain(c)) {
                self.skip();
            }
            let line = self.line;
            while self.first().is_some_and(|c| is_blank_or_end(Some(c))) {
                self.skip_any();
            }
            self.may_be_key |= self.line > line;
            let next = self.first();
            let outside = self.depth == 0 && self.column < indent;
            if outside || next.is_none_or(|c| self.ends_plain(c)) {
                break;
            }
        }
    }

    fn ends_plain(&self, c: char) -> bool {
        let in_brackets = self.depth > 0 && ",[]{}".contains(c);
        in_brackets || is_blank_or_end(Some(c)) || (c == ':' && is_blank_or_end(self.nth(1)))
    }

    /// Something begins that a colon may make a key.
    fn begin(&mut self, may_be_key: bool) {
        self.save_key();
        self.may_be_key = may_be_key;
    }

    fn save_key(&mut self) {
        if self.depth == 0 && self.may_be_key {
            self.key = Some(Key { rest: self.rest.len(), line: self.line, column: self.column });
        }
    }

    fn roll(&mut self, column: isize) {
        if self.depth == 0 && self.indent < column {
            self.around.push(self.indent);
            self.indent = column;
        }
    }

    fn unroll(&mut self, column: isize) {
        while self.depth == 0 && self.indent > column {
            self.indent = self.around.pop().unwrap_or(-1);
        }
    }

    fn first(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn nth(&self, n: usize) -> Option<char> {
        self.rest.chars().nth(n)
    }

    fn skip(&mut self) {
        let mut rest = self.rest.chars();
        if rest.next().is_some() {
            self.rest = rest.as_str();
            self.column += 1;
        }
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.first().is_some_and(&goes_on) {
            self.skip();
        }
    }

    /// Past a line end, if there is one.
    fn skip_line(&mut self) {
        let Some(end) = self.first().filter(|c| is_break(*c)) else { return };
        self.skip();
        if end == '\r' && self.first() == Some('\n') {
            self.skip();
        }
        self.column = 0;
        self.line += 1;
    }

    fn skip_any(&mut self) {
        if self.first().is_some_and(is_break) { self.skip_line() } else { self.skip() }
    }
}

/// What a tag may consist of beside names.
const TAG: &str = ";/?:@&=+$.%!~*'()";

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_end(c: Option<char>) -> bool {
    c.is_none_or(|c| is_blank(c) || is_break(c))
}
