//! What came of one section in one round.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::error::Kind;
use crate::http;

/// What came of one section in one round.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The section; `None` for the one that is made of `VIRTWHO_*` variables.
    pub section: Option<String>,
    /// When the section's part of the round ended.
    pub time: SystemTime,
    /// How long the scan and the report took.
    pub duration: Duration,
    /// Whether the scan printed a whole document.
    pub is_scanned: bool,
    /// The reporter's result line; `None` if the reporter printed none, for example because the scan failed.
    pub line: Option<ResultLine>,
    /// The true cause if anything failed: the first stage that failed, not the stages that then had no input.
    pub failure: Option<Failure>,
}

/// The stage that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The command, such as `vw-scan-esx`.
    pub stage: String,
    /// The kind of its exit status.
    pub kind: Kind,
    /// Its error in one line, without the command's name.
    pub message: String,
}

/// A reporter's result line.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultLine {
    /// The line as the reporter printed it, without the newline.
    pub text: String,
    /// The same, read.
    pub value: Value,
}

impl ResultLine {
    /// Reads a line; `None` if it is not a JSON object.
    pub fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        value.is_object().then(|| ResultLine {
            text: line.trim_end().to_owned(),
            value,
        })
    }

    /// A member that is a text, such as `state` or `server`.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.value.get(member)?.as_str()
    }

    /// A member that is a number, such as `hypervisors`, `guests` or `omitted`.
    pub fn number(&self, member: &str) -> Option<u64> {
        self.value.get(member)?.as_u64()
    }

    /// The pause that the destination asks for.
    pub fn retry_after(&self) -> Option<Duration> {
        let asked = self.number("retry_after").map(Duration::from_secs)?;
        Some(asked.min(http::LONGEST_PAUSE))
    }
}

impl Outcome {
    /// The kind of the failure, if anything failed.
    pub fn kind(&self) -> Option<Kind> {
        self.failure.as_ref().map(|failure| failure.kind)
    }

    /// A member of the result line that is a number; `None` without a line.
    pub fn number(&self, member: &str) -> Option<u64> {
        self.line.as_ref()?.number(member)
    }

    /// Whether the destination took the report: it holds all of it, or was told that nothing changed.
    pub fn is_sent(&self) -> bool {
        let state = self.line.as_ref().and_then(|line| line.text("state"));
        matches!(state, Some("finished" | "partial" | "unchanged" | "sent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_read_as_the_reporter_printed_it() {
        let text = r#"{"section":"a","state":"failed","hypervisors":2,"retry_after":30}"#;
        let line = ResultLine::parse(&format!("{text}\n")).unwrap();
        assert_eq!(line.text, text);
        assert_eq!(
            (line.text("state"), line.number("hypervisors")),
            (Some("failed"), Some(2))
        );
        assert_eq!(line.retry_after(), Some(Duration::from_secs(30)));
        let endless = ResultLine::parse(&format!("{{\"retry_after\":{}}}", u64::MAX)).unwrap();
        assert_eq!(endless.retry_after(), Some(Duration::from_secs(86_400)));
        assert_eq!(ResultLine::parse("[1]"), None);
        assert_eq!(ResultLine::parse("{\"a\":"), None);
    }
}
