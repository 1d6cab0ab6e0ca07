//! The shape of `--help`: options under headings, and lines that fit.

use std::io::{self, IsTerminal};

use clap::Command;

use super::width;

/// A command with fewer options needs no headings.
const MANY: usize = 13;

/// The headings of options that several commands have or that belong together; the others come first, under no heading of their own.
const HEADINGS: [(&str, &[&str]); 7] = [
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
        "What was reported before",
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
    ("Output", &["layout", "pretty", "compact", "no_omitted", "json"]),
    ("Messages", &["debug", "quiet", "log_file"]),
];

/// The command with its options under headings, and with lines that fit the terminal, or 80 columns where there is none.
pub(super) fn shaped(command: Command) -> Command {
    let many = command.get_arguments().count() >= MANY;
    let command = command.mut_args(|arg| match heading(arg.get_id().as_str()) {
        Some(heading) if many => arg.help_heading(heading),
        _ => arg,
    });
    let terminal = io::stdout().is_terminal() || io::stdin().is_terminal() || io::stderr().is_terminal();
    match terminal || std::env::var_os("COLUMNS").is_some() {
        true => command,
        false => command.term_width(width::USUAL),
    }
}

fn heading(option: &str) -> Option<&'static str> {
    let named = HEADINGS.iter().find(|(_, options)| options.contains(&option));
    named.map(|(heading, _)| *heading)
}
