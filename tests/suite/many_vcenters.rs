//! The recipes of vw-run(1) for dozens of vCenters, tried with thirty simulated ones, of which one refuses the login.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;
use vw_sim::simulation::Simulation;
use vw_sim::vcenter::{Host, Inventory, VCenter, Vm};

use crate::man::{built, page};
use crate::support::skipped;

const NUMBER: usize = 30;
/// The vCenter whose password in the configuration is wrong.
const REFUSED: usize = 17;

/// Thirty vCenters, a Candlepin, and a configuration with a section for each vCenter.
struct Site {
    servers: Simulation,
    _vcenters: Vec<VCenter>,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let servers = Simulation::start(Inventory::new(1, 1), true).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let all = fs::read_to_string(servers.configuration()).unwrap();
        let mut configuration = String::from("[defaults]\n");
        let mut sections = all.split("\n\n");
        let section = sections.find(|section| section.starts_with("[sim]")).unwrap();
        for line in section.lines().filter(|line| line.starts_with("rhsm_")) {
            writeln!(configuration, "{line}").unwrap();
        }
        let mut vcenters = Vec::new();
        for number in 0..NUMBER {
            let vcenter = VCenter::start(inventory(number), None).unwrap();
            let (user, password) = vcenter.account();
            let password = if number == REFUSED { "wrong" } else { password };
            let url = vcenter.url();
            // A blank in a section's name must not break a recipe.
            writeln!(
                configuration,
                "[vc {number}]\ntype=esx\nserver={url}\nusername={user}\npassword={password}\nowner=sim"
            )
            .unwrap();
            vcenters.push(vcenter);
        }
        let file = folder.path().join("virt-who.conf");
        fs::write(&file, configuration).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        Site {
            servers,
            _vcenters: vcenters,
            folder,
        }
    }

    /// Runs a recipe with the built commands, and returns its status and what it printed. The state is not the machine's.
    fn run(&self, recipe: &str) -> (Option<i32>, String, String) {
        let recipe = recipe.replace("vw-run -o", "vw-run -o --state-dir state");
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &recipe])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", built().display()))
            .env("VW_CONFIG", self.folder.path().join("virt-who.conf"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Fails unless Candlepin has the hosts of all vCenters but one, and each section has its result.
    #[track_caller]
    fn is_reported(&self, results: &str, messages: &str) {
        assert_eq!(results.lines().count(), NUMBER, "{results}{messages}");
        assert_eq!(
            results.matches(r#""state":"finished""#).count(),
            NUMBER - 1,
            "{results}{messages}"
        );
        let held = self.servers.candlepin().hypervisors("sim");
        assert_eq!(held.len(), 2 * (NUMBER - 1), "{messages}");
        let text = fs::read_to_string(self.folder.path().join("state/vw-run.json")).unwrap();
        let status: serde_json::Value = serde_json::from_str(&text).unwrap();
        let sections = status["sections"].as_object().unwrap();
        assert_eq!(
            sections.len(),
            NUMBER,
            "no process loses what another one has written"
        );
        assert_eq!(sections[&format!("vc {REFUSED}")]["failures"]["noperm"], 1);
    }
}

/// Two hosts with a guest each, other ones for each number.
fn inventory(number: usize) -> Inventory {
    let mut inventory = Inventory::empty();
    let cluster = inventory.add_cluster("Cluster");
    for host in ["esx1", "esx2"] {
        let host_key = inventory.add_host(cluster, Host::new(&format!("{host}.vc{number}.example.com")));
        inventory.add_vm(host_key, Vm::new(&format!("{host}-guest-{number}")));
    }
    inventory
}

/// The line of the page that has these words.
fn recipe(words: &str) -> String {
    let page = page("vw-run", 1);
    let line = page
        .lines()
        .find(|line| line.starts_with("vw-config list --names") && line.contains(words));
    line.unwrap().replace("\\e", "\\")
}

#[test]
fn gnu_parallel_reports_thirty_vcenters() {
    if Command::new("parallel").arg("--version").output().is_err() {
        return skipped("the recipe with parallel: it is not installed");
    }
    let site = Site::new();
    let (status, results, messages) = site.run(&recipe("parallel"));
    site.is_reported(&results, &messages);
    assert_eq!(status, Some(1), "the number of sections that failed: {messages}");
    let log = fs::read_to_string(site.folder.path().join("vw.log")).unwrap();
    let statuses: Vec<&str> = log
        .lines()
        .skip(1)
        .map(|line| line.split('\t').nth(6).unwrap())
        .collect();
    assert_eq!(statuses.len(), NUMBER, "{log}");
    assert_eq!(
        statuses.iter().filter(|status| **status == "77").count(),
        1,
        "{log}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == "0").count(),
        NUMBER - 1,
        "{log}"
    );
}

#[test]
fn xargs_reports_thirty_vcenters() {
    let site = Site::new();
    let (status, results, messages) = site.run(&recipe("xargs"));
    site.is_reported(&results, &messages);
    assert_eq!(status, Some(123), "{messages}");
}
