//! A stand-in for kubectl, which answers from files: `tests/data/kubernetes/kubectl.sh`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::Run;
use crate::man::root;

/// A folder with the stand-in, its answers, and a kubeconfig with secrets.
pub(crate) struct Kubectl(TempDir);

/// The secrets in the kubeconfig. No message may show one.
pub(crate) const SECRETS: [&str; 4] = ["s3cr3t-tok3n", "s3cr3t-p4ss", "czNjcjN0LWszeQ==", "s3cr3t-ur1"];

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: prod
clusters:
- name: prod
  cluster:
    server: https://admin:s3cr3t-ur1@k8s.example.com:6443
users:
- name: scan
  user: {token: s3cr3t-tok3n}
- name: other
  user:
    password: \"s3cr3t-p4ss\"
    client-key-data: czNjcjN0LWszeQ==
";

impl Kubectl {
    /// A stand-in of this name, kubectl or oc.
    pub(crate) fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = root().join("tests/data/kubernetes/kubectl.sh");
        let kubectl = Kubectl(folder);
        // A copy could still be open for writing in a process that another test has just forked: text file busy.
        symlink(script, kubectl.folder().join(name)).unwrap();
        kubectl.write("kubeconfig", KUBECONFIG);
        kubectl.write("server", "https://k8s.example.com:6443");
        kubectl
    }

    pub(crate) fn new() -> Self {
        Kubectl::named("kubectl")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Writes one of the files that it answers from.
    pub(crate) fn write(&self, file: &str, content: &str) {
        // It may be reading the file right now.
        let new = self.folder().join(format!("{file}.new"));
        fs::write(&new, content).unwrap();
        fs::rename(new, self.folder().join(file)).unwrap();
    }

    /// Writes the list of these objects.
    pub(crate) fn list(&self, objects: &[String]) {
        let items = objects.join(",");
        self.write(
            "list",
            &format!("{{\"apiVersion\":\"v1\",\"items\":[{items}],\"kind\":\"List\"}}\n"),
        );
    }

    /// From now on, each get fails so.
    pub(crate) fn fail(&self, stdout: &str, stderr: &str, status: i32) {
        self.write("fail.rc", &status.to_string());
        self.write("fail.out", stdout);
        self.write("fail.err", stderr);
    }

    /// No get fails any more.
    pub(crate) fn mend(&self) {
        fs::remove_file(self.folder().join("fail.err")).unwrap();
    }

    /// The command lines of its calls.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.folder().join("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// vw-scan-kubevirt with it as the only kubectl, in its folder, without a configuration.
    pub(crate) fn scan(&self, args: &[&str]) -> Run {
        let run = Run::new(env!("CARGO_BIN_EXE_vw-scan-kubevirt")).args(args);
        let run = run
            .folder(self.folder())
            .env("PATH", &self.path())
            .env("VW_CONFIG", "/dev/null");
        run.env("KUBECONFIG", "kubeconfig")
    }

    /// The value of PATH.
    pub(crate) fn path(&self) -> String {
        format!("{}:/usr/sbin:/sbin:/bin", self.folder().display())
    }
}

/// A node, with its machine id.
pub(crate) fn node(name: &str, machine_id: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Node","metadata":{{"name":"{name}"}},"status":{{"addresses":[{{"address":"{name}.example.com","type":"Hostname"}}],"allocatable":{{"cpu":"7500m"}},"nodeInfo":{{"kubeletVersion":"v1.34.1","machineID":"{machine_id}"}}}}}}"#
    )
}

/// A virtual machine instance in the namespace `default`: the number in its uuid, its node and its phase.
pub(crate) fn machine(number: u32, node: &str, phase: &str) -> String {
    format!(
        r#"{{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstance","metadata":{{"name":"vm{number}","namespace":"default"}},"spec":{{"domain":{{"devices":{{}},"firmware":{{"uuid":"{number:08}-0000-4000-8000-000000000000"}}}}}},"status":{{"nodeName":"{node}","phase":"{phase}"}}}}"#
    )
}
