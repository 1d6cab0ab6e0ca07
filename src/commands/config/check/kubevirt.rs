//! A section of type=kubevirt: the cluster is in the kubeconfig.

use std::fs::File;

use super::Check;
use crate::commands::scan::kubevirt;
use crate::config::Section;

/// The keys of other sources for what is in the kubeconfig.
const IGNORED: [&str; 8] = [
    "server",
    "username",
    "password",
    "encrypted_password",
    "cacert",
    "thumbprint",
    "proxy",
    "proxy_password_file",
];

impl Check {
    /// What vw-scan-kubevirt needs, and the keys that mean nothing to it.
    pub(super) fn kubevirt(&mut self, section: &Section) {
        for key in IGNORED {
            if section.has(key) {
                let reason = "is ignored, because the kubeconfig has all that; remove it";
                self.warn(section, key, reason);
            }
        }
        let Some(cluster) = self.ok(kubevirt::of_section(section)) else {
            return;
        };
        if cluster.insecure {
            let reason =
                "the server's certificate is not verified; put its authority into the kubeconfig instead";
            self.warn(section, "insecure", reason);
        }
        if let Some(file) = cluster.kubeconfig
            && let Err(error) = File::open(&file)
        {
            let reason = format!("{} can't be read: {error}", file.display());
            self.fail(section, "kubeconfig", &reason);
        }
    }
}
