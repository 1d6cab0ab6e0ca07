//! Finds a password: in a file, the section or the environment, or by asking on the terminal.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::error::{Failure, Result};
use super::prompt;
use crate::cancel::{Cancel, Cancelled};
use crate::config;
use crate::error::Kind;
use crate::secret::Secret;
use crate::text;

/// The longest password in bytes. A larger file is not a password.
const LONGEST: usize = 64 * 1024;

/// The places to look for a password, in the order in which they are tried.
#[derive(Debug)]
pub struct Sources<'a> {
    /// `--password-file`: a file or a pipe.
    pub file: Option<&'a Path>,
    /// The section in use.
    pub section: &'a config::Section,
    /// The section's key, such as `sat_password`.
    pub key: &'a str,
    /// The environment variable, such as `VIRTWHO_ESX_PASSWORD`. It is ignored if `named` is true.
    pub variable: &'a str,
    /// Whether `-n` names the section.
    pub named: bool,
    /// The account for the prompt, such as `root at vc.example.com`.
    pub whose: &'a str,
}

/// A password that is known, or that can be asked for on the terminal.
#[derive(Debug)]
pub struct Password {
    found: OnceLock<Secret>,
    question: String,
    /// How to provide the password, for the error message.
    advice: String,
}

impl Password {
    /// Looks in all places but the terminal. Fails if no password is found and there is no terminal.
    ///
    /// `cancel` is the token of [`super::cancel_on_signals`]. It does not end the wait for a key file that is a FIFO, so the
    /// caller needs [`super::end_at_once`].
    pub fn look_up(sources: &Sources, cancel: &Cancel) -> Result<Self> {
        let variable = std::env::var_os(sources.variable);
        Password::look_up_with(sources, variable, prompt::possible, cancel)
    }

    fn look_up_with(
        sources: &Sources,
        variable: Option<OsString>,
        can_ask: impl FnOnce() -> io::Result<()>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let password = Password {
            found: OnceLock::new(),
            question: format!("Password of {}: ", sources.whose),
            advice: advice(sources),
        };
        if let Some(found) = found(sources, variable, cancel)? {
            // This can't fail, because the cell is empty.
            let _ = password.found.set(found);
        } else {
            can_ask().map_err(|error| password.missing(&error))?;
        }
        Ok(password)
    }

    /// Whether it is known, so that nobody has to be asked.
    pub fn is_known(&self) -> bool {
        self.found.get().is_some()
    }

    /// Asks on the terminal, unless the password is already known.
    pub fn ask(&self, cancel: &Cancel) -> Result<()> {
        self.ask_by(|question| prompt::ask(question, cancel))
    }

    fn ask_by(&self, ask: impl FnOnce(&str) -> Result<io::Result<Secret>, Cancelled>) -> Result<()> {
        if self.found.get().is_some() {
            return Ok(());
        }
        let answer = ask(&self.question)?.map_err(|error| self.missing(&error))?;
        if answer.expose().is_empty() {
            return Err(wrong("the password is empty".to_owned()).into());
        }
        let _ = self.found.set(answer);
        Ok(())
    }

    /// The password. Fails with [`Kind::Software`] if it is not known and [`Password::ask`] was not called.
    pub fn secret(&self) -> Result<Secret, Failure> {
        let found = self.found.get().cloned();
        found.ok_or_else(|| Failure::defect("the password is not known"))
    }

    fn missing(&self, error: &io::Error) -> Failure {
        wrong(format!("{} ({error})", self.advice))
    }
}

/// Finds the password, and asks on the terminal if necessary. The error says how to provide one.
pub fn find(sources: &Sources, cancel: &Cancel) -> Result<Secret> {
    let password = Password::look_up(sources, cancel)?;
    password.ask(cancel)?;
    Ok(password.secret()?)
}

/// The password, unless it has to be asked for.
fn found(sources: &Sources, variable: Option<OsString>, cancel: &Cancel) -> Result<Option<Secret>> {
    if let Some(file) = sources.file {
        return from_file(file, cancel).map(Some);
    }
    if let Some(password) = sources.section.secret(sources.key)? {
        return Ok(Some(password));
    }
    match variable.filter(|value| !sources.named && !value.is_empty()) {
        None => Ok(None),
        Some(value) => match value.into_string() {
            Ok(password) => Ok(Some(Secret::from(password))),
            Err(_) => Err(wrong(format!("{} is not UTF-8", sources.variable)).into()),
        },
    }
}

fn advice(sources: &Sources) -> String {
    let Sources { key, variable, .. } = sources;
    let section = match sources.section.name() {
        Some(name) => format!("{key} in section [{name}]"),
        None => format!("{key} in a section"),
    };
    let only = if sources.named { " (without -n)" } else { "" };
    format!(
        "no password for {}: use --password-file FILE, set {section} or {variable} in the environment{only}, \
         or run the command on a terminal to be asked",
        sources.whose
    )
}

fn wrong(message: String) -> Failure {
    Failure::new(Kind::Config, message)
}

/// The content of the file of `--password-file` without one trailing newline.
fn from_file(file: &Path, cancel: &Cancel) -> Result<Secret> {
    of_file(file, "--password-file", cancel)
}

/// The content of a file without one trailing newline. The file may be a FIFO; `cancel` ends the wait.
///
/// Messages begin with `named`, which is an option, or the place of a key followed by a colon.
pub fn of_file(file: &Path, named: &str, cancel: &Cancel) -> Result<Secret> {
    let failed = |what: &str| wrong(format!("{named} {}: {what}", file.display()));
    let path = file.to_owned();
    let bytes = cancel.unblocked(|| File::open(path).and_then(read))?;
    let bytes = bytes.map_err(|error| failed(&text::reason(&error)))?;
    Ok(parse(&bytes).map_err(|what| failed(&what))?)
}

/// The one line of stdin without its newline. If stdin is a terminal, the password is asked for without echo.
///
/// `cancel` ends the wait.
pub fn from_stdin(question: &str, cancel: &Cancel) -> Result<Secret> {
    let wrong = |what: &str| Failure::new(Kind::Data, format!("stdin: {what}"));
    if io::stdin().is_terminal() {
        return match prompt::ask(question, cancel)? {
            Ok(typed) if typed.expose().is_empty() => Err(wrong("is empty").into()),
            Ok(typed) => Ok(typed),
            Err(error) => Err(Failure::new(Kind::Io, format!("asking on the terminal: {error}")).into()),
        };
    }
    let failed = |error: io::Error| Failure::new(Kind::Io, format!("reading stdin: {error}"));
    // std's buffer is not used, because it is never overwritten.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    let bytes = cancel.unblocked(|| read(stdin))?.map_err(failed)?;
    let password = parse(&bytes).map_err(|what| wrong(&what))?;
    match password.expose().contains('\n') {
        true => Err(wrong("has more than one line; give the password on one line").into()),
        false => Ok(password),
    }
}

/// Prints a password, without leaving a copy in a buffer.
pub fn print(password: &Secret) -> Result<(), Failure> {
    let mut line = Zeroizing::new(String::with_capacity(password.expose().len() + 1));
    line.push_str(password.expose());
    line.push('\n');
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let written = stdout.and_then(|stdout| File::from(stdout).write_all(line.as_bytes()));
    written.map_err(|error| Failure::of_stdout(&error))
}

/// Reads a file, up to one byte more than the longest password.
fn read(from: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // Allocated once, because a growing buffer leaves copies of the password in memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    from.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes as text without one trailing newline, or the reason why they are not a password.
fn parse(bytes: &[u8]) -> Result<Secret, String> {
    if bytes.len() > LONGEST {
        return Err("is longer than 64 KiB, so it is not a password".to_owned());
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = line
        .strip_suffix(b"\r")
        .filter(|_| line.len() < bytes.len())
        .unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err("is empty".to_owned()),
        Ok(password) => Ok(Secret::from(password.to_owned())),
        Err(_) => Err("is not UTF-8; save it as UTF-8".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Signal;
    use crate::config::{Config, Files};

    fn section(text: &str) -> config::Section {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let files = Files {
            listed: Some(vec![file.path().to_owned()]),
            ..Files::default()
        };
        Config::load(&files).unwrap().only(|_| Ok(true)).unwrap()
    }

    fn of(section: &config::Section) -> Sources<'_> {
        Sources {
            file: None,
            section,
            key: "password",
            variable: "VIRTWHO_ESX_PASSWORD",
            named: false,
            whose: "root at vc",
        }
    }

    fn find_with(
        sources: &Sources,
        variable: Option<OsString>,
        prompt: impl FnOnce(&str) -> Result<io::Result<Secret>, Cancelled>,
    ) -> Result<Secret> {
        let password = Password::look_up_with(sources, variable, || Ok(()), &Cancel::default())?;
        password.ask_by(prompt)?;
        Ok(password.secret()?)
    }

    fn without_terminal(sources: &Sources, variable: Option<OsString>) -> crate::cli::Error {
        let no_terminal = || Err(io::Error::other("no terminal"));
        Password::look_up_with(sources, variable, no_terminal, &Cancel::default()).unwrap_err()
    }

    fn shown(password: Result<Secret>) -> String {
        password.unwrap().expose().to_owned()
    }

    #[test]
    fn the_order_is_file_section_environment_prompt() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "from file").unwrap();
        let (with, without) = (section("[a]\npassword='from section'\n"), section("[a]\n"));
        let variable = || Some(OsString::from("from environment"));
        let prompt = |text: &str| {
            assert_eq!(text, "Password of root at vc: ");
            Ok(Ok(Secret::from("from prompt".to_owned())))
        };
        let sources = Sources {
            file: Some(file.path()),
            ..of(&with)
        };
        assert_eq!(shown(find_with(&sources, variable(), prompt)), "from file");
        assert_eq!(shown(find_with(&of(&with), variable(), prompt)), "from section");
        assert_eq!(
            shown(find_with(&of(&without), variable(), prompt)),
            "from environment"
        );
        assert_eq!(
            shown(find_with(&of(&without), Some(OsString::new()), prompt)),
            "from prompt"
        );
        assert_eq!(shown(find_with(&of(&without), None, prompt)), "from prompt");
    }

    #[test]
    fn the_variable_is_ignored_if_a_section_is_named() {
        let section = section("[a]\n");
        let sources = Sources {
            named: true,
            ..of(&section)
        };
        let error = without_terminal(&sources, Some("from environment".into()));
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(
            error.to_string(),
            "no password for root at vc: use --password-file FILE, set password in section [a] or VIRTWHO_ESX_PASSWORD in the \
             environment (without -n), or run the command on a terminal to be asked (no terminal)"
        );
    }

    #[test]
    fn the_error_names_the_four_ways_to_provide_a_password() {
        let section = config::Section::default();
        let error = without_terminal(&of(&section), None);
        assert_eq!(
            error.to_string(),
            "no password for root at vc: use --password-file FILE, set password in a section or VIRTWHO_ESX_PASSWORD in the \
             environment, or run the command on a terminal to be asked (no terminal)"
        );
    }

    #[test]
    fn an_empty_answer_is_refused() {
        let section = config::Section::default();
        let error = find_with(&of(&section), None, |_| Ok(Ok(Secret::from(String::new())))).unwrap_err();
        assert_eq!(error.to_string(), "the password is empty");
    }

    #[test]
    fn a_signal_at_the_prompt_ends_the_command() {
        let section = config::Section::default();
        let error = find_with(&of(&section), None, |_| Err(Cancelled(Signal::Hangup))).unwrap_err();
        assert_eq!(error.kind(), Kind::Signal(Signal::Hangup));
    }

    #[test]
    fn the_error_says_that_nothing_was_typed() {
        let section = config::Section::default();
        let nothing = |_: &str| Ok(Err(io::Error::other("nothing was typed")));
        let error = find_with(&of(&section), None, nothing).unwrap_err();
        assert!(
            error.to_string().ends_with("to be asked (nothing was typed)"),
            "{error}"
        );
    }

    #[test]
    fn a_known_password_is_not_asked_for() {
        let section = section("[a]\npassword=known\n");
        let known = find_with(&of(&section), None, |_| panic!("asked"));
        assert_eq!(shown(known), "known");
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;
        let section = config::Section::default();
        let variable = OsString::from_vec(b"s3cret\xff".to_vec());
        let error = without_terminal(&of(&section), Some(variable));
        assert_eq!(error.to_string(), "VIRTWHO_ESX_PASSWORD is not UTF-8");
    }

    #[test]
    fn one_trailing_newline_is_dropped() {
        let table: [(&[u8], &str); 7] = [
            (b"s3cret", "s3cret"),
            (b"s3cret\n", "s3cret"),
            (b"s3cret\r\n", "s3cret"),
            (b"s3cret\n\n", "s3cret\n"),
            (b"s3cret\r", "s3cret\r"),
            (b" s3 cret \n", " s3 cret "),
            ("größe\n".as_bytes(), "größe"),
        ];
        for (bytes, password) in table {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(
                from_file(file.path(), &Cancel::default()).unwrap().expose(),
                password
            );
        }
    }

    #[test]
    fn a_file_without_a_password_is_refused() {
        let table: [(&[u8], &str); 4] = [
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"s3cret\xff\n", "is not UTF-8; save it as UTF-8"),
            (
                &[b'a'; LONGEST + 1],
                "is longer than 64 KiB, so it is not a password",
            ),
        ];
        for (bytes, reason) in table {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            let error = from_file(file.path(), &Cancel::default()).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert_eq!(
                error.to_string(),
                format!("--password-file {}: {reason}", file.path().display())
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let read = |path: &Path| from_file(path, &Cancel::default());
        assert!(read(folder.path()).is_err());
        assert!(read(&folder.path().join("gone")).is_err());
    }
}
