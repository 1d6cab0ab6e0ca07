//! What options, `[global]` and the `VIRTWHO_*` variables come to.

use std::time::Duration;

use super::{Args, plan};
use crate::cli::{self, args};
use crate::commands::interval;
use crate::config::{self, Section};
use crate::service::Source;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Print the pipelines.
    DryRun,
    /// Print the mappings.
    Print,
    /// Print which servers can be reached.
    Status,
    /// Report once.
    Once,
    /// Report until a signal comes.
    ForEver,
}

/// The settings in force.
#[derive(Debug)]
pub(super) struct Settings {
    pub mode: Mode,
    /// `[global]` says that `-s` prints JSON.
    pub json: bool,
    pub interval: Duration,
    pub sources: Vec<Source>,
}

impl Settings {
    /// Reads the configuration.
    pub(super) fn load(args: &Args) -> cli::Result<Self> {
        let mut files = args::Section {
            config: args.config.clone(),
            name: None,
        };
        let mut config = files.load_all()?;
        let global = config.global();
        // virt-who's key for what -c says.
        if let (true, Some(listed)) = (files.config.is_empty(), global.list("configs")?)
            && !listed.is_empty()
        {
            files.config = listed.into_iter().map(Into::into).collect();
            config = files.load_all()?;
        }
        let global = config.global();
        let sections = plan::sections(&config, &args.names, !files.config.is_empty())?;
        let interval = interval::of(args.interval, global);
        let stages = plan::Stages {
            config: &files.config,
            state_dir: &args.state_dir,
            repeat: args.watch.then_some(interval),
        };
        Ok(Settings {
            mode: mode(args, global)?,
            json: args.json || flag(global, "json"),
            interval,
            sources: stages.sources(&sections),
        })
    }
}

/// An option decides before `[global]` does.
fn mode(args: &Args, global: &Section) -> Result<Mode, config::Error> {
    Ok(match args {
        Args { dry_run: true, .. } => Mode::DryRun,
        Args { print: true, .. } => Mode::Print,
        Args { status: true, .. } => Mode::Status,
        Args { one_shot: true, .. } => Mode::Once,
        Args { watch: true, .. }
        | Args {
            interval: Some(_), ..
        } => Mode::ForEver,
        _ if flag(global, "print_") => Mode::Print,
        _ if flag(global, "status") => Mode::Status,
        _ if flag(global, "oneshot") => Mode::Once,
        _ => Mode::ForEver,
    })
}

/// A switch of `[global]`. As in virt-who, an invalid value only causes a warning.
fn flag(global: &Section, key: &str) -> bool {
    let flag = global.flag(key).unwrap_or_else(|error| {
        log::warn!("{error}; it counts as no");
        None
    });
    flag.unwrap_or(false)
}
