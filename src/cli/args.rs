//! Options that commands share.

mod connection;
pub mod duration;
mod hosts;
mod output;

use std::path::{Path, PathBuf};

use clap::{ArgMatches, FromArgMatches as _};

pub use connection::{Connection, Keys, Said, https_proxy};
pub use duration::{duration, limit};
pub use hosts::{Hosts, List, filter_type_of};
pub use output::{Output, Results};

use super::Failure;
use crate::config::{self, sysconfig::Variables};
use crate::error::Kind;

/// What is said on stderr.
#[derive(Debug, Default, clap::Args)]
pub struct Messages {
    /// Print debug messages (also VIRTWHO_DEBUG=1)
    #[arg(short, long, conflicts_with = "quiet")]
    pub debug: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Also append messages to FILE
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

impl Messages {
    pub(super) fn from_matches(matches: &ArgMatches) -> Self {
        let mut messages = Messages::from_arg_matches(matches).unwrap_or_default();
        let on = |value: std::ffi::OsString| value.to_str().and_then(config::parse_flag) == Some(true);
        messages.debug |= std::env::var_os("VIRTWHO_DEBUG").is_some_and(on) && !messages.quiet;
        messages
    }
}

/// Which section of which files.
#[derive(Debug, Default, clap::Args)]
pub struct Section {
    /// Read this file, or this folder's *.conf (repeatable)
    ///
    /// The default is /etc/virt-who.conf and /etc/virt-who.d/*.conf, or the files in VW_CONFIG, between colons.
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Use this section of the configuration
    ///
    /// It may be left out when only one section fits the command, or when options say everything.
    #[arg(short, long, value_name = "SECTION")]
    pub name: Option<String>,
}

impl Section {
    /// The configuration, with the variables of the environment.
    pub fn load(&self) -> Result<config::Config, config::Error> {
        let (files, variables) = self.files();
        config::Config::load_with(&files, &variables)
    }

    /// The same without what can't be read, for a command that looks at the configuration.
    pub fn load_what_is_readable(&self) -> Result<config::Config, config::Error> {
        let (files, variables) = self.files();
        let config = config::Config::load_what_is_readable(&files, &variables)?;
        tell_files(&config);
        Ok(config)
    }

    fn files(&self) -> (config::Files, Variables) {
        let files = config::Files::new(self.config.clone(), std::env::var_os("VW_CONFIG"));
        (files, Variables::from_environment(std::env::vars_os()))
    }

    /// The section to use: the one that was named, else that of the environment if it fits and no file was named, else the
    /// only one that fits, else one without a name that has no more than `[defaults]`.
    ///
    /// `complete` says that options give all that the command must have; then a section is used only if one was asked
    /// for, by name or by its file. `key_file` is [`Account::key_file`], where a command has it. What `[global]` says of
    /// messages holds from here on.
    pub fn find(
        &self,
        key_file: Option<&Path>,
        complete: bool,
        fits: impl Fn(&config::Section) -> Result<bool, config::Error>,
    ) -> Result<config::Section, config::Error> {
        if let Some(name) = &self.name {
            super::log::set_section(name);
        }
        let config = self.load()?;
        let choose = !(complete && self.config.is_empty());
        let environment = config
            .environment()
            .filter(|_| choose && self.name.is_none() && self.config.is_empty());
        let section = match (&self.name, environment) {
            (Some(name), _) => config.named(name)?,
            (None, Some(environment)) if fits(environment)? => environment.clone(),
            (None, _) if choose => config.only(fits)?,
            (None, _) => config.nameless(),
        };
        super::log::follow(&section);
        tell_files(&config);
        match whence(&section) {
            Some(section) => log::debug!("using {section}"),
            None if section.is_variables() => log::debug!("using the VIRTWHO_* variables"),
            None => log::debug!("using no section"),
        }
        let chosen = choose && self.name.is_none();
        let doubtful = |note: &config::Note| {
            // A broken section may be the one that was meant, and so may one whose header makes no sense; a variable, which
            // stands nowhere, may choose a source that no command reads.
            config.broken().any(|broken| broken == note)
                || note.section.is_none() && (section.name().is_none() || note.place.is_none())
        };
        for note in config.notes() {
            // The stages of a pipeline read the same files: what is not about the section at hand is left to vw-config.
            if section.is_subject_of(note) || chosen && doubtful(note) {
                log::warn!("{note}");
            } else {
                log::debug!("{note}");
            }
        }
        Ok(section.with_key_file(key_file.map(Path::to_owned).or_else(credential)))
    }
}

fn tell_files(config: &config::Config) {
    let files = config.files().iter().map(|file| file.display().to_string());
    match files.collect::<Vec<_>>().join(", ").as_str() {
        "" => log::debug!("configuration files: none"),
        files => log::debug!("configuration files: {files}"),
    }
}

/// How messages name a section that was found in a file.
pub fn whence(section: &config::Section) -> Option<String> {
    let name = section.name()?;
    Some(match section.place() {
        Some(place) => format!("section [{name}] ({place})"),
        None => format!("section [{name}]"),
    })
}

/// The error of [`Section::find`] for a command that got a server from an option and misses others: not the choice of a section is
/// what its user forgot.
///
/// `missing` names the options that were not given.
pub fn beside_server(error: config::Error, missing: &[&str]) -> super::Error {
    match error {
        config::Error::SeveralSections { names } if !missing.is_empty() => {
            let (missing, names) = (missing.join(" and "), super::advice::sections(&names));
            let problem =
                format!("--server without {missing}: add that, or choose a section with -n: {names}");
            Failure::new(Kind::Config, problem).into()
        }
        error => error.into(),
    }
}

/// Where the key of encrypted passwords lies, for a command that makes one where there is none.
pub fn key_file(option: Option<&Path>) -> PathBuf {
    let named = option.map(Path::to_owned).or_else(credential);
    named.unwrap_or_else(|| config::password::KEY_FILE.into())
}

/// The key that systemd hands to a service: `$CREDENTIALS_DIRECTORY/key`, if it is there.
fn credential() -> Option<PathBuf> {
    let file = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join("key");
    file.exists().then_some(file)
}

/// The account at the server that the command talks to.
#[derive(Debug, Default, clap::Args)]
pub struct Account {
    /// Log in as USER
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Read the password from FILE, which may be a pipe
    ///
    /// One trailing newline is dropped. Without it the password comes from the section, the environment or a prompt.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Read encrypted passwords with the key in FILE
    ///
    /// The default is $CREDENTIALS_DIRECTORY/key, then /var/lib/virt-who/key.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        section: Section,
    }

    fn find(text: &str, options: &[&str], complete: bool) -> Result<Option<String>, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        let Command { section } = Command::parse_from([&["vw", "-c", path], options].concat());
        let fits = |section: &config::Section| Ok(section.source_type()? == "esx");
        let found = section
            .find(None, complete, fits)
            .map_err(|error| error.to_string())?;
        Ok(found.name().map(str::to_owned))
    }

    #[test]
    fn a_section_that_was_asked_for_is_used() {
        let text = "[a]\ntype=esx\n[b]\ntype=fake\n";
        assert_eq!(find(text, &[], false).unwrap().as_deref(), Some("a"));
        assert_eq!(find(text, &[], true).unwrap().as_deref(), Some("a"));
        assert_eq!(find(text, &["-n", "b"], true).unwrap().as_deref(), Some("b"));
        assert_eq!(find(text, &["--name", "b"], false).unwrap().as_deref(), Some("b"));
        assert_eq!(find("", &[], false), Ok(None));
    }

    #[test]
    fn the_choice_is_told_where_it_must_be_made() {
        let text = "[a]\ntype=esx\n[b]\ntype=esx\n";
        assert_eq!(find(text, &[], false).unwrap_err(), "several sections fit: a, b");
        assert_eq!(
            find(text, &["-n", "c"], false).unwrap_err(),
            "there is no section [c]; there are a, b"
        );
    }
}
