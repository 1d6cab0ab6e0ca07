//! What the user can do about an error of the configuration: the options that [`super::args`] has for it.
//!
//! [`crate::config`] says what is wrong, and knows no options. [`super::main`] adds this to the error line of each command.

use super::Error;
use crate::config::{self, Lack, MOST_NAMES, MissingKey, NoSection, Note, password};

/// The keys that a command needs, and the options that give the same.
const OPTIONS: [(&str, &str); 11] = [
    ("server", "--server"),
    ("username", "--username"),
    ("file", "--file"),
    ("owner", "--owner"),
    ("sat_server", "--server"),
    ("sat_username", "--username"),
    ("rhsm_hostname", "--server"),
    ("hostname", "--server"),
    ("ca_cert_dir", "--cacert"),
    ("repo_ca_cert", "--cacert"),
    ("consumercertdir", "--cert and --key"),
];

/// The error with advice, if it is one of the configuration.
pub fn advised(error: Error) -> Error {
    let advice = match error.downcast_ref() {
        Some(error) => on(error),
        None => error.downcast_ref().and_then(on_password).map(str::to_owned),
    };
    match advice {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

/// The note that an error about one section is, with the advice for it.
pub fn note(error: &config::Error) -> Option<Note> {
    let note = error.note()?.clone();
    Some(match on(error) {
        Some(advice) => Note {
            message: format!("{}; {advice}", note.message),
            ..note
        },
        None => note,
    })
}

/// What to do about an error of the configuration.
pub fn on(error: &config::Error) -> Option<String> {
    match error {
        config::Error::UnknownSection { found, .. } if found.sections.is_empty() => {
            Some(on_no_section(found))
        }
        config::Error::UnknownSection { found, .. } => all_sections(&found.sections).map(str::to_owned),
        config::Error::NoSection(found) => Some(on_no_section(found)),
        config::Error::SeveralSections { names } => Some(match all_sections(names) {
            Some(all) => format!("choose one with -n ({all})"),
            None => "choose one with -n".to_owned(),
        }),
        config::Error::Missing(missing) => Some(on_missing(missing)),
        config::Error::Encrypted { reason, .. } => on_password(reason).map(str::to_owned),
        config::Error::Unreadable { .. }
        | config::Error::NoConfiguration { .. }
        | config::Error::Wrong(_) => None,
    }
}

/// Names of sections for a message, and how to see those that it leaves out.
pub fn sections(names: &[String]) -> String {
    let list = config::name_list(names);
    match all_sections(names) {
        Some(all) => format!("{list} ({all})"),
        None => list,
    }
}

/// How to see the sections that a message leaves out.
fn all_sections(names: &[String]) -> Option<&'static str> {
    (names.len() > MOST_NAMES).then_some("vw-config list shows all")
}

fn on_no_section(found: &NoSection) -> String {
    let advice = match found.sections.as_slice() {
        [] if found.looked_at.is_empty() => "name a configuration file with -c",
        [] if !found.has_files => "write a configuration file, or name one with -c",
        [] => "add a section, or name another file with -c",
        _ => "choose a section with -n",
    };
    advice.to_owned()
}

fn on_missing(MissingKey { key, lack, .. }: &MissingKey) -> String {
    let option = OPTIONS.iter().find(|(of, _)| of == key);
    let or_option = option.map_or_else(String::new, |(_, option)| format!(", or give {option}"));
    match lack {
        Lack::Empty => format!("give it a value{or_option}"),
        Lack::Absent => format!("add it{or_option}"),
        Lack::Unset => format!("set it{or_option}"),
        Lack::NoSection(found) => {
            let give = option.map_or_else(String::new, |(_, option)| format!("give {option}, "));
            match found {
                Some(found) if found.sections.is_empty() => format!("{give}{}", on_no_section(found)),
                _ => format!("{give}or choose a section that has it with -n"),
            }
        }
    }
}

/// What to do about a password that can't be encrypted or decrypted.
fn on_password(error: &password::Error) -> Option<&'static str> {
    match error {
        password::Error::NoKeyFile(_) => Some("name it with --key-file, or encrypt the password again"),
        password::Error::WrongKey(_) | password::Error::NoText(_) => {
            Some("encrypt the password again, or name the right file with --key-file")
        }
        password::Error::NotHex => Some("copy what virt-who-password or vw-password printed"),
        password::Error::Odd(_) | password::Error::Length(_) => {
            Some("copy all that virt-who-password or vw-password printed")
        }
        password::Error::Empty => Some("encrypt the password again"),
        password::Error::UnreadableKeyFile { .. }
        | password::Error::NoKey(_)
        | password::Error::NewKey(_)
        | password::Error::NoRandom(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Files, Section};

    fn config(text: &str) -> (tempfile::NamedTempFile, Config) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let files = Files::new(vec![file.path().to_owned()], None);
        let config = Config::load(&files).unwrap();
        (file, config)
    }

    /// The error line of a command without the file's name.
    fn line(file: &tempfile::NamedTempFile, error: config::Error) -> String {
        let line = format!("{:#}", advised(error.into()));
        line.replace(&file.path().display().to_string(), "FILE")
    }

    #[test]
    fn a_missing_section_has_advice_about_sections_and_files() {
        let any = |_: &Section| Ok(true);
        let (file, two) = config("[a]\nserver=a\n[b]\n");
        assert_eq!(
            line(&file, two.named("c").unwrap_err()),
            "there is no section [c]; there are a, b"
        );
        assert_eq!(
            line(&file, two.only(any).unwrap_err()),
            "several sections fit: a, b; choose one with -n"
        );
        let (file, empty) = config("");
        assert_eq!(
            line(&file, empty.named("c").unwrap_err()),
            "there is no section [c]: there is no section in FILE; add a section, or name another file with -c"
        );
        let many: String = (0..30).map(|n| format!("[s{n}]\n")).collect();
        let (file, many) = config(&many);
        let several = line(&file, many.only(any).unwrap_err());
        assert!(
            several.ends_with("s19 and 10 more; choose one with -n (vw-config list shows all)"),
            "{several}"
        );
    }

    #[test]
    fn a_missing_key_has_advice_about_its_option() {
        let (file, config) = config("[a]\nserver=\n");
        let section = config.named("a").unwrap();
        assert_eq!(
            line(&file, section.need("server").unwrap_err()),
            "FILE:2: [a] server: is empty; give it a value, or give --server"
        );
        assert_eq!(
            line(&file, section.need("owner").unwrap_err()),
            "FILE:1: [a] owner: is missing; add it, or give --owner"
        );
        assert_eq!(
            line(&file, config.nameless().need("sat_username").unwrap_err()),
            "sat_username: is missing, and none of a fits; give --username, or choose a section that has it with -n"
        );
        let nowhere = Config::load(&Files {
            main: "/nonexistent".into(),
            folder: "/nonexistent.d".into(),
            ..Files::default()
        });
        assert_eq!(
            line(&file, nowhere.unwrap().nameless().need("server").unwrap_err()),
            "server: is missing, and there is no configuration file (looked for /nonexistent and /nonexistent.d/*.conf); \
             give --server, write a configuration file, or name one with -c"
        );
    }

    #[test]
    fn an_encrypted_password_has_advice_about_its_key() {
        let (file, config) = config("[a]\nencrypted_password=00112233445566778899aabbccddeeff\n");
        let section = config
            .named("a")
            .unwrap()
            .with_key_file(Some("/nonexistent".into()));
        let error = section.secret("password").unwrap_err();
        let expected = "the key file /nonexistent does not exist; name it with --key-file, or encrypt the password again";
        assert_eq!(note(&error).unwrap().message, expected);
        assert_eq!(
            line(&file, error),
            format!("FILE:2: [a] encrypted_password: {expected}")
        );
        let error = password::decrypt("0", Path::new("/nonexistent")).unwrap_err();
        assert_eq!(
            format!(
                "{:#}",
                advised(Error::from(error).context("the encrypted password"))
            ),
            "the encrypted password: has an odd number of hexadecimal digits (1), so one is missing; copy all that \
             virt-who-password or vw-password printed"
        );
    }
}
