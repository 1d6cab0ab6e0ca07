//! What `--version` prints.

/// The version, and the commit if the build knows it: `0.1.0 (1f2e3d4c5b6a)`. See build.rs.
pub(super) const LONG: &str = match option_env!("VW_VERSION") {
    Some(with_commit) => with_commit,
    None => env!("CARGO_PKG_VERSION"),
};
