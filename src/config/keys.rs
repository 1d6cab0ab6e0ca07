//! Which sections and keys there are.

/// Sections that do not describe a source.
pub(super) const SPECIAL: [&str; 3] = ["global", "defaults", "system_environment"];

/// The keys of a section that describes a source, and so of `[defaults]`.
pub const SECTION: [&str; 51] = [
    "type",
    "server",
    "username",
    "password",
    "encrypted_password",
    "cacert",
    "thumbprint",
    "insecure",
    "proxy",
    "proxy_password_file",
    "hypervisor_id",
    "owner",
    "env",
    "filter_hosts",
    "exclude_hosts",
    "filter_host_uuids",
    "exclude_host_uuids",
    "filter_type",
    "filter_host_parents",
    "exclude_host_parents",
    "simplified_vim",
    "rhsm_hostname",
    "rhsm_port",
    "rhsm_prefix",
    "rhsm_username",
    "rhsm_password",
    "rhsm_encrypted_password",
    "rhsm_proxy_hostname",
    "rhsm_proxy_port",
    "rhsm_proxy_user",
    "rhsm_proxy_password",
    "rhsm_encrypted_proxy_password",
    "rhsm_no_proxy",
    "rhsm_insecure",
    "rhsm_cacert",
    "rhsm_thumbprint",
    "sat_server",
    "sat_username",
    "sat_password",
    "sat_encrypted_password",
    "sat_cacert",
    "sat_thumbprint",
    "sat_insecure",
    "sat_proxy",
    "sm_type",
    "file",
    "is_hypervisor",
    "kubeconfig",
    "kubeversion",
    "prism_central",
    "ahv_internal_debug",
];

/// The keys of `[global]`.
pub const GLOBAL: [&str; 11] = [
    "interval",
    "debug",
    "oneshot",
    "print_",
    "status",
    "json",
    "log_per_config",
    "reporter_id",
    "log_dir",
    "log_file",
    "configs",
];

/// Keys of rhsm.conf.
const RHSM: [&str; 13] = [
    "hostname",
    "port",
    "prefix",
    "insecure",
    "proxy_hostname",
    "proxy_port",
    "proxy_user",
    "proxy_password",
    "no_proxy",
    "server_timeout",
    "ca_cert_dir",
    "repo_ca_cert",
    "consumercertdir",
];

/// Keys that virt-who renamed, and their new names.
pub(super) const RENAMED: [(&str, &str); 2] = [
    ("filter_host_uuids", "filter_hosts"),
    ("exclude_host_uuids", "exclude_hosts"),
];

/// The key of each password, and the key of the same password encrypted, which has precedence.
pub(super) const ENCRYPTED: [(&str, &str); 4] = [
    ("password", "encrypted_password"),
    ("rhsm_password", "rhsm_encrypted_password"),
    ("rhsm_proxy_password", "rhsm_encrypted_proxy_password"),
    ("sat_password", "sat_encrypted_password"),
];

/// Whether any section knows the key.
pub(super) fn is_known(key: &str) -> bool {
    [&SECTION[..], &GLOBAL, &RHSM]
        .iter()
        .any(|keys| keys.contains(&key))
}
