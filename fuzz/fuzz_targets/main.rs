//! The fuzz targets in one program, because a program for each would take longer to link than it runs in CI.
//! `VW_FUZZ_TARGET` names the one that runs.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

mod addresses;
mod ahv;
mod candlepin;
mod certificates;
mod configuration;
mod escape;
mod filter;
mod http;
mod kubevirt;
mod libvirt;
mod mapping;
mod passwords;
mod pickle;
mod rhevm;
mod rhsm;
mod soap;
mod status;
mod text;
mod views;
mod xenapi;
mod xml;
mod xmlrpc;

/// A target: it panics if the bytes show a defect.
type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 22] = [
    ("addresses", addresses::run),
    ("ahv", ahv::run),
    ("candlepin", candlepin::run),
    ("certificates", certificates::run),
    ("configuration", configuration::run),
    ("escape", escape::run),
    ("filter", filter::run),
    ("http", http::run),
    ("kubevirt", kubevirt::run),
    ("libvirt", libvirt::run),
    ("mapping", mapping::run),
    ("passwords", passwords::run),
    ("pickle", pickle::run),
    ("rhevm", rhevm::run),
    ("rhsm", rhsm::run),
    ("soap", soap::run),
    ("status", status::run),
    ("text", text::run),
    ("views", views::run),
    ("xenapi", xenapi::run),
    ("xml", xml::run),
    ("xmlrpc", xmlrpc::run),
];

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(init: { TARGET.get_or_init(named) }, |bytes: &[u8]| {
    TARGET.get_or_init(named)(bytes);
});

/// The target that the environment names.
fn named() -> Target {
    let name = std::env::var("VW_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let Some((_, target)) = found else {
        panic!("VW_FUZZ_TARGET is {name:?}, which is not the name of a target");
    };
    *target
}
