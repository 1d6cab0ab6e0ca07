//! A hypervisor as a Satellite 5 gets it.

use crate::mapping::{Hypervisor, LeftOut};
use crate::xmlrpc;

/// A hypervisor that is reported.
#[derive(Debug, Clone, Copy)]
pub struct Registrant<'m> {
    /// Its id.
    pub id: &'m str,
    /// virt-who's type of its source, which is part of the names that the server gets.
    pub kind: &'m str,
    /// What the document says about it.
    pub hypervisor: &'m Hypervisor,
}

impl Registrant<'_> {
    /// Why it can't be reported: its id, or the type of its source, has a character that XML can't carry, or that would break
    /// the lines of a list of profiles.
    pub(super) fn unsendable(&self) -> Option<String> {
        let texts = [("its id", self.id), ("the type of its source", self.kind)];
        texts.into_iter().find_map(|(what, text)| {
            let c = text
                .chars()
                .find(|c| c.is_control() || !xmlrpc::is_sendable(*c))?;
            Some(format!(
                "{what} has the character U+{:04X}, which can't be sent",
                c as u32
            ))
        })
    }

    /// The entry of this hypervisor in a result line, if it is not on the server as it should be.
    pub fn left_out(&self, reason: String) -> LeftOut {
        LeftOut {
            kind: LeftOut::HOST.into(),
            id: Some(self.id.to_owned()),
            name: self.hypervisor.name.clone(),
            reason,
        }
    }
}
