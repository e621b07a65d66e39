//! Formulas as text: read with a place for every mistake, and written back.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = factor { ("*" | "/") factor }
//! factor  = number | measure | "(" sum ")" | "or" "(" sum "," sum ")"
//! ```
//!
//! Own code, because it is smaller than the glue to a parser crate, and because
//! each mistake names its column. Texts are bounded in length, so that no formula
//! is deep enough to overflow a stack.

use std::fmt;

use super::{Formula, MeasureIndex, Operator};
use crate::event::Decimal;

/// Longer formulas are refused unread.
const LONGEST_TEXT: usize = 4_000;
/// Parentheses and `or(` within each other.
const DEEPEST: usize = 50;

/// What is wrong with a formula.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct FormulaError {
    /// The character at which it is wrong, from 0.
    pub at: usize,
    /// What is wrong, in one line.
    pub what: String,
    /// What to do about it, where that is known.
    pub remedy: Option<String>,
}

impl Formula {
    /// Reads a formula. `resolve` finds a measure by its name; its error is a remedy
    /// for a name that is not one, such as "did you mean `sent`?".
    pub fn parse(
        text: &str,
        resolve: &dyn Fn(&str) -> Result<MeasureIndex, Option<String>>,
    ) -> Result<Formula, FormulaError> {
        if text.len() > LONGEST_TEXT {
            let what = format!("a formula has at most {LONGEST_TEXT} bytes");
            return Err(FormulaError { at: 0, what, remedy: None });
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, resolve };
        let formula = parser.sum()?;
        match parser.peek() {
            Token::End => Ok(formula),
            token => {
                let what = format!("expected an operator or the end, found {token}");
                Err(parser.error(what, None))
            }
        }
    }

    /// The formula as text that reads as itself; `name` gives a measure's name.
    pub fn show<'n>(&self, name: &dyn Fn(MeasureIndex) -> &'n str) -> String {
        let mut text = String::new();
        self.write(&mut text, name, 0);
        text
    }

    fn write<'n>(&self, text: &mut String, name: &dyn Fn(MeasureIndex) -> &'n str, around: u8) {
        match self {
            Formula::Constant(number) if *number < Decimal::ZERO => {
                text.push_str(&format!("(0 - {})", -*number));
            }
            Formula::Constant(number) => text.push_str(&number.to_string()),
            Formula::Measure(measure) => text.push_str(name(*measure)),
            Formula::Or(left, right) => {
                text.push_str("or(");
                left.write(text, name, 0);
                text.push_str(", ");
                right.write(text, name, 0);
                text.push(')');
            }
            Formula::Binary(left, operator, right) => {
                let (sign, strength) = match operator {
                    Operator::Add => (" + ", 1),
                    Operator::Subtract => (" - ", 1),
                    Operator::Multiply => (" * ", 3),
                    Operator::Divide => (" / ", 3),
                };
                let enclosed = strength < around;
                text.push_str(if enclosed { "(" } else { "" });
                left.write(text, name, strength);
                text.push_str(sign);
                // Operators of one strength join from the left.
                right.write(text, name, strength + 1);
                text.push_str(if enclosed { ")" } else { "" });
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token<'t> {
    Number(Decimal),
    Name(&'t str),
    Sign(char),
    End,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Number(number) => write!(f, "`{number}`"),
            Token::Name(name) => write!(f, "`{name}`"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
            Token::End => f.write_str("the end"),
        }
    }
}

/// The tokens with the characters at which they begin; the last is the end.
fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, FormulaError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at = 0;
    while let Some(first) = rest.chars().next() {
        // Only the token at hand and white space may be longer than one byte a character.
        let (length, token) = match first {
            c if c.is_whitespace() => (c.len_utf8(), None),
            '0'..='9' => {
                let length = run(rest, |c| c.is_ascii_digit() || c == '.');
                let number = Decimal::parse(&rest[..length]).map_err(|error| FormulaError {
                    at,
                    what: format!("`{}` {error}", &rest[..length]),
                    remedy: None,
                })?;
                (length, Some(Token::Number(number)))
            }
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = run(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (length, Some(Token::Name(&rest[..length])))
            }
            '+' | '-' | '*' | '/' | '(' | ')' | ',' => (1, Some(Token::Sign(first))),
            other => {
                return Err(FormulaError {
                    at,
                    what: format!("`{}` cannot stand in a formula", other.escape_debug()),
                    remedy: Some(
                        "a formula has measures, numbers, + - * / ( ) and or(a, b)".to_owned(),
                    ),
                });
            }
        };
        tokens.extend(token.map(|token| (at, token)));
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    tokens.push((at, Token::End));
    Ok(tokens)
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

struct Parser<'t> {
    tokens: Vec<(usize, Token<'t>)>,
    next: usize,
    depth: usize,
    resolve: &'t dyn Fn(&str) -> Result<MeasureIndex, Option<String>>,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.tokens.get(self.next).map_or(Token::End, |(_, token)| token.clone())
    }

    /// An error at the token that comes next.
    fn error(&self, what: impl Into<String>, remedy: Option<String>) -> FormulaError {
        let last = self.tokens.len().saturating_sub(1);
        let at = self.tokens.get(self.next.min(last)).map_or(0, |(at, _)| *at);
        FormulaError { at, what: what.into(), remedy }
    }

    fn sum(&mut self) -> Result<Formula, FormulaError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Token::Sign('+') => Operator::Add,
                Token::Sign('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            left = Formula::Binary(Box::new(left), operator, Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Formula, FormulaError> {
        let mut left = self.factor()?;
        loop {
            let operator = match self.peek() {
                Token::Sign('*') => Operator::Multiply,
                Token::Sign('/') => Operator::Divide,
                _ => return Ok(left),
            };
            self.next += 1;
            left = Formula::Binary(Box::new(left), operator, Box::new(self.factor()?));
        }
    }

    fn factor(&mut self) -> Result<Formula, FormulaError> {
        match self.peek() {
            Token::Number(number) => {
                self.next += 1;
                Ok(Formula::Constant(number))
            }
            Token::Sign('(') => {
                self.open()?;
                let inner = self.sum()?;
                self.close()?;
                Ok(inner)
            }
            Token::Name("or") => {
                self.next += 1;
                if self.peek() != Token::Sign('(') {
                    let remedy = "write or(a, b): b where a has no data".to_owned();
                    return Err(self.error("expected `(` after `or`", Some(remedy)));
                }
                self.open()?;
                let first = self.sum()?;
                self.sign(',')?;
                let second = self.sum()?;
                self.close()?;
                Ok(Formula::Or(Box::new(first), Box::new(second)))
            }
            Token::Name(name) => {
                let measure = (self.resolve)(name).map_err(|remedy| {
                    self.error(format!("no measure is called `{name}`"), remedy)
                })?;
                self.next += 1;
                Ok(Formula::Measure(measure))
            }
            Token::Sign('-') => {
                let remedy = "write `0 - x` for a negative".to_owned();
                Err(self.error("expected a measure, a number or `(`, found `-`", Some(remedy)))
            }
            token => {
                Err(self.error(format!("expected a measure, a number or `(`, found {token}"), None))
            }
        }
    }

    fn open(&mut self) -> Result<(), FormulaError> {
        if self.depth == DEEPEST {
            return Err(self.error(format!("more than {DEEPEST} parentheses in each other"), None));
        }
        self.depth += 1;
        self.sign('(')
    }

    fn close(&mut self) -> Result<(), FormulaError> {
        self.depth -= 1;
        self.sign(')')
    }

    fn sign(&mut self, sign: char) -> Result<(), FormulaError> {
        match self.peek() {
            Token::Sign(found) if found == sign => {
                self.next += 1;
                Ok(())
            }
            token => Err(self.error(format!("expected `{sign}`, found {token}"), None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn parse(text: &str) -> Result<Formula, FormulaError> {
        Formula::parse(text, &|name| {
            NAMES
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| Some("did you mean `a`?".to_owned()))
        })
    }

    fn show(formula: &Formula) -> String {
        formula.show(&|measure| NAMES[measure])
    }

    #[track_caller]
    fn check(text: &str, shown: &str) {
        assert_eq!(parse(text).map(|formula| show(&formula)).as_deref(), Ok(shown));
    }

    #[track_caller]
    fn refused(text: &str, at: usize, what: &str) {
        let error = parse(text).expect_err("a mistake");
        assert_eq!((error.at, error.what.as_str()), (at, what));
    }

    #[test]
    fn products_bind_stronger_than_sums_and_both_join_from_the_left() {
        check("a+b*c", "a + b * c");
        check("(a+b)*c", "(a + b) * c");
        check("a-(b-c)", "a - (b - c)");
        check("(a-b)-c", "a - b - c");
        check("a/(b*c)", "a / (b * c)");
        check(" or( a , b+1 ) / 100.50", "or(a, b + 1) / 100.5");
    }

    #[test]
    fn mistakes_name_their_character() {
        refused("", 0, "expected a measure, a number or `(`, found the end");
        refused("a + x", 4, "no measure is called `x`");
        refused("a b", 2, "expected an operator or the end, found `b`");
        refused("(a + b", 6, "expected `)`, found the end");
        refused("or(a)", 4, "expected `,`, found `)`");
        refused("or a", 3, "expected `(` after `or`");
        refused("a / 1.2.3", 4, "`1.2.3` is not a decimal number");
        refused("a % b", 2, "`%` cannot stand in a formula");
        refused("-a", 0, "expected a measure, a number or `(`, found `-`");
        refused("é", 0, "`é` cannot stand in a formula");
        refused(&"(".repeat(60), 50, "more than 50 parentheses in each other");
    }

    fn any_formula() -> impl Strategy<Value = Formula> {
        let leaf = prop_oneof![
            (0_usize..3).prop_map(Formula::Measure),
            (0_i64..100_000).prop_map(|raw| Formula::Constant(Decimal::from_raw(raw.into()))),
        ];
        leaf.prop_recursive(6, 40, 2, |inner| {
            let operator = prop_oneof![
                Just(Operator::Add),
                Just(Operator::Subtract),
                Just(Operator::Multiply),
                Just(Operator::Divide)
            ];
            prop_oneof![
                (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| Formula::Binary(
                    Box::new(l),
                    o,
                    Box::new(r)
                )),
                (inner.clone(), inner).prop_map(|(l, r)| Formula::Or(Box::new(l), Box::new(r))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_as_itself(formula in any_formula()) {
            prop_assert_eq!(parse(&show(&formula)), Ok(formula));
        }

        #[test]
        fn no_text_panics(text in "[abcor+*/(), .0-9é-]{0,60}|\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
