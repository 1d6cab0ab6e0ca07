//! The layout of `--help`: options under headings, and lines that fit the terminal.

use std::io::{self, IsTerminal};

use clap::Command;

use super::width;

/// The number of options, without --version, from which a command has headings.
const MANY: usize = 12;

/// The headings, with the ids of their options. Other options come first, without a heading.
const HEADINGS: [(&str, &[&str]); 8] = [
    (
        "Hosts",
        &[
            "filter_hosts",
            "exclude_hosts",
            "filter_type",
            "filter_host_parents",
            "exclude_host_parents",
            "match_names",
            "no_filter",
        ],
    ),
    ("Section", &["config", "name", "rhsm_conf", "key_file"]),
    (
        "Server",
        &[
            "server",
            "owner",
            "reporter_id",
            "username",
            "password_file",
            "cert",
            "key",
        ],
    ),
    (
        "Connection",
        &[
            "cacert",
            "thumbprint",
            "insecure",
            "proxy",
            "proxy_password_file",
            "timeout",
            "trace",
        ],
    ),
    (
        "Earlier reports",
        &[
            "state_dir",
            "full_every",
            "force",
            "clear_vanished",
            "delete_vanished",
            "vanished_for",
            "vanished_limit",
            "vanished_share",
        ],
    ),
    ("Table", &["sort", "reverse", "matching"]),
    ("Output", &["layout", "pretty", "compact", "no_omitted", "json"]),
    ("Messages", &["debug", "quiet", "log_file"]),
];

/// Adds headings, and limits lines to the terminal's width, or to 80 columns if there is no terminal.
pub(super) fn shaped(command: Command) -> Command {
    let many = command.get_arguments().count() >= MANY;
    let command = command.mut_args(|arg| match heading(arg.get_id().as_str()) {
        Some(heading) if many => arg.help_heading(heading),
        _ => arg,
    });
    let terminal = io::stdout().is_terminal() || io::stdin().is_terminal() || io::stderr().is_terminal();
    match terminal || std::env::var_os("COLUMNS").is_some() {
        true => command,
        false => command.term_width(width::DEFAULT),
    }
}

fn heading(option: &str) -> Option<&'static str> {
    let named = HEADINGS.iter().find(|(_, options)| options.contains(&option));
    named.map(|(heading, _)| *heading)
}
