//! Reads the result line of another command, to show it to people.

use serde_json::Value;

use super::{Line, State};
use crate::mapping::LeftOut;

impl Line {
    /// The line that another command printed. What is missing is empty or zero; an unknown state counts as failed.
    pub fn read(value: &Value) -> Self {
        let text = |of: &Value, member: &str| of.get(member).and_then(Value::as_str).map(str::to_owned);
        let number = |member: &str| value.get(member).and_then(Value::as_u64);
        let count = |member: &str| {
            number(member)
                .and_then(|number| number.try_into().ok())
                .unwrap_or(0)
        };
        let each = |member: &str| value.get(member).and_then(Value::as_array).into_iter().flatten();
        let left_out = |failed: &Value| LeftOut {
            kind: LeftOut::HOST.into(),
            id: text(failed, "id"),
            name: text(failed, "name"),
            reason: text(failed, "error").unwrap_or_default(),
        };
        Line {
            time: text(value, "time").unwrap_or_default(),
            section: text(value, "section"),
            server: text(value, "server").unwrap_or_default(),
            owner: text(value, "owner"),
            state: match value.get("state").and_then(Value::as_str) {
                Some("finished") => State::Finished,
                Some("partial") => State::Partial,
                Some("unchanged") => State::Unchanged,
                Some("heartbeat") => State::Heartbeat,
                Some("sent") => State::Sent,
                _ => State::Failed,
            },
            error: text(value, "error"),
            hypervisors: count("hypervisors"),
            guests: count("guests"),
            created: count("created"),
            updated: count("updated"),
            deleted: count("deleted"),
            unchanged: count("unchanged"),
            omitted: count("omitted"),
            failed: each("failed").map(left_out).collect(),
            jobs: each("jobs")
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            retry_after: number("retry_after"),
            seconds: value.get("seconds").and_then(Value::as_f64).unwrap_or_default(),
        }
    }
}
