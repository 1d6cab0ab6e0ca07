//! The objects that an engine lists, as far as a scan uses them.
//!
//! In JSON the engine writes numbers and booleans as strings (`"virt_service": "true"`), and the REST API Guide shows them as such; a
//! [`Text`] is either. What is missing or null is `None`.

use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use crate::kept::Kept;
use crate::text;

/// The longest text in bytes. No id, name or version has more.
const LONGEST: usize = 1024;

/// The most characters of the reason why an object can't be read.
const LONGEST_REASON: usize = 200;

/// A kind of object that an engine lists.
pub(super) trait Listed: for<'a> Deserialize<'a> {
    /// Its path below the API's.
    const PATH: &'static str;
    /// The member of an answer that holds the list.
    const MEMBER: &'static str;
    /// What a message calls it.
    const WHAT: &'static str;

    /// Its id.
    fn id(&self) -> &str;

    /// Its texts, some of which may be missing.
    fn texts(&self) -> impl Iterator<Item = Option<&Text>>;
}

/// A cluster of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Cluster {
    pub id: Text,
    pub name: Option<Text>,
    /// Whether its hosts run virtual machines. A cluster may serve only Gluster's volumes.
    pub virt_service: Option<Text>,
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Host {
    pub id: Text,
    pub name: Option<Text>,
    pub address: Option<Text>,
    pub cluster: Option<Link>,
    pub cpu: Option<Cpu>,
    pub hardware_information: Option<Hardware>,
    pub version: Option<Version>,
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Vm {
    pub id: Text,
    pub name: Option<Text>,
    pub status: Option<Text>,
    /// None while it is down.
    pub host: Option<Link>,
}

/// A reference to an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Link {
    pub id: Option<Text>,
}

/// The processors of a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Cpu {
    pub topology: Option<Topology>,
}

/// How many processors there are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Topology {
    pub sockets: Option<Text>,
}

/// The board of a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Hardware {
    pub uuid: Option<Text>,
}

/// A version: VDSM's on a host, the engine's in the API's root.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(expecting = "an object")]
pub(super) struct Version {
    pub full_version: Option<Text>,
}

impl Listed for Cluster {
    const PATH: &'static str = "/clusters";
    const MEMBER: &'static str = "cluster";
    const WHAT: &'static str = "the clusters";

    fn id(&self) -> &str {
        &self.id.0
    }

    fn texts(&self) -> impl Iterator<Item = Option<&Text>> {
        [Some(&self.id), self.name.as_ref(), self.virt_service.as_ref()].into_iter()
    }
}

impl Listed for Host {
    const PATH: &'static str = "/hosts";
    const MEMBER: &'static str = "host";
    const WHAT: &'static str = "the hosts";

    fn id(&self) -> &str {
        &self.id.0
    }

    fn texts(&self) -> impl Iterator<Item = Option<&Text>> {
        let topology = self.cpu.as_ref().and_then(|cpu| cpu.topology.as_ref());
        [
            Some(&self.id),
            self.name.as_ref(),
            self.address.as_ref(),
            self.cluster.as_ref().and_then(|cluster| cluster.id.as_ref()),
            topology.and_then(|topology| topology.sockets.as_ref()),
            self.hardware_information
                .as_ref()
                .and_then(|hardware| hardware.uuid.as_ref()),
            self.version
                .as_ref()
                .and_then(|version| version.full_version.as_ref()),
        ]
        .into_iter()
    }
}

impl Listed for Vm {
    const PATH: &'static str = "/vms";
    const MEMBER: &'static str = "vm";
    const WHAT: &'static str = "the virtual machines";

    fn id(&self) -> &str {
        &self.id.0
    }

    fn texts(&self) -> impl Iterator<Item = Option<&Text>> {
        let host = self.host.as_ref().and_then(|host| host.id.as_ref());
        [Some(&self.id), self.name.as_ref(), self.status.as_ref(), host].into_iter()
    }
}

/// An object, or what is known of one that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object<T> {
    Usable(T),
    Odd(Odd),
}

impl<T: Listed> Object<T> {
    /// Counts it. Returns whether `kept` is still within its limit.
    pub(super) fn count(&self, kept: &mut Kept) -> bool {
        match self {
            Object::Usable(object) => kept.add(object.texts().flatten().map(|Text(text)| text)),
            Object::Odd(odd) => kept.add([&odd.id, &odd.name].into_iter().flatten().chain([&odd.reason])),
        }
    }

    /// Its id, if it has one.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Object::Usable(object) => Some(object.id()),
            Object::Odd(odd) => odd.id.as_deref(),
        }
    }
}

/// An object that can't be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Odd {
    pub id: Option<String>,
    pub name: Option<String>,
    pub reason: String,
}

impl<T: Listed> Object<T> {
    /// Reads an object from its JSON.
    pub(super) fn read(json: &str) -> Self {
        match serde_json::from_str(json) {
            Ok(object) => Object::Usable(object),
            Err(error) => Object::Odd(Odd {
                reason: format!("its form is not the API's: {}", without_place(&error)),
                ..Odd::named(json)
            }),
        }
    }
}

/// The error without the place in the text, which nobody sees.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let error = error.to_string();
    let reason = error.split(" at line ").next().unwrap_or_default();
    // It may quote a text of the server.
    text::first_line(reason, LONGEST_REASON)
}

impl Odd {
    /// The id and the name, as far as they can be read.
    fn named(json: &str) -> Self {
        #[derive(Deserialize)]
        struct Named {
            id: Option<Text>,
            name: Option<Text>,
        }
        let named = serde_json::from_str::<Named>(json).ok();
        let (id, name) = named.map_or((None, None), |named| (named.id, named.name));
        Odd {
            id: id.map(|Text(text)| text),
            name: name.map(|Text(text)| text),
            ..Odd::default()
        }
    }
}

/// A string, a number or a boolean, as its text. A string of more than a kilobyte counts as an empty one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyText)
    }
}

struct AnyText;

impl Visitor<'_> for AnyText {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        let is_usable = text.len() <= LONGEST;
        Ok(Text(if is_usable { text.to_owned() } else { String::new() }))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
}

/// The text of an optional value; none if it is empty.
pub(super) fn text(value: Option<&Text>) -> Option<&str> {
    value
        .map(|Text(text)| text.trim())
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_may_be_strings() {
        for json in [
            r#"{"id":"c1","name":7,"virt_service":true,"more":[{}]}"#,
            r#"{"id":"c1","name":"7","virt_service":"true"}"#,
        ] {
            let Object::Usable(Cluster {
                id,
                name,
                virt_service,
            }) = Object::read(json)
            else {
                panic!("{json}");
            };
            let texts = [Some(&id), name.as_ref(), virt_service.as_ref()].map(text);
            assert_eq!(texts, [Some("c1"), Some("7"), Some("true")]);
        }
    }

    #[test]
    fn an_odd_object_keeps_its_id_and_name_if_they_can_be_read() {
        let odd = |json| match Object::<Host>::read(json) {
            Object::Odd(Odd { id, name, reason }) => {
                (id.unwrap_or_default(), name.unwrap_or_default(), reason)
            }
            Object::Usable(host) => panic!("{host:?}"),
        };
        assert_eq!(
            odd(r#"{"id":"h1","name":"kvm1","cpu":1}"#),
            (
                "h1".to_owned(),
                "kvm1".to_owned(),
                "its form is not the API's: invalid type: integer `1`, expected an object".to_owned()
            )
        );
        for (json, id) in [
            (r#"{"name":"kvm1"}"#, ""),
            ("7", ""),
            (r#"{"id":"h1","id":"h2"}"#, ""),
        ] {
            let (found, _, reason) = odd(json);
            assert_eq!(found, id, "{json}");
            assert!(reason.starts_with("its form is not the API's: "), "{reason}");
        }
    }
}
