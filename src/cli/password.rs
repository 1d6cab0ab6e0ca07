//! Where a password comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::Failure;
use crate::config;
use crate::error::Kind;
use crate::secret::Secret;

/// No password is longer, in bytes; a larger file is something else.
const LONGEST: usize = 64 * 1024;

/// The ways to a password, in the order in which they are tried.
#[derive(Debug)]
pub struct Sources<'a> {
    /// `--password-file`: a file or a pipe.
    pub file: Option<&'a Path>,
    /// The section, and its key, such as `sat_password`.
    pub section: &'a config::Section,
    /// See `section`.
    pub key: &'a str,
    /// The variable of the environment, such as `VIRTWHO_ESX_PASSWORD`; it never changes a section that was named.
    pub variable: &'a str,
    /// Was the section named by `-n`?
    pub named: bool,
    /// Whose password it is, for the prompt: `root at vc.example.com`.
    pub whose: &'a str,
}

/// Finds the password, or fails with what could be done to give one.
///
/// Ask before [`super::cancel_on_signals`]: Ctrl-C at the prompt ends the command.
pub fn find(sources: &Sources) -> anyhow::Result<Secret> {
    find_with(sources, std::env::var_os(sources.variable), prompt)
}

fn find_with(
    sources: &Sources,
    variable: Option<OsString>,
    prompt: impl FnOnce(&str) -> io::Result<Secret>,
) -> anyhow::Result<Secret> {
    if let Some(file) = sources.file {
        return Ok(from_file(file)?);
    }
    if let Some(password) = sources.section.secret(sources.key)? {
        return Ok(password);
    }
    if let Some(value) = variable.filter(|value| !sources.named && !value.is_empty()) {
        let Ok(password) = value.into_string() else {
            return Err(wrong(format!("{} is not UTF-8", sources.variable)).into());
        };
        return Ok(Secret::from(password));
    }
    let asked = prompt(&format!("Password of {}: ", sources.whose));
    match asked {
        Ok(password) if password.expose().is_empty() => Err(wrong("the password is empty".to_owned()).into()),
        Ok(password) => Ok(password),
        Err(error) => Err(wrong(missing(sources, &error)).into()),
    }
}

fn missing(sources: &Sources, error: &io::Error) -> String {
    let Sources { key, variable, .. } = sources;
    let section = match sources.section.name() {
        Some(name) => format!("{key} in section [{name}]"),
        None => format!("{key} in a section"),
    };
    let only = if sources.named { " (without -n)" } else { "" };
    format!(
        "no password of {}: give --password-file FILE, {section}, {variable} in the environment{only}, \
         or start the command on a terminal, where it asks ({error})",
        sources.whose
    )
}

fn wrong(message: String) -> Failure {
    Failure::new(Kind::Config, message)
}

/// The content of a password file without one trailing newline.
fn from_file(file: &Path) -> Result<Secret, Failure> {
    let failed = |what: &str| wrong(format!("--password-file {}: {what}", file.display()));
    let read = || {
        // Allocated once, for a growing buffer leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
        File::open(file)?
            .take(LONGEST as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: io::Error| failed(&error.to_string()))?;
    if bytes.len() > LONGEST {
        return Err(failed("is longer than 64 KiB, so it is no password"));
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line
        .strip_suffix(b"\r")
        .filter(|_| line.len() < bytes.len())
        .unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err(failed("is empty")),
        Ok(password) => Ok(Secret::from(password.to_owned())),
        Err(_) => Err(failed("is not UTF-8; save it as UTF-8")),
    }
}

/// Asks on /dev/tty, without echo; stdin is the pipeline's.
fn prompt(text: &str) -> io::Result<Secret> {
    rpassword::prompt_password(text).map(Secret::from)
}
