//! `/XMLRPC`: registrations, hardware, plans of guests.

use std::time::SystemTime;

use super::guests::Undone;
use super::systemid::{self, Rejected, SystemId};
use super::{Account, Outcome, Registered, Satellite5, State, System, api};
use crate::xmlrpc::{Fault, Value};

/// Longer profile names are cut to this length.
const PROFILE: usize = 128;
/// The width of the columns of operating system and release; longer values are a database error.
const COLUMN: usize = 64;
/// The first system's number.
const FIRST: i64 = 1_000_010_000;

/// The architectures of systems.
const ARCHES: [&str; 12] = [
    "x86_64", "i386", "i486", "i586", "i686", "athlon", "ia64", "ppc", "ppc64", "s390x", "aarch64", "noarch",
];

impl Satellite5 {
    pub(super) fn registration(&self, method: &str, parameters: &[Value]) -> Outcome {
        let mut state = self.lock();
        if let Some(message) = &state.announcement {
            return fault(1, &format!("IMPORTANT MESSAGE FOLLOWS:\n{message}")).into();
        }
        match (method, parameters) {
            ("registration.new_system_user_pass", [profile, os, release, arch, user, password, other]) => {
                let texts = [profile, os, release, arch, user, password];
                match Wanted::new(texts, other) {
                    Some(wanted) => self.register(&mut state, &wanted),
                    None => exception(method, "TypeError: unexpected type of a parameter").into(),
                }
            }
            ("registration.refresh_hw_profile", [systemid, hardware]) => {
                refresh_hardware(&mut state, systemid, hardware)
            }
            ("registration.virt_notify", [systemid, plan]) => notify(&mut state, systemid, plan),
            (
                "registration.new_system_user_pass"
                | "registration.refresh_hw_profile"
                | "registration.virt_notify",
                given,
            ) => {
                let text = format!(
                    "TypeError: unexpected number of arguments ({} given)",
                    given.len()
                );
                exception(method, &text).into()
            }
            _ => Fault {
                code: -1,
                text: format!("While running '{method}': caught\nUnknownXML : {method}\n"),
            }
            .into(),
        }
    }

    fn register(&self, state: &mut State, wanted: &Wanted) -> Outcome {
        let checked = self
            .authorized(wanted)
            .and_then(|account| Ok((account, state.base_channel(account, wanted)?)));
        let (account, channel) = match checked {
            Ok(checked) => checked,
            Err(fault) => return fault.into(),
        };
        if wanted.os.chars().count() > COLUMN || wanted.release.chars().count() > COLUMN {
            return Outcome::Broken;
        }
        if let Some(slots) = &mut state.slots {
            if *slots == 0 {
                return fault(90, "Unable to entitle system").into();
            }
            *slots -= 1;
        }
        let system = state.add_system(account, wanted, channel);
        let none = || Value::Array(Vec::new());
        Outcome::Value(Value::members([
            ("system_id", system.systemid.as_str().into()),
            ("channels", Value::Array(vec![system.channel.as_str().into()])),
            ("failed_channels", none()),
            ("failed_options", none()),
            ("system_slots", Value::Array(vec!["enterprise_entitled".into()])),
            ("failed_system_slots", none()),
            ("universal_activation_key", none()),
        ]))
    }

    /// The account that registers, after the checks in the server's order.
    fn authorized(&self, wanted: &Wanted) -> Result<&Account, Fault> {
        let (user, password) = (wanted.user, wanted.password);
        let odd = |c: char| c.is_whitespace() || "&+%'`\"=#".contains(c);
        let refused = match () {
            () if user.is_empty() => Some((11, "A username must be given")),
            () if password.is_empty() => Some((12, "A password must be given")),
            () if user.chars().count() < 3 => Some((13, "Username too short")),
            () if user.chars().count() > 64 => Some((700, "Username too long")),
            () if user.contains(odd) => Some((15, "Invalid character in username")),
            () if password.chars().count() < 5 => Some((14, "Password too short")),
            () if password.chars().count() > 32 => Some((701, "Password too long")),
            () => None,
        };
        if let Some((code, text)) = refused {
            return Err(fault(code, text));
        }
        let Some((_, account)) = self.account(user).filter(|(_, account)| account.enabled) else {
            return Err(fault(2, "Invalid username and password combination"));
        };
        if account.read_only {
            return Err(fault(702, "Read only users cannot register systems"));
        }
        if account.password != password {
            return Err(fault(2, "Invalid username and password combination"));
        }
        if wanted.profile.is_empty() {
            return Err(fault(800, "The profile name must not be empty"));
        }
        if !ARCHES.contains(&wanted.arch) {
            return Err(fault(24, "Invalid architecture"));
        }
        Ok(account)
    }
}

/// The parameters of a registration.
struct Wanted<'a> {
    profile: &'a str,
    os: &'a str,
    release: &'a str,
    arch: &'a str,
    user: &'a str,
    password: &'a str,
}

impl<'a> Wanted<'a> {
    /// `None` if a parameter has the wrong type.
    fn new(texts: [&'a Value; 6], other: &Value) -> Option<Self> {
        let texts = texts.map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        });
        match (texts, other) {
            (
                [
                    Some(profile),
                    Some(os),
                    Some(release),
                    Some(arch),
                    Some(user),
                    Some(password),
                ],
                Value::Struct(_),
            ) => Some(Wanted {
                profile,
                os,
                release,
                arch,
                user,
                password,
            }),
            _ => None,
        }
    }
}

fn refresh_hardware(state: &mut State, systemid: &Value, hardware: &Value) -> Outcome {
    let place = match state.authenticated(systemid) {
        Ok(place) => place,
        Err(fault) => return fault.into(),
    };
    match hardware {
        Value::Array(devices) if devices.iter().all(|device| matches!(device, Value::Struct(_))) => {
            state.systems[place].seen.refreshed += 1;
            Outcome::Value(Value::Int(0))
        }
        other => {
            let text = format!("TypeError: {} is no list of hardware", other.kind());
            exception("registration.refresh_hw_profile", &text).into()
        }
    }
}

fn notify(state: &mut State, systemid: &Value, plan: &Value) -> Outcome {
    let place = match state.authenticated(systemid) {
        Ok(place) => place,
        Err(fault) => return fault.into(),
    };
    let State {
        systems, instances, ..
    } = state;
    let system = &mut systems[place].seen;
    match instances.notify(&system.id, plan) {
        Ok(()) => {
            system.plans += 1;
            Outcome::Value(Value::Int(0))
        }
        Err(Undone::Exception(text)) => exception("registration.virt_notify", &text).into(),
        Err(Undone::Database) => Outcome::Broken,
    }
}

impl State {
    /// Adds a system under the next number, with a new secret.
    fn add_system(&mut self, account: &Account, wanted: &Wanted, channel: String) -> &System {
        let number = FIRST + self.registrations as i64;
        self.registrations += 1;
        let id = format!("ID-{number:09}");
        let profile: String = wanted.profile.chars().take(PROFILE).collect();
        let secret = systemid::secret();
        let proof = SystemId {
            id: &id,
            release: wanted.release,
            system: wanted.os,
            architecture: wanted.arch,
            username: &account.login,
            profile: &profile,
        };
        let systemid = proof.text(&secret);
        let seen = System {
            id,
            profile,
            channel,
            systemid,
            instances: Vec::new(),
            plans: 0,
            refreshed: 0,
        };
        let place = self.systems.len();
        self.systems.push(Registered {
            number,
            seen,
            secret,
            org: account.org,
            registered: SystemTime::now(),
        });
        &self.systems[place].seen
    }

    /// The base channel, which the organisation's map gives for release and architecture; the name of the system does not matter.
    fn base_channel(&self, account: &Account, wanted: &Wanted) -> Result<String, Fault> {
        let arch = api::channel_arch(wanted.arch);
        let mut maps = self.maps.iter();
        let map = maps.find(|map| {
            map.org == account.org && map.release == wanted.release && Some(map.arch.as_str()) == arch
        });
        let channel = map.and_then(|map| {
            self.channels
                .iter()
                .find(|channel| channel.label == map.channel && channel.parent.is_empty())
        });
        let channel = channel.ok_or_else(|| {
            fault(
                70,
                &format!(
                    "Red Hat has no channel for release {} on {}",
                    wanted.release, wanted.arch
                ),
            )
        })?;
        if !account.may_subscribe {
            return Err(fault(71, "You may not subscribe to this channel"));
        }
        Ok(channel.label.clone())
    }

    /// The place of the system that a systemid belongs to.
    fn authenticated(&self, systemid: &Value) -> Result<usize, Fault> {
        let place = |id: &str| self.systems.iter().position(|system| system.seen.id == id);
        let verified = systemid::verify(systemid, |id| Some(self.systems[place(id)?].secret.as_str()));
        match verified {
            Ok(id) => place(&id).ok_or_else(gone),
            Err(Rejected::Invalid) => Err(gone()),
            Err(Rejected::Anonymous) => Err(fault(28, "Anonymous systems cannot do this")),
        }
    }
}

/// A damaged systemid, another server's, or that of a deleted system.
fn gone() -> Fault {
    Fault {
        code: -9,
        text: "\nError Message:\n    Please run rhn_register as root on this client\nError Class Code: 9\n\
               Error Class Info: Invalid System Credentials.\nExplanation: \n     The simulator's.\n"
            .into(),
    }
}

/// A fault as Satellite's Python program lays it out; `code` is the class's, without its minus.
pub(super) fn fault(code: i64, text: &str) -> Fault {
    let text = format!(
        "\nError Message:\n    {text}\nError Class Code: {code}\nError Class Info: \n    {text}\nExplanation: \n     The simulator's.\n"
    );
    Fault { code: -code, text }
}

/// A fault for an exception of Python.
fn exception(method: &str, text: &str) -> Fault {
    Fault {
        code: 1,
        text: format!("While running '{method}': caught\n{text}\n"),
    }
}
