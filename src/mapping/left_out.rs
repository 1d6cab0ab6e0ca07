//! What was left out or failed, and why: the entries of `omitted` in a document, and of `failed` in a result line.

use std::borrow::Cow;
use std::fmt;

use super::{Fault, Members};

/// A hypervisor or guest that a stage left out or could not report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// [`LeftOut::HOST`], [`LeftOut::GUEST`], or another kind from another source.
    pub kind: Cow<'static, str>,
    /// The id that the stage knows: a managed object id in a scan, later the hypervisor's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Why, in the words of the stage or of the server.
    pub reason: String,
}

impl LeftOut {
    /// The kind of a hypervisor.
    pub const HOST: &'static str = "host";
    /// The kind of a guest.
    pub const GUEST: &'static str = "guest";

    /// The entry of `omitted`, left out by the command `stage`.
    pub fn by(self, stage: &'static str) -> Omitted {
        Omitted {
            left_out: self,
            stage: stage.into(),
            unknown: Members::new(),
        }
    }
}

/// Such as `esx1.example.com (9705df9f-…): the server refused it`.
impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.id) {
            (Some(name), Some(id)) => write!(f, "{name} ({id}): ")?,
            (Some(one), None) | (None, Some(one)) => write!(f, "{one}: ")?,
            (None, None) => {}
        }
        f.write_str(&self.reason)
    }
}

impl From<Fault> for LeftOut {
    fn from(fault: Fault) -> Self {
        LeftOut {
            kind: fault.about.kind().into(),
            reason: fault.counted_reason(),
            id: fault.id,
            name: fault.name,
        }
    }
}

/// An entry of a document's `omitted`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Omitted {
    /// What was left out, and why.
    pub left_out: LeftOut,
    /// The command that left it out.
    pub stage: Cow<'static, str>,
    /// Unknown members.
    pub unknown: Members,
}

impl Omitted {
    /// Whether a hypervisor was left out.
    pub fn is_host(&self) -> bool {
        self.left_out.kind == LeftOut::HOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_has_the_name_and_the_id() {
        let text = |name: Option<&str>, id: Option<&str>| {
            let left_out = LeftOut {
                name: name.map(str::to_owned),
                id: id.map(str::to_owned),
                reason: "no".to_owned(),
                ..LeftOut::default()
            };
            left_out.to_string()
        };
        assert_eq!(text(Some("n"), Some("i")), "n (i): no");
        assert_eq!(text(Some("n"), None), "n: no");
        assert_eq!(text(None, Some("i")), "i: no");
        assert_eq!(text(None, None), "no");
    }
}
