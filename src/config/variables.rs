//! The names of the `VIRTWHO_*` variables, and the keys that they stand for.

/// Variables about virt-who itself, and their keys in `[global]`.
pub(super) const GENERAL: [(&str, &str); 7] = [
    ("VIRTWHO_DEBUG", "debug"),
    ("VIRTWHO_INTERVAL", "interval"),
    ("VIRTWHO_ONE_SHOT", "oneshot"),
    ("VIRTWHO_REPORTER_ID", "reporter_id"),
    ("VIRTWHO_LOG_DIR", "log_dir"),
    ("VIRTWHO_LOG_FILE", "log_file"),
    ("VIRTWHO_LOG_PER_CONFIG", "log_per_config"),
];

/// Variables about the source, and their keys in a section.
pub(super) const ESX: [(&str, &str); 5] = [
    ("VIRTWHO_ESX_SERVER", "server"),
    ("VIRTWHO_ESX_USERNAME", "username"),
    ("VIRTWHO_ESX_PASSWORD", "password"),
    ("VIRTWHO_ESX_OWNER", "owner"),
    ("VIRTWHO_ESX_ENV", "env"),
];

/// Variables about Satellite 5, and their keys in a section.
pub(super) const SATELLITE: [(&str, &str); 3] = [
    ("VIRTWHO_SATELLITE_SERVER", "sat_server"),
    ("VIRTWHO_SATELLITE_USERNAME", "sat_username"),
    ("VIRTWHO_SATELLITE_PASSWORD", "sat_password"),
];

/// Switches that choose a source or a destination.
pub(super) const SWITCHES: [&str; 5] = [
    "VIRTWHO_ESX",
    "VIRTWHO_SAM",
    "VIRTWHO_SATELLITE",
    "VIRTWHO_SATELLITE5",
    "VIRTWHO_SATELLITE6",
];

/// Switches that choose a source that is not supported.
pub(super) const UNSUPPORTED: [&str; 6] = [
    "VIRTWHO_LIBVIRT",
    "VIRTWHO_XEN",
    "VIRTWHO_RHEVM",
    "VIRTWHO_VDSM",
    "VIRTWHO_HYPERV",
    "VIRTWHO_KUBEVIRT",
];

/// Variables about virt-who as a service, which systemd or cron replace.
pub(super) const IGNORED: [&str; 1] = ["VIRTWHO_BACKGROUND"];

/// Other variables that commands read.
const OTHERS: [&str; 4] = [
    "VIRTWHO_RHSM_PASSWORD",
    "VIRTWHO_XEN_PASSWORD",
    "VIRTWHO_AHV_PASSWORD",
    "VIRTWHO_RHEVM_PASSWORD",
];

/// All variables that are known.
pub fn names() -> impl Iterator<Item = &'static str> {
    let with_keys = GENERAL
        .iter()
        .chain(&ESX)
        .chain(&SATELLITE)
        .map(|(name, _)| *name);
    with_keys
        .chain(SWITCHES)
        .chain(UNSUPPORTED)
        .chain(IGNORED)
        .chain(OTHERS)
}

/// The variable for a key of a section or of `[global]`.
pub(super) fn variable(key: &str) -> Option<&'static str> {
    let all = [&GENERAL[..], &ESX, &SATELLITE].concat();
    all.iter().find(|(_, of)| *of == key).map(|(name, _)| *name)
}
