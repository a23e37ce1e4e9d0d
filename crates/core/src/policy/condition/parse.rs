//! Reads a condition. Every refusal names the place, counted in characters from 1.

use serde_json::Value as Json;

use crate::limits;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    Or(Vec<Expr>),
    And(Vec<Expr>),
    Not(Box<Expr>),
    Compare(Box<Expr>, Operator, Box<Expr>),
    Name(Vec<String>),
    Value(Json),
    List(Vec<Json>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// Signs and words alike: tags of AWS may not hold `<` and `>`.
const OPERATORS: [(&str, Operator); 14] = [
    ("==", Operator::Equal),
    ("=", Operator::Equal),
    ("eq", Operator::Equal),
    ("!=", Operator::Unequal),
    ("ne", Operator::Unequal),
    ("<=", Operator::LessOrEqual),
    ("le", Operator::LessOrEqual),
    ("<", Operator::Less),
    ("lt", Operator::Less),
    (">=", Operator::GreaterOrEqual),
    ("ge", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("gt", Operator::Greater),
    ("in", Operator::In),
];

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
    Literal(Json),
}

/// Signs, longer ones first.
const SIGNS: [&str; 12] = ["==", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ","];

pub(super) fn parse(text: &str) -> Result<Expr, String> {
    if text.chars().count() > limits::CONDITION_CHARS {
        return Err(format!("has more than {} characters", limits::CONDITION_CHARS));
    }
    let mut parser =
        Parser { tokens: tokens(text)?, at: 0, end: text.chars().count() + 1, depth: 0 };
    let expr = parser.either()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.wrong("expected `and`, `or` or the end")),
    }
}

/// Each with the place where it begins.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(&char) = chars.get(at) {
        if char.is_whitespace() {
            at += 1;
            continue;
        }
        let rest: String = chars[at..].iter().take(2).collect();
        let begins = |sign: &&&str| rest.starts_with(**sign);
        let (token, length) = if let Some(sign) = SIGNS.iter().find(begins) {
            (Token::Sign(sign), sign.len())
        } else if char == '"' || char == '\'' {
            quoted(&chars[at..]).ok_or_else(|| format!("at {}: the text has no end", at + 1))?
        } else if let Some(found) = number(&chars[at..]) {
            found
        } else if is_of_name(char) {
            let word: String = chars[at..].iter().copied().take_while(|c| is_of_name(*c)).collect();
            let length = word.chars().count();
            (Token::Word(word), length)
        } else {
            return Err(format!("at {}: {char:?} means nothing here", at + 1));
        };
        tokens.push((at + 1, token));
        at += length;
    }
    Ok(tokens)
}

fn is_of_name(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | '$')
}

fn quoted(chars: &[char]) -> Option<(Token, usize)> {
    let end = chars.iter().skip(1).position(|char| *char == chars[0])?;
    let text: String = chars[1..=end].iter().collect();
    Some((Token::Literal(Json::from(text)), end + 2))
}

/// `500`, `-0.5`, `1e6`; `2nd` is a name.
fn number(chars: &[char]) -> Option<(Token, usize)> {
    let first = *chars.first()?;
    if !(first.is_ascii_digit() || first == '-') {
        return None;
    }
    let text: String =
        chars.iter().take_while(|char| is_of_name(**char) || **char == '+').collect();
    let number: serde_json::Number = serde_json::from_str(&text).ok()?;
    Some((Token::Literal(Json::Number(number)), text.len()))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    /// The place behind the last character.
    end: usize,
    depth: usize,
}

impl Parser {
    fn either(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Ok(one_or(parts, Expr::Or))
    }

    fn both(&mut self) -> Result<Expr, String> {
        let mut parts = vec![self.negated()?];
        while self.takes_word("and") {
            parts.push(self.negated()?);
        }
        Ok(one_or(parts, Expr::And))
    }

    fn negated(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > limits::CONDITION_DEPTH {
            return Err(self.wrong("it nests too deeply"));
        }
        let expr = match self.takes_word("not") {
            true => Expr::Not(Box::new(self.negated()?)),
            false if self.takes_sign("(") => {
                let inner = self.either()?;
                self.expect(")")?;
                inner
            }
            false => self.comparison()?,
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.operand()?;
        match self.operator() {
            Some(operator) => {
                let right = self.operand()?;
                Ok(Expr::Compare(Box::new(left), operator, Box::new(right)))
            }
            // A flag stands alone; a number or a text that does is half a comparison.
            None if matches!(left, Expr::Name(_) | Expr::Value(Json::Bool(_))) => Ok(left),
            None => Err(self.wrong("expected a comparison")),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        if self.is_word("not")
            && matches!(self.tokens.get(self.at + 1), Some((_, Token::Word(w))) if w == "in")
        {
            self.at += 2;
            return Some(Operator::NotIn);
        }
        let written = match self.peek()? {
            Token::Word(word) => word.as_str(),
            Token::Sign(sign) => sign,
            Token::Literal(_) => return None,
        };
        let (_, operator) = *OPERATORS.iter().find(|(known, _)| *known == written)?;
        self.at += 1;
        Some(operator)
    }

    fn operand(&mut self) -> Result<Expr, String> {
        if self.takes_sign("[") {
            return self.list();
        }
        match self.peek().cloned() {
            Some(Token::Literal(value)) => {
                self.at += 1;
                Ok(Expr::Value(value))
            }
            Some(Token::Word(word)) => self.word(&word),
            Some(Token::Sign(_)) | None => {
                Err(self.wrong("expected the name of an argument, a number or a text"))
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<Expr, String> {
        let is_operator = OPERATORS.iter().any(|(known, _)| *known == word);
        // `500USD` is no number, and must not pass for the name of an argument.
        let is_name = word.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'));
        if !is_name || is_operator || matches!(word, "and" | "or" | "not") {
            return Err(self.wrong("expected the name of an argument, a number or a text"));
        }
        let path: Vec<String> = word.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(self.wrong("a dot stands between two names"));
        }
        self.at += 1;
        Ok(match word {
            "true" => Expr::Value(Json::Bool(true)),
            "false" => Expr::Value(Json::Bool(false)),
            "null" => Expr::Value(Json::Null),
            _ => Expr::Name(path),
        })
    }

    fn list(&mut self) -> Result<Expr, String> {
        let mut values = Vec::new();
        loop {
            match self.operand()? {
                Expr::Value(value) => values.push(value),
                _ => {
                    self.at -= 1;
                    return Err(self.wrong("a list holds numbers and texts"));
                }
            }
            if !self.takes_sign(",") {
                self.expect("]")?;
                return Ok(Expr::List(values));
            }
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found == word)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_it = self.is_word(word);
        self.at += usize::from(is_it);
        is_it
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        match self.takes_sign(sign) {
            true => Ok(()),
            false => Err(self.wrong(&format!("expected {sign}"))),
        }
    }

    fn wrong(&self, what: &str) -> String {
        let place = self.tokens.get(self.at).map_or(self.end, |(place, _)| *place);
        format!("at {place}: {what}")
    }
}

fn one_or(mut parts: Vec<Expr>, several: fn(Vec<Expr>) -> Expr) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => several(parts),
    }
}
