//! The systemid: a system's proof of itself, with a sum that only the server can make.

use ring::digest::{SHA256, digest};

use crate::fresh;
use crate::xmlrpc::{self, Dialect, Value};

/// The names that are part of the checksum, in its order.
const FIELDS: [&str; 6] = [
    "system_id",
    "os_release",
    "operating_system",
    "architecture",
    "username",
    "type",
];

/// The contents of a systemid.
pub(super) struct SystemId<'a> {
    pub(super) id: &'a str,
    pub(super) release: &'a str,
    pub(super) system: &'a str,
    pub(super) architecture: &'a str,
    pub(super) username: &'a str,
    pub(super) profile: &'a str,
}

/// Why a systemid is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is damaged, of another server, or of a deleted system; the server does not distinguish these.
    Invalid,
    /// It belongs to an anonymous system.
    Anonymous,
}

/// A secret of a new system.
pub(super) fn secret() -> String {
    fresh::hex(32)
}

impl SystemId<'_> {
    /// The text that the client keeps.
    pub(super) fn text(&self, secret: &str) -> String {
        let value = |name: &str| match name {
            "system_id" => self.id,
            "os_release" => self.release,
            "operating_system" => self.system,
            "architecture" => self.architecture,
            "username" => self.username,
            _ => "REAL",
        };
        let members = Value::members([
            ("system_id", value("system_id").into()),
            ("os_release", value("os_release").into()),
            ("operating_system", value("operating_system").into()),
            ("architecture", value("architecture").into()),
            ("username", value("username").into()),
            ("type", value("type").into()),
            ("profile_name", self.profile.into()),
            (
                "description",
                "Initial Registration Parameters:\nOS: Hypervisor OS".into(),
            ),
            ("fields", Value::Array(FIELDS.map(Value::from).to_vec())),
            ("checksum", Value::Text(sum(secret, &FIELDS.map(value), &FIELDS))),
        ]);
        let mut text = String::from("<?xml version=\"1.0\"?>\n");
        xmlrpc::write_parameters(&mut text, &members, Dialect::Python);
        text.push('\n');
        text
    }
}

/// The id that a systemid claims, whether or not its checksum is right.
pub(super) fn claimed(text: &Value) -> Option<String> {
    let Value::Text(text) = text else { return None };
    match xmlrpc::read_parameters(text.trim()).ok()?.pop()? {
        Value::Struct(mut members) => match members.remove("system_id")? {
            Value::Text(id) => Some(id),
            _ => None,
        },
        _ => None,
    }
}

/// The id of the system that a systemid belongs to, if its checksum is right. `secret_of` returns the secret of a known system.
pub(super) fn verify<'s>(
    text: &Value,
    secret_of: impl FnOnce(&str) -> Option<&'s str>,
) -> Result<String, Rejected> {
    let Value::Text(text) = text else {
        return Err(Rejected::Invalid);
    };
    let mut parameters = xmlrpc::read_parameters(text.trim()).map_err(|_| Rejected::Invalid)?;
    let (Some(Value::Struct(members)), true) = (parameters.pop(), parameters.is_empty()) else {
        return Err(Rejected::Invalid);
    };
    let member = |name: &str| match members.get(name) {
        Some(Value::Text(text)) => Ok(text.as_str()),
        _ => Err(Rejected::Invalid),
    };
    if member("type")? == "ANONYMOUS" {
        return Err(Rejected::Anonymous);
    }
    let Some(Value::Array(fields)) = members.get("fields") else {
        return Err(Rejected::Invalid);
    };
    let mut names = Vec::with_capacity(fields.len());
    for field in fields {
        let Value::Text(name) = field else {
            return Err(Rejected::Invalid);
        };
        names.push(name.as_str());
    }
    let values = names
        .iter()
        .map(|name| member(name))
        .collect::<Result<Vec<_>, _>>()?;
    let id = member("system_id")?;
    let secret = secret_of(id).ok_or(Rejected::Invalid)?;
    if sum(secret, &values, &names) != member("checksum")? {
        return Err(Rejected::Invalid);
    }
    Ok(id.to_owned())
}

/// SHA-256 over secret, values and names.
fn sum(secret: &str, values: &[&str], names: &[&str]) -> String {
    let parts = [secret]
        .into_iter()
        .chain(values.iter().copied())
        .chain(names.iter().copied());
    let summed: String = parts.collect();
    fresh::lower_hex(digest(&SHA256, summed.as_bytes()).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: SystemId<'static> = SystemId {
        id: "ID-1000010000",
        release: "unknown",
        system: "Hypervisor OS",
        architecture: "x86_64",
        username: "sim",
        profile: "esx hypervisor <a&b>",
    };

    #[test]
    fn its_own_text_is_accepted_also_with_blanks_around() {
        let text = ID.text("secret");
        assert!(text.starts_with("<?xml version=\"1.0\"?>\n<params>"), "{text}");
        for text in [text.clone(), format!("\n {text} \n")] {
            let found = verify(&Value::Text(text), |id| (id == ID.id).then_some("secret"));
            assert_eq!(found, Ok(ID.id.to_owned()));
        }
    }

    #[test]
    fn an_altered_or_cut_text_is_not() {
        let text = ID.text("secret");
        let altered = [
            text.replace("1000010000", "1000010001"),
            text.replace("unknown", "known"),
            text[..text.len() / 2].to_owned(),
            String::new(),
            text.replace("REAL", "ANONYMOUS"),
        ];
        let verdicts = altered.map(|text| verify(&Value::Text(text), |_| Some("secret")));
        let invalid = || Err(Rejected::Invalid);
        assert_eq!(
            verdicts,
            [
                invalid(),
                invalid(),
                invalid(),
                invalid(),
                Err(Rejected::Anonymous)
            ]
        );
        assert_eq!(verify(&Value::Text(text.clone()), |_| Some("other")), invalid());
        assert_eq!(verify(&Value::Text(text), |_| None), invalid());
        assert_eq!(verify(&Value::Int(1), |_| Some("secret")), invalid());
    }

    #[test]
    fn the_name_of_the_profile_is_not_summed() {
        let text = ID.text("secret").replace("esx hypervisor", "another");
        assert!(verify(&Value::Text(text), |_| Some("secret")).is_ok());
    }
}
