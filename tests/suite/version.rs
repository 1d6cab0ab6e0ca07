//! The commit in `--version`: what build.rs finds. Test builds don't have it, so the script itself is compiled and run.

use std::path::Path;
use std::process::Command;

use crate::man::root;

/// What build.rs tells cargo to put into the environment of the compiler.
fn version(script: &Path, package: &Path, profile: &str) -> Option<String> {
    let run = Command::new(script)
        .current_dir(package)
        .env("PROFILE", profile)
        .env("CARGO_PKG_VERSION", "1.2.3")
        .env_remove("GIT_DIR")
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8(run.stdout).unwrap();
    let version = said
        .lines()
        .find_map(|line| line.strip_prefix("cargo::rustc-env=VW_VERSION="));
    version.map(str::to_owned)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let run = Command::new("git")
        .args(["-c", "user.name=test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .env_remove("GIT_DIR")
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_release_build_in_a_repository_shows_the_commit() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("build");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(rustc)
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(root().join("build.rs"))
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{compiled:?}");

    let package = place.path().join("package");
    std::fs::create_dir(&package).unwrap();
    assert_eq!(version(&script, &package, "release"), None, "a tarball");

    git(&package, &["init", "--quiet"]);
    assert_eq!(version(&script, &package, "release"), None, "no commit yet");
    git(&package, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    let commit = git(&package, &["rev-parse", "HEAD"]);
    assert_eq!(
        version(&script, &package, "release"),
        Some(format!("1.2.3 ({})", &commit[..12]))
    );
    assert_eq!(version(&script, &package, "debug"), None);

    let inner = package.join("vw-1.2.3");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(
        version(&script, &inner, "release"),
        None,
        "a tarball in another repository"
    );
}
