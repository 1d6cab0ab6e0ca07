//! Why a command failed.

use std::fmt;

use crate::error::{Classify, Kind};

/// Why a command failed: an error of ours, its kind, and what it happened in.
///
/// Any error that has a kind becomes one by `?`. With `{:#}` it shows its whole chain, as the one error line of a command does.
pub struct Error {
    kind: Kind,
    chain: anyhow::Error,
}

/// The result of what a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kind of the error that it was at first, whatever it happened in.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The same with what it happened in, which is shown before it.
    pub fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Self {
        Error {
            kind: self.kind,
            chain: self.chain.context(context),
        }
    }

    /// The outermost error of this type.
    pub fn downcast_ref<E: Classify>(&self) -> Option<&E> {
        self.chain.downcast_ref()
    }

    /// The outermost error of this type, or this one again.
    pub fn downcast<E: Classify>(self) -> std::result::Result<E, Self> {
        let kind = self.kind;
        self.chain.downcast().map_err(|chain| Error { kind, chain })
    }

    /// The errors from the outermost to the first cause.
    pub fn chain(&self) -> anyhow::Chain<'_> {
        self.chain.chain()
    }
}

impl<E: Classify> From<E> for Error {
    fn from(error: E) -> Self {
        Error {
            kind: error.kind(),
            chain: anyhow::Error::new(error),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.kind, self.chain)
    }
}

/// Adds what an error happened in.
pub trait Context<T> {
    /// Shown before the error.
    fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Result<T>;

    /// The same, put into words only if there is an error.
    fn with_context<C: fmt::Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: fmt::Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_that_of_the_first_error_whatever_its_context() {
        let cause = crate::list::parse("'open").unwrap_err();
        let words = format!("reading: {cause}");
        let error = Err::<(), _>(cause).context("reading").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(format!("{error:#}"), words);
        assert!(error.downcast_ref::<crate::list::Error>().is_some());
    }
}
