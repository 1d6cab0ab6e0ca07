//! Answers of a Candlepin: about its status, a check-in, a job, and what it holds. Any bytes in place of each.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::Value;
use vw::cancel::Cancel;
use vw::error::Classify as _;
use vw::http::Endpoint;
use vw::mapping::{Hypervisor, Mapping};
use vw::retry::Patience;
use vw::state::Folder;
use vw::systems::candlepin::{
    Accepted, Candlepin, CheckIn, Client, Correlation, Login, Manner, Outcome, ReadBack, Series, Status,
    Tally,
};
use vw_fuzz::replay::Exchanges;

/// The names of the hypervisors that are checked in.
const NAMES: [&str; 2] = ["esx1.example.com", "esx2.example.com"];

thread_local! {
    static STAGE: Stage = Stage::new();
}

pub fn run(bytes: &[u8]) {
    STAGE.with(|stage| {
        stage.status(bytes);
        stage.refusal(bytes);
        stage.check_in(bytes);
        stage.job(bytes);
        stage.read_back(bytes);
        stage.accepted(bytes);
    });
}

/// The exchanges with a server, of which each run replaces the answers.
struct Stage {
    mapping: Mapping,
    exchanges: Exchanges,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let hypervisors = NAMES.map(|name| Hypervisor {
            name: Some(name.to_owned()),
            ..Hypervisor::new(format!("id-of-{name}"))
        });
        let mapping = Mapping {
            hypervisors: hypervisors.to_vec(),
            ..Mapping::default()
        };
        let exchanges = Exchanges::new("/candlepin");
        let add = |stem: &str, line: &str| exchanges.add(stem, line, b"");
        add("1-status", "GET /candlepin/status");
        add("2-job", "GET /candlepin/jobs/j?result_data=true");
        let page = "page=1&per_page=500&sort_by=uuid&order=asc&include=uuid&include=hypervisorId";
        add("3-list", &format!("GET /candlepin/owners/o/hypervisors?{page}"));
        add("4-consumer", "GET /candlepin/consumers/u");
        add("5-guests", "GET /candlepin/consumers/u/guestids");
        let check_in = CheckIn::new(&mapping);
        let batch = check_in.batches(100).next().expect("a batch");
        let body = batch.body().expect("a body");
        exchanges.add("6-check-in", "POST /candlepin/hypervisors/o?reporter_id=r", &body);
        for stem in [
            "1-status",
            "2-job",
            "3-list",
            "4-consumer",
            "5-guests",
            "6-check-in",
        ] {
            exchanges.answer(stem, 500, "", b"");
        }
        drop(check_in);
        Stage {
            mapping,
            exchanges,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// An endpoint whose exchange `stem` has this answer.
    fn endpoint(&self, answers: &[(&str, &[u8])]) -> Endpoint {
        for (stem, body) in answers {
            self.exchanges
                .answer(stem, 200, "Content-Type: application/json\r\n", body);
        }
        self.exchanges.endpoint()
    }

    fn candlepin(&self, answers: &[(&str, &[u8])]) -> Candlepin {
        let endpoint = self.endpoint(answers);
        Candlepin::new(&endpoint, client(), Correlation::random(), &Cancel::default()).expect("a replay")
    }

    fn status(&self, bytes: &[u8]) {
        let status = self.candlepin(&[("1-status", bytes)]).status();
        let Some(status) = status.ok() else { return };
        let Some(value) = value(bytes) else { return };
        assert!(value.get("version").is_some() || value.get("managerCapabilities").is_some());
        let can = value["managerCapabilities"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == "hypervisors_async"));
        assert_eq!(status.is_asynchronous(), can);
    }

    /// A refusal with these words.
    fn refusal(&self, bytes: &[u8]) {
        self.exchanges.answer("1-status", 400, "", bytes);
        let error = self.candlepin(&[]).status().expect_err("a refusal");
        let shown = error.with_causes();
        assert!(shown.chars().count() < 1000 && !shown.contains('\n'), "{shown}");
    }

    /// A finished job, in answer to a check-in: what was sent is in the answer, refused or lost.
    fn check_in(&self, bytes: &[u8]) {
        let status: Status =
            serde_json::from_str(r#"{"version":"4","managerCapabilities":["hypervisors_async"]}"#)
                .expect("a status");
        let check_in = CheckIn::new(&self.mapping);
        let batch = check_in.batches(100).next().expect("a batch");
        let mut tally = Tally::default();
        let manner = Manner {
            limit: Duration::ZERO,
            wait: false,
        };
        let outcome = self
            .candlepin(&[("6-check-in", bytes)])
            .check_in(batch, &status, manner, &mut tally);
        match outcome {
            Ok(Outcome::Finished) => {
                let entries = counts(bytes, &tally);
                assert!(tally.lost <= NAMES.len());
                assert!(
                    entries + tally.refused + tally.lost >= NAMES.len(),
                    "a hypervisor without a fate: {tally:?}"
                );
                assert!(tally.lost == 0 || tally.failed.len() >= tally.lost, "{tally:?}");
            }
            Ok(Outcome::Pending) | Err(_) => assert_eq!((tally.lost, tally.refused), (0, 0)),
        }
        assert!(tally.jobs.iter().all(|job| job.len() <= 255));
    }

    fn job(&self, bytes: &[u8]) {
        let mut tally = Tally::default();
        if let Ok(Outcome::Finished) = self.candlepin(&[("2-job", bytes)]).job("j", &mut tally) {
            counts(bytes, &tally);
            assert_eq!(tally.lost, 0, "nothing was sent");
        }
    }

    /// The list of hypervisors, or what is said about the one in it.
    fn read_back(&self, bytes: &[u8]) {
        const ENTRY: &[u8] = br#"[{"uuid":"u","hypervisorId":{"hypervisorId":"id"}}]"#;
        const CONSUMER: &[u8] = br#"{"uuid":"u","name":"n"}"#;
        const GUESTS: &[u8] = br#"[{"guestId":"g"}]"#;
        for (list, consumer, guests) in [
            (bytes, CONSUMER, GUESTS),
            (ENTRY, bytes, GUESTS),
            (ENTRY, CONSUMER, bytes),
        ] {
            let read_back = ReadBack {
                endpoint: self.endpoint(&[("3-list", list), ("4-consumer", consumer), ("5-guests", guests)]),
                client: client(),
                correlation: Correlation::random(),
                patience: Patience::For(Duration::ZERO),
                at_once: NonZeroUsize::MIN,
            };
            let Ok(found) = read_back.list(&Cancel::default()) else {
                continue;
            };
            if let Some(value) = value(list) {
                let entries = value.as_array().expect("a list");
                assert_eq!(found.hypervisors.len() + found.left_out.len(), entries.len());
            }
            if list != ENTRY {
                continue;
            }
            let mut given = Vec::new();
            let each = read_back.each::<vw::systems::candlepin::Error>(
                &found.hypervisors,
                &Cancel::default(),
                |host| {
                    given.push(host);
                    Ok(())
                },
            );
            if each.is_err() {
                continue;
            }
            let [host] = &given[..] else {
                panic!("one hypervisor is listed: {given:?}")
            };
            assert_eq!(host.id.as_deref(), Some("id"));
            let sorted = host.guests.is_sorted_by(|one, other| one.id <= other.id);
            assert!(sorted && host.guests.iter().all(|guest| !guest.id.is_empty()));
        }
    }

    /// The file that keeps the last accepted report: it is the series' own, or not used.
    fn accepted(&self, bytes: &[u8]) {
        let folder = Folder::new(self.folder.path());
        let series = Series {
            server: "s".into(),
            owner: "o".into(),
            reporter: "r".into(),
            section: None,
        };
        let names = folder.names("candlepin-").expect("a folder");
        let name = names.first().cloned().unwrap_or_else(|| {
            let check_in = CheckIn::new(&self.mapping);
            Accepted::new(series.clone(), &check_in, "digest".into())
                .write(&folder)
                .expect("a file");
            folder.names("candlepin-").expect("a folder").remove(0)
        });
        std::fs::write(folder.path(&name), bytes).expect("a file that can be written");
        if let Some(accepted) = Accepted::read(&folder, &series) {
            accepted.write(&folder).expect("a file that can be written");
            assert_eq!(Accepted::read(&folder, &series).as_ref(), Some(&accepted));
            let check_in = CheckIn::new(&self.mapping);
            assert!(accepted.vanished(&check_in).len() <= accepted.hypervisors());
            accepted.doubt(&folder).expect("a file that can be written");
            let doubted = Accepted::read(&folder, &series).expect("a file that can be read");
            assert!(!doubted.covers("digest", Duration::MAX));
        }
    }
}

fn client() -> Client {
    Client {
        agent: "fuzz",
        owner: "o".into(),
        id: "r".into(),
        environment: None,
        login: Login::Consumer { uuid: "me".into() },
    }
}

/// All of an answer. Members that nobody reads may be deeper or larger than it can hold.
fn value(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// The number of entries, which are as many as the answer has.
fn counts(bytes: &[u8], tally: &Tally) -> usize {
    if let Some(value) = value(bytes) {
        let number = |name: &str| value["resultData"][name].as_array().map_or(0, Vec::len);
        assert_eq!(
            [tally.created, tally.updated, tally.unchanged],
            ["created", "updated", "unchanged"].map(number)
        );
        assert_eq!(value["state"], "FINISHED");
    }
    tally.created + tally.updated + tally.unchanged
}
