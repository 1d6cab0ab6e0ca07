//! Each trouble at each call, kills at each call, and what the server holds afterwards: each hypervisor exactly once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// The hypervisors of the documents.
const HOSTS: [&str; 3] = ["esx1", "esx2", "esx3"];

/// How many commands run at once; most of them wait.
const AT_ONCE: usize = 12;

/// The names of the troubles, as `vw-sim --sat5` has them.
const TROUBLES: [&str; 12] = [
    "delete", "expire", "lose", "close", "cut", "503", "429", "500", "html", "xml", "empty", "endless",
];

/// Troubles after which the same call works, and does no harm if it was done before.
const PASSING: [&str; 5] = ["lose", "close", "cut", "503", "429"];

/// Calls that must not be repeated blindly: a second one makes a second profile, or gets another fault.
const NOT_REPEATABLE: [&str; 2] = [REGISTER, "channel.software.create"];

/// Calls that concern one hypervisor.
const OF_ONE: [&str; 5] = [
    REGISTER,
    HARDWARE,
    NOTIFY,
    "system.getId",
    "system.downloadSystemId",
];

/// What is known before the run that meets a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// Nothing: each hypervisor has to be registered.
    Fresh,
    /// All hypervisors are registered.
    Known,
    /// All were registered, and an administrator has deleted the first.
    Deleted,
    /// All were registered, and the file of the first is lost.
    Forgotten,
    /// The answer to the registration of the first was lost.
    Lost,
}

const SCENES: [Scene; 5] = [
    Scene::Fresh,
    Scene::Known,
    Scene::Deleted,
    Scene::Forgotten,
    Scene::Lost,
];

/// A guest's id on a hypervisor.
fn guest(host: usize, number: usize) -> String {
    format!("564dae86-0000-1000-8000-0000000{host:02}{number:03}")
}

/// The same hypervisors in each revision; the first guest of each changes its state.
fn document(revision: usize) -> String {
    let state = if revision.is_multiple_of(2) { 1 } else { 5 };
    let hosts = HOSTS.iter().enumerate().map(|(host, id)| {
        json!({"uuid": id, "guests": [
            {"guestId": guest(host, 1), "state": state, "attributes": {"virtWhoType": "esx"}},
            {"guestId": guest(host, 2), "state": 3, "attributes": {"virtWhoType": "esx"}}]})
    });
    json!({"hypervisors": hosts.collect::<Vec<_>>()}).to_string()
}

/// What the server holds once a revision is reported.
fn whole(revision: usize) -> BTreeMap<String, Vec<(String, GuestState)>> {
    let first = match revision.is_multiple_of(2) {
        true => GuestState::Running,
        false => GuestState::Stopped,
    };
    let uuid = |host, number| guest(host, number).replace('-', "");
    let systems = HOSTS.iter().enumerate().map(|(host, id)| {
        let guests = vec![(uuid(host, 1), first), (uuid(host, 2), GuestState::Paused)];
        (format!("esx hypervisor {id}"), guests)
    });
    systems.collect()
}

impl Site {
    fn of(scene: Scene) -> Site {
        let site = Site::of_server(Satellite5::default(), support::folder_in_memory());
        match scene {
            Scene::Fresh => {}
            Scene::Known | Scene::Deleted | Scene::Forgotten => {
                succeeded(&site.run().stdin(document(0)).run());
                let first = site.satellite.systems()[0].id.clone();
                match scene {
                    Scene::Deleted => assert!(site.satellite.delete_system(&first)),
                    Scene::Forgotten => fs::remove_file(site.registration(HOSTS[0])).unwrap(),
                    _ => {}
                }
            }
            Scene::Lost => site.lose_a_registration(),
        }
        site
    }

    /// The same server and the same files once more, at another address.
    fn copy(&self) -> Site {
        let site = Site::of_server(self.satellite.copy(), support::folder_in_memory());
        let state = site.folder.path().join("state");
        let files = fs::read_dir(self.folder.path().join("state"));
        for file in files.into_iter().flatten().map(Result::unwrap) {
            // It names the other address. Without it the registrations belong to the next server.
            if file.file_name() == "vw-report-sat5.server" {
                continue;
            }
            fs::create_dir_all(&state).unwrap();
            fs::copy(file.path(), state.join(file.file_name())).unwrap();
        }
        site
    }

    /// A run that was killed before the answer to its first registration arrived.
    fn lose_a_registration(&self) {
        let (trouble, release) = Trouble::held();
        self.satellite.trouble(REGISTER, 1, trouble);
        let run = self.run().args(ONE_BY_ONE).stdin(document(0));
        let mut child = run.start(Stdio::null()).0;
        until(|| self.satellite.count(REGISTER) >= 1);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(release);
        self.is_idle();
        // Nobody closes the session of a killed run.
        self.satellite.expire_sessions();
    }

    /// Waits until the server is done with all that a command has sent before its end. On a busy machine an old plan might
    /// otherwise follow the plan of the next command.
    fn is_idle(&self) {
        until(|| self.server.connections() == 0);
    }

    /// Fails unless the server holds each hypervisor once, with the guests of this revision.
    fn is_whole(&self, revision: usize) -> Result<(), String> {
        let count = self.satellite.systems().len();
        let held = self.systems();
        if count != held.len() {
            return Err(format!("{count} systems with {} names", held.len()));
        }
        match held == whole(revision) {
            true => Ok(()),
            false => Err(format!("the server holds {held:?}")),
        }
    }
}

/// The calls of a report to a site without any trouble: each method, the first and the last call.
fn calls(site: &Site) -> Vec<(String, usize)> {
    let site = site.copy();
    let before = site.satellite.calls();
    succeeded(&site.run().stdin(document(1)).run());
    let made = site.satellite.calls().into_iter().map(|(method, count)| {
        let made = count - before.get(&method).copied().unwrap_or(0);
        (method, made)
    });
    let made = made.filter(|(_, made)| *made > 0);
    made.flat_map(|(method, made)| {
        let mut places = vec![1, made];
        places.dedup();
        places.into_iter().map(move |nth| (method.clone(), nth))
    })
    .collect()
}

/// Runs all cases, a few at once, and fails with all that is wrong.
fn each<C: Send + Sync + std::fmt::Debug>(cases: &[C], run: impl Fn(&C) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run(case) {
                        wrong.lock().unwrap().push(format!("{case:?}: {error}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {} are wrong:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

/// How many hypervisors may fail in the run that meets a trouble.
fn most_failures(scene: Scene, method: &str, trouble: &str) -> usize {
    let passes = PASSING.contains(&trouble) && !NOT_REPEATABLE.contains(&method);
    let is_healed = match trouble {
        "expire" => true,
        // A hypervisor that is deleted twice in one run fails, and so does one that is deleted between the look-up and its result.
        "delete" => scene != Scene::Deleted && method != "system.downloadSystemId",
        _ => false,
    };
    match OF_ONE.contains(&method) {
        _ if passes || is_healed || method == LOGOUT => 0,
        true => 1,
        false => HOSTS.len(),
    }
}

/// Fails unless the only result line fits the status. Returns the number of hypervisors that failed.
fn failures_of(outcome: &Outcome) -> Result<usize, String> {
    let line: Value = serde_json::from_str(outcome.stdout.trim_end()).map_err(|error| error.to_string())?;
    let failed = line["failed"].as_array().map_or(0, Vec::len);
    if (outcome.status == 0) != (line["state"] == "finished") || (failed > 0) != (outcome.status != 0) {
        return Err("the result does not fit the status".into());
    }
    Ok(failed)
}

#[test]
fn each_trouble_at_each_call_leaves_each_hypervisor_once() {
    let mut cases = Vec::new();
    let sites = SCENES.map(Site::of);
    for (scene, site) in SCENES.iter().zip(&sites) {
        for (method, nth) in calls(site) {
            cases.extend(TROUBLES.map(|trouble| (*scene, method.clone(), nth, trouble)));
        }
    }
    each(&cases, |(scene, method, nth, trouble)| {
        let site = sites[*scene as usize].copy();
        site.satellite
            .plan(format!("{method}:{nth}={trouble}").parse().unwrap());
        let outcome = site.run().stdin(document(1)).run();
        let tell = |error| format!("{error}: {outcome:?}");
        let failed = failures_of(&outcome).map_err(tell)?;
        let most = most_failures(*scene, method, trouble);
        if failed > most {
            return Err(tell(format!("{failed} failed, and not at most {most}")));
        }
        if failed == 0 {
            site.is_whole(1).map_err(tell)?;
        }
        // Without the answer to a login nobody knows its session.
        let sessions = site.satellite.open_sessions();
        if sessions > 0 && method != LOGIN && method != LOGOUT && *trouble != "expire" {
            return Err(tell(format!("{sessions} sessions are open")));
        }
        site.is_idle();
        site.satellite.calm();
        let again = site.run().stdin(document(2)).run();
        let tell = |error| format!("{error} after the next report: {outcome:?} {again:?}");
        if again.status != 0 {
            return Err(tell("it failed".into()));
        }
        site.is_whole(2).map_err(tell)?;
        let registrations = site.satellite.registrations();
        let last = site.run().stdin(document(3)).run();
        let tell = |error| format!("{error} after the last report: {outcome:?} {again:?} {last:?}");
        if site.satellite.registrations() != registrations {
            return Err(tell("registered again".into()));
        }
        site.is_whole(3).map_err(tell)
    });
}

#[test]
fn a_kill_at_each_call_leaves_each_hypervisor_once() {
    let mut cases = Vec::new();
    let sites = SCENES.map(Site::of);
    for (scene, site) in SCENES.iter().zip(&sites) {
        let calls = calls(site);
        cases.extend(calls.into_iter().map(|(method, nth)| (*scene, method, nth)));
    }
    each(&cases, |(scene, method, nth)| {
        let site = sites[*scene as usize].copy();
        let (trouble, release) = Trouble::held();
        let before = site.satellite.count(method);
        site.satellite.trouble(method, *nth, trouble);
        let mut child = site.run().stdin(document(1)).start(Stdio::null()).0;
        until(|| site.satellite.count(method) >= before + nth);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(release);
        site.is_idle();
        site.satellite.calm();
        for revision in [2, 3] {
            let again = site.run().stdin(document(revision)).run();
            if again.status != 0 {
                return Err(format!("{again:?}"));
            }
            site.is_whole(revision)
                .map_err(|error| format!("{error}: {again:?}"))?;
        }
        match site.odd_files() {
            odd if odd.is_empty() => Ok(()),
            odd => Err(format!("files are left: {odd:?}")),
        }
    });
}

#[test]
fn two_reporters_at_once_register_each_hypervisor_once() {
    for scene in SCENES {
        let site = Site::of(scene);
        let start = || site.run().stdin(document(1)).start(Stdio::null()).0;
        let reporters = [start(), start(), start()];
        for reporter in reporters {
            let (status, result) = ended(reporter);
            // Who comes later finds nothing to do.
            let is_done = result["state"] == "finished" || result["state"] == "unchanged";
            assert!(status == 0 && is_done, "{scene:?} {status} {result}");
        }
        assert_eq!(site.is_whole(1), Ok(()), "{scene:?}");
        assert_eq!(site.satellite.open_sessions(), 0);
    }
}
