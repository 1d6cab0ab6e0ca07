//! Options that several commands have.

mod connection;
pub mod duration;
mod hosts;
mod output;

use std::path::{Path, PathBuf};

pub use connection::{Connection, Keys, Overrides, https_proxy};
pub use duration::{TimeLimit, duration, limit};
pub use hosts::{Hosts, Patterns, filter_type_of};
pub use output::{Output, ResultForm};

use super::error::Failure;
use super::messages;
use crate::config::{self, sysconfig::Variables};
use crate::error::Kind;

/// The configuration's files and the section to use.
#[derive(Debug, Default, clap::Args)]
pub struct Section {
    /// Read FILE, or *.conf in a folder (repeatable)
    ///
    /// The default is the files in VW_CONFIG, separated by colons, or /etc/virt-who.conf and /etc/virt-who.d/*.conf.
    #[arg(short, long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Use this section of the configuration
    ///
    /// It can be omitted if only one section matches the command, or if options say everything.
    #[arg(short, long, value_name = "SECTION", allow_hyphen_values = true)]
    pub name: Option<String>,
}

impl Section {
    /// Loads the configuration, with the variables of the environment.
    pub fn load(&self) -> Result<config::Config, config::Error> {
        let (files, variables) = self.files();
        config::Config::load_with(&files, &variables)
    }

    /// Loads the configuration without its unreadable parts, for a command that examines it.
    pub fn load_what_is_readable(&self) -> Result<config::Config, config::Error> {
        let (files, variables) = self.files();
        let config = config::Config::load_what_is_readable(&files, &variables)?;
        log_files(&config);
        Ok(config)
    }

    /// Loads the configuration for a command that uses all sections. The settings of `[global]` for messages take effect.
    ///
    /// Notes about sections are left to the commands that use them.
    pub fn load_all(&self) -> Result<config::Config, config::Error> {
        let config = self.load()?;
        messages::configure(&config.nameless());
        log_files(&config);
        for note in config.notes() {
            match config.sections().any(|section| section.is_subject_of(note)) {
                true => log::debug!("{note}"),
                false => log::warn!("{note}"),
            }
        }
        Ok(config)
    }

    fn files(&self) -> (config::Files, Variables) {
        let files = config::Files::new(self.config.clone(), std::env::var_os("VW_CONFIG"));
        (files, Variables::from_environment(std::env::vars_os()))
    }

    /// Returns the first of these sections: the one that `-n` names; that of the environment, if it matches and `-c` is not
    /// given; the only one that matches; a nameless one with only the `[defaults]`.
    ///
    /// `complete` means that options give everything that the command needs. Then a section is used only if `-n` or `-c` is
    /// given. `key_file` is [`Credentials::key_file`], if the command has it. `fits` decides which sections match. The
    /// settings of `[global]` for messages take effect.
    pub fn find(
        &self,
        key_file: Option<&Path>,
        complete: bool,
        fits: impl Fn(&config::Section) -> Result<bool, config::Error>,
    ) -> Result<config::Section, config::Error> {
        if let Some(name) = &self.name {
            messages::set_section(name);
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
        messages::configure(&section);
        log_files(&config);
        match section_and_place(&section) {
            Some(section) => log::debug!("using {section}"),
            None if section.is_variables() => log::debug!("using the VIRTWHO_* variables"),
            None => log::debug!("using no section"),
        }
        let chosen = choose && self.name.is_none();
        let doubtful = |note: &config::Note| {
            // The user may have meant a broken section, or one with an invalid header. A variable has no place, and may choose
            // a source that no command reads.
            config.broken().any(|broken| broken == note)
                || note.section.is_none() && (section.name().is_none() || note.place.is_none())
        };
        for note in config.notes() {
            // The stages of a pipeline read the same files, so only notes about the section in use are warnings.
            if section.is_subject_of(note) || chosen && doubtful(note) {
                log::warn!("{note}");
            } else {
                log::debug!("{note}");
            }
        }
        Ok(section.with_key_file(key_file.map(Path::to_owned).or_else(credential)))
    }
}

fn log_files(config: &config::Config) {
    let files = config.files().iter().map(|file| file.display().to_string());
    match files.collect::<Vec<_>>().join(", ").as_str() {
        "" => log::debug!("configuration files: none"),
        files => log::debug!("configuration files: {files}"),
    }
}

/// The section with its place, such as `section [prod] (/etc/virt-who.conf:3)`, or `None` for one without a name.
pub fn section_and_place(section: &config::Section) -> Option<String> {
    let name = section.name()?;
    Some(match section.place() {
        Some(place) => format!("section [{name}] ({place})"),
        None => format!("section [{name}]"),
    })
}

/// Rewords an error of [`Section::find`] for a command that got `--server` but lacks other options. Then the user did not forget
/// to choose a section, but forgot the `missing` options.
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

/// The path of the key for encrypted passwords, whether or not the file exists.
pub fn key_file(option: Option<&Path>) -> PathBuf {
    let named = option.map(Path::to_owned).or_else(credential);
    named.unwrap_or_else(|| config::password::KEY_FILE.into())
}

/// The key that systemd passes to a service: `$CREDENTIALS_DIRECTORY/key`, if it exists.
fn credential() -> Option<PathBuf> {
    let file = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join("key");
    file.exists().then_some(file)
}

/// How to log in to the server.
#[derive(Debug, Default, clap::Args)]
pub struct Credentials {
    /// Log in as USER
    #[arg(short, long, value_name = "USER")]
    pub username: Option<String>,
    /// Read the password from FILE, which may be a pipe
    ///
    /// One trailing newline is dropped. The default is the password in the section, the environment or a prompt.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Decrypt passwords with the key in FILE
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
    fn the_named_section_is_used_otherwise_the_only_matching_one() {
        let text = "[a]\ntype=esx\n[b]\ntype=fake\n";
        assert_eq!(find(text, &[], false).unwrap().as_deref(), Some("a"));
        assert_eq!(find(text, &[], true).unwrap().as_deref(), Some("a"));
        assert_eq!(find(text, &["-n", "b"], true).unwrap().as_deref(), Some("b"));
        assert_eq!(find(text, &["--name", "b"], false).unwrap().as_deref(), Some("b"));
        assert_eq!(find("", &[], false), Ok(None));
    }

    #[test]
    fn the_error_names_the_sections_to_choose_from() {
        let text = "[a]\ntype=esx\n[b]\ntype=esx\n";
        assert_eq!(find(text, &[], false).unwrap_err(), "several sections fit: a, b");
        assert_eq!(
            find(text, &["-n", "c"], false).unwrap_err(),
            "there is no section [c]; there are a, b"
        );
    }
}
