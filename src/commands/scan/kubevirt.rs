//! `vw-scan-kubevirt`: from a Kubernetes cluster with KubeVirt to a mapping.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scan;
use super::options::{ScanOptions, ids_of};
use super::settings::ScanSettings;
use super::watch::Bell;
use crate::cancel::Cancel;
use crate::cli::{self, Failure, args, progress::Progress};
use crate::commands::advice::explained;
use crate::commands::kind::KUBEVIRT;
use crate::commands::{section, server};
use crate::config::{self, Section};
use crate::error;
use crate::http::Base;
use crate::mapping::Inventory;
use crate::process::{self, Limits};
use crate::secret::redact;
use crate::systems::kubevirt::{self, Cluster, Error, Time};

/// Print which virtual machine runs on which node of a Kubernetes cluster
#[derive(Debug, clap::Parser)]
#[command(
    name = KubevirtScan::COMMAND,
    version,
    after_help = "Examples:\n  \
        vw-scan-kubevirt -n prod | vw-filter -n prod | vw-report-candlepin -n prod\n  \
        vw-scan-kubevirt --kubeconfig ~/.kube/config | vw-show",
    mut_arg("hypervisor_id", |arg| ids_of(&KUBEVIRT, arg))
)]
struct Args {
    #[command(flatten)]
    scan: ScanOptions,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// Which cluster is read, and how.
#[derive(Debug, clap::Args)]
struct ClusterOptions {
    /// Use the kubeconfig FILE [default: the one that kubectl uses]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Use this version of KubeVirt's API [default: the server's choice]
    #[arg(long, value_name = "VERSION", value_parser = version)]
    kubeversion: Option<String>,
    /// Do not verify the server's certificate
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    limit: args::TimeLimit,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    super::main(|args: &Args| &args.scan, KubevirtScan::new)
}

/// The scan with its settings.
struct KubevirtScan {
    settings: ScanSettings,
    cluster: Cluster,
    /// `--timeout`.
    time: Option<Duration>,
}

impl KubevirtScan {
    /// Options, then section, then what kubectl chooses.
    fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let ClusterOptions {
            kubeconfig,
            kubeversion,
            insecure,
            limit,
        } = &args.cluster;
        // No key is needed, because kubectl may know a cluster without any.
        let key = ("kubeconfig", true);
        let complete = kubeconfig.is_some();
        let section = section::find(&args.scan.section, None, KUBEVIRT.name, key, complete)?;
        let mut cluster = of_section(&section)?;
        cluster.kubeconfig = kubeconfig.clone().map(in_home).or(cluster.kubeconfig);
        cluster.version = kubeversion.clone().or(cluster.version);
        cluster.insecure |= *insecure;
        let mut settings = ScanSettings::new(&KUBEVIRT, &args.scan, section, None)?;
        cluster.program = kubectl()?;
        let limits = Limits {
            time: limit.timeout.unwrap_or(server::USUAL_LIMIT),
            cancel,
        };
        let url = cluster.find_server(limits).map_err(|error| {
            let advice = advice(&error);
            explained(error.into(), advice, settings.source.section.as_deref())
        })?;
        cluster.server = url.map(|url| redact::value(&url));
        settings.source.server = cluster.server.as_deref().and_then(name_of);
        Ok(KubevirtScan {
            settings,
            cluster,
            time: limit.timeout,
        })
    }

    /// The time of a scan that begins now.
    fn time(&self) -> Time {
        let (deadline, patience) = server::limits(self.time, Instant::now());
        Time { deadline, patience }
    }
}

impl Scan for KubevirtScan {
    const COMMAND: &'static str = "vw-scan-kubevirt";
    type Found = Inventory;

    fn settings(&self) -> &ScanSettings {
        &self.settings
    }

    fn advice(error: &cli::Error) -> Option<String> {
        advice(error.chain().find_map(|cause| cause.downcast_ref())?)
    }

    fn check(&self, cancel: &Cancel) -> cli::Result<String> {
        Ok(kubevirt::check(&self.cluster, self.time(), cancel)?)
    }

    fn read(&self, cancel: &Cancel) -> cli::Result<Inventory> {
        let progress = Arc::new(Progress::counting(Self::COMMAND, "objects read"));
        let id = self.settings.hypervisor_id;
        let found = kubevirt::scan(&self.cluster, id, self.time(), cancel, move || progress.one())?;
        Ok(found)
    }

    fn listen(&self, bell: &Bell, cancel: &Cancel) -> cli::Result<()> {
        let bell = bell.clone();
        match kubevirt::listen(&self.cluster, cancel, move || bell.ring())? {}
    }
}

/// The cluster that a section of this type describes, without kubectl.
pub(crate) fn of_section(section: &Section) -> Result<Cluster, config::Error> {
    let version_of = |text: String| {
        let wrong = |reason: &str| section.wrong_value("kubeversion", reason);
        version(&text).map_err(wrong)
    };
    Ok(Cluster {
        program: PathBuf::new(),
        kubeconfig: section.text("kubeconfig")?.map(PathBuf::from).map(in_home),
        version: section.text("kubeversion")?.map(version_of).transpose()?,
        insecure: section.flag("insecure")?.unwrap_or(false),
        server: None,
    })
}

/// A version of an API, as Kubernetes names it: `v1`, `v1alpha3`.
fn version(text: &str) -> Result<String, &'static str> {
    let is_version =
        text.starts_with('v') && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    match is_version {
        true => Ok(text.to_owned()),
        false => Err("is not a version of an API, such as v1"),
    }
}

/// A path with the home instead of its `~`, as a shell and virt-who understand it.
fn in_home(path: PathBuf) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// Where kubectl, or else oc, is.
fn kubectl() -> Result<PathBuf, Failure> {
    let found = ["kubectl", "oc"].into_iter().find_map(process::find);
    found.ok_or_else(|| Failure::new(error::Kind::Config, NO_KUBECTL.to_owned()))
}

/// The error of a machine that has neither.
const NO_KUBECTL: &str = "neither kubectl nor oc is in PATH: install kubectl (package kubernetes-client) or oc (package \
                          openshift-clients)";

/// The server of a kubeconfig as a mapping names it.
fn name_of(url: &str) -> Option<String> {
    Base::parse(url, 443, "").ok().map(|base| server::name_of(&base))
}

/// What the user can do about an error.
fn advice(error: &Error) -> Option<String> {
    if error.is_late() {
        return Some("see --timeout".into());
    }
    let complaint = error.complaint()?;
    Some(if complaint.is_without_kubeconfig() {
        "kubectl has found no kubeconfig, or none with a current context: name one with --kubeconfig or the key kubeconfig".into()
    } else if complaint.is_forbidden() {
        "the account needs the rights list and watch on nodes and virtualmachineinstances.kubevirt.io in the whole cluster".into()
    } else if complaint.is_unknown_api() {
        "KubeVirt is not installed in this cluster, or kubeversion is not one of its versions".into()
    } else if complaint.is_untrusted() {
        "put the cluster's authority into the kubeconfig, or, if it is the right server, pass --insecure"
            .into()
    } else {
        return None;
    })
}
