//! Passwords and keys, and their removal from text that is shown.

pub mod redact;

use std::fmt;

use zeroize::Zeroizing;

/// A password or key. It prints as `(redacted)`, and its memory is overwritten when it is dropped.
///
/// ```
/// let password = vw::secret::Secret::from("s3cret".to_owned());
/// assert_eq!(format!("{password} {password:?}"), "(redacted) (redacted)");
/// assert_eq!(password.expose(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself, only for the code that has to send, encrypt or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact::REDACTED)
    }
}
