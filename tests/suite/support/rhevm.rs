//! A simulated engine, and the files of its user.

use std::sync::Arc;

use tempfile::TempDir;
use vw_sim::http::Server;
use vw_sim::rhevm::{Inventory, Rhevm};

use super::Run;

/// An engine without TLS.
pub(crate) struct Engine {
    pub(crate) rhevm: Arc<Rhevm>,
    pub(crate) server: Server,
    pub(crate) folder: TempDir,
}

impl Engine {
    pub(crate) fn new(inventory: Inventory) -> Self {
        let rhevm = Arc::new(Rhevm::new(inventory));
        let server = Server::start(rhevm.clone(), None).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Engine {
            rhevm,
            server,
            folder,
        }
    }

    /// The configuration with a section [rhv] and these lines.
    pub(crate) fn configure(&self, lines: &str) -> String {
        let file = self.folder.path().join("virt-who.conf");
        let server = self.server.url();
        let section = format!(
            "[rhv]\ntype=rhevm\nserver={server}\nusername=sim@internal\npassword=sim-secret\nowner=o\n{lines}\n"
        );
        std::fs::write(&file, section).unwrap();
        file.to_str().unwrap().to_owned()
    }

    /// The scan as this user, at this URL.
    pub(crate) fn run(&self, user: &str, url: &str) -> Run {
        let password = self.folder.path().join("password");
        Run::new(env!("CARGO_BIN_EXE_vw-scan-rhevm"))
            .args(["--server", url, "-u", user, "--password-file"])
            .args([password])
    }

    pub(crate) fn scan(&self) -> Run {
        self.run("sim@internal", &self.server.url())
    }
}
