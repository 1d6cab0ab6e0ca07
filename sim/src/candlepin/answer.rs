//! From a request to its answer: the resources, and what each answer looks like.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::access::{Answer, Refused, Who, accepts, consumes, decoded, forbidden, parameter};
use super::job::{Job, Work};
use super::read_back::Fields;
use super::report::{self, Refusal};
use super::store::Manner;
use super::{Candlepin, Fate, Generation, JobState, State};
use crate::http::{Request, Response};
use crate::{clock, fresh};

impl Candlepin {
    pub(super) fn respond(&self, request: &Request) -> Response {
        let uuid = fresh::uuid();
        let deploying = self.lock().deploying;
        let Some(path) = self.below_prefix(&request.path).filter(|_| !deploying) else {
            return Response::new(
                404,
                "text/html;charset=utf-8",
                "<!doctype html><title>HTTP Status 404 – Not Found</title>",
            );
        };
        let mut fields = Fields::new();
        let (status, body) =
            self.route(path, request, &mut fields)
                .unwrap_or_else(|Refused(status, message)| {
                    let mut body = json!({"displayMessage": message, "requestUuid": uuid});
                    if status == 410 {
                        body["deletedId"] = message.split(' ').nth(1).into();
                    }
                    (status, body)
                });
        let mut response = Response::new(status, "application/json", body.to_string());
        let version = format!("{}-1", self.version());
        response.headers.extend(fields);
        response.headers.extend([
            ("x-candlepin-request-uuid".into(), uuid),
            ("X-Version".into(), version),
        ]);
        if status == 401 {
            response
                .headers
                .push(("WWW-Authenticate".into(), "Basic Realm=candlepin".into()));
        }
        response
    }

    /// The segments of the path below the prefix, percent-decoded. A `+` is a plus in a path.
    fn below_prefix(&self, path: &str) -> Option<Vec<String>> {
        let rest = path.strip_prefix(&self.settings.prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(
            rest.split('/')
                .filter(|segment| !segment.is_empty())
                .map(decoded)
                .collect(),
        )
    }

    fn version(&self) -> &'static str {
        match self.settings.generation {
            Generation::Current => "4.7.5",
            Generation::Old => "2.4.16",
        }
    }

    /// The answer of the resource that a path names. It may add fields to the header.
    fn route(&self, path: Vec<String>, request: &Request, fields: &mut Fields) -> Answer {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let current = self.settings.generation == Generation::Current;
        if path == ["status"] {
            return match request.method.as_str() {
                "GET" => Ok((200, self.status())),
                other => Err(no_method(other)),
            };
        }
        if let Some(status) = self.lock().refusals.pop_front() {
            return Err(Refused(
                status,
                format!("Runtime Error: the simulator answers {status} as planned"),
            ));
        }
        match (request.method.as_str(), path.as_slice()) {
            ("POST", ["hypervisors", owner]) if self.settings.asynchronous => self.check_in(owner, request),
            ("PUT", ["hypervisors", owner, "heartbeat"]) if current => self.heartbeat(owner, request),
            ("POST", ["hypervisors"]) if !current => self.check_in_synchronously(request),
            ("GET", ["jobs", id]) => self.job(id, request),
            ("GET", ["owners", owner, "hypervisors"]) => self.list(owner, request, fields),
            ("GET" | "PUT" | "DELETE", ["consumers", uuid]) => self.of_consumer(uuid, request),
            ("GET", ["consumers", uuid, "guestids"]) => self.guests(uuid, None, request),
            ("GET", ["consumers", uuid, "guestids", guest]) => self.guests(uuid, Some(guest), request),
            (other, ["hypervisors", _]) => Err(no_method(other)),
            (other, ["hypervisors", _, "heartbeat"]) if current => Err(no_method(other)),
            (other, ["jobs", _] | ["consumers", _] | ["owners", _, "hypervisors"]) => Err(no_method(other)),
            _ => Err(Refused(
                404,
                "Runtime Error RESTEASY003210: Could not find resource for full path".into(),
            )),
        }
    }

    /// The status, which needs no credentials and no database.
    fn status(&self) -> Value {
        let mut able = vec![
            "instance_multiplier",
            "derived_product",
            "vcpu",
            "cert_v3",
            "remove_by_pool_id",
            "storage_band",
            "cores",
            "org_level_content_access",
            "guest_limit",
            "ram",
            "batch_bind",
        ];
        if self.settings.asynchronous {
            able.push("hypervisors_async");
        }
        if self.settings.generation == Generation::Current {
            able.extend([
                "hypervisors_heartbeat",
                "syspurpose",
                "multi_environment",
                "typed_environments",
            ]);
        }
        let mut status = json!({
            "managerCapabilities": able, "mode": "NORMAL", "modeChangeTime": null, "modeReason": null, "release": "1",
            "result": !self.lock().database_down, "rulesSource": "default", "rulesVersion": "5.44",
            "standalone": true, "timeUTC": clock::with_zone(SystemTime::now()), "version": self.version(),
        });
        if let Some(members) = status
            .as_object_mut()
            .filter(|_| !self.settings.tells_capabilities)
        {
            members.remove("managerCapabilities");
        }
        status
    }

    fn check_in(&self, owner: &str, request: &Request) -> Answer {
        let current = self.settings.generation == Generation::Current;
        consumes(request, "text/plain", self.settings.generation)?;
        let (who, mut state) = self.admit(owner, request)?;
        let report = if request
            .header("Content-Encoding")
            .is_some_and(|coding| coding != "identity")
        {
            Err(Refusal::Malformed)
        } else {
            report::read(&request.body, self.settings.generation)
        };
        let reporter = parameter(&request.query, "reporter_id").filter(|reporter| !reporter.is_empty());
        let work = match report {
            Ok(report) => match &report.unknown {
                Some(member) if !current => Work::Fail(format!("Unrecognized field \"{member}\"")),
                _ => Work::CheckIn { report, reporter: reporter.clone() },
            },
            Err(Refusal::Absent) => {
                return Err(Refused(400, "Host to guest mapping was not provided for hypervisor update.".into()));
            }
            Err(Refusal::Malformed | Refusal::Shape) if current => {
                let message = "Invalid host to guest mapping was provided for hypervisor update.";
                return Err(Refused(400, message.into()));
            }
            // Recorded: 2.4.16 reads the body only when the job runs.
            Err(Refusal::Malformed | Refusal::Shape) => Work::Fail(
                "Cannot invoke \"org.candlepin.pinsetter.tasks.HypervisorUpdateJob$HypervisorList.getHypervisors()\" \
                 because \"<local11>\" is null"
                    .into(),
            ),
        };
        state.reporters.extend(reporter);
        let mut job = self.new_job(owner, work, &who, request);
        let before = state.open_reports(owner, state.jobs.len());
        if !before.is_empty() {
            if current { job.block(&before) } else { job.wait() }
        }
        if job.is_open() {
            match state.fates.pop_front() {
                Some(Fate::Fail(reason)) => job.work = Some(Work::Fail(reason)),
                Some(Fate::Cancel) => job.work = Some(Work::Cancel),
                Some(Fate::Abort(reason)) => {
                    job.work = None;
                    job.end(JobState::Aborted, reason.into(), None);
                }
                None => {}
            }
        }
        let shown = job.json(self.settings.generation, true);
        state.jobs.push(job);
        Ok((if current { 200 } else { 202 }, shown))
    }

    fn heartbeat(&self, owner: &str, request: &Request) -> Answer {
        let (who, mut state) = self.admit(owner, request)?;
        if state.heartbeats_unknown {
            return Err(Refused(404, "Couldn't find a route for this request".into()));
        }
        let reporter = parameter(&request.query, "reporter_id").filter(|reporter| !reporter.is_empty());
        let Some(reporter) = reporter else {
            return Err(Refused(400, "reporter_id is absent or empty".into()));
        };
        let job = self.new_job(owner, Work::Heartbeat { reporter }, &who, request);
        let shown = job.json(self.settings.generation, true);
        state.jobs.push(job);
        Ok((200, shown))
    }

    fn new_job(&self, owner: &str, work: Work, who: &Who, request: &Request) -> Job {
        let mut job = Job::new(owner, work, self.settings.job_time, self.settings.generation);
        job.principal.clone_from(&who.name);
        let plain = |id: &&str| id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let correlation = request
            .header("X-Correlation-ID")
            .filter(|id| !id.is_empty())
            .filter(plain);
        job.correlation = correlation.map(|id| id.chars().take(40).collect());
        job
    }

    fn check_in_synchronously(&self, request: &Request) -> Answer {
        consumes(request, "application/json", self.settings.generation)?;
        let Some(owner) = parameter(&request.query, "owner") else {
            self.who(request)?;
            let message = "Runtime Error Null passed to a non-nullable Verify annotation.";
            return Err(Refused(500, message.into()));
        };
        let (_, mut state) = self.admit(&owner, request)?;
        let report = report::read_synchronous(&request.body).map_err(|refusal| match refusal {
            Refusal::Absent => Refused(
                400,
                "Host to guest mapping was not provided for hypervisor check-in.".into(),
            ),
            Refusal::Malformed => Refused(
                500,
                "Runtime Error com.fasterxml.jackson.core.io.JsonEOFException".into(),
            ),
            Refusal::Shape => {
                let message = "Runtime Error com.fasterxml.jackson.databind.exc.MismatchedInputException";
                Refused(400, message.into())
            }
        })?;
        let reporter = parameter(&request.query, "reporter_id");
        let State {
            stores,
            lost,
            refused,
            ..
        } = &mut *state;
        let manner = Manner {
            owner: &owner,
            reporter: reporter.as_deref(),
            generation: Generation::Old,
            create_missing: parameter(&request.query, "create_missing").as_deref() != Some("false"),
            lost,
            refused,
        };
        let lists = stores.entry(owner.clone()).or_default().apply(&report, &manner);
        lists
            .map(|lists| (200, lists.json()))
            .map_err(|spoiled| Refused(500, format!("Runtime Error {}", spoiled.reason)))
    }

    fn job(&self, id: &str, request: &Request) -> Answer {
        accepts(request)?;
        if self.lock().database_down {
            return Err(Refused(503, "Error contacting user service".into()));
        }
        let who = self.who(request)?;
        let generation = self.settings.generation;
        let mut state = self.settled();
        let Some(job) = state.jobs.iter_mut().find(|job| job.id == id) else {
            return Err(Refused(
                404,
                match generation {
                    Generation::Current => format!("AsyncJobStatus with ID(s) {id} could not be found."),
                    Generation::Old => format!("JobStatus with id {id} could not be found."),
                },
            ));
        };
        if !who.access.reaches(&job.owner) {
            return Err(forbidden());
        }
        let with_result =
            parameter(&request.query, "result_data").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        let shown = job.json(generation, with_result);
        job.show();
        Ok((200, shown))
    }
}

fn no_method(method: &str) -> Refused {
    let text = format!(
        "Runtime Error RESTEASY003650: No resource method found for {method}, return 405 with Allow header"
    );
    Refused(405, text)
}
