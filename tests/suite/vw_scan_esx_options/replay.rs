//! Traces, and scans that are replayed from them.

use super::*;

#[test]
fn a_trace_has_every_exchange_and_no_secret() {
    let mut inventory = Inventory::new(2, 10);
    // A name that contains the password.
    inventory.add_standalone(Host::new("esx-sim-secret.example.com"));
    let site = Site::new(inventory);
    site.vcenter.limit_pages(Some(4));
    let trace = site.path("new/trace");
    let plain = site.scan(&[]).quiet_success();
    let before = site.vcenter.requests().len();
    let traced = site.scan(&["--trace", trace.to_str().unwrap()]).quiet_success();
    assert_eq!(traced, plain);
    let files = files(&trace);
    let exchanges = site.vcenter.requests().len() - before;
    assert_eq!(files.len(), 2 * exchanges + 1);
    let cookie = |request: &vw_sim::http::Logged| {
        let cookie = request.request.header("Cookie")?;
        Some(cookie.split_once('=')?.1.trim_matches('"').to_owned())
    };
    let key = site.vcenter.requests().iter().rev().find_map(cookie).unwrap();
    assert!(key.len() > 8, "{key}");
    for (name, text) in &files {
        for secret in ["sim-secret", &key] {
            assert!(!text.contains(secret), "{name} holds {secret}: {text}");
        }
    }
    let login = files
        .iter()
        .find(|(name, _)| name == "000003-Login-request.http")
        .unwrap();
    assert!(
        login.1.starts_with("POST /sdk HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{login:?}"
    );
    assert!(login.1.contains("<password>(redacted)</password>"), "{login:?}");
    let answers = files.iter().filter(|(name, _)| name.ends_with("-response.http"));
    assert!(
        answers
            .into_iter()
            .all(|(_, text)| text.starts_with("HTTP/1.1 200\r\n"))
    );
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&trace), 0o700);
    assert!(files.iter().all(|(name, _)| mode(&trace.join(name)) == 0o600));
    site.scan(&["--trace", trace.to_str().unwrap()])
        .failed(74, "new or empty");
    site.scan(&["--trace", &site.file("password")])
        .failed(74, "password");
}

#[test]
fn a_full_disk_under_a_trace_is_an_error_and_the_session_is_closed() {
    let site = Site::new(Inventory::new(40, 800));
    let script = "trap '' XFSZ; ulimit -f 32; exec \"$@\"";
    let (url, password, trace) = (site.vcenter.url(), site.file("password"), site.file("trace"));
    let options = [
        "--server",
        &url,
        "-u",
        "sim",
        "--password-file",
        &password,
        "--trace",
        &trace,
    ];
    let outcome = Run::new("sh")
        .args(["-c", script, "sh", PROGRAM])
        .args(options)
        .run();
    outcome.failed(74, "RetrievePropertiesEx-response.http: File too large");
    assert_eq!(outcome.stdout, "");
    assert_eq!(site.vcenter.open().sessions, 0);
    assert!(site.vcenter.calls().iter().any(|call| call == "Logout"));
}

#[test]
fn a_replay_prints_the_same_without_a_server() {
    let site = Site::new(with_a_blank_guest());
    site.vcenter.limit_pages(Some(2));
    let section = format!(
        "[prod]\ntype=esx\nserver={}\nusername=sim\nhypervisor_id=hostname\n",
        site.vcenter.url()
    );
    fs::write(site.path("virt-who.conf"), section).unwrap();
    let trace = site.file("trace");
    let options = ["-n", "prod", "--stamp", "--guest-names", "--trace", &trace];
    let scanned = site.bare().args(options).run();
    assert_eq!(scanned.status, 0, "{scanned:?}");
    assert!(scanned.stdout.contains("esx1.example.com"));
    let replay = |options: &[&str]| {
        let run = Run::new(PROGRAM).env("VW_CONFIG", "/nowhere");
        run.args(["--replay", &trace]).args(options).run()
    };
    let served = site.vcenter.requests().len();
    let replayed = replay(&[]);
    assert_eq!(
        (replayed.status, &replayed.stdout, &replayed.stderr),
        (0, &scanned.stdout, &scanned.stderr)
    );
    let other = replay(&["--hypervisor-id", "hwuuid", "--layout", "checkin"]);
    assert!(other.stdout.contains("host-"), "{other:?}");
    let checked = replay(&["--check"]).quiet_success();
    assert!(checked.starts_with("VMware vCenter Server 8.0.2"), "{checked}");
    replay(&["--strict"]).failed(65, "--strict");
    replay(&["--server", "vc"]).failed(64, "--server");
    replay(&["--trace", "x"]).failed(64, "--trace");
    assert_eq!(site.vcenter.requests().len(), served);

    // An exchange or only its answer is missing, the folder is not a scan's, or there is no folder.
    let answer = site.path("trace/000005-RetrievePropertiesEx-response.http");
    fs::rename(&answer, site.path("kept")).unwrap();
    replay(&[]).failed(65, "000005-RetrievePropertiesEx-response.http");
    fs::remove_file(site.path("trace/000005-RetrievePropertiesEx-request.http")).unwrap();
    replay(&[]).failed(65, "it holds no answer to RetrievePropertiesEx");
    fs::remove_file(site.path("trace/scan.json")).unwrap();
    replay(&[]).failed(65, "scan.json");
    fs::write(site.path("trace/scan.json"), "{}").unwrap();
    replay(&[]).failed(65, "scan.json");
    Run::new(PROGRAM)
        .args(["--replay", &site.file("none")])
        .run()
        .failed(78, "--replay");
}

#[test]
fn a_replay_of_a_scan_without_names_has_no_names() {
    let site = Site::new(Inventory::new(1, 1));
    let trace = site.file("trace");
    site.scan(&["--trace", &trace]).quiet_success();
    let replay = |options: &[&str]| Run::new(PROGRAM).args(["--replay", &trace]).args(options).run();
    replay(&["--guest-names"]).failed(65, "--guest-names");
    let stamped: Value = serde_json::from_str(&replay(&["--stamp"]).quiet_success()).unwrap();
    assert!(stamped["source"]["time"].is_string());
}

#[test]
fn a_scan_with_retries_is_replayed_to_its_end() {
    let site = Site::new(Inventory::new(3, 30));
    for fault in [
        Fault::Cut(2000),
        Fault::Answer(Response::new(503, "text/plain", "later")),
        Fault::Answer(soap_fault("ManagedObjectNotFound", "")),
    ] {
        let mut fault = Some(fault);
        site.vcenter.server().misbehave(move |_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            if wanted { fault.take() } else { None }
        });
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().to_str().unwrap();
        let traced = site.scan(&["--trace", trace]);
        assert_eq!(traced.status, 0, "{traced:?}");
        assert!(traced.stderr.contains("trying again"), "{traced:?}");
        let replayed = Run::new(PROGRAM).args(["--replay", trace]).run();
        assert_eq!(
            (replayed.status, &replayed.stdout),
            (0, &traced.stdout),
            "{replayed:?}"
        );
    }
}

#[test]
fn a_failed_scan_is_replayed_to_the_same_failure() {
    let site = Site::new(Inventory::new(3, 30));
    for (fault, status, words) in [
        (0, 75, "before the answer was complete"),
        (1, 75, "connection"),
        (2, 76, "web page"),
    ] {
        site.vcenter.server().misbehave(move |_, request| {
            let wanted = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
            wanted.then(|| match fault {
                0 => Fault::Cut(2000),
                1 => Fault::Close,
                _ => Fault::Answer(Response::new(200, "text/html", "<html>")),
            })
        });
        let last = RefCell::default();
        let outcome = with_time(&[words], |limit| {
            let trace = site.file(&format!("trace{fault}-{limit}"));
            let outcome = site.scan(&["--trace", &trace, "--timeout", limit]);
            *last.borrow_mut() = trace;
            outcome
        });
        outcome.failed_at_last(status, words);
        let trace: String = last.take();
        let replayed = Run::new(PROGRAM).args(["--replay", &trace]).run();
        assert_ne!(replayed.status, 0, "{replayed:?}");
        assert!(replayed.stderr.contains(words), "{replayed:?}");
    }
}
