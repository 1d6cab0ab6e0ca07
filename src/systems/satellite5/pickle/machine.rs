//! The stack machine that a pickle is a program for.

use std::collections::HashMap;

use super::input::Input;
use super::opcode::*;
use super::stack::Stack;
use super::{Error, text};

/// An object that the pickle has made. Objects refer to each other by number, so that one that is shared, or contains itself,
/// costs no more memory than in the file.
pub(super) enum Object {
    Text(String),
    /// The items, as numbers of key and value.
    Dict(Vec<(usize, usize)>),
    List,
    /// A number, a truth value, None or a tuple, whose content is not needed.
    Other,
}

/// Each opcode makes at most one object, so the size of the file limits the memory.
pub(super) struct Machine<'a> {
    input: Input<'a>,
    objects: Vec<Object>,
    stack: Stack,
    memo: HashMap<usize, usize>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Machine {
            input: Input::new(pickle),
            objects: Vec::new(),
            stack: Stack::default(),
            memo: HashMap::new(),
        }
    }

    /// The object of this number.
    pub(super) fn object(&self, number: usize) -> Option<&Object> {
        self.objects.get(number)
    }

    /// Runs the pickle to its end, and returns the number of the resulting object.
    pub(super) fn run(&mut self) -> Result<usize, Error> {
        loop {
            let position = self.input.position();
            let opcode = self.input.byte()?;
            if opcode == STOP {
                return self.pop();
            }
            let known = self.skip_layout(opcode)?
                || self.arrange_stack(opcode)?
                || self.push_scalar(opcode)?
                || self.push_text(opcode)?
                || self.build_dict(opcode)?
                || self.build_sequence(opcode)?
                || self.use_memo(opcode)?;
            if !known {
                return Err(Error::Opcode { opcode, position });
            }
        }
    }
}

/// The opcodes, by group. Each method returns false if the opcode is not of its group.
impl Machine<'_> {
    /// Protocol and frames: the machine does not need them to find its way.
    fn skip_layout(&mut self, opcode: u8) -> Result<bool, Error> {
        match opcode {
            PROTO => self.input.take(1)?,
            FRAME => self.input.take(8)?,
            _ => return Ok(false),
        };
        Ok(true)
    }

    fn arrange_stack(&mut self, opcode: u8) -> Result<bool, Error> {
        match opcode {
            MARK => self.stack.mark(),
            POP => drop(self.pop()?),
            POP_MARK => drop(self.pop_mark()?),
            DUP => self.stack.push(self.top()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_scalar(&mut self, opcode: u8) -> Result<bool, Error> {
        match opcode {
            NONE | NEWTRUE | NEWFALSE => {}
            INT | LONG | FLOAT => drop(self.input.line()?),
            BININT1 => drop(self.input.take(1)?),
            BININT2 => drop(self.input.take(2)?),
            BININT => drop(self.input.take(4)?),
            BINFLOAT => drop(self.input.take(8)?),
            LONG1 => drop(self.input.counted(1)?),
            LONG4 => drop(self.input.counted(4)?),
            _ => return Ok(false),
        }
        self.push(Object::Other);
        Ok(true)
    }

    /// Byte strings of Python 2 are read as UTF-8, which they usually are.
    fn push_text(&mut self, opcode: u8) -> Result<bool, Error> {
        let utf8 = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let text = match opcode {
            STRING => text::python_literal(self.input.line()?),
            UNICODE => text::raw_unicode_escape(self.input.line()?),
            SHORT_BINSTRING | SHORT_BINBYTES | SHORT_BINUNICODE => utf8(self.input.counted(1)?),
            BINSTRING | BINBYTES | BINUNICODE => utf8(self.input.counted(4)?),
            BINUNICODE8 | BINBYTES8 => utf8(self.input.counted(8)?),
            _ => return Ok(false),
        };
        let text = text.ok_or(self.input.damaged())?;
        self.push(Object::Text(text));
        Ok(true)
    }

    fn build_dict(&mut self, opcode: u8) -> Result<bool, Error> {
        match opcode {
            EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            DICT => {
                let items = self.pop_pairs()?;
                self.push(Object::Dict(items));
            }
            SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(vec![(key, value)])?;
            }
            SETITEMS => {
                let items = self.pop_pairs()?;
                self.extend_dict(items)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Lists and tuples, whose elements are dropped.
    fn build_sequence(&mut self, opcode: u8) -> Result<bool, Error> {
        match opcode {
            EMPTY_LIST => self.push(Object::List),
            LIST => {
                self.pop_mark()?;
                self.push(Object::List);
            }
            APPEND => {
                self.pop()?;
                self.check_list()?;
            }
            APPENDS => {
                self.pop_mark()?;
                self.check_list()?;
            }
            EMPTY_TUPLE => self.push(Object::Other),
            TUPLE => {
                self.pop_mark()?;
                self.push(Object::Other);
            }
            TUPLE1 | TUPLE2 | TUPLE3 => {
                for _ in TUPLE1..=opcode {
                    self.pop()?;
                }
                self.push(Object::Other);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn use_memo(&mut self, opcode: u8) -> Result<bool, Error> {
        let key = match opcode {
            PUT | GET => self.input.decimal()?,
            BINPUT | BINGET => self.input.number(1)?,
            LONG_BINPUT | LONG_BINGET => self.input.number(4)?,
            MEMOIZE => self.memo.len(),
            _ => return Ok(false),
        };
        match opcode {
            GET | BINGET | LONG_BINGET => {
                let object = *self.memo.get(&key).ok_or(self.input.damaged())?;
                self.stack.push(object);
            }
            _ => drop(self.memo.insert(key, self.top()?)),
        }
        Ok(true)
    }
}

impl Machine<'_> {
    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn top(&self) -> Result<usize, Error> {
        self.stack.top().ok_or(self.input.damaged())
    }

    fn pop(&mut self) -> Result<usize, Error> {
        self.stack.pop().ok_or(self.input.damaged())
    }

    fn pop_mark(&mut self) -> Result<Vec<usize>, Error> {
        self.stack.pop_mark().ok_or(self.input.damaged())
    }

    fn pop_pairs(&mut self) -> Result<Vec<(usize, usize)>, Error> {
        self.stack.pop_pairs().ok_or(self.input.damaged())
    }

    /// Adds items to the dict at the top of the stack.
    fn extend_dict(&mut self, more: Vec<(usize, usize)>) -> Result<(), Error> {
        let top = self.top()?;
        let Some(Object::Dict(items)) = self.objects.get_mut(top) else {
            return Err(self.input.damaged());
        };
        items.extend(more);
        Ok(())
    }

    /// Fails unless a list is at the top of the stack.
    fn check_list(&self) -> Result<(), Error> {
        match self.object(self.top()?) {
            Some(Object::List) => Ok(()),
            _ => Err(self.input.damaged()),
        }
    }
}
