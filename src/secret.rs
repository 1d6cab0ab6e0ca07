//! Text that must not be seen.

pub mod redact;

use std::fmt;

use zeroize::Zeroizing;

/// A password or key: never printed, and overwritten in memory when dropped.
///
/// ```
/// let password = vw::secret::Secret::from("s3cret".to_owned());
/// assert_eq!(format!("{password} {password:?}"), "(redacted) (redacted)");
/// assert_eq!(password.expose(), "s3cret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself, to be handed to the one who must have it and to nobody else.
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
        f.write_str("(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}
