//! A property whose value has members, such as a `TaskInfo`.

use std::io::BufRead;

use crate::systems::vsphere::soap::without_prefix;
use crate::xml::{self, Reader};

/// A value with members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::systems::vsphere) struct Structure {
    /// The name of the member that it is; empty for a property.
    name: String,
    /// Its type, if the server says so, without a prefix.
    pub(in crate::systems::vsphere) kind: String,
    /// Its text; empty if it has members.
    text: String,
    members: Vec<Structure>,
}

impl Structure {
    /// The first member of this name.
    pub(in crate::systems::vsphere) fn member(&self, name: &str) -> Option<&Structure> {
        self.all(name).next()
    }

    /// The members of this name.
    pub(in crate::systems::vsphere) fn all(&self, name: &str) -> impl Iterator<Item = &Structure> {
        self.members.iter().filter(move |member| member.name == name)
    }

    /// The text of the first member of this name.
    pub(in crate::systems::vsphere) fn text(&self, name: &str) -> Option<&str> {
        self.member(name).map(|member| member.text.trim())
    }

    /// Reads the rest of a value whose first member was just entered.
    pub(super) fn from_first_member<R: BufRead>(xml: &mut Reader<R>) -> Result<Self, xml::Error> {
        let mut structure = Structure::default();
        loop {
            structure.members.push(Structure::read(xml)?);
            if xml.child()?.is_none() {
                return Ok(structure);
            }
        }
    }

    /// Reads the element that was entered last. The reader limits the depth.
    fn read<R: BufRead>(xml: &mut Reader<R>) -> Result<Self, xml::Error> {
        let name = xml.name().to_owned();
        let kind = xml.prefixed_attribute("type");
        let kind = kind.map_or(String::new(), |kind| without_prefix(&kind).to_owned());
        let mut text = String::new();
        let structure = match xml.child_after(&mut text)? {
            Some(_) => Structure::from_first_member(xml)?,
            None => Structure {
                text,
                ..Structure::default()
            },
        };
        Ok(Structure {
            name,
            kind,
            ..structure
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Object;
    use super::*;

    #[test]
    fn members_are_read_by_name_with_their_types() {
        let text = "<objects><obj type='Task'>task-1</obj><propSet><name>info</name><val xmlns:i='u' i:type='TaskInfo'>\
                    <key>task-1</key><name/><error><fault i:type='v:RequestCanceled'/><localizedMessage>no &amp; no\
                    </localizedMessage></error><locked>a</locked><locked>b</locked></val></propSet>\
                    <propSet><name>name</name><val>n</val></propSet></objects>";
        let mut reader = Reader::new(text.as_bytes());
        reader.child().unwrap();
        let mut object = Object::default();
        object.read(&mut reader).unwrap();
        reader.finish().unwrap();
        let info = object.structure("info").unwrap();
        assert_eq!((info.text("key"), info.text("name")), (Some("task-1"), Some("")));
        let error = info.member("error").unwrap();
        assert_eq!(error.member("fault").unwrap().kind, "RequestCanceled");
        assert_eq!(error.text("localizedMessage"), Some("no & no"));
        let locked: Vec<_> = info.all("locked").map(|locked| &*locked.text).collect();
        assert_eq!(locked, ["a", "b"]);
        assert_eq!(object.text("name"), Some("n"));
        assert_eq!(object.text("info"), Some(""));
        assert!(object.structure("name").is_none());
    }
}
