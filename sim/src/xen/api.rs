//! The methods of the API, with the failures of the real one.

use std::time::{Duration, Instant};

use super::pool::Class;
use super::{Api, Session, State};
use crate::fresh;
use crate::xmlrpc::Value;

/// How many sessions may be open. The oldest one is closed for another (Citrix CTX137488).
const MOST_SESSIONS: usize = 400;

/// A failure: its code and parameters.
pub(super) type Failure = Vec<String>;

/// The failure with a code and parameters.
pub(super) fn failure<const N: usize>(code: &str, parameters: [&str; N]) -> Failure {
    let parameters = parameters.iter().map(|text| (*text).to_owned());
    std::iter::once(code.to_owned()).chain(parameters).collect()
}

impl Api {
    /// Does what a call asks for.
    pub(super) fn dispatch(&self, method: &str, parameters: &[Value]) -> Result<Value, Failure> {
        match method {
            "session.login_with_password" => self.log_in(parameters),
            "session.logout" => {
                let [session] = self.counted(method, parameters)?;
                let mut state = self.lock();
                let session = state.session(session)?;
                state.sessions.retain(|open| open.reference != session);
                Ok("".into())
            }
            "host.get_all_records" => self.records(method, parameters, Class::Host),
            "VM.get_all_records" => self.records(method, parameters, Class::Vm),
            "event.from" => {
                let [session, classes, token, timeout] = self.counted(method, parameters)?;
                let session = self.lock().session(session)?;
                self.events(&session, classes, token, timeout)
            }
            _ => Err(failure("MESSAGE_METHOD_UNKNOWN", [method])),
        }
    }

    /// The parameters, if this is their number.
    fn counted<'v, const N: usize>(
        &self,
        method: &str,
        parameters: &'v [Value],
    ) -> Result<&'v [Value; N], Failure> {
        parameters.try_into().map_err(|_| {
            let (wanted, got) = (N.to_string(), parameters.len().to_string());
            failure("MESSAGE_PARAMETER_COUNT_MISMATCH", [method, &wanted, &got])
        })
    }

    fn log_in(&self, parameters: &[Value]) -> Result<Value, Failure> {
        let method = "session.login_with_password";
        // The version and the originator may be left out.
        let (user, password, originator) = match parameters {
            [user, password] | [user, password, _] => (text(user)?, text(password)?, ""),
            [user, password, version, originator] => {
                text(version)?;
                (text(user)?, text(password)?, text(originator)?)
            }
            _ => {
                let got = parameters.len().to_string();
                return Err(failure("MESSAGE_PARAMETER_COUNT_MISMATCH", [method, "4", &got]));
            }
        };
        if (user, password) != (&self.account.0, &self.account.1) {
            return Err(failure(
                "SESSION_AUTHENTICATION_FAILED",
                [user, "Authentication failure"],
            ));
        }
        let reference = format!("OpaqueRef:{}", fresh::uuid());
        let mut state = self.lock();
        state.sessions.push(Session {
            reference: reference.clone(),
            originator: originator.to_owned(),
        });
        if state.sessions.len() > MOST_SESSIONS {
            state.sessions.remove(0);
        }
        Ok(Value::Text(reference))
    }

    fn records(&self, method: &str, parameters: &[Value], class: Class) -> Result<Value, Failure> {
        let [session] = self.counted(method, parameters)?;
        let state = self.lock();
        state.session(session)?;
        let objects = state.pool.0.iter().filter(|(_, object)| object.class == class);
        let records =
            objects.map(|(reference, object)| (reference.clone(), Value::Struct(object.record.clone())));
        Ok(Value::Struct(records.collect()))
    }

    /// Waits until one of the classes has an event after the token, or until the time is over.
    fn events(
        &self,
        session: &str,
        classes: &Value,
        token: &Value,
        timeout: &Value,
    ) -> Result<Value, Failure> {
        let classes = subscription(classes)?;
        let Value::Double(timeout) = timeout else {
            return Err(failure("FIELD_TYPE_ERROR", ["timeout"]));
        };
        let from = generation(text(token)?)?;
        let deadline = Instant::now() + Duration::try_from_secs_f64(*timeout).unwrap_or_default();
        let mut state = self.lock();
        loop {
            state.session(&Value::Text(session.to_owned()))?;
            if from > 0 && from < state.lost {
                return Err(failure("EVENTS_LOST", []));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let events = state.events(&classes, from);
            if !events.is_empty() || left.is_zero() || state.stopped {
                return Ok(Value::members([
                    ("events", Value::Array(events)),
                    (
                        "valid_ref_counts",
                        Value::members([("host", "1".into()), ("vm", "1".into())]),
                    ),
                    (
                        "token",
                        Value::Text(format!("{:020},{:020}", state.generation, 0)),
                    ),
                ]));
            }
            state.waiting += 1;
            self.changed.notify_all();
            state = self.wait(state, left);
            state.waiting -= 1;
        }
    }
}

impl State {
    /// The reference of an open session.
    fn session(&self, reference: &Value) -> Result<String, Failure> {
        let reference = text(reference)?;
        match self.sessions.iter().any(|session| session.reference == reference) {
            true => Ok(reference.to_owned()),
            false => Err(failure("SESSION_INVALID", [reference])),
        }
    }

    /// The events of these classes after a generation; from the beginning on, one for each object.
    fn events(&self, classes: &[Class], from: u64) -> Vec<Value> {
        let objects = self.pool.0.iter();
        let news = objects
            .filter(|(_, object)| classes.contains(&object.class) && (from == 0 || object.changed > from));
        let event = |(reference, object): (&String, &super::pool::Object)| {
            Value::members([
                ("id", Value::Text(object.changed.to_string())),
                ("timestamp", "0.".into()),
                ("class", object.class.name().into()),
                ("operation", if from == 0 { "add" } else { "mod" }.into()),
                ("ref", Value::Text(reference.clone())),
                ("snapshot", Value::Struct(object.record.clone())),
            ])
        };
        news.map(event).collect()
    }
}

fn text(value: &Value) -> Result<&str, Failure> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(failure("FIELD_TYPE_ERROR", [other.kind()])),
    }
}

/// The classes that a client subscribes to; the case of their names does not matter.
fn subscription(classes: &Value) -> Result<Vec<Class>, Failure> {
    let Value::Array(classes) = classes else {
        return Err(failure("FIELD_TYPE_ERROR", ["classes"]));
    };
    let class = |name: &Value| {
        let name = text(name)?;
        match name.to_ascii_lowercase().as_str() {
            "host" => Ok(Class::Host),
            "vm" => Ok(Class::Vm),
            _ => Err(failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", [name])),
        }
    };
    classes.iter().map(class).collect()
}

/// The generation of a token, which is empty or from an earlier answer.
fn generation(token: &str) -> Result<u64, Failure> {
    let parsed = match token {
        "" => Some(0),
        _ => token
            .split_once(',')
            .and_then(|(generation, _)| generation.parse().ok()),
    };
    parsed.ok_or_else(|| failure("EVENT_FROM_TOKEN_PARSE_FAILURE", [token]))
}
