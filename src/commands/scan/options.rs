//! The options of every scan.

use std::time::Duration;

use clap::Arg;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::{Failure, args};
use crate::commands::kind::{Kind, alternatives};
use crate::error;
use crate::mapping::HypervisorId;
use crate::pace::Pace;

/// The options of every scan.
#[derive(Debug, Default, clap::Args)]
pub(super) struct ScanOptions {
    /// Make uuid, hostname or hwuuid the hypervisors' id [default: uuid]
    #[arg(long, value_name = "ID", hide_possible_values = true, value_parser = one_of(ALL_IDS))]
    pub hypervisor_id: Option<HypervisorId>,
    /// Also write each guest's name, id and uuid as the source shows them
    #[arg(long)]
    pub guest_names: bool,
    /// Also write the time of the scan
    #[arg(long)]
    pub stamp: bool,
    #[command(flatten)]
    pub section: args::Section,
    #[command(flatten)]
    pub watching: Watching,
    /// Fail, and print nothing, if anything is left out
    #[arg(long)]
    pub strict: bool,
    /// Log in, print the server's name and version, and log out
    #[arg(long, conflicts_with_all = [
        "strict", "guest_names", "stamp", "layout", "pretty", "compact", "no_omitted", "watch",
    ])]
    pub check: bool,
    #[command(flatten)]
    pub output: args::Output,
}

/// The ids of a host, unless its type of source lacks some.
pub(crate) const ALL_IDS: &[HypervisorId] =
    &[HypervisorId::Uuid, HypervisorId::Hostname, HypervisorId::Hwuuid];

/// Limits `--hypervisor-id` to the ids that the hosts of this type have.
pub(super) fn ids_of(kind: &Kind, option: Arg) -> Arg {
    let help = format!(
        "Make {} the hypervisors' id [default: uuid]",
        alternatives(kind.ids)
    );
    option.help(help).value_parser(one_of(kind.ids))
}

fn one_of(ids: &'static [HypervisorId]) -> impl TypedValueParser<Value = HypervisorId> {
    let names = ids.iter().map(|id| id.name());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<HypervisorId>())
}

/// Whether to go on after the first document, and when to print another.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Watching {
    /// Keep watching, and print a document after each change
    #[arg(long)]
    pub watch: bool,
    /// Print once nothing has changed for this time [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    settle: Option<Duration>,
    /// Print the unchanged document again after this time, 0 never [default: 1h]
    #[arg(long, value_name = "SECONDS", value_parser = args::duration)]
    repeat: Option<Duration>,
}

impl Watching {
    const SETTLE: Duration = Duration::from_secs(10);
    const REPEAT: Duration = Duration::from_secs(3600);

    /// Fails if an option concerns the documents after the first, and there is only one.
    pub(super) fn validate(&self) -> Result<(), Failure> {
        let given = [("--settle", self.settle), ("--repeat", self.repeat)];
        match given.iter().find(|(_, value)| value.is_some()) {
            Some((option, _)) if !self.watch => {
                let problem = format!("{option} needs --watch: without it there is only one document");
                Err(Failure::new(error::Kind::Usage, problem))
            }
            _ => Ok(()),
        }
    }

    /// When documents after the first are printed.
    pub(super) fn pace(&self) -> Pace {
        let repeat = self.repeat.unwrap_or(Watching::REPEAT);
        Pace {
            settle: self.settle.unwrap_or(Watching::SETTLE),
            repeat: Some(repeat).filter(|repeat| !repeat.is_zero()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ALL_IDS;
    use crate::commands::kind::{AHV, KUBEVIRT, LIBVIRT, RHEVM, XEN};
    use crate::commands::scan;

    #[test]
    fn shells_complete_the_ids_that_the_hosts_have() {
        for (command, ids) in [
            (scan::esx::command(), ALL_IDS),
            (scan::rhevm::command(), RHEVM.ids),
            (scan::ahv::command(), AHV.ids),
            (scan::xen::command(), XEN.ids),
            (scan::libvirt::command(), LIBVIRT.ids),
            (scan::kubevirt::command(), KUBEVIRT.ids),
        ] {
            let mut options = command.get_arguments();
            let option = options.find(|option| option.get_id() == "hypervisor_id").unwrap();
            let values = option.get_possible_values();
            let values: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
            let expected: Vec<&str> = ids.iter().map(|id| id.name()).collect();
            assert_eq!(values, expected, "{}", command.get_name());
        }
    }
}
