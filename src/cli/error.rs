//! Why a command failed.

use std::fmt;

use crate::error::{Classify, Kind};

/// Why a command failed: an error of ours, its kind, and what it happened in.
///
/// Any error that has a kind becomes one by `?`. With `{:#}` it shows its whole chain and the advice after it, as the one error
/// line of a command does.
pub struct Error {
    kind: Kind,
    chain: anyhow::Error,
    advice: Option<String>,
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
            chain: self.chain.context(context),
            ..self
        }
    }

    /// The same with what the user can do about it, which is shown after it.
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Error {
            advice: Some(advice.into()),
            ..self
        }
    }

    /// The outermost error of this type.
    pub fn downcast_ref<E: Classify>(&self) -> Option<&E> {
        self.chain.downcast_ref()
    }

    /// The outermost error of this type, or this one again.
    pub fn downcast<E: Classify>(self) -> std::result::Result<E, Self> {
        let Error { kind, chain, advice } = self;
        chain.downcast().map_err(|chain| Error { kind, chain, advice })
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
            advice: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)?;
        match &self.advice {
            Some(advice) if f.alternate() => write!(f, "; {advice}"),
            _ => Ok(()),
        }
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
