//! What is in force: options, then the server's URI and the section, then defaults.

use std::time::{Duration, Instant};

use super::Args;
use crate::cancel::Cancel;
use crate::cli;
use crate::commands::server;
use crate::commands::vsphere::Server;
use crate::http::Endpoint;
use crate::retry::Patience;
use crate::systems::vsphere::{self, Action, Credentials, Machines, ManagedObject, Order, Pool};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A change of the power state.
    Power(Action),
    /// The pending questions are listed.
    Questions,
    /// A question is answered by hand.
    Answer,
}

/// The work and the server.
pub(super) struct Settings {
    /// The server.
    pub endpoint: Endpoint,
    /// The account.
    pub credentials: Credentials,
    /// The section, if one is used.
    pub section: Option<String>,
    /// What is done.
    pub work: Work,
    /// The key or label of the answer.
    pub choice: Option<String>,
    /// Whether nothing is changed.
    pub is_rehearsal: bool,
    auto_answer: bool,
    timeout: Option<Duration>,
}

impl Settings {
    pub(super) fn new(args: &Args, cancel: &Cancel) -> cli::Result<Self> {
        let _at_once = cli::end_at_once(cancel);
        let found = Server::find(&args.server, &args.section, cancel)?;
        let option = args.auto_answer.as_deref().map(|answer| answer == "1");
        let settings = Settings {
            section: found.section.name().map(str::to_owned),
            endpoint: found.endpoint,
            credentials: found.credentials,
            work: args.action.work(),
            choice: args.machines.get(1).cloned(),
            is_rehearsal: args.dry_run,
            auto_answer: option.or(found.auto_answer).unwrap_or(false),
            timeout: args.server.connection.time(),
        };
        log::debug!(
            "server {}, user {:?}, auto-answer {}",
            settings.endpoint.base,
            settings.credentials.username,
            u8::from(settings.auto_answer)
        );
        Ok(settings)
    }

    /// The order for a virtual machine. Its time begins now.
    pub(super) fn order<'o>(&self, machine: &'o ManagedObject) -> Order<'o> {
        let (deadline, patience) = self.limits();
        Order {
            machine,
            action: match self.work {
                Work::Power(action) => action,
                // It is not used.
                Work::Questions | Work::Answer => Action::PowerOn,
            },
            auto_answer: self.auto_answer,
            is_rehearsal: self.is_rehearsal,
            deadline,
            patience,
        }
    }

    /// Reads the server's virtual machines, and retries temporary failures.
    pub(super) fn read_machines(&self, pool: &Pool<'_>) -> Result<Machines, vsphere::Error> {
        let (deadline, patience) = self.limits();
        let endpoint = Endpoint {
            deadline,
            ..self.endpoint.clone()
        };
        vsphere::retry(&endpoint, patience, pool.cancel(), || {
            let mut session = pool.take(deadline)?;
            let machines = Machines::read(&mut session)?;
            pool.put(session);
            Ok(machines)
        })
    }

    /// How long the work on one virtual machine may take from now on.
    fn limits(&self) -> (Option<Instant>, Patience) {
        server::limits(self.timeout, Instant::now())
    }
}
