//! A simulated Candlepin, and the files of its user.

use std::sync::Arc;

use tempfile::TempDir;
use vw_sim::candlepin::{Candlepin, JobTime, Settings};
use vw_sim::http::Server;

/// Starts it with changed settings. The folder has the file of the password and an empty configuration.
pub(crate) fn candlepin(change: impl FnOnce(&mut Settings)) -> (Arc<Candlepin>, Server, TempDir) {
    // A job is finished at the first poll, however long that takes.
    let mut settings = Settings {
        job_time: JobTime::Polls(0),
        ..Settings::default()
    };
    change(&mut settings);
    let candlepin = Arc::new(Candlepin::new(settings));
    let server = Server::start(candlepin.clone(), None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
    std::fs::write(folder.path().join("virt-who.conf"), "").unwrap();
    (candlepin, server, folder)
}
