//! Why a command failed.

use std::{fmt, io};

use crate::error::{Classify, Kind};

/// Why a command failed: an error with its kind, and the context in which it happened.
///
/// `?` converts any error that has a kind. `{:#}` shows the whole chain and the advice after it, as in a command's error line.
pub struct Error {
    kind: Kind,
    chain: anyhow::Error,
    advice: Option<String>,
}

/// The result of what a command does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The kind of the original error, whatever context was added.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds context, which is shown before the error.
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

    /// The outermost error of this type, or `self` if there is none.
    pub fn downcast<E: Classify>(self) -> std::result::Result<E, Self> {
        let Error { kind, chain, advice } = self;
        chain.downcast().map_err(|chain| Error { kind, chain, advice })
    }

    /// The errors from the outermost context to the first cause.
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

/// A failure of a command itself, rather than of the library.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    kind: Kind,
    message: String,
}

impl Failure {
    /// A failure of this kind. The message says what failed and what to do.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Failure { kind, message }
    }

    /// The failure of an operation that can't fail, such as writing JSON into memory: a defect.
    pub fn defect(error: impl fmt::Display) -> Self {
        Failure::new(
            Kind::Software,
            format!("this is a defect, please report it: {error}"),
        )
    }

    /// A failed write to stdout.
    pub fn of_stdout(error: &io::Error) -> Self {
        Failure::new(Kind::of_output(error), format!("writing to stdout: {error}"))
    }
}

impl Classify for Failure {
    fn kind(&self) -> Kind {
        self.kind
    }
}

/// Adds context to the error of a result.
pub trait Context<T> {
    /// Adds context, which is shown before the error.
    fn context(self, context: impl fmt::Display + Send + Sync + 'static) -> Result<T>;

    /// Like [`Context::context`], but calls `context` only if there is an error.
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
    fn context_does_not_change_the_kind() {
        let cause = crate::list::parse("'open").unwrap_err();
        let words = format!("reading: {cause}");
        let error = Err::<(), _>(cause).context("reading").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert_eq!(format!("{error:#}"), words);
        assert!(error.downcast_ref::<crate::list::Error>().is_some());
    }
}
