//! A watch of an inventory that changes all the time: every change arrives, and memory does not grow.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use vw_sim::vcenter::{Inventory, Open, Vm};

use super::Watch;
use crate::vw_scan_esx::Site;

/// Changes an inventory so many times, with this time from one to the next: machines are switched, moved, created and removed, one at a time.
fn churn(site: &Site, numbers: std::ops::Range<usize>, period: Duration) {
    let mut next = Instant::now();
    for number in numbers {
        site.vcenter.change(|inventory| {
            let hosts: Vec<_> = inventory.hosts().map(|(key, _)| key).collect();
            let host = hosts[number * 7 % hosts.len()];
            let count = inventory.vms().count();
            let vm = inventory.vms().nth(number * 31 % count).unwrap().0;
            match number % 4 {
                0 => inventory.vm_mut(vm).power = Some(["poweredOff", "suspended"][number / 4 % 2].into()),
                1 => inventory.move_vm(vm, host),
                2 => drop(inventory.add_vm(host, Vm::new(&format!("churn {number}")))),
                _ => inventory.remove_vm(vm),
            }
        });
        next += period;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Watches many changes, and fails if the last document is no fresh scan's, or if memory grows after the first of them.
fn watch_many_changes(hosts: usize, vms: usize, first: usize, all: usize, period: Duration) {
    let site = Site::new(Inventory::new(hosts, vms));
    let watch = Watch::of(&site, &["--settle", "1", "--repeat", "0"]);
    let memory = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", watch.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let time = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", watch.child.id())).unwrap();
        let ticks = |at: usize| stat.split_whitespace().nth(at).unwrap().parse::<u64>().unwrap();
        ticks(13) + ticks(14)
    };
    // Until its document is that of the server, and it is quiet.
    let settle = || {
        let scan = site.scan(&[]).quiet_success();
        let mut documents = 0;
        while watch.document() != scan {
            documents += 1;
        }
        documents + 1
    };
    settle();
    let (at_start, time_at_start) = (memory(), time());
    let since = Instant::now();
    churn(&site, 0..first, period);
    let mut documents = settle();
    let after_first = memory();
    churn(&site, first..all, period);
    let seconds = since.elapsed().as_secs();
    documents += settle();
    let after_all = memory();
    let figures = format!(
        "{all} changes in {seconds} s, {documents} documents, {} CPU ticks; memory {at_start} kB, {after_first} kB after {first}, \
         {after_all} kB after all\n",
        time() - time_at_start
    );
    std::io::stderr().write_all(figures.as_bytes()).unwrap();
    assert!(
        after_all <= after_first + after_first / 5,
        "{after_first} kB, then {after_all} kB"
    );
    watch.end();
    assert_eq!(site.vcenter.open(), Open::default());
}

#[test]
fn many_changes_take_no_more_memory_than_a_few() {
    watch_many_changes(20, 400, 300, 1500, Duration::from_millis(1));
}

#[test]
#[ignore = "it takes two minutes: cargo test --test suite ten_thousand -- --ignored --nocapture"]
fn ten_thousand_changes_at_a_hundred_a_second_take_no_more_memory_than_a_thousand() {
    watch_many_changes(50, 500, 1000, 10_000, Duration::from_millis(10));
}
