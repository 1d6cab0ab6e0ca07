//! One object with its properties, as an answer brings it.

use std::io::BufRead;
use std::ops::Range;

use super::structure::Structure;
use crate::systems::vsphere::soap::without_prefix;
use crate::systems::vsphere::{ManagedObject, NOT_AUTHENTICATED, NOT_FOUND};
use crate::xml::{self, Reader};

/// One object as the server describes it. The next object of the page reuses its memory.
#[derive(Debug, Default)]
pub(in crate::systems::vsphere) struct Object {
    /// The object's type.
    pub(in crate::systems::vsphere) kind: String,
    /// The object's managed object id.
    pub(in crate::systems::vsphere) id: String,
    /// The paths, types and values of all items, one after the other.
    text: String,
    items: Vec<Item>,
    /// The values that have members, with the ranges of their paths.
    structures: Vec<(Range<usize>, Structure)>,
    missing: Vec<Missing>,
}

/// The value of a property, or one of its several references: ranges of the object's text.
#[derive(Debug)]
struct Item {
    path: Range<usize>,
    kind: Range<usize>,
    text: Range<usize>,
}

/// A property that the server did not send.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    /// The property's path.
    path: String,
    /// The type of the fault, such as `NoPermission`.
    fault: String,
}

impl Object {
    /// The property's value as text, if it is set.
    pub(in crate::systems::vsphere) fn text(&self, path: &str) -> Option<&str> {
        self.references(path).next().map(|(_, text)| text)
    }

    /// The references, type and id, that the property holds.
    pub(in crate::systems::vsphere) fn references<'o>(
        &'o self,
        path: &str,
    ) -> impl Iterator<Item = (&'o str, &'o str)> {
        let part = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.items
            .iter()
            .filter(move |item| part(&item.path) == path)
            .map(move |item| (part(&item.kind), part(&item.text)))
    }

    /// The property's value, if it has members.
    pub(in crate::systems::vsphere) fn structure(&self, path: &str) -> Option<&Structure> {
        let mut all = self.structures.iter();
        let found = all.find(|(own, _)| self.text.get(own.clone()) == Some(path))?;
        Some(&found.1)
    }

    /// The fault that the server sent instead of the property, such as `NoPermission`.
    pub(in crate::systems::vsphere) fn fault_of(&self, path: &str) -> Option<&str> {
        self.missing
            .iter()
            .find(|missing| missing.path == path)
            .map(|missing| missing.fault.as_str())
    }

    /// Whether the object was deleted while the server read its properties.
    pub(in crate::systems::vsphere) fn is_gone(&self) -> bool {
        self.missing.iter().any(|missing| missing.fault == NOT_FOUND)
    }

    /// Whether the session ended while the server read the properties.
    pub(in crate::systems::vsphere) fn is_without_session(&self) -> bool {
        let mut faults = self.missing.iter();
        faults.any(|missing| missing.fault == NOT_AUTHENTICATED)
    }

    /// The object's reference.
    pub(in crate::systems::vsphere) fn reference(&self) -> ManagedObject {
        ManagedObject {
            kind: self.kind.clone(),
            id: self.id.clone(),
        }
    }

    #[cfg(test)]
    pub(in crate::systems::vsphere) fn of(kind: &str, id: &str, properties: &[(&str, &str)]) -> Self {
        let mut object = Object {
            kind: kind.into(),
            id: id.into(),
            ..Object::default()
        };
        for (path, value) in properties {
            let reference = value.split_once(':').filter(|_| matches!(*path, "parent" | "vm"));
            let (kind, text) = reference.unwrap_or(("", value));
            let [path, kind, text] = [path, kind, text].map(|part| object.push(part));
            object.items.push(Item { path, kind, text });
        }
        object
    }

    fn clear(&mut self) {
        self.kind.clear();
        self.id.clear();
        self.text.clear();
        self.items.clear();
        self.structures.clear();
        self.missing.clear();
    }

    fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    /// Reads a text, or the members of the value, which then has no text.
    fn push_text_or_members<R: BufRead>(
        &mut self,
        path: &Range<usize>,
        xml: &mut Reader<R>,
    ) -> Result<Range<usize>, xml::Error> {
        let start = self.text.len();
        if xml.child_after(&mut self.text)?.is_some() {
            self.text.truncate(start);
            let structure = Structure::from_first_member(xml)?;
            self.structures.push((path.clone(), structure));
        }
        Ok(start..self.text.len())
    }

    fn push_text<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<Range<usize>, xml::Error> {
        let start = self.text.len();
        xml.append_text(&mut self.text)?;
        Ok(start..self.text.len())
    }

    /// Reads the `ObjectContent` in the element that was entered last.
    ///
    /// The limits of the XML reader hold for each object and not for the page. The largest object, a host with 10,000 virtual
    /// machines, has less than a megabyte.
    pub(in crate::systems::vsphere) fn read<R: BufRead>(
        &mut self,
        xml: &mut Reader<R>,
    ) -> Result<(), xml::Error> {
        self.clear();
        xml.renew();
        while let Some(name) = xml.child()? {
            match name {
                "obj" => self.read_reference(xml)?,
                "propSet" => {
                    self.read_property(xml)?;
                }
                "missingSet" => self.read_missing(xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// Reads the `ObjectUpdate` in the element that was entered last and returns its kind: `enter`, `modify` or `leave`.
    ///
    /// Fills `paths` with the properties that the update names, including those that are no longer set.
    pub(in crate::systems::vsphere) fn read_update<R: BufRead>(
        &mut self,
        xml: &mut Reader<R>,
        paths: &mut Vec<String>,
    ) -> Result<String, xml::Error> {
        self.clear();
        paths.clear();
        xml.renew();
        let mut kind = String::new();
        while let Some(name) = xml.child()? {
            match name {
                "kind" => xml.append_text(&mut kind)?,
                "obj" => self.read_reference(xml)?,
                "changeSet" => {
                    let path = self.read_property(xml)?;
                    paths.push(self.text.get(path).unwrap_or_default().to_owned());
                }
                "missingSet" => self.read_missing(xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(kind)
    }

    /// Whether the server sent a fault instead of a property.
    pub(in crate::systems::vsphere) fn lacks_properties(&self) -> bool {
        !self.missing.is_empty()
    }

    fn read_reference<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        self.kind.push_str(&xml.attribute("type").unwrap_or_default());
        xml.append_text(&mut self.id)
    }

    /// Reads a `DynamicProperty`, its name and then its value, and returns the range of the name.
    ///
    /// A `PropertyChange` is read in the same way: it has the whole value unless partial updates are requested.
    fn read_property<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<Range<usize>, xml::Error> {
        let mut path = 0..0;
        while let Some(name) = xml.child()? {
            match name {
                "name" => path = self.push_text(xml)?,
                "val" => self.read_value(&path, xml)?,
                _ => xml.skip()?,
            }
        }
        Ok(path)
    }

    /// Reads a value, which is a text, a reference, a structure, or an array of them.
    fn read_value<R: BufRead>(&mut self, path: &Range<usize>, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        let (kind, xsi_type) = xml.attributes("type");
        let array = xsi_type.is_some_and(|name| without_prefix(&name).starts_with("ArrayOf"));
        if !array {
            let kind = self.push(&kind.unwrap_or_default());
            return self.read_item(path, kind, xml);
        }
        while xml.child()?.is_some() {
            let kind = self.push(&xml.attribute("type").unwrap_or_default());
            self.read_item(path, kind, xml)?;
        }
        Ok(())
    }

    fn read_item<R: BufRead>(
        &mut self,
        path: &Range<usize>,
        kind: Range<usize>,
        xml: &mut Reader<R>,
    ) -> Result<(), xml::Error> {
        let text = self.push_text_or_members(path, xml)?;
        let path = path.clone();
        self.items.push(Item { path, kind, text });
        Ok(())
    }

    /// Reads a `MissingProperty`.
    fn read_missing<R: BufRead>(&mut self, xml: &mut Reader<R>) -> Result<(), xml::Error> {
        let mut missing = Missing {
            path: String::new(),
            fault: String::new(),
        };
        while let Some(name) = xml.child()? {
            match name {
                "path" => missing.path.push_str(xml.text()?),
                "fault" => missing.fault = read_localized_fault(xml)?,
                _ => xml.skip()?,
            }
        }
        self.missing.push(missing);
        Ok(())
    }
}

/// Reads a `MissingObject` and returns the object and the type of the fault.
pub(in crate::systems::vsphere) fn read_missing_object<R: BufRead>(
    xml: &mut Reader<R>,
) -> Result<(Option<ManagedObject>, String), xml::Error> {
    let (mut object, mut fault) = (None, String::new());
    while let Some(name) = xml.child()? {
        match name {
            "obj" => object = Some(ManagedObject::read(xml)?),
            "fault" => fault = read_localized_fault(xml)?,
            _ => xml.skip()?,
        }
    }
    Ok((object, fault))
}

/// Reads a `LocalizedMethodFault` and returns the type of its fault.
fn read_localized_fault<R: BufRead>(xml: &mut Reader<R>) -> Result<String, xml::Error> {
    let mut fault = String::new();
    while let Some(name) = xml.child()? {
        if name == "fault" {
            fault = xml
                .prefixed_attribute("type")
                .map(|name| without_prefix(&name).to_owned())
                .unwrap_or_default();
        }
        xml.skip()?;
    }
    Ok(fault)
}
