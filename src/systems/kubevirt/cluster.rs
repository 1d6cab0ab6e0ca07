//! A cluster, and the calls of kubectl that read it.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::Error;
use super::answer::Unreadable;
use super::complaint::Complaint;
use super::kubeconfig::Secrets;
use crate::process::{Ended, Limits, Program};

/// How long one request of kubectl may take.
const REQUEST_LIMIT: &str = "--request-timeout=60s";

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// kubectl, or oc, which takes the same arguments.
    pub program: PathBuf,
    /// The kubeconfig. None: the one that kubectl chooses, which is that of the service account in a pod.
    pub kubeconfig: Option<PathBuf>,
    /// The version of KubeVirt's API, such as `v1`. None: the one that the server prefers.
    pub version: Option<String>,
    /// Whether any certificate of the server is accepted.
    pub insecure: bool,
    /// The server's URL, for messages.
    pub server: Option<String>,
}

impl Cluster {
    /// The URL of the server that the kubeconfig's current context names. None if there is no such context, as in a pod.
    pub fn find_server(&self, limits: Limits<'_>) -> Result<Option<String>, Error> {
        let path = "jsonpath={.clusters[0].cluster.server}";
        let view = self.kubectl().argument("config").argument("view");
        let view = view.argument("--minify").option("-o", path);
        let output = view.output(b"", 64 << 10, limits)?;
        let server = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Some(server).filter(|server| output.status.success() && !server.is_empty()))
    }

    /// Runs `kubectl get` with these arguments, and returns what `read` makes of its stdout. Only exit status 0 counts: a kubectl
    /// that fails may print an empty list.
    pub(super) fn get<T: Send + 'static>(
        &self,
        arguments: &[&str],
        limits: Limits<'_>,
        read: impl FnOnce(&mut dyn Read) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T, Error> {
        let mut get = self.kubectl().argument("get");
        for argument in arguments {
            get = get.argument(argument);
        }
        log::debug!("running {get}");
        let read = |mut stdout| Ok(read(&mut stdout));
        let (read, Ended { stderr, status }) = get.run(b"", limits, read, |_| {})?;
        let program = get.name();
        let secrets = match stderr.is_empty() {
            true => Secrets::default(),
            false => Secrets::of(self.kubeconfig.as_deref()),
        };
        for line in &stderr {
            log::debug!("{program}: {}", secrets.redact(line));
        }
        let complaint = || Complaint::find(&stderr, |text| secrets.redact(text));
        outcome(program, read, status, complaint)
    }

    /// The name of the virtual machine instances' type on the command line.
    pub(super) fn machines(&self) -> String {
        match &self.version {
            Some(version) => format!("virtualmachineinstances.{version}.kubevirt.io"),
            None => "virtualmachineinstances.kubevirt.io".to_owned(),
        }
    }

    /// The options of a `get` that ends: all namespaces, as JSON, within a time limit for each request.
    pub(super) const LIST: [&str; 4] = ["-A", "-o", "json", REQUEST_LIMIT];

    /// The options of a `get` that reads one path.
    pub(super) const RAW: [&str; 2] = [REQUEST_LIMIT, "--raw"];

    /// The program's name in messages.
    pub(super) fn name(&self) -> String {
        Program::new(&self.program).name()
    }

    fn kubectl(&self) -> Program {
        // Messages are not translated, and no file of the user's changes the options.
        let mut program = Program::new(&self.program)
            .variable("LC_ALL", "C")
            .variable("KUBECTL_KUBERC", "false");
        if let Some(kubeconfig) = &self.kubeconfig {
            program = program.option("--kubeconfig", kubeconfig);
        }
        match self.insecure {
            true => program.argument("--insecure-skip-tls-verify=true"),
            false => program,
        }
    }
}

/// What a kubectl that has ended means.
fn outcome<T>(
    program: String,
    read: Result<T, Unreadable>,
    status: ExitStatus,
    complaint: impl FnOnce() -> Option<Complaint>,
) -> Result<T, Error> {
    let reason = match read {
        Ok(read) if status.success() => return Ok(read),
        Ok(_) => None,
        Err(reason) => Some(reason),
    };
    // Only what a failed kubectl says counts. Once we have closed its stdout, it may say that, which is no cause.
    let complaint = complaint().filter(|complaint| !status.success() && !complaint.is_about_stdout());
    Err(match (reason, complaint) {
        (Some(reason @ (Unreadable::TooLarge | Unreadable::TooMany)), _) => Error::Answer { program, reason },
        (_, Some(complaint)) => Error::Refused { program, complaint },
        // An answer is also cut if someone ends kubectl.
        (Some(reason), None) if status.success() || !matches!(reason, Unreadable::Cut) => {
            Error::Answer { program, reason }
        }
        (_, None) => Error::Silent { program, status },
    })
}
