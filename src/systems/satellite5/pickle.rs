//! Python's pickles, as far as virt-who keeps a registration in one: plain data, read without executing anything.
//!
//! Python 2 writes protocol 0, Python 3 writes 3 or 4; protocol 2, which both load, is what is written here. The opcodes
//! are those of Python's `pickletools`. Opcodes that name classes or call them are refused, whatever they name.

use std::collections::HashMap;

use super::xmlrpc::Datum;

/// A file is not a pickle of plain data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file ends before the pickle does.
    #[error("the pickle is cut short at byte {0}")]
    Cut(usize),
    /// An opcode that plain data does not need; it may be one that would run code in Python.
    #[error("the pickle holds more than plain data (opcode 0x{opcode:02x} at byte {position})")]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Where it stands.
        position: usize,
    },
    /// An opcode stands where Python's own reader would fail, too.
    #[error("the pickle is damaged at byte {0}")]
    Damaged(usize),
    /// The pickle is read, and does not hold the text that was looked for.
    #[error("the pickle holds no text named {0}")]
    Missing(String),
}

/// Reads a pickle of a dict, and returns the text that it holds under `name`.
pub fn text_of(pickle: &[u8], name: &str) -> Result<String, Error> {
    let mut machine = Machine::new(pickle);
    let top = machine.run()?;
    let missing = || Error::Missing(name.to_owned());
    let Node::Dict(items) = &machine.nodes[top] else {
        return Err(missing());
    };
    let text = |node: &usize| match &machine.nodes[*node] {
        Node::Text(text) => Some(text),
        _ => None,
    };
    let found = items
        .iter()
        .rev()
        .find(|(key, _)| text(key).is_some_and(|key| key == name));
    let found = found.and_then(|(_, value)| text(value));
    found.cloned().ok_or_else(missing)
}

/// An object that the pickle has made. Objects name each other by their number, so that what is shared, or holds itself,
/// costs no more than it does in the file.
enum Node {
    Text(String),
    Dict(Vec<(usize, usize)>),
    List,
    /// A number, a truth value, None, a tuple: may stand in the file, and nobody looks into it.
    Other,
}

/// The stack machine that a pickle is a program for. Each opcode makes at most one node, so memory is bounded by the file.
struct Machine<'a> {
    input: &'a [u8],
    position: usize,
    nodes: Vec<Node>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: HashMap<u64, usize>,
}

impl<'a> Machine<'a> {
    fn new(input: &'a [u8]) -> Self {
        Machine {
            input,
            position: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    fn run(&mut self) -> Result<usize, Error> {
        loop {
            let opcode = self.take(1)?[0];
            match opcode {
                // Protocol and frames say how the rest is laid out; it explains itself.
                0x80 => drop(self.take(1)?),
                0x95 => drop(self.take(8)?),
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.above_mark()?),
                b'2' => self.stack.push(self.top()?),

                b'N' | 0x88 | 0x89 | b')' => self.push(Node::Other),
                b'I' | b'L' | b'F' => {
                    self.line()?;
                    self.push(Node::Other);
                }
                b'J' => self.other(4)?,
                b'K' => self.other(1)?,
                b'M' => self.other(2)?,
                b'G' => self.other(8)?,
                0x8a => {
                    let length = self.length(1)?;
                    self.other(length)?;
                }
                0x8b => {
                    let length = self.length(4)?;
                    self.other(length)?;
                }

                b'S' => {
                    let text = python_literal(self.line()?).ok_or(self.damaged())?;
                    self.push(Node::Text(text));
                }
                b'V' => {
                    let text = raw_unicode_escape(self.line()?).ok_or(self.damaged())?;
                    self.push(Node::Text(text));
                }
                b'U' | b'C' | 0x8c => self.text(1)?,
                b'T' | b'B' | b'X' => self.text(4)?,
                0x8d | 0x8e => self.text(8)?,

                b'}' => self.push(Node::Dict(Vec::new())),
                b']' => self.push(Node::List),
                b'd' => {
                    let items = self.pairs()?;
                    self.push(Node::Dict(items));
                }
                b'l' => {
                    self.above_mark()?;
                    self.push(Node::List);
                }
                b't' => {
                    self.above_mark()?;
                    self.push(Node::Other);
                }
                0x85..=0x87 => {
                    for _ in 0x84..opcode {
                        self.pop()?;
                    }
                    self.push(Node::Other);
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.extend_dict(vec![(key, value)])?;
                }
                b'u' => {
                    let items = self.pairs()?;
                    self.extend_dict(items)?;
                }
                b'a' => {
                    self.pop()?;
                    self.check_list()?;
                }
                b'e' => {
                    self.above_mark()?;
                    self.check_list()?;
                }

                b'p' => {
                    let key = self.number()?;
                    self.remember(key)?;
                }
                b'q' => {
                    let key = self.length(1)?;
                    self.remember(key as u64)?;
                }
                b'r' => {
                    let key = self.length(4)?;
                    self.remember(key as u64)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                b'g' => {
                    let key = self.number()?;
                    self.recall(key)?;
                }
                b'h' => {
                    let key = self.length(1)?;
                    self.recall(key as u64)?;
                }
                b'j' => {
                    let key = self.length(4)?;
                    self.recall(key as u64)?;
                }
                _ => {
                    let position = self.position - 1;
                    return Err(Error::Opcode { opcode, position });
                }
            }
        }
    }

    fn damaged(&self) -> Error {
        Error::Damaged(self.position)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let rest = &self.input[self.position..];
        let taken = rest.get(..length).ok_or(Error::Cut(self.input.len()))?;
        self.position += length;
        Ok(taken)
    }

    /// The rest of the line, without its end.
    fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.input[self.position..];
        let length = memchr::memchr(b'\n', rest).ok_or(Error::Cut(self.input.len()))?;
        self.position += length + 1;
        Ok(&rest[..length])
    }

    /// A little-endian number of so many bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, Error> {
        let taken = self.take(bytes)?;
        let number = taken
            .iter()
            .rev()
            .fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| self.damaged())
    }

    /// A number written in decimal digits on a line.
    fn number(&mut self) -> Result<u64, Error> {
        let line = std::str::from_utf8(self.line()?).unwrap_or_default();
        line.trim().parse().map_err(|_| self.damaged())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    fn other(&mut self, length: usize) -> Result<(), Error> {
        self.take(length)?;
        self.push(Node::Other);
        Ok(())
    }

    /// A text behind its length. Python 2's byte strings are taken as what they mostly are, UTF-8.
    fn text(&mut self, bytes: usize) -> Result<(), Error> {
        let length = self.length(bytes)?;
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|_| self.damaged())?;
        self.push(Node::Text(text));
        Ok(())
    }

    /// The first place of the stack that may be taken: marks hold back what lies below them.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<usize, Error> {
        let top = self.stack[self.floor()..].last();
        top.copied().ok_or(self.damaged())
    }

    fn pop(&mut self) -> Result<usize, Error> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn above_mark(&mut self) -> Result<Vec<usize>, Error> {
        let mark = self.marks.pop().ok_or(self.damaged())?;
        Ok(self.stack.split_off(mark))
    }

    fn pairs(&mut self) -> Result<Vec<(usize, usize)>, Error> {
        let items = self.above_mark()?;
        let (pairs, rest) = items.as_chunks();
        match rest {
            [] => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
            _ => Err(self.damaged()),
        }
    }

    fn extend_dict(&mut self, items: Vec<(usize, usize)>) -> Result<(), Error> {
        let (top, damaged) = (self.top()?, self.damaged());
        match &mut self.nodes[top] {
            Node::Dict(held) => held.extend(items),
            _ => return Err(damaged),
        }
        Ok(())
    }

    fn check_list(&self) -> Result<(), Error> {
        match self.nodes[self.top()?] {
            Node::List => Ok(()),
            _ => Err(self.damaged()),
        }
    }

    fn remember(&mut self, key: u64) -> Result<(), Error> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), Error> {
        let node = self.memo.get(&key).ok_or(self.damaged())?;
        self.stack.push(*node);
        Ok(())
    }
}

/// What Python's repr of a byte string stands for, such as `'it\'s'`.
fn python_literal(line: &[u8]) -> Option<String> {
    let line = line.trim_ascii();
    let (quote, rest) = line.split_first()?;
    let body = match (quote, rest.split_last()?) {
        (b'\'' | b'"', (end, body)) if end == quote => body,
        _ => return None,
    };
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next()? {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'x' => {
                let digits = [rest.next()?, rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte @ (b'\\' | b'\'' | b'"') => bytes.push(byte),
            // repr writes no other escapes.
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

/// Decodes Python's raw-unicode-escape: Latin-1, and `\u` or `\U` for what lies beyond.
fn raw_unicode_escape(line: &[u8]) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [byte, after @ ..] = rest {
        rest = after;
        let digits = match (byte, after.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                units.push(u16::from(*byte));
                continue;
            }
        };
        let code = std::str::from_utf8(after.get(1..=digits)?).ok()?;
        let code = u32::from_str_radix(code, 16).ok()?;
        // A narrow build of Python 2 writes a pair of surrogates instead of one character.
        match (u16::try_from(code), char::from_u32(code)) {
            (Ok(unit), _) => units.push(unit),
            (_, Some(character)) => units.extend(character.encode_utf16(&mut [0; 2]).iter()),
            _ => return None,
        }
        rest = &after[digits + 1..];
    }
    String::from_utf16(&units).ok()
}

/// Writes a value as a pickle that Python 2 and 3 load.
pub fn write(value: &Datum<'_>) -> Vec<u8> {
    let mut pickle = vec![0x80, 2];
    push(&mut pickle, value);
    pickle.push(b'.');
    pickle
}

fn push(pickle: &mut Vec<u8>, value: &Datum<'_>) {
    match value {
        Datum::Nil => pickle.push(b'N'),
        Datum::Boolean(value) => pickle.push(if *value { 0x88 } else { 0x89 }),
        Datum::Int(value) => {
            pickle.extend([0x8a, 8]);
            pickle.extend(value.to_le_bytes());
        }
        Datum::Double(value) => {
            pickle.push(b'G');
            pickle.extend(value.to_be_bytes());
        }
        Datum::Text(text) => push_text(pickle, text),
        Datum::Array(values) => {
            pickle.extend(b"](");
            for value in values {
                push(pickle, value);
            }
            pickle.push(b'e');
        }
        Datum::Struct(members) => {
            pickle.extend(b"}(");
            for (name, value) in members {
                push_text(pickle, name);
                push(pickle, value);
            }
            pickle.push(b'u');
        }
    }
}

/// A text is at most as long as the answer that it came in, so its length fits.
fn push_text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

#[cfg(test)]
mod tests;
