//! The files in contrib/: systemd's units, rules for logrotate, and manifests for Kubernetes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::man::{built, root};
use crate::support::skipped;

const UNITS: [&str; 4] = ["vw.service", "vw@.service", "vw@.timer", "vw-watch@.service"];

/// The directives of our units, all known to systemd 239: each was in its manual pages then.
const IN_SYSTEMD_239: &str = "After CapabilityBoundingSet Conflicts Description Documentation Environment EnvironmentFile \
    ExecReload ExecStart KillMode LockPersonality LogsDirectory NoNewPrivileges OnCalendar Persistent PrivateDevices PrivateTmp \
    ProtectControlGroups ProtectHome ProtectKernelModules ProtectKernelTunables ProtectSystem RandomizedDelaySec ReadWritePaths \
    Restart RestartPreventExitStatus RestartSec RestrictAddressFamilies RestrictNamespaces RestrictRealtime StateDirectory \
    StateDirectoryMode SuccessExitStatus SystemCallArchitectures SystemCallErrorNumber SystemCallFilter TimeoutStopSec Type UMask \
    WantedBy Wants WatchdogSec";

fn unit(name: &str) -> String {
    fs::read_to_string(root().join("contrib/systemd").join(name)).unwrap()
}

/// The directives of a unit. Of one that appears twice, both values.
fn directives(unit: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut directives: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in unit.lines() {
        if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            directives.entry(name).or_default().push(value);
        }
    }
    directives
}

#[test]
fn the_units_use_only_what_systemd_239_knows() {
    let known: BTreeSet<&str> = IN_SYSTEMD_239.split_whitespace().collect();
    let mut used = BTreeSet::new();
    for name in UNITS {
        let unit = unit(name);
        for (directive, values) in directives(&unit) {
            assert!(known.contains(directive), "{name}: {directive}");
            assert_ne!((directive, values[0]), ("Type", "notify-reload"), "{name}");
            used.insert(directive.to_owned());
        }
    }
    assert!(
        known.iter().all(|directive| used.contains(*directive)),
        "the list is too long"
    );
    // A missing file fails the unit, and older versions don't know it.
    let credentials = unit("credentials.conf");
    assert!(directives(&credentials).contains_key("LoadCredential"));
}

#[test]
fn the_units_end_and_restart_as_the_statuses_demand() {
    for name in UNITS.into_iter().filter(|name| name.ends_with(".service")) {
        let unit = unit(name);
        let directives = directives(&unit);
        assert_eq!(directives["SuccessExitStatus"], ["143"], "{name}");
        assert_eq!(
            directives["EnvironmentFile"][0], "-/etc/sysconfig/virt-who",
            "{name}"
        );
        let [command] = directives["ExecStart"][..] else {
            panic!("{name}")
        };
        // The status of a shell's pipeline would be the last stage's.
        assert!(
            command.starts_with("/usr/local/bin/vw-run ") && !command.contains('|'),
            "{name}: {command}"
        );
        // Not %I, which would make a slash of each hyphen.
        if name.contains('@') {
            assert!(command.contains(" -n %i "), "{name}: {command}");
        }
        if directives["Type"] == ["notify"] {
            assert_eq!(directives["RestartPreventExitStatus"], ["64 77 78"], "{name}");
            assert_eq!(directives["Restart"], ["on-failure"], "{name}");
        } else {
            // systemd 239 does not load a oneshot unit that restarts.
            assert!(!directives.contains_key("Restart"), "{name}");
        }
    }
}

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return skipped("systemd-analyze verify: it is not installed");
    }
    let place = tempfile::tempdir().unwrap();
    for name in UNITS {
        let unit = unit(name).replace("/usr/local/bin", built().to_str().unwrap());
        fs::write(place.path().join(name), unit).unwrap();
    }
    let instances = [
        "vw.service",
        "vw@my-prod.service",
        "vw@my-prod.timer",
        "vw-watch@my-prod.service",
    ];
    let verify = || {
        let units = instances.map(|name| place.path().join(name));
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(units)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        // It also checks the units of this machine that ours need.
        let about_ours = said.lines().filter(|line| line.contains("vw"));
        (
            verify.status.success(),
            about_ours.map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let (success, said) = verify();
    assert!(success && said.is_empty(), "{said:?}");
    // The drop-in, as its comment says.
    let drop_in = place.path().join("vw.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::write(drop_in.join("credentials.conf"), unit("credentials.conf")).unwrap();
    let (success, said) = verify();
    assert!(success && said.is_empty(), "{said:?}");
    fs::write(drop_in.join("odd.conf"), "[Service]\nLoadKredential=key:/x\n").unwrap();
    let (_, said) = verify();
    assert!(
        said.iter().any(|line| line.contains("LoadKredential")),
        "this test can fail: {said:?}"
    );
}

#[test]
fn logrotate_accepts_the_rules() {
    let Some(logrotate) = logrotate() else {
        return skipped("contrib/logrotate: logrotate is not installed");
    };
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log/vw");
    fs::create_dir_all(&log).unwrap();
    fs::write(log.join("prod.log"), "line\n").unwrap();
    let rules = fs::read_to_string(root().join("contrib/logrotate/vw")).unwrap();
    let rules = rules.replace("/var/log", place.path().join("log").to_str().unwrap());
    fs::write(place.path().join("rules"), rules).unwrap();
    let rotated = Command::new(logrotate)
        .args(["--force", "--state"])
        .arg(place.path().join("state"))
        .arg(place.path().join("rules"))
        .output()
        .unwrap();
    assert!(
        rotated.status.success() && rotated.stderr.is_empty(),
        "{rotated:?}"
    );
    assert!(log.join("prod.log.1").exists());
}

/// logrotate is not in every user's PATH.
pub(crate) fn logrotate() -> Option<PathBuf> {
    let places = ["/usr/sbin/logrotate", "/usr/bin/logrotate"];
    places.into_iter().map(PathBuf::from).find(|path| path.exists())
}

#[test]
fn the_manifests_agree_with_the_units_and_build() {
    let job = fs::read_to_string(root().join("contrib/kubernetes/base/cronjob.yaml")).unwrap();
    assert!(
        job.contains("values: [64, 77, 78]"),
        "as RestartPreventExitStatus"
    );
    let Ok(built) = Command::new("kubectl")
        .args(["kustomize", "contrib/kubernetes/vc1"])
        .current_dir(root())
        .output()
    else {
        return skipped("kubectl kustomize: it is not installed");
    };
    assert!(built.status.success(), "{built:?}");
    let yaml = String::from_utf8(built.stdout).unwrap();
    let secret = yaml
        .lines()
        .find_map(|line| line.strip_prefix("  name: vw-config-vc1-"))
        .unwrap();
    for wanted in [
        "\nkind: CronJob\nmetadata:\n  name: vw-vc1\n",
        "image: images.example.com/vw:0.1.0\n",
        &format!("secretName: vw-config-vc1-{secret}\n"),
    ] {
        assert!(yaml.contains(wanted), "{wanted}: {yaml}");
    }
}
