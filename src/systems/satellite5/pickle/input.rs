//! The bytes of a pickle.

use super::Error;

/// A pickle, and how far it has been read.
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, position: 0 }
    }

    /// The position of the next byte.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The error that what was read last is wrong.
    pub(super) fn damaged(&self) -> Error {
        Error::Damaged(self.position)
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    fn cut(&self) -> Error {
        Error::Cut(self.bytes.len())
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let byte = *self.rest().first().ok_or(self.cut())?;
        self.position += 1;
        Ok(byte)
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let taken = self.rest().get(..length).ok_or(self.cut())?;
        self.position += length;
        Ok(taken)
    }

    /// The rest of the line, without its end.
    pub(super) fn line(&mut self) -> Result<&'a [u8], Error> {
        let length = memchr::memchr(b'\n', self.rest()).ok_or(self.cut())?;
        let line = self.take(length)?;
        self.position += 1;
        Ok(line)
    }

    /// A little-endian number of `width` bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<usize, Error> {
        let bytes = self.take(width)?.iter().rev();
        let number = bytes.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        usize::try_from(number).map_err(|_| self.damaged())
    }

    /// As many bytes as the number of `width` bytes before them says.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8], Error> {
        let length = self.number(width)?;
        self.take(length)
    }

    /// A decimal number on a line of its own.
    pub(super) fn decimal(&mut self) -> Result<usize, Error> {
        let line = std::str::from_utf8(self.line()?).unwrap_or_default();
        line.trim().parse().map_err(|_| self.damaged())
    }
}
