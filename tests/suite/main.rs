//! The tests of the commands as their users meet them, in one binary, with a module for each command and for each common subject.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects in the shortest way"
)]
#![allow(unreachable_pub, reason = "the modules share what is in support")]

mod contrib;
mod cron;
mod documents;
mod durations;
mod faults;
mod help;
mod installation;
mod layers;
mod log_files;
mod man;
mod many_vcenters;
mod messages;
mod migrating;
mod odd_files;
mod own_source;
mod prompts;
mod readme;
mod signals;
mod support;
mod terminal;
mod trace;
mod trust;
mod vcsim;
mod version;
mod vw_config;
mod vw_diff;
mod vw_escape;
mod vw_filter;
mod vw_password;
mod vw_report_candlepin;
mod vw_report_sat5;
mod vw_run;
mod vw_run_service;
mod vw_scan_ahv;
mod vw_scan_candlepin;
mod vw_scan_esx;
mod vw_scan_esx_faults;
mod vw_scan_esx_odd;
mod vw_scan_esx_options;
mod vw_scan_esx_sections;
mod vw_scan_esx_watch;
mod vw_scan_fake;
mod vw_scan_kubevirt;
mod vw_scan_libvirt;
mod vw_scan_rhevm;
mod vw_scan_xen;
mod vw_show;
mod vw_task_esx;
mod way;
