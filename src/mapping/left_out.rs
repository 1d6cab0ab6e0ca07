//! What a stage could not pass on, and why: one shape for the `omitted` of a document and the `failed` of a result line.

use std::borrow::Cow;
use std::fmt;

use super::{Fault, Members};

/// A hypervisor or guest that a stage left out, or that is not on the server as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// [`LeftOut::HOST`] or [`LeftOut::GUEST`], or what another source calls it.
    pub kind: Cow<'static, str>,
    /// The id by which the stage knew it: a managed object id in a scan, later the hypervisor's id. `None` if it has none.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Why: the stage's words, or the server's.
    pub reason: String,
}

impl LeftOut {
    /// The kind of a host, called hypervisor in a mapping.
    pub const HOST: &'static str = "host";
    /// The kind of a guest.
    pub const GUEST: &'static str = "guest";

    /// Its entry in a document, for the command `stage`.
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
    /// Members that are not known here.
    pub unknown: Members,
}

impl Omitted {
    /// Whether it is a host.
    pub fn is_host(&self) -> bool {
        self.left_out.kind == LeftOut::HOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_by_name_and_id() {
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
