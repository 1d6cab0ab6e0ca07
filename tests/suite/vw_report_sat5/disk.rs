//! A full disk.

use super::*;

/// Fills the disk, so that files can still be created, but not written.
const FILL: &str = "dd if=/dev/zero of=\"$STATE/filler\" bs=4k 2>/dev/null";

/// Runs a script with the command in `$@`, its input in `$PLACE/mapping`, and a file system of 256 KiB in `$STATE`. None if the
/// system does not allow to mount one.
fn on_a_small_disk(site: &Site, script: &str) -> Option<Outcome> {
    let (folder, state) = (site.file(""), site.file("state"));
    let mounted = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", &folder])
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        support::skipped("a full disk: unshare -rm can't mount a tmpfs here");
        return None;
    }
    fs::create_dir_all(&state).unwrap();
    fs::write(site.file("mapping"), mapping()).unwrap();
    let script = format!("mount -t tmpfs -o size=256k none \"$STATE\" || exit 99; {script}");
    let run = Run::new("unshare")
        .args(["-rm", "sh", "-c", &script, "sh", PROGRAM, "--state-dir", &state])
        .args(ONE_BY_ONE)
        .args(site.login_as("sim"))
        .env("STATE", &state)
        .env("PLACE", &folder)
        .env("VW_CONFIG", &site.file("virt-who.conf"));
    Some(run.run())
}

#[test]
fn nothing_is_registered_on_a_full_disk() {
    let site = Site::new();
    let script = format!(
        "{FILL}; : >\"$STATE/empty\" || exit 98; \
         \"$@\" <\"$PLACE/mapping\"; \"$@\" <\"$PLACE/mapping\"; status=$?; ls -A \"$STATE\" >&2; exit $status"
    );
    let Some(outcome) = on_a_small_disk(&site, &script) else {
        return;
    };
    assert_eq!(outcome.status, 74, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("hypervisor-systemid-esx1.example.com: No space left"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.calls(), BTreeMap::new(), "{outcome:?}");
    assert!(!outcome.stderr.contains(".vw-"), "{outcome:?}");
    assert_eq!(outcome.stdout.lines().count(), 2, "{outcome:?}");
}

#[test]
fn room_for_the_answer_is_reserved_before_registering() {
    let site = Site::new();
    let (trouble, release) = Trouble::held();
    site.satellite.trouble(REGISTER, 1, trouble);
    // The disk is full before the answer comes.
    let script = format!(
        "(until [ -e \"$PLACE/registering\" ]; do sleep 0.05; done; {FILL}; touch \"$PLACE/full\") & \
         \"$@\" <\"$PLACE/mapping\"; status=$?; wait; ls -A \"$STATE\" >&2; exit $status"
    );
    let outcome = std::thread::scope(|scope| {
        let run = scope.spawn(|| on_a_small_disk(&site, &script));
        until(|| site.satellite.count(REGISTER) == 1 || run.is_finished());
        fs::write(site.file("registering"), "").unwrap();
        until(|| fs::exists(site.file("full")).unwrap() || run.is_finished());
        drop(release);
        run.join().unwrap()
    });
    let Some(outcome) = outcome else { return };
    // The first hypervisor is registered, stored and reported. For the second there is no room, so it is not registered.
    assert_eq!(outcome.status, 74, "{outcome:?}");
    let line = line(&outcome);
    assert_eq!(
        (&line["created"], &line["state"]),
        (&json!(1), &json!("partial")),
        "{outcome:?}"
    );
    assert_eq!(failures(&line)[0].0, "esx2.example.com");
    assert!(
        outcome
            .stderr
            .contains("\nhypervisor-systemid-esx1.example.com\n"),
        "{outcome:?}"
    );
    assert_eq!(site.satellite.registrations(), 1);
    assert_eq!(site.systems()["esx hypervisor esx1.example.com"].len(), 2);
}
