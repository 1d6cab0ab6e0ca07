//! Why kubectl failed: the one line of its messages that says it, and what kind of failure that is.
//!
//! The messages are those of kubectl 1.32 and 1.34; oc has the same, because it is built on kubectl.

use std::fmt;

use crate::error::Kind;
use crate::text;

/// The most characters of a message that are shown.
const LONGEST: usize = 500;

/// The message of a kubectl that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    text: String,
    kind: Kind,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How the line begins that says why kubectl failed.
const BEGINNINGS: [&str; 5] = [
    "error: ",
    "Error from server",
    "Error in configuration",
    "Unable to connect to the server",
    "The connection to the server",
];

/// What a message contains, and its kind; the first that fits counts.
const KINDS: [(Kind, &[&str]); 5] = [
    (
        Kind::Config,
        &[
            // Without a kubeconfig, kubectl tries this server.
            "The connection to the server localhost:8080 was refused",
            "Error in configuration",
            "error loading config file",
            "invalid configuration",
            "no configuration has been provided",
            "error: stat ",
            "error: open ",
            "error: context ",
            "host must be a URL",
            "unable to load root certificates",
            "tls: private key does not match",
            "tls: failed to find any",
            "invalid header field value",
            "unknown flag",
            "unknown command",
            "error: exec plugin",
        ],
    ),
    (
        Kind::NoPerm,
        &[
            "(Unauthorized)",
            "(Forbidden)",
            "You must be logged in",
            "tls: failed to verify certificate",
            "x509: ",
            "remote error: tls: ",
            "getting credentials: ",
        ],
    ),
    (
        Kind::Protocol,
        &[
            "server gave HTTP response to HTTPS client",
            "malformed HTTP response",
        ],
    ),
    (
        Kind::TempFail,
        &[
            "Unable to connect to the server",
            "The connection to the server",
            "(ServiceUnavailable)",
            "(TooManyRequests)",
            "(InternalError)",
            "(Timeout)",
            "(ServerTimeout)",
            "(Expired)",
            "(Gone)",
            "is currently unable to handle the request",
            "context deadline exceeded",
            "Client.Timeout exceeded",
            "connection refused",
            "connection reset by peer",
            "client connection lost",
            "i/o timeout",
            "no such host",
            "unexpected EOF",
            "etcdserver: ",
        ],
    ),
    (
        Kind::Unavailable,
        &["the server doesn't have a resource type", "Error from server"],
    ),
];

impl Complaint {
    /// The message in these lines of stderr, without secrets. None if they say nothing.
    pub fn find(lines: &[String], redact: impl Fn(&str) -> String) -> Option<Self> {
        let mut said = without_noise(lines);
        let begins = |line: &&str| BEGINNINGS.iter().any(|beginning| line.starts_with(beginning));
        // Of several lines that may say it the first is the cause; otherwise the last words are.
        let at = said.iter().position(begins);
        let mut message = match at {
            Some(at) => said.split_off(at),
            None => said.pop().into_iter().collect(),
        };
        // Lines with a star belong to the line before them.
        let more = message.iter().skip(1).take_while(|line| line.starts_with("* "));
        message.truncate(1 + more.count());
        let message: Vec<&str> = message
            .into_iter()
            .map(|line| line.trim_start_matches("* ").trim_end())
            .collect();
        let message = message.join("; ").replacen(":; ", ": ", 1);
        if message.is_empty() {
            return None;
        }
        let kind = kind(&message);
        let message = redact(without_values(&message));
        let message = text::line(message.strip_prefix("error: ").unwrap_or(&message));
        Some(Complaint {
            text: text::cut(&message, LONGEST).into_owned(),
            kind,
        })
    }

    /// Whether kubectl complains that nobody reads its stdout any more.
    pub(super) fn is_about_stdout(&self) -> bool {
        self.text.to_lowercase().contains("broken pipe")
    }

    /// The kind of the failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether kubectl has no kubeconfig.
    pub fn is_without_kubeconfig(&self) -> bool {
        self.text.contains(" localhost:8080 was refused")
    }

    /// Whether the account lacks a right.
    pub fn is_forbidden(&self) -> bool {
        self.text.contains("(Forbidden)")
    }

    /// Whether the server's certificate is not trusted.
    pub fn is_untrusted(&self) -> bool {
        self.text.contains("failed to verify certificate") || self.text.contains("x509: ")
    }

    /// Whether the server has no such API, so KubeVirt, or this version of its API, is not installed.
    pub fn is_unknown_api(&self) -> bool {
        self.text.contains("have a resource type") || self.text.contains("(NotFound)")
    }
}

fn kind(message: &str) -> Kind {
    let is_missing_plugin = message.contains("getting credentials: exec: ") && message.contains(" not found");
    if is_missing_plugin {
        return Kind::Config;
    }
    let fits = |(_, parts): &&(Kind, &[&str])| parts.iter().any(|part| message.contains(part));
    KINDS
        .iter()
        .find(fits)
        .map_or(Kind::Unavailable, |(kind, _)| *kind)
}

/// The lines that are not empty and not kubectl's own log. If there is nothing else, one of the log.
fn without_noise(lines: &[String]) -> Vec<&str> {
    let mut said = Vec::new();
    let mut is_within = false;
    for line in lines.iter().map(String::as_str) {
        if is_within {
            is_within = line.trim() != ">";
        } else if is_log(line) {
            is_within = line.ends_with("=<");
        } else if !line.trim().is_empty() && !line.starts_with("Warning: ") {
            said.push(line);
        }
    }
    if said.is_empty() {
        let mut lines = lines
            .iter()
            .rev()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty());
        let says_why = |line: &&str| kind(line) != Kind::Unavailable;
        let last = lines.clone().next();
        said.extend(lines.find(says_why).or(last).map(logged));
    }
    said
}

/// The error in a line of the log, otherwise the line.
fn logged(line: &str) -> &str {
    let error = line
        .split_once(" err=\"")
        .and_then(|(_, error)| error.strip_suffix('"'));
    error.unwrap_or(line)
}

/// Whether it is a line of the log: a letter for its level, month and day, the time, as in `E1126 14:20:48.050086   14800 memcache.go:265]`.
fn is_log(line: &str) -> bool {
    let line = line.as_bytes();
    line.len() > 6
        && b"IWEF".contains(&line[0])
        && line[1..5].iter().all(u8::is_ascii_digit)
        && line[5] == b' '
}

/// The message without the part of the kubeconfig that a complaint about its YAML repeats.
fn without_values(message: &str) -> &str {
    match message.contains("config file") {
        true => message.split(": map[").next().unwrap_or(message),
        false => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(stderr: &str) -> Option<(String, Kind)> {
        let lines: Vec<String> = stderr.lines().map(str::to_owned).collect();
        Complaint::find(&lines, str::to_owned).map(|complaint| (complaint.text, complaint.kind))
    }

    const NOISE: &str = "E1126 14:20:48.050086   14800 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API \
                         group list: Get \\\"https://127.0.0.1:1/api?timeout=32s\\\": connection refused\"\n";

    /// Recorded with kubectl 1.32, except for those that are marked.
    #[test]
    fn each_message_has_its_kind() {
        for (stderr, kind) in [
            (
                "error: You must be logged in to the server (Unauthorized)",
                Kind::NoPerm,
            ),
            (
                "error: You must be logged in to the server (the server has asked for the client to provide credentials)",
                Kind::NoPerm,
            ),
            (
                "Error from server (Forbidden): nodes is forbidden: User \"bob\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
                Kind::NoPerm,
            ),
            (
                "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Kind::NoPerm,
            ),
            (
                "Unable to connect to the server: context deadline exceeded",
                Kind::TempFail,
            ),
            (
                "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
                Kind::TempFail,
            ),
            (
                "Unable to connect to the server: dial tcp: lookup nosuch.invalid on 192.0.2.53:53: no such host",
                Kind::TempFail,
            ),
            (
                "error: the server doesn't have a resource type \"virtualmachineinstances\"",
                Kind::Unavailable,
            ),
            (
                "Error from server (NotFound): the server could not find the requested resource",
                Kind::Unavailable,
            ),
            (
                "Error from server (BadRequest): invalid continue token: continue key is not valid",
                Kind::Unavailable,
            ),
            ("error: stat /nosuch: no such file or directory", Kind::Config),
            (
                "Error in configuration: context was not found for specified context: nosuch",
                Kind::Config,
            ),
            (
                "The connection to the server localhost:8080 was refused - did you specify the right host or port?",
                Kind::Config,
            ),
            (
                "error: error loading config file \"kc6.yaml\": yaml: found unexpected end of stream",
                Kind::Config,
            ),
            (
                "Unable to connect to the server: getting credentials: exec: executable aws not found",
                Kind::Config,
            ),
            (
                "Unable to connect to the server: getting credentials: exec: executable sh failed with exit code 3",
                Kind::NoPerm,
            ),
            (
                "Unable to connect to the server: net/http: invalid header field value for \"Authorization\"",
                Kind::Config,
            ),
            // From the sources of client-go and the API server.
            (
                "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
                Kind::TempFail,
            ),
            (
                "Error from server (Expired): The provided continue parameter is too old",
                Kind::TempFail,
            ),
            ("Error from server: etcdserver: request timed out", Kind::TempFail),
            (
                "Unable to connect to the server: http: server gave HTTP response to HTTPS client",
                Kind::Protocol,
            ),
            ("something else", Kind::Unavailable),
        ] {
            let text = stderr.strip_prefix("error: ").unwrap_or(stderr).to_owned();
            assert_eq!(complaint(stderr), Some((text.clone(), kind)), "{stderr}");
            let noisy = format!("{}{stderr}\n", NOISE.repeat(5));
            assert_eq!(complaint(&noisy), Some((text, kind)), "{noisy}");
        }
    }

    #[test]
    fn the_line_that_says_it_is_found() {
        for (stderr, expected) in [
            (
                "oops\nE1126 22:36:27.561849   18106 memcache.go:265] \"Unhandled Error\" err=<\n\tcouldn't get: exec: executable x not found\n\
                 \t\n\tIt looks like\n >\nUnable to connect to the server: getting credentials: exec: executable x not found\n\nIt looks like \
                 you are trying to use a client-go credential plugin that is not installed.\n",
                "Unable to connect to the server: getting credentials: exec: executable x not found",
            ),
            (
                "Error in configuration: \n* unable to read client-cert /nope.crt for u due to open /nope.crt: no such file or directory\n* \
                 unable to read client-key /nope.key for u\nmore\n",
                "Error in configuration: unable to read client-cert /nope.crt for u due to open /nope.crt: no such file or directory; unable \
                 to read client-key /nope.key for u",
            ),
            ("Warning: v1 is deprecated\nthe cause\n\n", "the cause"),
            ("Warning: only this\n", "Warning: only this"),
            (
                "error: error loading config file \"k\": yaml: invalid map key: map[interface {}]interface {}{\"s3cr3t\":interface {}(nil)}",
                "error loading config file \"k\": yaml: invalid map key",
            ),
            ("a\u{1b}[2Jb", "a [2Jb"),
        ] {
            assert_eq!(complaint(stderr).unwrap().0, expected);
        }
        let cut = format!("{}{}", NOISE.repeat(2), &NOISE[..60]);
        let (text, kind) = complaint(&cut).unwrap();
        assert!(
            text.starts_with("couldn't get current server API group list: "),
            "{text}"
        );
        assert_eq!(kind, Kind::TempFail);
        assert_eq!(complaint(" \n\n"), None);
        assert_eq!(complaint(""), None);
        assert_eq!(
            complaint(&"x".repeat(10_000)).unwrap().0.chars().count(),
            LONGEST + 1
        );
    }
}
