//! One run of virsh, read-only, with its errors.

use std::time::{Duration, Instant};

use super::auth::AuthFile;
use super::error::Error;
use super::uri::Uri;
use crate::cancel::Cancel;
use crate::process::{self, Program, end_of};
use crate::secret::Secret;
use crate::text;

/// How long one run may take. Listing 5,000 domains takes a second; the rest is for slow logins.
const USUAL: Duration = Duration::from_secs(120);

/// The most that virsh may print, in bytes: 100,000 domains need a fifth of it.
const MOST: u64 = 64 << 20;

/// The longest error that is shown, in characters.
const LONGEST: usize = 1000;

/// How virsh marks its errors on stderr.
const MARK: &str = "error: ";

/// Which libvirt is asked, and how.
#[derive(Debug)]
pub struct Connection {
    uri: Option<Uri>,
    auth: Option<AuthFile>,
}

/// The limits of what is asked.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// When all must have been answered.
    pub deadline: Option<Instant>,
    /// The token that ends it.
    pub cancel: &'a Cancel,
}

/// What virsh printed.
#[derive(Debug)]
pub(super) struct Answer {
    pub stdout: Vec<u8>,
    /// Its errors without the mark. Lines that follow an error belong to it.
    pub errors: Vec<String>,
}

impl Connection {
    /// A connection to this URI, or to this machine's own libvirt, which is whatever virsh takes without one.
    pub fn new(uri: Option<Uri>, username: Option<&str>, password: Option<&Secret>) -> Result<Self, Error> {
        let auth = password.map(|password| AuthFile::new(username, password));
        Ok(Connection {
            uri,
            auth: auth.transpose().map_err(Error::Password)?,
        })
    }

    /// The URI; none for this machine's own libvirt.
    pub fn uri(&self) -> Option<&Uri> {
        self.uri.as_ref()
    }

    /// The failure that virsh describes in these words.
    pub(super) fn failed(&self, text: String) -> Error {
        let own = || "libvirt of this machine".to_owned();
        Error::failed(self.uri.as_ref().map_or_else(own, Uri::name), text)
    }

    /// virsh with these commands, as one argument.
    pub(super) fn program(&self, commands: &str) -> Result<Program, Error> {
        let virsh = process::find("virsh").ok_or(Error::NoVirsh)?;
        // In another locale virsh translates its messages.
        let mut program = Program::new(virsh).variable("LC_ALL", "C");
        if let Some(auth) = &self.auth {
            program = program.variable("LIBVIRT_AUTH_FILE", auth.path());
        }
        program = program.argument("-q").argument("-r");
        if let Some(uri) = &self.uri {
            program = program.option("-c", uri.to_string());
        }
        Ok(program.argument(commands))
    }

    /// Runs virsh with these commands. It fails if there is any error except for those that `is_expected`.
    ///
    /// The exit status is only that of virsh's last command, so it says little.
    pub(super) fn ask(
        &self,
        commands: &str,
        is_expected: impl Fn(&str) -> bool,
        limits: Limits<'_>,
    ) -> Result<Answer, Error> {
        limits.cancel.check()?;
        let program = self.program(commands)?;
        log::debug!(
            "running {}",
            text::message(&text::cut(&program.to_string(), LONGEST))
        );
        let left = limits
            .deadline
            .map(|end| end.saturating_duration_since(Instant::now()));
        let limits = process::Limits {
            time: left.unwrap_or(USUAL).min(USUAL),
            cancel: limits.cancel,
        };
        let output = program.output(b"", MOST, limits)?;
        let errors = errors(&output.stderr);
        let is_failed = !output.status.success();
        match errors.iter().any(|error| !is_expected(error)) {
            true => Err(self.failed(in_one_line(&errors))),
            false if is_failed && errors.is_empty() => {
                Err(self.failed(format!("virsh: {}", end_of(output.status))))
            }
            false => Ok(Answer {
                stdout: output.stdout,
                errors,
            }),
        }
    }
}

/// The errors on stderr, without the mark. Other lines before them, such as warnings of libraries, are only debug messages.
pub(super) fn errors(stderr: &[String]) -> Vec<String> {
    let mut errors: Vec<String> = Vec::new();
    for line in stderr {
        match (line.strip_prefix(MARK), errors.last_mut()) {
            (Some(error), _) => errors.push(error.to_owned()),
            (None, Some(last)) if !line.trim().is_empty() => {
                last.push(' ');
                last.push_str(line);
            }
            (None, _) => log::debug!("virsh: {}", text::message(line)),
        }
    }
    errors
}

/// Errors in one line, each once. The first says that the connection failed, the second why. Without a URI virsh tries it again
/// for each command.
pub(super) fn in_one_line(errors: &[String]) -> String {
    let mut different: Vec<&str> = Vec::new();
    for error in errors {
        if !different.contains(&error.as_str()) {
            different.push(error);
        }
    }
    let all = text::message(&different.join(": "));
    text::cut(&all, LONGEST).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_lines_and_what_follows_them_are_errors() {
        let lines = [
            "I/O warning : failed to load external entity \"/nofile\"",
            "error: failed to connect to the hypervisor",
            "error: failed to connect to the hypervisor",
            "error: Cannot recv data: Warning: Permanently added 'kvm1'",
            "Permission denied (publickey).",
            "",
        ];
        let errors = errors(&lines.map(str::to_owned));
        assert_eq!(
            in_one_line(&errors),
            "failed to connect to the hypervisor: Cannot recv data: Warning: Permanently added 'kvm1' Permission denied (publickey)."
        );
    }
}
