//! Gives `--version` the commit, if git knows it: `0.1.0 (1f2e3d4c5b6a)`.
//!
//! Only in a release build: a test build would compile everything again after each commit. A build from a tarball shows the plain
//! version.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("PROFILE").as_deref() != Ok("release") {
        return;
    }
    // A tarball may be unpacked inside the repository of something else, such as a distribution's packages.
    if git(&["rev-parse", "--show-prefix"]).as_deref() != Some("") {
        return;
    }
    // Both are written by each commit, checkout and reset. Cargo takes a missing file for one that always changes.
    for name in ["HEAD", "logs/HEAD"] {
        let file = git(&["rev-parse", "--git-path", name]).filter(|file| Path::new(file).exists());
        if let Some(file) = file {
            println!("cargo::rerun-if-changed={file}");
        }
    }
    if let (Ok(version), Some(commit)) = (
        env::var("CARGO_PKG_VERSION"),
        git(&["rev-parse", "--short=12", "HEAD"]),
    ) {
        println!("cargo::rustc-env=VW_VERSION={version} ({commit})");
    }
}

/// The one line that git prints in the package's folder, where cargo runs this.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim_end().to_owned())
}
