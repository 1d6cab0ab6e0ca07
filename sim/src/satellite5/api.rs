//! `/rpc/api`: sessions, users, channels, the map, lost systemids.

use std::time::SystemTime;

use super::{Account, Channel, Map, Outcome, Satellite5, State};
use crate::xmlrpc::{Fault, Value};
use crate::{clock, fresh};

/// The architectures of channels: label, name, and those of the systems that fit.
const ARCHES: [(&str, &str, &[&str]); 6] = [
    ("channel-x86_64", "x86_64", &["x86_64"]),
    (
        "channel-ia32",
        "IA-32",
        &["i386", "i486", "i586", "i686", "athlon"],
    ),
    ("channel-ia64", "IA-64", &["ia64"]),
    ("channel-ppc", "PPC", &["ppc", "ppc64"]),
    ("channel-s390x", "s390x", &["s390x"]),
    ("channel-aarch64", "AArch64", &["aarch64"]),
];

/// The columns of the operating system and of the release.
const MAP_COLUMN: usize = 64;

type Answer = Result<Value, Fault>;

/// The name of the channel architecture that fits a system of this architecture.
pub(super) fn channel_arch(system: &str) -> Option<&'static str> {
    let found = ARCHES.iter().find(|(_, _, systems)| systems.contains(&system));
    found.map(|(_, name, _)| *name)
}

impl Satellite5 {
    pub(super) fn api(&self, method: &str, parameters: &[Value]) -> Outcome {
        let mut state = self.lock();
        let answer = match (method, parameters) {
            ("auth.login", [login, password]) => self.login(&mut state, login, password),
            ("auth.login", [login, password, duration]) => {
                int(duration).and_then(|_| self.login(&mut state, login, password))
            }
            ("auth.logout", [key]) => self.user(&state, key).map(|_| {
                state.sessions.remove(&text(key));
                Value::Int(1)
            }),
            ("user.getDetails", [key, login]) => self
                .user(&state, key)
                .and_then(|user| self.user_details(user, &text(login))),
            ("user.listRoles", [key, login]) => self
                .user(&state, key)
                .and_then(|user| Ok(roles(self.target(user, &text(login))?))),
            ("distchannel.listMapsForOrg", [key]) => self.user(&state, key).map(|user| state.maps_of(user)),
            ("channel.software.getDetails", [key, channel]) => self
                .user(&state, key)
                .and_then(|user| state.channel_details(user, channel)),
            ("channel.software.create", [key, rest @ ..]) if (5..=7).contains(&rest.len()) => self
                .user(&state, key)
                .and_then(|user| state.create_channel(user, rest)),
            ("distchannel.setMapForOrg", [key, os, release, arch, channel]) => {
                self.user(&state, key).and_then(|user| {
                    let map = Map {
                        org: user.org,
                        os: text(os),
                        release: text(release),
                        arch: text(arch),
                        channel: text(channel),
                    };
                    state.set_map(user, map)
                })
            }
            ("system.getId", [key, name]) => self
                .user(&state, key)
                .map(|user| state.ids_of_profile(user, &text(name))),
            ("system.downloadSystemId", [key, number]) => self
                .user(&state, key)
                .and_then(|user| state.systemid(user, int(number)?)),
            _ => Err(unknown_method(method)),
        };
        answer.map_or_else(Outcome::Fault, Outcome::Value)
    }

    fn login(&self, state: &mut State, login: &Value, password: &Value) -> Answer {
        let (login, password) = (text(login), text(password));
        let known = self
            .account(&login)
            .filter(|(_, account)| account.password == password);
        let Some((place, account)) = known else {
            return Err(fault(2950, "Either the password or username is incorrect."));
        };
        if !account.enabled {
            return Err(fault(2950, "Your account has been deactivated."));
        }
        state.last_session += 1;
        let key = format!("{}x{}", state.last_session, fresh::hex(32));
        state.sessions.insert(key.clone(), place);
        Ok(Value::Text(key))
    }

    /// The user of a session.
    fn user(&self, state: &State, key: &Value) -> Result<&Account, Fault> {
        let shape = match key {
            Value::Text(key) => key.split_once('x').filter(|(number, hash)| {
                let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                digits(number)
                    && hash.len() == 64
                    && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            }),
            _ => None,
        };
        let Some((number, _)) = shape else {
            return Err(untranslatable(key, "com.redhat.rhn.domain.user.User"));
        };
        match state.sessions.get(&text(key)) {
            Some(place) => Ok(&self.settings.accounts[*place]),
            None if state
                .sessions
                .keys()
                .any(|open| open.split('x').next() == Some(number)) =>
            {
                Err(class_fault(
                    "com.redhat.rhn.manager.session.InvalidSessionIdException",
                    "Invalid session id",
                ))
            }
            None => {
                let message = format!("Could not find session with id: {number}");
                Err(class_fault(
                    "com.redhat.rhn.common.hibernate.LookupException",
                    &message,
                ))
            }
        }
    }

    /// The user that a call asks for, who must be the caller unless that is an administrator.
    fn target(&self, user: &Account, login: &str) -> Result<&Account, Fault> {
        if login != user.login && !user.org_admin {
            return Err(no_permission());
        }
        match self.account(login) {
            Some((_, target)) if target.org == user.org => Ok(target),
            _ => Err(fault(-213, &format!("No such user: {login}"))),
        }
    }

    fn user_details(&self, user: &Account, login: &str) -> Answer {
        let target = self.target(user, login)?;
        Ok(Value::members([
            ("first_names", "Sim".into()),
            ("first_name", "Sim".into()),
            ("last_name", "Ulator".into()),
            ("email", "root@localhost".into()),
            ("prefix", "Mr.".into()),
            ("last_login_date", "".into()),
            ("created_date", "".into()),
            ("org_name", "Sim".into()),
            ("org_id", Value::Int(user.org.into())),
            ("enabled", Value::Boolean(target.enabled)),
            ("use_pam", Value::Boolean(false)),
            ("read_only", Value::Boolean(target.read_only)),
            ("errata_notification", Value::Boolean(true)),
        ]))
    }
}

/// The labels of a user's roles; those that another one implies are not listed.
fn roles(user: &Account) -> Value {
    let roles = [
        ("org_admin", user.org_admin),
        ("channel_admin", user.channel_admin),
    ];
    let given = roles.into_iter().filter(|(_, given)| *given);
    Value::Array(given.map(|(role, _)| role.into()).collect())
}

impl State {
    fn maps_of(&self, user: &Account) -> Value {
        let maps = self.maps.iter().filter(|map| map.org == user.org);
        let maps = maps.map(|map| {
            Value::members([
                ("os", map.os.as_str().into()),
                ("release", map.release.as_str().into()),
                ("arch_name", map.arch.as_str().into()),
                ("channel_label", map.channel.as_str().into()),
            ])
        });
        Value::Array(maps.collect())
    }

    /// Finds a channel by its id, if `wanted` is an int, or by its label. Channels of other organisations are invisible.
    fn channel_details(&self, user: &Account, wanted: &Value) -> Answer {
        let mut visible = self.channels.iter().filter(|channel| channel.org == user.org);
        let found = match wanted {
            Value::Int(id) => visible.find(|channel| channel.id == *id),
            label => visible.find(|channel| channel.label == text(label)),
        };
        let Some(channel) = found else {
            return Err(no_channel(&text(wanted)));
        };
        let arch = ARCHES
            .iter()
            .find(|(label, ..)| *label == channel.arch)
            .map_or("", |(_, name, _)| name);
        Ok(Value::members([
            ("id", Value::Int(channel.id)),
            ("label", channel.label.as_str().into()),
            ("name", channel.name.as_str().into()),
            ("arch_name", arch.into()),
            ("arch_label", channel.arch.as_str().into()),
            ("summary", channel.summary.as_str().into()),
            ("description", "".into()),
            ("checksum_label", "sha1".into()),
            ("last_modified", Value::Date(clock::compact(SystemTime::now()))),
            ("maintainer_name", "".into()),
            ("maintainer_email", "".into()),
            ("maintainer_phone", "".into()),
            ("support_policy", "".into()),
            ("gpg_key_url", "".into()),
            ("gpg_key_id", "".into()),
            ("gpg_key_fp", "".into()),
            ("end_of_life", "".into()),
            ("parent_channel_label", channel.parent.as_str().into()),
            ("clone_original", "".into()),
            ("contentSources", Value::Array(Vec::new())),
        ]))
    }

    /// `given` is label, name, summary, architecture and parent, then optionally checksum and GPG key.
    fn create_channel(&mut self, user: &Account, given: &[Value]) -> Answer {
        if let Some(key) = given.get(6)
            && !matches!(key, Value::Struct(_))
        {
            return Err(untranslatable(key, "java.util.Map"));
        }
        if !user.channel_admin && !user.org_admin {
            return Err(no_permission());
        }
        let given: Vec<String> = given.iter().map(text).collect();
        let [label, name, summary, arch, parent] = [0, 1, 2, 3, 4].map(|place| given[place].clone());
        let checksum = given.get(5).map(String::as_str);
        let channel = Channel {
            id: 101 + self.channels.len() as i64,
            label,
            name,
            summary,
            arch,
            parent,
            org: user.org,
        };
        self.check_new_channel(&channel, checksum)?;
        self.channels.push(channel);
        Ok(Value::Int(1))
    }

    /// The checks of a new channel, in the server's order.
    fn check_new_channel(&self, channel: &Channel, checksum: Option<&str>) -> Result<(), Fault> {
        let Channel {
            label,
            name,
            summary,
            arch,
            parent,
            ..
        } = channel;
        if summary.is_empty() {
            return Err(internal("edit.channel.invalidchannelsummary"));
        }
        if !is_name(name) {
            return Err(fault(1200, &format!("Invalid channel name: {name}")));
        }
        if !is_label(label) {
            return Err(fault(1201, &format!("Invalid channel label: {label}")));
        }
        if self.channels.iter().any(|channel| channel.name == *name) {
            return Err(fault(1200, &format!("The channel name {name} is already in use")));
        }
        if self.channels.iter().any(|channel| channel.label == *label) {
            return Err(fault(
                1201,
                &format!("The channel label {label} is already in use"),
            ));
        }
        if !ARCHES.iter().any(|(known, ..)| known == arch) {
            return Err(internal("Invalid architecture label"));
        }
        if checksum.is_some_and(|sum| !["sha1", "sha256", "md5"].contains(&sum)) {
            return Err(fault(1210, "Invalid checksum type"));
        }
        if !parent.is_empty() {
            match self.channels.iter().find(|channel| channel.label == *parent) {
                None => return Err(internal("Invalid parent channel label")),
                Some(parent) if !parent.parent.is_empty() => {
                    return Err(fault(1202, "Invalid parent channel"));
                }
                Some(_) => {}
            }
        }
        if label.chars().count() > 128 || summary.chars().count() > 500 {
            return Err(internal("could not insert: value too long"));
        }
        Ok(())
    }

    fn set_map(&mut self, user: &Account, map: Map) -> Answer {
        if !user.org_admin {
            return Err(internal("You do not have permissions to perform this action"));
        }
        if !ARCHES.iter().any(|(_, name, _)| *name == map.arch) {
            return Err(fault(1205, &format!("Invalid architecture name: {}", map.arch)));
        }
        let same =
            |other: &Map| (other.org, &other.release, &other.arch) == (map.org, &map.release, &map.arch);
        let known = self.maps.iter().position(same);
        if map.channel.is_empty() {
            let Some(known) = known else {
                return Err(fault(-215, "No such distribution channel map"));
            };
            self.maps.remove(known);
            return Ok(Value::Int(1));
        }
        if !self
            .channels
            .iter()
            .any(|channel| channel.label == map.channel && channel.org == user.org)
        {
            return Err(no_channel(&map.channel));
        }
        if map.os.chars().count() > MAP_COLUMN || map.release.chars().count() > MAP_COLUMN {
            return Err(internal("could not insert: value too long"));
        }
        match known {
            Some(known) => self.maps[known] = map,
            None => self.maps.push(map),
        }
        Ok(Value::Int(1))
    }

    fn ids_of_profile(&self, user: &Account, name: &str) -> Value {
        let mine = self
            .systems
            .iter()
            .filter(|system| system.org == user.org && system.seen.profile == name);
        let details = mine.map(|system| {
            Value::members([
                ("id", Value::Int(system.number)),
                ("name", system.seen.profile.as_str().into()),
                ("last_checkin", Value::Date(clock::compact(system.registered))),
            ])
        });
        Value::Array(details.collect())
    }

    fn systemid(&self, user: &Account, number: i64) -> Answer {
        let found = self
            .systems
            .iter()
            .find(|system| system.number == number && system.org == user.org);
        let system = found.ok_or_else(|| fault(-208, &format!("No such system - sid = {number}")))?;
        Ok(system.seen.systemid.as_str().into())
    }
}

/// Converts any value to text, as the Java program does where it wants text.
fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Date(text) | Value::Binary(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(text).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Struct(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}={}", text(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Nil => String::new(),
    }
}

/// Accepts only a number.
fn int(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Int(number) => Ok(*number),
        other => Err(untranslatable(other, "java.lang.Integer")),
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-.'()/_".contains(c);
    !name.trim().is_empty()
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(plain)
        && (6..=256).contains(&name.len())
        && !is_reserved(name)
}

fn is_label(label: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    label.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && label.chars().all(plain)
        && label.len() >= 6
        && !is_reserved(label)
}

/// Whether a name or label begins like the vendor's own channels.
fn is_reserved(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["rhn", "redhat", "red hat"]
        .iter()
        .any(|start| text.starts_with(start))
}

/// A fault of a method: its class, then its text.
fn fault(code: i64, text: &str) -> Fault {
    Fault {
        code,
        text: format!("redstone.xmlrpc.XmlRpcFault: {text}"),
    }
}

/// A fault for an exception that is not a FaultException.
fn internal(text: &str) -> Fault {
    fault(-1, &format!("unhandled internal exception: {text}"))
}

fn class_fault(class: &str, text: &str) -> Fault {
    fault(-1, &format!("unhandled internal exception: {class}: {text}"))
}

fn no_permission() -> Fault {
    fault(-23, "You do not have permissions to perform this action.")
}

fn no_channel(label: &str) -> Fault {
    fault(-210, &format!("No such channel: {label}"))
}

fn untranslatable(value: &Value, wanted: &str) -> Fault {
    let class = match value {
        Value::Text(_) => "java.lang.String",
        Value::Int(_) => "java.lang.Integer",
        Value::Boolean(_) => "java.lang.Boolean",
        Value::Double(_) => "java.lang.Double",
        Value::Date(_) => "java.util.Date",
        Value::Binary(_) => "[B",
        Value::Array(_) => "redstone.xmlrpc.XmlRpcArray",
        Value::Struct(_) | Value::Nil => "redstone.xmlrpc.XmlRpcStruct",
    };
    fault(
        -1,
        &format!("Could not find translator for class {class} to class {wanted}"),
    )
}

fn unknown_method(method: &str) -> Fault {
    let (handler, name) = method.rsplit_once('.').unwrap_or(("", method));
    let known = ["auth", "user", "channel.software", "distchannel", "system"];
    if known.contains(&handler) {
        fault(-1, &format!("Could not find method: {name} in class: {handler}"))
    } else {
        fault(-1, "The specified handler cannot be found")
    }
}
