//! A registered system: its certificate, and its own guests.

use vw_sim::http::{Authority, Certificate, Client};

use super::*;
use crate::support::write_program;

/// A Candlepin with TLS, and this machine registered with it.
struct Registered {
    site: Site,
    authority: Authority,
    uuid: String,
}

impl Registered {
    fn new() -> Self {
        let candlepin = Arc::new(Candlepin::new(Settings {
            job_time: JobTime::Polls(0),
            ..Settings::default()
        }));
        let authority = Authority::new().unwrap();
        let tls = authority.issue(&Certificate::Good).unwrap();
        let server = Server::start(candlepin.clone(), Some(tls)).unwrap();
        let uuid = candlepin.register("sim", "here", Default::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let registered = Registered {
            site: Site {
                candlepin,
                server,
                folder,
            },
            authority,
            uuid,
        };
        let address = registered.site.server.address();
        registered.write("virt-who.conf", "");
        registered.write("password", "sim-secret");
        std::fs::create_dir_all(registered.site.file("ca")).unwrap();
        registered.write("ca/sim.pem", &registered.authority.pem());
        registered.write(
            "rhsm.conf",
            &format!(
                "[server]\nhostname=127.0.0.1\nport={}\nprefix=/candlepin\n[rhsm]\nca_cert_dir={}\n\
                 repo_ca_cert=%(ca_cert_dir)s/none.pem\nconsumerCertDir={}\n",
                address.port(),
                registered.site.file("ca"),
                registered.site.file("")
            ),
        );
        let Client { certificate, key } = registered.authority.issue_client(&registered.uuid).unwrap();
        registered.write("cert.pem", &certificate);
        registered.write("key.pem", &key);
        registered
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.site.file(name), text).unwrap();
    }

    fn report(&self, options: &[&str], input: &str) -> Outcome {
        self.without_owner(&[&["--owner", "sim"], options].concat(), input)
    }

    fn without_owner(&self, options: &[&str], input: &str) -> Outcome {
        let own = ["--rhsm-conf", &self.site.file("rhsm.conf")];
        self.site.bare().args(own).args(options).stdin(input).run()
    }

    fn guests(&self) -> Vec<String> {
        let guests = self.site.candlepin.guests_of(&self.uuid).unwrap();
        guests.into_iter().map(|guest| guest.id).collect()
    }
}

const LOCAL: &str = r#"{"hypervisors":[{"guests":[{"guestId":"l2","state":5,"attributes":{"active":0,"virtWhoType":"libvirt"}},
    {"guestId":"l1","state":1}]}]}"#;

#[test]
fn a_registered_system_needs_no_user() {
    let here = Registered::new();
    let outcome = here.report(&[], MAPPING);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(here.site.held(), ["h1", "h2"]);
    assert!(
        here.site
            .server
            .requests()
            .iter()
            .all(|logged| logged.request.header("Authorization").is_none())
    );
    assert_eq!(here.report(&["--check"], "").status, 0);
    let messages = here.report(&["--check", "-d"], "").stderr;
    let words = format!(
        "logging in as consumer {} with {}",
        here.uuid,
        here.site.file("cert.pem")
    );
    assert!(messages.contains(&words), "{messages}");
    assert_eq!(here.report(&["--heartbeat"], MAPPING).status, 0);
    here.report(&["--owner", "other"], MAPPING);

    // A named user is used instead of the certificate.
    let password = here.site.file("password");
    let outcome = here.report(&["--username", "sim", "--password-file", &password], MAPPING);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let logged = here.site.server.requests();
    assert!(logged.last().unwrap().request.header("Authorization").is_some());
}

#[test]
fn certificate_and_key_can_be_named() {
    let here = Registered::new();
    for name in ["cert.pem", "key.pem"] {
        std::fs::rename(here.site.file(name), here.site.file(&format!("my-{name}"))).unwrap();
    }
    here.report(&[], MAPPING).failed(78, "--username");
    let (cert, key) = (here.site.file("my-cert.pem"), here.site.file("my-key.pem"));
    let outcome = here.report(&["--cert", &cert, "--key", &key], MAPPING);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let both = [&cert, &key]
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    here.write("both.pem", &both);
    assert_eq!(
        here.report(&["--cert", &here.site.file("both.pem")], MAPPING)
            .status,
        0
    );
    here.report(&["--cert", &cert, "--server", "http://127.0.0.1:1"], MAPPING)
        .failed(78, "https://");
    here.report(&["--cert", &key, "--key", &key], MAPPING)
        .failed(78, "my-key.pem");
    here.report(&["--cert", &cert, "--key", &cert], MAPPING)
        .failed(78, "my-cert.pem");
}

#[test]
fn a_system_that_was_deleted_on_the_server_is_an_error_that_says_so() {
    let here = Registered::new();
    here.site.candlepin.unregister(&here.uuid);
    let outcome = here.report(&[], MAPPING);
    outcome.failed(77, "was deleted on the server");
    outcome.failed(77, &here.uuid);
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let here = Registered::new();
    let Client { certificate, key } = Authority::new().unwrap().issue_client(&here.uuid).unwrap();
    here.write("cert.pem", &certificate);
    here.write("key.pem", &key);
    here.report(&[], MAPPING)
        .failed(77, "does not accept our certificate");
}

#[test]
fn only_the_authority_of_the_service_is_trusted() {
    let here = Registered::new();
    std::fs::remove_file(here.site.file("ca/sim.pem")).unwrap();
    here.report(&[], MAPPING).failed(77, "not trusted");
    here.write("ca/none.pem", &here.authority.pem());
    assert_eq!(here.report(&[], MAPPING).status, 0);
}

#[test]
fn this_machines_own_guests_go_to_its_own_consumer() {
    let here = Registered::new();
    let outcome = here.report(&[], LOCAL);
    failed(&outcome, 65, "only this machine's own guests");
    assert!(outcome.stderr.contains("use --local"), "{outcome:?}");
    assert!(here.guests().is_empty());

    let outcome = here.report(&["--local"], LOCAL);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(
        (&line(&outcome)["hypervisors"], &line(&outcome)["guests"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(here.guests(), ["l1", "l2"]);
    assert_eq!(count(&here.site, "/hypervisors/"), 0);
    let dry = here.report(&["--local", "--dry-run"], LOCAL).quiet_success();
    let put = here
        .site
        .candlepin
        .requests()
        .into_iter()
        .rfind(|request| request.method == "PUT");
    assert_eq!(dry, String::from_utf8(put.unwrap().body).unwrap() + "\n");

    // Together with hypervisors, with a user's account, and from a section with this key.
    let both = r#"{"hypervisors":[{"guests":[{"guestId":"l3","state":1}]},{"uuid":"h","guests":[]}]}"#;
    let password = here.site.file("password");
    let outcome = here.report(
        &["--local", "--username", "sim", "--password-file", &password],
        both,
    );
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(
        (here.guests(), here.site.held()),
        (vec!["l3".to_owned()], vec!["h".to_owned()])
    );
    here.write(
        "virt-who.conf",
        "[here]\ntype=fake\nis_hypervisor=false\nowner=sim\n",
    );
    let outcome = here.report(&["-n", "here"], r#"{"hypervisors":[{"guestIds":[]}]}"#);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(here.guests().is_empty());

    // With another type the key is ignored, and the guests of this machine do not change.
    here.write(
        "virt-who.conf",
        "[here]\ntype=esx\nis_hypervisor=false\nowner=sim\n",
    );
    let outcome = here.report(&["-n", "here"], both);
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert!(here.guests().is_empty(), "{:?}", here.guests());
    here.write(
        "virt-who.conf",
        "[here]\ntype=esx\nis_hypervisor=maybe\nowner=sim\n",
    );
    let outcome = here.report(&["-n", "here"], both);
    assert_eq!(outcome.status, 0, "{outcome:?}");
}

#[test]
fn this_machines_own_guests_need_no_owner() {
    let here = Registered::new();
    let state = here.site.file("state");
    // Without a section; a second time, when nothing has changed; and from a section of libvirt without a server.
    for options in [&["--local"][..], &["--local", "--state-dir", &state]] {
        for _ in 0..2 {
            let outcome = here.without_owner(options, LOCAL);
            assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
            assert_eq!(line(&outcome)["owner"], json!(null));
            assert_eq!(here.guests(), ["l1", "l2"]);
        }
    }
    here.write("virt-who.conf", "[here]\ntype=libvirt\n");
    assert_eq!(here.without_owner(&["--local"], LOCAL).status, 0);
    let check = here.without_owner(&["--local", "-n", "here", "--check"], "");
    assert_eq!((check.status, check.stderr.as_str()), (0, ""), "{check:?}");
    let words = format!("the guests of consumer {} are accepted", here.uuid);
    assert!(check.stdout.contains(&words), "{check:?}");
    assert_eq!(count(&here.site, "/hypervisors/"), 0);

    let both = r#"{"hypervisors":[{"guests":[]},{"uuid":"h","guests":[]}]}"#;
    failed(&here.without_owner(&["--local"], both), 78, "--owner");
    assert_eq!(here.guests(), ["l1", "l2"]);
    for options in [&["-n", "here"][..], &["-n", "here", "--local", "--heartbeat"]] {
        let outcome = here.without_owner(options, LOCAL);
        assert_eq!(outcome.status, 78, "{outcome:?}");
        assert!(outcome.stderr.contains("owner: is missing"), "{outcome:?}");
    }
    here.site.candlepin.unregister(&here.uuid);
    let gone = here.without_owner(&["--local", "--check"], "");
    assert_ne!(gone.status, 0, "{gone:?}");
}

#[test]
fn a_registered_system_may_not_delete_hypervisors() {
    let registered = Registered::new();
    let folder = registered.site.file("state");
    let outcome = registered.report(&["--state-dir", &folder, "--delete-vanished"], MAPPING);
    outcome.failed(78, "needs a user");
    assert!(registered.site.held().is_empty());
}

#[test]
fn the_guests_of_this_machines_libvirt_go_to_its_own_consumer() {
    let here = Registered::new();
    let bin = here.site.file("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let pair = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/libvirt/pair-one-process.txt"
    );
    let virsh = here.site.file("bin/virsh");
    write_program(virsh.as_ref(), &format!("#!/bin/sh\ncat '{pair}'\n"));
    // No key is needed: neither a server nor an owner.
    here.write("virt-who.conf", "[here]\ntype=libvirt\n");
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap());
    let run = |program: &str, args: &[&str], input: &str| {
        let run = Run::new(program).args(args).stdin(input).env("PATH", &path);
        run.env("VW_CONFIG", &here.site.file("virt-who.conf"))
            .run()
            .quiet_success()
    };
    let mapping = run(env!("CARGO_BIN_EXE_vw-scan-libvirt"), &["-n", "here"], "");
    let mapping = run(env!("CARGO_BIN_EXE_vw-filter"), &["-n", "here"], &mapping);
    let outcome = here.report(&["-n", "here", "--local"], &mapping);
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    assert_eq!(line(&outcome)["guests"], 14);
    assert_eq!(here.guests().len(), 14);

    let state = here.site.file("state");
    let planned = run(
        env!("CARGO_BIN_EXE_vw-run"),
        &["--dry-run", "--state-dir", &state],
        "",
    );
    let pipeline = planned.lines().last().unwrap();
    assert!(
        pipeline.contains("vw-scan-libvirt -n here") && pipeline.ends_with("--local"),
        "{planned}"
    );
}
