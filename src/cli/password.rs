//! Where a password comes from.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::{Failure, prompt};
use crate::cancel::{Cancel, Cancelled};
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

/// A password that was found, or that is asked for on the terminal.
#[derive(Debug)]
pub struct Password {
    found: OnceLock<Secret>,
    question: String,
    /// What could be done to give one, where nobody answers.
    advice: String,
}

impl Password {
    /// Looks in all places but the terminal. Fails where there is none and no terminal to ask on.
    ///
    /// `cancel` is that of [`super::cancel_on_signals`]. A key file that is a FIFO is waited for without it, so the caller needs
    /// [`super::end_at_once`].
    pub fn look_up(sources: &Sources, cancel: &Cancel) -> super::Result<Self> {
        let variable = std::env::var_os(sources.variable);
        Password::look_up_with(sources, variable, prompt::possible, cancel)
    }

    fn look_up_with(
        sources: &Sources,
        variable: Option<OsString>,
        can_ask: impl FnOnce() -> io::Result<()>,
        cancel: &Cancel,
    ) -> super::Result<Self> {
        let password = Password {
            found: OnceLock::new(),
            question: format!("Password of {}: ", sources.whose),
            advice: advice(sources),
        };
        if let Some(found) = found(sources, variable, cancel)? {
            // The cell is new, so it is empty.
            let _ = password.found.set(found);
        } else {
            can_ask().map_err(|error| password.missing(&error))?;
        }
        Ok(password)
    }

    /// Asks on the terminal, unless the password is known by now.
    pub fn ask(&self, cancel: &Cancel) -> super::Result<()> {
        self.ask_by(|question| prompt::ask(question, cancel))
    }

    fn ask_by(&self, ask: impl FnOnce(&str) -> Result<io::Result<Secret>, Cancelled>) -> super::Result<()> {
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

    /// The password, which must have been found or asked for.
    pub fn secret(&self) -> Result<Secret, Failure> {
        let found = self.found.get().cloned();
        found.ok_or_else(|| Failure::new(Kind::Software, "nobody was asked for the password"))
    }

    fn missing(&self, error: &io::Error) -> Failure {
        wrong(format!("{} ({error})", self.advice))
    }
}

/// Finds the password, asking on the terminal if need be, or fails with what could be done to give one.
pub fn find(sources: &Sources, cancel: &Cancel) -> super::Result<Secret> {
    let password = Password::look_up(sources, cancel)?;
    password.ask(cancel)?;
    Ok(password.secret()?)
}

/// The password, where it need not be asked for.
fn found(sources: &Sources, variable: Option<OsString>, cancel: &Cancel) -> super::Result<Option<Secret>> {
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
        "no password of {}: give --password-file FILE, {section}, {variable} in the environment{only}, \
         or start the command on a terminal, where it asks",
        sources.whose
    )
}

fn wrong(message: String) -> Failure {
    Failure::new(Kind::Config, message)
}

/// The content of a password file without one trailing newline. A FIFO is waited for until a signal comes.
fn from_file(file: &Path, cancel: &Cancel) -> super::Result<Secret> {
    of_file(file, "--password-file", cancel)
}

/// The password in a file or pipe, which is `named` in messages by an option, or by the place of a key and a colon.
pub fn of_file(file: &Path, named: &str, cancel: &Cancel) -> super::Result<Secret> {
    let failed = |what: &str| wrong(format!("{named} {}: {what}", file.display()));
    let path = file.to_owned();
    let bytes = cancel.unblocked(|| File::open(path).and_then(read))?;
    let unreadable = |error: io::Error| {
        let text = error.to_string();
        failed(text.split(" (os error").next().unwrap_or(&text))
    };
    let bytes = bytes.map_err(unreadable)?;
    Ok(text(&bytes).map_err(|what| failed(&what))?)
}

/// What a person or a program types into a command that is about a password: one line of stdin without its end, or what
/// is typed on the terminal without echo.
///
/// `cancel` ends the wait for it.
pub fn from_stdin(question: &str, cancel: &Cancel) -> super::Result<Secret> {
    let wrong = |what: &str| Failure::new(Kind::Data, format!("stdin: {what}"));
    if io::stdin().is_terminal() {
        return match prompt::ask(question, cancel)? {
            Ok(typed) if typed.expose().is_empty() => Err(wrong("is empty").into()),
            Ok(typed) => Ok(typed),
            Err(error) => Err(Failure::new(Kind::Io, format!("asking on the terminal: {error}")).into()),
        };
    }
    let failed = |error: io::Error| Failure::new(Kind::Io, format!("reading stdin: {error}"));
    // Not by way of std's own buffer, which nobody would overwrite.
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned().map_err(failed)?);
    let bytes = cancel.unblocked(|| read(stdin))?.map_err(failed)?;
    let text = text(&bytes).map_err(|what| wrong(&what))?;
    match text.expose().contains('\n') {
        true => Err(wrong("has more than one line, and a password has one").into()),
        false => Ok(text),
    }
}

/// Prints a password that was asked for, and leaves no copy in a buffer.
pub fn print(password: &Secret) -> Result<(), Failure> {
    let mut line = Zeroizing::new(String::with_capacity(password.expose().len() + 1));
    line.push_str(password.expose());
    line.push('\n');
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    let written = stdout.and_then(|stdout| File::from(stdout).write_all(line.as_bytes()));
    written.map_err(|error| Failure::of_stdout(&error))
}

/// All there is, but hardly more than a password may have.
fn read(from: File) -> io::Result<Zeroizing<Vec<u8>>> {
    // Allocated once, for a growing buffer leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 1));
    from.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The bytes as text without one trailing newline, or what is wrong with them.
fn text(bytes: &[u8]) -> Result<Secret, String> {
    if bytes.len() > LONGEST {
        return Err("is longer than 64 KiB, so it is no password".to_owned());
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
    ) -> crate::cli::Result<Secret> {
        let password = Password::look_up_with(sources, variable, || Ok(()), &Cancel::default())?;
        password.ask_by(prompt)?;
        Ok(password.secret()?)
    }

    fn without_terminal(sources: &Sources, variable: Option<OsString>) -> crate::cli::Error {
        let no_terminal = || Err(io::Error::other("no terminal"));
        Password::look_up_with(sources, variable, no_terminal, &Cancel::default()).unwrap_err()
    }

    fn shown(password: crate::cli::Result<Secret>) -> String {
        password.unwrap().expose().to_owned()
    }

    #[test]
    fn the_file_comes_first_then_the_section_the_environment_and_the_prompt() {
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
    fn the_environment_never_changes_a_section_that_was_named() {
        let section = section("[a]\n");
        let sources = Sources {
            named: true,
            ..of(&section)
        };
        let error = without_terminal(&sources, Some("from environment".into()));
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(
            error.to_string(),
            "no password of root at vc: give --password-file FILE, password in section [a], VIRTWHO_ESX_PASSWORD in the \
             environment (without -n), or start the command on a terminal, where it asks (no terminal)"
        );
    }

    #[test]
    fn without_any_password_the_four_ways_are_named() {
        let section = config::Section::default();
        let error = without_terminal(&of(&section), None);
        assert_eq!(
            error.to_string(),
            "no password of root at vc: give --password-file FILE, password in a section, VIRTWHO_ESX_PASSWORD in the \
             environment, or start the command on a terminal, where it asks (no terminal)"
        );
    }

    #[test]
    fn an_empty_answer_is_no_password() {
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
    fn nobody_answers_at_the_prompt() {
        let section = config::Section::default();
        let nothing = |_: &str| Ok(Err(io::Error::other("nothing was typed")));
        let error = find_with(&of(&section), None, nothing).unwrap_err();
        assert!(
            error.to_string().ends_with("where it asks (nothing was typed)"),
            "{error}"
        );
    }

    #[test]
    fn a_password_that_is_known_is_never_asked_for() {
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
    fn one_trailing_newline_of_the_file_is_dropped() {
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
                "is longer than 64 KiB, so it is no password",
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
