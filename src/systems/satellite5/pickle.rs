//! Python pickles of plain data: virt-who keeps the answer to a registration in one.
//!
//! [`text_of`] reads them without executing anything: opcodes that name or call a class are refused, whatever the class.
//! Python 2 writes protocol 0, Python 3 writes 3 or 4; [`write()`] writes protocol 2, which both load. Opcodes and their
//! names are those of Python's `pickletools`.

mod input;
mod machine;
mod opcode;
mod stack;
mod text;
mod write;

pub use self::write::write;

use self::machine::{Machine, Object};

/// A file is not a pickle of plain data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file ends before the pickle does, at this byte.
    #[error("the pickle is cut short at byte {0}")]
    Cut(usize),
    /// An opcode that plain data does not need; in Python it might run code.
    #[error("the pickle has more than plain data (opcode 0x{opcode:02x} at byte {position})")]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Its position in bytes.
        position: usize,
    },
    /// Before this byte is an opcode at which Python's own reader would fail, too.
    #[error("the pickle is damaged at byte {0}")]
    Damaged(usize),
    /// The pickle is readable, but has no text of this name.
    #[error("the pickle has no text named {0}")]
    Missing(String),
}

/// Reads a pickle of a dict, and returns the text that it has under `name`. If there are several the last one counts.
pub fn text_of(pickle: &[u8], name: &str) -> Result<String, Error> {
    let mut machine = Machine::new(pickle);
    let result = machine.run()?;
    let text = |number: usize| match machine.object(number) {
        Some(Object::Text(text)) => Some(text),
        _ => None,
    };
    let Some(Object::Dict(items)) = machine.object(result) else {
        return Err(Error::Missing(name.to_owned()));
    };
    let found = items
        .iter()
        .rev()
        .find(|(key, _)| text(*key).is_some_and(|key| key == name));
    let found = found.and_then(|(_, value)| text(*value));
    found.cloned().ok_or_else(|| Error::Missing(name.to_owned()))
}

#[cfg(test)]
mod tests;
