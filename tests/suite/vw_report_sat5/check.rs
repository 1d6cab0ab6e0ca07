//! `--check`: what the account may do, without a change on the server.

use super::*;

const USER: &str = "user.getDetails";

fn accounts() -> Settings {
    let plain = |login| Account {
        org_admin: false,
        ..Account::admin(login, "sim-secret")
    };
    Settings {
        accounts: vec![
            Account::admin("sim", "sim-secret"),
            plain("plain"),
            Account {
                channel_admin: true,
                ..plain("channels")
            },
            Account {
                read_only: true,
                ..plain("reader")
            },
        ],
    }
}

impl Site {
    /// Checks as a user, and fails if anything has changed or a session is open.
    #[track_caller]
    fn check(&self, user: &str) -> Outcome {
        let held = || {
            let satellite = &self.satellite;
            (satellite.registrations(), satellite.channels(), satellite.maps())
        };
        let before = held();
        // It reads no mapping.
        let outcome = self.run_as(user).args(["--check"]).stdin("").run();
        assert_eq!(held(), before, "{outcome:?}");
        assert_eq!(self.satellite.open_sessions(), 0, "{outcome:?}");
        outcome
    }
}

#[test]
fn a_check_says_whether_channel_and_map_exist() {
    let site = Site::with(accounts());
    let checked = site.check("sim").quiet_success();
    let url = site.server.url();
    let expected = "organisation 1, the channel hypervisor-base-1 does not exist yet, no map for hypervisors exists yet; \
                    \"sim\" can register hypervisors";
    assert_eq!(checked, format!("{url}: {expected}\n"));
    assert!(!fs::exists(site.file("state")).unwrap());

    site.report();
    for user in ["sim", "plain"] {
        let checked = site.check(user).quiet_success();
        assert!(
            checked.contains("hypervisor-base-1 exists, its map exists; ") && checked.contains(user),
            "{checked}"
        );
    }
}

#[test]
fn a_check_names_the_roles_that_are_missing() {
    let site = Site::with(accounts());
    let outcome = site.check("plain");
    let both = "\"plain\" needs the role channel_admin to create the channel and the role org_admin to map the channel";
    outcome.failed(77, both);
    assert_eq!(outcome.stdout, "");
    let outcome = site.check("channels");
    outcome.failed(77, "\"channels\" needs the role org_admin to map the channel");
    assert!(!outcome.stderr.contains("channel_admin"), "{outcome:?}");
    site.check("reader").failed(77, "\"reader\" has only read access");

    // A run that was allowed to create the channel, but not to map it.
    assert_eq!(site.run_as("channels").run().status, 77);
    let outcome = site.check("plain");
    outcome.failed(77, "the channel hypervisor-base-1 exists, no map");
    assert!(!outcome.stderr.contains("channel_admin"), "{outcome:?}");
}

#[test]
fn what_a_check_says_is_true_of_the_next_report() {
    for user in ["sim", "plain", "channels", "reader"] {
        let site = Site::with(accounts());
        let checked = site.check(user).status;
        let reported = site.run_as(user).run().status;
        assert_eq!((checked, user), (reported, user));
    }
}

#[test]
fn a_check_that_fails_says_why() {
    let site = Site::new();
    let section = site.section("wrong-one");
    let check = || site.bare().args(["--check"]).stdin("").run();
    let login = format!("login to {} as \"sim\" failed", site.server.url());
    failed(&check(), 77, &format!("{section}: {login}"));
    site.section("sim-secret");
    for (method, trouble, status, words) in [
        (LOGIN, "503", 75, "503"),
        (USER, "html", 76, "no Satellite 5 or Spacewalk answers there"),
        ("user.listRoles", "fault-23", 77, "fault -23"),
        ("distchannel.listMapsForOrg", "close", 75, "ended before"),
        ("channel.software.getDetails", "xml", 76, "not XML-RPC"),
    ] {
        site.satellite
            .plan(format!("{method}:1-={trouble}").parse().unwrap());
        let outcome = check();
        failed(&outcome, status, words);
        assert_eq!((outcome.stdout.as_str(), site.satellite.open_sessions()), ("", 0));
        site.satellite.calm();
    }
    site.bare()
        .args(["--check", "--dry-run"])
        .run()
        .failed(64, "--dry-run");
}
