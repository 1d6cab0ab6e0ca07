//! Lists, shows, checks and migrates virt-who's configuration: vw-config(1).

mod check;
mod display;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::check::{Check, Checked, Surroundings};
use crate::cli::{self, Exit, Failure, advice, args, table};
use crate::commands::section;
use crate::commands::way;
use crate::config::effective::EffectiveKey;
use crate::config::sysconfig::{self, Variables};
use crate::config::{self, Config, Rhsm, Section};
use crate::error::Kind;
use crate::secret::redact;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

/// List, show, check and migrate virt-who's configuration
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-config",
    version,
    after_help = "Actions:\n  \
        list            the sections\n  \
        show [SECTION]  the values in force, and where they come from\n  \
        check [SECTION] all errors, and what would fail\n  \
        migrate [FILE]  VIRTWHO_* as sections [default: /etc/sysconfig/virt-who]\n\n\
        Example: vw-config check"
)]
struct Args {
    /// What to do: list, show, check or migrate
    #[arg(hide_possible_values = true, value_parser = PossibleValuesParser::new(["list", "show", "check", "migrate"]))]
    action: String,
    /// The section to show or check, or the file to migrate
    argument: Option<String>,
    /// Read this file, or this folder's *.conf (repeatable)
    #[arg(short, long, value_name = "FILE")]
    config: Vec<PathBuf>,
    /// List only the names
    #[arg(long)]
    names: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Read encrypted passwords with the key in FILE
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Read FILE instead of /etc/rhsm/rhsm.conf
    #[arg(long, value_name = "FILE")]
    rhsm_conf: Option<PathBuf>,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let argument = args.argument.as_deref();
        if args.names && args.action != "list" {
            return Err(Failure::new(Kind::Usage, "--names is only for list").into());
        }
        match (args.action.as_str(), argument) {
            ("migrate", file) => migrate(Path::new(file.unwrap_or(sysconfig::FILE)), &args),
            ("show", name) => show(name, &args),
            ("check", name) => check(name, &args),
            (action, Some(argument)) => {
                let message = format!("{action} takes no argument, but got '{argument}'");
                Err(Failure::new(Kind::Usage, message).into())
            }
            (_, None) => list(&args),
        }
    })
}

/// The configuration as far as it can be read.
fn load(args: &Args) -> cli::Result<Config> {
    let section = args::Section {
        config: args.config.clone(),
        name: None,
    };
    Ok(section.load_what_is_readable()?)
}

/// Prints a JSON document, or the text.
fn print(args: &Args, json: &Value, text: &str) -> cli::Result<()> {
    match args.json {
        true => cli::print_json(&format!("{json}\n"))?,
        false => cli::print(text)?,
    }
    Ok(())
}

fn list(args: &Args) -> cli::Result<Exit> {
    let config = load(args)?;
    if args.names {
        let names: Vec<&str> = config.names().collect();
        let text: String = names.iter().map(|name| format!("{name}\n")).collect();
        print(args, &json!({ "names": names }), &text)?;
        return complete(&config);
    }
    let listed: Vec<Listed> = config
        .sections()
        .chain(config.environment())
        .map(Listed::new)
        .collect();
    let header = ["SECTION", "TYPE", "SERVER", "REPORTED TO", "FILE"].map(str::to_owned);
    let rows: Vec<_> = [header.to_vec()]
        .into_iter()
        .chain(listed.iter().map(Listed::row))
        .collect();
    print(args, &json!({ "sections": listed }), &table::of(&rows))?;
    complete(&config)
}

/// A section in the output of `list`. The fields are those of its JSON.
#[derive(serde::Serialize)]
struct Listed {
    section: Option<String>,
    r#type: Option<String>,
    server: Option<String>,
    owner: Option<String>,
    sat_server: Option<String>,
    file: Option<String>,
    line: Option<usize>,
    broken: Option<String>,
}

impl Listed {
    fn new(section: &Section) -> Self {
        let is_usable = section.broken().is_none();
        let text = |key| {
            let text = section.text(key).ok().flatten().filter(|_| is_usable);
            text.map(|text| redact::value(&text))
        };
        let kind = section.source_type().ok().filter(|_| is_usable);
        let place = section.place();
        Listed {
            section: section.name().map(str::to_owned),
            r#type: kind.map(|kind| redact::value(&kind)),
            server: text("server"),
            owner: text("owner"),
            sat_server: text("sat_server"),
            file: place.map(|place| place.file.to_string_lossy().into_owned()),
            line: place.map(|place| place.line),
            broken: section.broken().map(ToString::to_string),
        }
    }

    /// The columns of the table.
    fn row(&self) -> Vec<String> {
        let to = match (&self.sat_server, &self.owner) {
            (Some(server), _) => Some(format!("Satellite 5 {server}")),
            (None, owner) => owner.as_ref().map(|owner| format!("owner {owner}")),
        };
        let place = self.file.as_ref().zip(self.line);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            self.section.clone().unwrap_or_else(|| "(environment)".to_owned()),
            match self.broken {
                Some(_) => "broken".to_owned(),
                None => or_dash(self.r#type.clone()),
            },
            or_dash(self.server.clone()),
            or_dash(to),
            or_dash(place.map(|(file, line)| format!("{file}:{line}"))),
        ]
    }
}

/// Fails if files could not be read, so that the output is incomplete.
fn complete(config: &Config) -> cli::Result<Exit> {
    let unreadable: Vec<String> = config.unreadable().iter().map(ToString::to_string).collect();
    match unreadable.is_empty() {
        true => Ok(Exit::Ok),
        false => Err(Failure::new(Kind::Config, unreadable.join("; ")).into()),
    }
}

fn show(name: Option<&str>, args: &Args) -> cli::Result<Exit> {
    let config = load(args)?;
    let section = match (name, config.environment()) {
        (Some(name), _) => config.named(name)?,
        (None, Some(environment)) => environment.clone(),
        (None, None) => config.only(|_| Ok(true)).map_err(|error| match error {
            // In this command, the section is an argument and not an option.
            config::Error::SeveralSections { names } => {
                let problem = format!(
                    "there are several sections; name one of them: {}",
                    advice::sections(&names)
                );
                cli::Error::from(Failure::new(Kind::Usage, problem))
            }
            error => error.into(),
        })?,
    };
    if section.name().is_none() && !section.is_variables() {
        return Err(config::Error::NoSection(Box::new(config.no_section())).into());
    }
    let section = section.with_key_file(Some(args::key_file(args.key_file.as_deref())));
    let mut shown = section.effective_keys();
    let missing = |key: &str| !section.has(key);
    if missing("type") && !section.is_variables() {
        shown.push(EffectiveKey::built_in("type", "libvirt"));
    }
    if missing("hypervisor_id") {
        shown.push(EffectiveKey::built_in("hypervisor_id", "uuid"));
    }
    if missing("sat_server") {
        shown.extend(Rhsm::effective_keys(args.rhsm_conf.as_deref(), &section)?);
    }
    let global = section.global().effective_keys();
    let title = section.name().unwrap_or("(environment)");
    let mut text = format!("[{}]\n{}", table::line(title), display::table(&shown));
    let routes = way::routes(&section, args.rhsm_conf.as_deref());
    if !routes.is_empty() {
        let _ = write!(text, "\n{}", display::routes(&routes));
    }
    if !global.is_empty() {
        let _ = write!(text, "\n[global]\n{}", display::table(&global));
    }
    let json = json!({
        "section": section.name(),
        "keys": shown.iter().map(display::in_json).collect::<Vec<_>>(),
        "proxies": routes,
        "global": global.iter().map(display::in_json).collect::<Vec<_>>(),
    });
    print(args, &json, &text)?;
    Ok(Exit::Ok)
}

fn check(name: Option<&str>, args: &Args) -> cli::Result<Exit> {
    let config = load(args)?;
    let only = name.map(|name| config.known(name)).transpose()?;
    let check = Check::new(
        &config,
        only,
        &Surroundings {
            key_file: args::key_file(args.key_file.as_deref()),
            rhsm_conf: args.rhsm_conf.as_deref(),
            has_command: &section::is_command,
        },
    );
    let mut text = String::new();
    let mut messages = Vec::new();
    let unknown = Variables::from_environment(std::env::vars_os()).unknown();
    let unknown = unknown.iter().map(|note| (false, note));
    let found = check.findings.iter().map(|found| (found.is_error, &found.note));
    for (is_error, note) in found.chain(unknown) {
        let level = if is_error { "error" } else { "warning" };
        let _ = writeln!(text, "{level}: {}", table::line(&note.to_string()));
        messages.push(display::note_in_json(level, note));
    }
    let usable = check.sections.iter().filter(|section| section.usable).count();
    let sentence = format!("{usable} of {} sections usable", check.sections.len());
    let next = check
        .sections
        .iter()
        .find(|section| section.usable)
        .map(|section| next(section, args));
    let _ = match &next {
        Some(next) => writeln!(text, "{sentence}; try next: {next}"),
        None => writeln!(text, "{sentence}"),
    };
    let sections = check
        .sections
        .iter()
        .map(|section| json!({"section": section.name, "type": section.kind, "usable": section.usable}));
    let json = json!({
        "messages": messages,
        "sections": sections.collect::<Vec<_>>(),
        "usable": usable,
        "next": next,
    });
    print(args, &json, &text)?;
    if usable == check.sections.len() && usable > 0 && check.unreadable == 0 {
        return Ok(Exit::Ok);
    }
    let problem = match (check.sections.len(), check.unreadable) {
        (0, _) => return Err(config::Error::NoSection(Box::new(config.no_section())).into()),
        (_, 0) => format!("{sentence}: fix the errors above"),
        (_, 1) => format!("{sentence}, and 1 file can't be read: fix the errors above"),
        (_, files) => format!("{sentence}, and {files} files can't be read: fix the errors above"),
    };
    Err(Failure::new(Kind::Config, problem).into())
}

/// The command to try next: it scans the section's source.
fn next(section: &Checked, args: &Args) -> String {
    let mut options: String = args.config.iter().fold(String::new(), |options, file| {
        format!("{options} -c {}", quoted(&file.to_string_lossy()))
    });
    if let Some(name) = &section.name {
        options += &format!(" -n {}", quoted(name));
    }
    let scan = format!("vw-scan-{}{options}", section.kind.as_deref().unwrap_or("esx"));
    match (&section.name, args.config.is_empty()) {
        (None, true) => scan,
        _ => format!("{scan} | vw-filter{options}"),
    }
}

/// A word quoted for sh.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn migrate(file: &Path, args: &Args) -> cli::Result<Exit> {
    let variables = Variables::read(file)?;
    let mut notes = [variables.notes(), variables.unknown()].concat();
    notes.sort_by_key(|note| note.place.as_ref().map(|place| place.line));
    for note in notes {
        log::warn!("{note}");
    }
    let [global, exported, section] = variables.migrated();
    let source = section
        .get("type")
        .map_or("satellite5", String::as_str)
        .to_owned();
    let mut text = String::new();
    let mut json = serde_json::Map::new();
    for (name, keys) in [
        ("global", global),
        ("system_environment", exported),
        (&source, section),
    ] {
        if keys.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}[{name}]", if text.is_empty() { "" } else { "\n" });
        for (key, value) in &keys {
            let written = crate::config::written_form(value);
            let written = written.ok_or_else(|| {
                let problem = format!("{key}: virt-who's files can't express its value");
                Failure::new(Kind::Config, problem)
            })?;
            let _ = writeln!(text, "{key}={written}");
        }
        json.insert(name.to_owned(), json!(keys));
    }
    if json.is_empty() {
        log::warn!("{}: nothing to migrate", file.display());
    }
    if variables.has_password() {
        log::info!("the output contains a password: chmod 600 the file that you redirect it to");
    }
    print(args, &Value::Object(json), &text)?;
    Ok(Exit::Ok)
}
