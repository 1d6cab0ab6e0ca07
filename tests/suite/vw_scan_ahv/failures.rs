//! vw-scan-ahv and a Prism in trouble: lists that change or never end, refused accounts, servers of another kind.

use std::sync::Arc;

use serde_json::{Value, json};
use vw_sim::ahv::{Edition, Inventory, Machine, Settings};
use vw_sim::hostile::{answer, status};
use vw_sim::http::{Authority, Certificate, Fault, Server, Service};

use super::{EDITIONS, PROGRAM, Site, ids, small};
use crate::support::{Run, at_once, with_time};

/// A site whose pages have 20 entries, with 61 machines.
fn paged(edition: Edition) -> Site {
    let settings = Settings {
        longest: 20,
        ..Settings::new(edition)
    };
    Site::with(settings, Inventory::new(3, 61))
}

/// The machines in a mapping, and those left out because they are off.
fn machines(mapping: &str) -> usize {
    let mapping: Value = serde_json::from_str(mapping).unwrap();
    ids(&mapping).1.len() + mapping["omitted"].as_array().unwrap().len()
}

#[test]
fn a_list_that_changes_while_it_is_read_is_read_again() {
    for edition in EDITIONS {
        let site = paged(edition);
        let prism = Arc::clone(&site.prism);
        let mut pages = 0;
        site.server.misbehave(move |_, request| {
            if request.path.contains("/vms") {
                pages += 1;
                // Another machine takes the place of the first two, so that the others move from page to page.
                if pages == 2 {
                    let mut inventory = prism.inventory();
                    inventory.machines.drain(..2);
                    let machine = Machine::on(&inventory.hosts[0], "new", "new");
                    inventory.machines.push(machine);
                }
            }
            None
        });
        let outcome = site.scan(&[]);
        assert_eq!(outcome.status, 0, "{outcome:?}");
        assert_eq!(machines(&outcome.stdout), 60, "{edition:?}");
        assert!(outcome.stdout.contains("\"new\""));
        let words = "the list of virtual machines changed while it was read; trying again in";
        assert!(outcome.stderr.contains(words), "{outcome:?}");
        // Two pages, then all three; the hosts are read again, too.
        assert_eq!(
            (site.requests("vms"), site.requests("hosts")),
            (5, 2),
            "{edition:?}"
        );
    }
}

#[test]
fn a_list_that_always_changes_fails_for_now() {
    at_once(EDITIONS, |edition| {
        let site = paged(edition);
        let prism = Arc::clone(&site.prism);
        site.server.misbehave(move |_, request| {
            if request.path.contains("/vms") {
                prism.inventory().machines.pop();
            }
            None
        });
        let outcome = site.scan(&[]);
        outcome.failed_at_last(75, "gave up after ");
        assert!(
            outcome
                .stderr
                .ends_with("the list of virtual machines changed while it was read\n"),
            "{outcome:?}"
        );
        assert_eq!((&*outcome.stdout, site.requests("vms")), ("", 12), "{edition:?}");
    });
}

#[test]
fn a_page_that_repeats_for_ever_ends_the_scan() {
    at_once(EDITIONS, |edition| {
        let site = Site::new(edition, small());
        site.server.misbehave(|_, request| {
            let entity = json!({"uuid": "v1", "metadata": {"uuid": "v1"}});
            let metadata = json!({"grand_total_entities": 9, "total_matches": 9});
            let page = json!({"metadata": metadata, "entities": [entity]});
            request
                .path
                .contains("/vms")
                .then(|| answer("application/json", page.to_string()))
        });
        let outcome = site.scan(&[]);
        outcome.failed_at_last(75, "the list of virtual machines changed while it was read");
        assert_eq!((&*outcome.stdout, site.requests("vms")), ("", 12), "{edition:?}");
    });
}

#[test]
fn a_page_that_fails_prints_no_document() {
    for edition in EDITIONS {
        let site = paged(edition);
        let mut pages = 0;
        site.server.misbehave(move |_, request| {
            pages += usize::from(request.path.contains("/vms"));
            (pages == 3).then(|| status(500))
        });
        let outcome = with_time(&["500"], |limit| site.scan(&["--timeout", limit]));
        outcome.failed_at_last(75, "500");
        assert_eq!(outcome.stdout, "");
        // It works again.
        site.server.behave();
        assert_eq!(machines(&site.scan(&[]).stdout), 61);
    }
}

#[test]
fn a_failure_for_a_moment_is_survived() {
    let site = paged(Edition::Central);
    let mut requests = 0;
    site.server.misbehave(move |_, _| {
        requests += 1;
        match requests {
            1 => Some(status(503)),
            4 => Some(Fault::Cut(50)),
            _ => None,
        }
    });
    let outcome = site.scan(&[]);
    assert_eq!(
        (outcome.status, machines(&outcome.stdout)),
        (0, 61),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.stderr.matches("trying again in").count(),
        2,
        "{outcome:?}"
    );
}

#[test]
fn an_answer_that_is_not_a_list_is_refused() {
    for (body, words) in [
        (json!({"entities": []}).to_string(), "has no total"),
        (json!({"metadata": {"grand_total_entities": 0, "total_matches": 0}}).to_string(), "missing field `entities`"),
        (json!([1]).to_string(), "is not one of Prism"),
        (
            json!({"metadata": {"grand_total_entities": 1_000_001, "total_matches": 1_000_001}, "entities": []}).to_string(),
            "does not end: it has more than 1000000 entries",
        ),
    ] {
        for edition in EDITIONS {
            let site = Site::new(edition, small());
            let body = body.clone();
            site.server.misbehave(move |_, request| {
                request.path.contains("/hosts").then(|| answer("application/json", body.clone()))
            });
            let outcome = site.scan(&[]);
            outcome.failed(76, words);
            assert!(outcome.stderr.contains("the list of hosts"), "{outcome:?}");
            assert_eq!((&*outcome.stdout, site.requests("hosts")), ("", 1));
        }
    }
}

#[test]
fn a_refused_login_is_tried_once() {
    for edition in EDITIONS {
        let site = Site::new(edition, small());
        std::fs::write(site.file("password"), "wrong\n").unwrap();
        for more in [&[][..], &["--check"]] {
            let before = site.server.requests().len();
            let outcome = site.scan(more);
            outcome.failed(77, " as \"sim\" failed: wrong user name or password");
            assert!(outcome.stderr.contains("Authentication required."), "{outcome:?}");
            assert!(
                outcome.stderr.contains("repeated failures may lock the account"),
                "{outcome:?}"
            );
            assert!(!outcome.stderr.contains("wrong\n"), "{outcome:?}");
            assert_eq!((&*outcome.stdout, site.server.requests().len() - before), ("", 1));
        }
    }
}

#[test]
fn an_account_that_expires_in_the_middle_prints_no_document() {
    let site = paged(Edition::Element);
    let prism = Arc::clone(&site.prism);
    site.server.misbehave(move |_, request| {
        if request.query.contains("offset=20") {
            prism.expire();
        }
        None
    });
    let outcome = site.scan(&[]);
    outcome.failed(77, "wrong user name or password");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn an_account_without_a_role_is_told_what_it_needs() {
    for edition in EDITIONS {
        let settings = Settings {
            has_role: false,
            ..Settings::new(edition)
        };
        let outcome = Site::with(settings, small()).scan(&[]);
        outcome.failed(77, "\"sim\" may not read the clusters");
        assert!(outcome.stderr.contains("Viewer"), "{outcome:?}");
    }
}

#[test]
fn the_wrong_kind_of_prism_is_named_with_the_key() {
    for edition in EDITIONS {
        let site = Site::new(edition, small());
        let (has, lacks, words) = match edition {
            Edition::Element => (
                "--prism-central",
                "",
                "is this a Prism Element? Then leave out prism_central",
            ),
            Edition::Central => (
                "",
                "--prism-central",
                "is this a Prism Central? Then set prism_central=true",
            ),
        };
        let options = site.options().into_iter().filter(|option| option != lacks);
        let more = Some(has).filter(|option| !option.is_empty());
        let outcome = Run::new(PROGRAM).args(options).args(more).run();
        outcome.failed(76, words);
        assert_eq!(outcome.stdout, "");
    }
}

#[test]
fn an_untrusted_certificate_gets_no_password() {
    let site = Site::new(Edition::Element, small());
    let authority = Authority::new().unwrap();
    let tls = authority.issue(&Certificate::Good).unwrap();
    let other = Server::start(Arc::clone(&site.prism) as Arc<dyn Service>, Some(tls)).unwrap();
    let run = |more: &[&str]| {
        let (url, authority, password) = (other.url(), site.file("ca.pem"), site.file("password"));
        let options = ["--server", &url, "-u", "sim", "--password-file", &password];
        let trust = if more.is_empty() {
            vec!["--cacert", &*authority]
        } else {
            more.to_vec()
        };
        Run::new(PROGRAM).args(options).args(trust).run()
    };
    let outcome = run(&[]);
    outcome.failed(77, "its certificate is not trusted");
    assert_eq!(other.requests().len(), 0);
    let at = outcome.stderr.find("--thumbprint ").unwrap() + "--thumbprint ".len();
    let thumbprint = outcome.stderr[at..]
        .split([' ', ';', ',', ')', '\n'])
        .next()
        .unwrap();
    run(&["--thumbprint", thumbprint]).quiet_success();
}
