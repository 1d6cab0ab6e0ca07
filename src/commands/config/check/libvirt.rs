//! A section of type=libvirt.

use super::Check;
use crate::commands::scan::libvirt::server_of;
use crate::config::Section;
use crate::systems::libvirt::Uri;

/// Keys about connections over HTTP.
const OF_HTTP: [&str; 5] = ["cacert", "thumbprint", "insecure", "proxy", "proxy_password_file"];

impl Check {
    /// What a scan of libvirt needs, which is little.
    pub(super) fn libvirt(&mut self, section: &Section) {
        for key in OF_HTTP {
            if section.is_set(key) {
                self.warn(section, key, "is ignored, because virsh makes the connection");
            }
        }
        let server = self.ok(server_of(section, None)).flatten();
        if server.as_ref().is_some_and(Uri::is_ssh) && section.has("password") {
            self.warn(section, "password", "is ignored: ssh needs a key");
        }
    }
}
