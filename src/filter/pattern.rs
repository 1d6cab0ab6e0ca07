//! Patterns: shell wildcards as in fnmatch(3), and Python's regular expressions.

use crate::error::Classify;
use std::borrow::Cow;

use fancy_regex::{Regex, RegexBuilder};

use super::List;

/// The syntax of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `*`, `?`, `[seq]`, `[!seq]`.
    Wildcards,
    /// A regular expression.
    Regex,
}

/// The most backtracking steps for one match: ten thousand times what a reasonable pattern needs.
const BACKTRACK_LIMIT: usize = 1_000_000;

/// Why a pattern or list is invalid, or can't be matched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A list without patterns. It would keep or drop nothing, which is hardly intended.
    #[error("{0} is empty; leave it out to filter nothing")]
    EmptyList(List),
    /// An empty pattern, which matches no host.
    #[error("{0} has an empty pattern")]
    EmptyPattern(List),
    /// A pattern must be a regular expression and is invalid.
    #[error("{list} has \"{pattern}\", which is not a valid regular expression")]
    BadRegex {
        /// The list of the pattern.
        list: List,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: Box<fancy_regex::Error>,
    },
    /// The regex engine would read characters as a set operation, which Python does not have.
    #[error(
        "{list} has \"{pattern}\": \"{operator}\" inside brackets would be an operation on sets; put a backslash before it"
    )]
    SetOperation {
        /// The list of the pattern.
        list: List,
        /// The pattern.
        pattern: String,
        /// The characters.
        operator: &'static str,
    },
    /// Matching reached `BACKTRACK_LIMIT`.
    #[error(
        "{list} has \"{pattern}\", which takes too long to match \"{text}\"; write it with fewer repetitions"
    )]
    TooSlow {
        /// The list of the pattern.
        list: List,
        /// The pattern.
        pattern: String,
        /// The id or name.
        text: String,
        /// What the engine says.
        source: Box<fancy_regex::Error>,
    },
}

impl Error {
    /// The list with the error.
    pub fn list(&self) -> List {
        match self {
            Error::EmptyList(list) | Error::EmptyPattern(list) => *list,
            Error::BadRegex { list, .. } | Error::SetOperation { list, .. } | Error::TooSlow { list, .. } => {
                *list
            }
        }
    }
}

impl Classify for Error {
    /// The kind if the list is an option. For a list in a section, commands use the error of the configuration.
    fn kind(&self) -> crate::error::Kind {
        crate::error::Kind::Usage
    }
}

/// A pattern that matches a whole id or name, ignoring case.
#[derive(Debug)]
pub(super) struct Pattern {
    list: List,
    text: String,
    wildcard: Option<Wildcard>,
    regex: Option<Regex>,
}

impl Pattern {
    pub(super) fn new(list: List, text: String, syntax: Option<Syntax>) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::EmptyPattern(list));
        }
        let regex = match syntax {
            Some(Syntax::Wildcards) => None,
            Some(Syntax::Regex) => Some(whole(list, &text)?),
            None => whole(list, &text).ok(),
        };
        let wildcard = (syntax != Some(Syntax::Regex)).then(|| Wildcard::new(&text));
        Ok(Pattern {
            list,
            text,
            wildcard,
            regex,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn matches(&self, text: &str) -> Result<bool, Error> {
        if self
            .wildcard
            .as_ref()
            .is_some_and(|wildcard| wildcard.matches(text))
        {
            return Ok(true);
        }
        match &self.regex {
            Some(regex) => is_match(regex, self.list, &self.text, text),
            None => Ok(false),
        }
    }
}

/// A pattern for the parent of a host.
#[derive(Debug)]
pub(super) struct ParentPattern {
    /// Searched anywhere in the managed object id, with `*` for any text, as in virt-who.
    id: Option<Regex>,
    /// Matches the whole name. A pattern that is valid for the id may be an invalid regular expression here, such as `*c7*`.
    name: Pattern,
}

impl ParentPattern {
    pub(super) fn new(list: List, text: String, syntax: Option<Syntax>) -> Result<Self, Error> {
        let id = regex(list, &text, &text.replace('*', ".*"), false);
        let (id, syntax) = match syntax {
            Some(Syntax::Regex) => (Some(id?), None),
            _ => (id.ok(), syntax),
        };
        let name = Pattern::new(list, text, syntax)?;
        Ok(ParentPattern { id, name })
    }

    pub(super) fn text(&self) -> &str {
        self.name.text()
    }

    pub(super) fn list(&self) -> List {
        self.name.list
    }

    /// Whether the pattern has no special characters and is part of the id.
    pub(super) fn is_plain_part_of(&self, id: &str) -> bool {
        let text = self.text();
        text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') && id.contains(text)
    }

    pub(super) fn matches(&self, id: Option<&str>, name: Option<&str>) -> Result<bool, Error> {
        if let (Some(regex), Some(id)) = (&self.id, id)
            && is_match(regex, self.name.list, self.text(), id)?
        {
            return Ok(true);
        }
        name.map_or(Ok(false), |name| self.name.matches(name))
    }
}

/// The expression that matches a whole text. The pattern must be valid by itself: `a)|(b` is not, although `(?:a)|(b)` is.
fn whole(list: List, pattern: &str) -> Result<Regex, Error> {
    regex(list, pattern, pattern, true)?;
    regex(list, pattern, &format!("^(?:{pattern})$"), true)
}

fn regex(list: List, pattern: &str, expression: &str, ignore_case: bool) -> Result<Regex, Error> {
    if let Some(operator) = set_operation(expression) {
        let pattern = pattern.to_owned();
        return Err(Error::SetOperation {
            list,
            pattern,
            operator,
        });
    }
    let built = RegexBuilder::new(expression)
        .case_insensitive(ignore_case)
        .backtrack_limit(BACKTRACK_LIMIT)
        .build();
    built.map_err(|error| Error::BadRegex {
        list,
        pattern: pattern.to_owned(),
        source: Box::new(error),
    })
}

fn is_match(regex: &Regex, list: List, pattern: &str, text: &str) -> Result<bool, Error> {
    regex.is_match(text).map_err(|error| Error::TooSlow {
        list,
        pattern: pattern.to_owned(),
        text: text.to_owned(),
        source: Box::new(error),
    })
}

/// The first operator between sets of characters, as in `[a&&b]`, or the bracket of a set in a set, which in Python is a member.
fn set_operation(expression: &str) -> Option<&'static str> {
    let mut rest = expression;
    let mut within = false;
    loop {
        let mut chars = rest.chars();
        match chars.next()? {
            '\\' => {
                chars.next();
            }
            '[' if !within => {
                within = true;
                // A bracket that closes at once is a member of the set.
                let set = chars.as_str();
                let set = set.strip_prefix('^').unwrap_or(set);
                chars = set.strip_prefix(']').unwrap_or(set).chars();
            }
            ']' => within = false,
            _ if within => {
                let operators = ["&&", "--", "~~", "["];
                let found = operators.into_iter().find(|operator| rest.starts_with(operator));
                if found.is_some() {
                    return found;
                }
            }
            _ => {}
        }
        rest = chars.as_str();
    }
}

/// A shell wildcard, ignoring case.
#[derive(Debug)]
struct Wildcard(Vec<Token>);

#[derive(Debug)]
enum Token {
    /// `*`
    Any,
    /// `?`
    One,
    /// A character, in lower case.
    Char(char),
    /// `[seq]` or `[!seq]`: ranges of characters.
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Wildcard {
    fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut tokens = Vec::new();
        let mut next = 0;
        while let Some(&c) = chars.get(next) {
            next += 1;
            tokens.push(match c {
                '*' => Token::Any,
                '?' => Token::One,
                // A bracket that is never closed is a literal character.
                '[' => match set_end(&chars, next) {
                    Some(end) => {
                        let set = set(&chars[next..end]);
                        next = end + 1;
                        set
                    }
                    None => Token::Char('['),
                },
                c => Token::Char(lower(c)),
            });
        }
        Wildcard(tokens)
    }

    /// Whether the whole text matches. Only the last `*` is tried again, so the time is limited by the product of the lengths.
    fn matches(&self, text: &str) -> bool {
        let text: Cow<'_, [char]> = text.chars().collect();
        let (mut token, mut next) = (0, 0);
        let mut star = None;
        loop {
            let matched = match self.0.get(token) {
                Some(Token::Any) => {
                    token += 1;
                    star = Some((token, next));
                    continue;
                }
                None if next == text.len() => return true,
                None => false,
                Some(one) => text.get(next).is_some_and(|c| one.takes(*c)),
            };
            if matched {
                token += 1;
                next += 1;
                continue;
            }
            match &mut star {
                Some((after, from)) if *from < text.len() => {
                    *from += 1;
                    (token, next) = (*after, *from);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Token::Any | Token::One => true,
            Token::Char(own) => *own == lower(c),
            Token::Set { negated, ranges } => {
                let has = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                (has(c) || has(lower(c)) || has(upper(c))) != *negated
            }
        }
    }
}

/// The index of the `]` that closes the set whose content begins at `start`. A `]` that comes first is a member of the set.
fn set_end(chars: &[char], start: usize) -> Option<usize> {
    let mut first = start;
    if chars.get(first) == Some(&'!') {
        first += 1;
    }
    let found = chars.iter().skip(first + 1).position(|c| *c == ']')?;
    Some(first + 1 + found)
}

/// The set with this content between its brackets.
fn set(mut chars: &[char]) -> Token {
    let negated = chars.first() == Some(&'!');
    if negated {
        chars = &chars[1..];
    }
    let mut ranges = Vec::new();
    loop {
        match *chars {
            [] => return Token::Set { negated, ranges },
            [from, '-', to, ref rest @ ..] => {
                ranges.push((from, to));
                chars = rest;
            }
            [c, ref rest @ ..] => {
                ranges.push((c, c));
                chars = rest;
            }
        }
    }
}

fn lower(c: char) -> char {
    single(c.to_lowercase(), c)
}

fn upper(c: char) -> char {
    single(c.to_uppercase(), c)
}

/// The character in the other case, or `c` if that is more than one character.
fn single(mut other: impl Iterator<Item = char>, c: char) -> char {
    match (other.next(), other.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}
