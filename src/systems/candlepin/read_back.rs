//! What the server holds: the hypervisors of an owner, with their facts and guests.
//!
//! The list of an owner has neither facts nor guests, so each hypervisor takes two more requests. Observed with Candlepin 4.7.5
//! and 2.4.16.

mod answer;
mod lanes;

use std::collections::HashSet;
use std::num::NonZeroUsize;

use percent_encoding::utf8_percent_encode;

use self::answer::{Consumer, Entry, GuestId, pages};
use super::{Candlepin, Client, Correlation, Error, PLAIN, Status, json};
use crate::cancel::Cancel;
use crate::http::{self, Endpoint, Request};
use crate::mapping::{Guest, Hypervisor, LeftOut};
use crate::retry::{Patience, retry};

/// The hypervisors on a page of the list. A page is about 150 KiB, and takes the server a few hundredths of a second.
const PAGE: usize = 500;
/// The largest page, in bytes.
const LARGEST_PAGE: u64 = 16 << 20;
/// The most hypervisors of an owner. A server that lists more does not stop.
const MOST: usize = 1_000_000;
/// The largest answer about one hypervisor without its guests, in bytes.
const LARGEST_CONSUMER: u64 = 4 << 20;
/// The largest list of the guests of one hypervisor, in bytes: about 80,000 guests.
const LARGEST_GUESTS: u64 = 16 << 20;

/// The member of a hypervisor with the id of its last reporter.
pub const REPORTER: &str = "reporterId";
/// The member of a hypervisor with the time of its last report or heartbeat, as the server writes it.
pub const LAST_CHECKIN: &str = "lastCheckin";

/// How an owner is read back.
#[derive(Debug, Clone)]
pub struct ReadBack {
    /// The server.
    pub endpoint: Endpoint,
    /// Who reads, and for which owner.
    pub client: Client,
    /// The id of all requests.
    pub correlation: Correlation,
    /// How long temporary failures are retried.
    pub patience: Patience,
    /// How many requests may run at once.
    pub at_once: NonZeroUsize,
}

/// A hypervisor in the list of an owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The hypervisor's id, which the server keeps in lower case.
    id: String,
    /// The uuid that the server gave the hypervisor.
    uuid: String,
}

/// The hypervisors of an owner, as they are listed.
#[derive(Debug, Default)]
pub struct List {
    /// In the bytewise order of their ids.
    pub hypervisors: Vec<Listed>,
    /// Consumers that can't be in a mapping.
    pub left_out: Vec<LeftOut>,
}

impl ReadBack {
    /// Asks for the server's version, and how many hypervisors the owner has if the server counts them. This proves that the
    /// account may read them.
    pub fn check(&self, cancel: &Cancel) -> Result<(Status, Option<usize>), Error> {
        self.persist(cancel, |candlepin| {
            let status = candlepin.status()?;
            let (_, pages) = candlepin.page(1, 1)?;
            Ok((status, pages.total))
        })
    }

    /// The list of the owner's hypervisors.
    ///
    /// If the list changes while its pages are read, it is read again.
    pub fn list(&self, cancel: &Cancel) -> Result<List, Error> {
        let mut list = List::default();
        for entry in self.persist(cancel, Candlepin::list)? {
            match entry.hypervisor() {
                Ok(listed) => list.hypervisors.push(listed),
                Err(left_out) => list.left_out.push(left_out),
            }
        }
        list.hypervisors.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(list)
    }

    /// Gives each listed hypervisor to `give`, in the order of the list. Hypervisors that were deleted meanwhile are left out.
    pub fn each<E: From<Error>>(
        &self,
        listed: &[Listed],
        cancel: &Cancel,
        give: impl FnMut(Hypervisor) -> Result<(), E>,
    ) -> Result<(), E> {
        lanes::each(self, listed, cancel, give)
    }

    /// Repeats an attempt, with one connection, until it works or fails for good.
    fn persist<T>(
        &self,
        cancel: &Cancel,
        attempt: impl Fn(&mut Candlepin) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut candlepin = self.connect(cancel)?;
        retry(self.endpoint.deadline, self.patience, cancel, || {
            attempt(&mut candlepin)
        })
    }

    fn connect(&self, cancel: &Cancel) -> Result<Candlepin, Error> {
        let (client, correlation) = (self.client.clone(), self.correlation.clone());
        Candlepin::new(&self.endpoint, client, correlation, cancel)
    }
}

impl Candlepin {
    /// All pages of the list. Fails with [`Error::Changing`] if it changed meanwhile.
    fn list(&mut self) -> Result<Vec<Entry>, Error> {
        let mut seen = HashSet::new();
        let mut listed = Vec::new();
        let mut total = None;
        for number in 1.. {
            let (entries, pages) = self.page(number, PAGE)?;
            // A hypervisor that comes or goes moves the others from page to page, so that one may be missed.
            let is_other = number > 1 && pages.total != total;
            if is_other || !entries.iter().all(|entry| seen.insert(entry.uuid.clone())) {
                return Err(Error::Changing);
            }
            total = pages.total;
            listed.extend(entries);
            if !pages.has_next {
                break;
            }
            if seen.len() < number * PAGE {
                // A server with smaller pages than asked for would be asked for wrong ones.
                return Err(unusable(
                    "the list of hypervisors has a page that is not full before the last",
                ));
            }
            if seen.len() > MOST {
                return Err(unusable("the list of hypervisors does not end"));
            }
        }
        match total {
            Some(total) if total != seen.len() => Err(Error::Changing),
            _ => Ok(listed),
        }
    }

    /// One page of the list, in the order of the server's uuids, and what its header says about the others.
    fn page(&mut self, number: usize, size: usize) -> Result<(Vec<Entry>, answer::Pages), Error> {
        const DOING: &str = "asking for the list of hypervisors";
        let owner = utf8_percent_encode(&self.client.owner, PLAIN);
        let path = format!(
            "/owners/{owner}/hypervisors?page={number}&per_page={size}&sort_by=uuid&order=asc&include=uuid&\
             include=hypervisorId"
        );
        let asked = self.exchange(DOING, Request::get(path));
        let (response, log_ids) = asked.map_err(|error| self.unknown_owner(error))?;
        let pages = pages(&response);
        let (entries, _) = json(response, LARGEST_PAGE, DOING, log_ids)?;
        Ok((entries, pages))
    }

    /// A hypervisor with its facts and guests. `None` if it was deleted since it was listed.
    fn hypervisor(&mut self, listed: &Listed) -> Result<Option<Hypervisor>, Error> {
        let Some(consumer) = self.consumer_of(listed)? else {
            return Ok(None);
        };
        let Some(guests) = self.guests_of(listed)? else {
            return Ok(None);
        };
        let mut hypervisor = consumer.hypervisor(&listed.id);
        let guests = guests.into_iter().filter(|guest| !guest.guest_id.is_empty());
        hypervisor.guests = guests
            .map(|guest| Guest {
                id: guest.guest_id,
                ..Guest::default()
            })
            .collect();
        hypervisor.guests.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Some(hypervisor))
    }

    fn consumer_of(&mut self, listed: &Listed) -> Result<Option<Consumer>, Error> {
        let doing = format!("asking for hypervisor {}", listed.id);
        self.of_consumer(listed, "", LARGEST_CONSUMER, &doing)
    }

    fn guests_of(&mut self, listed: &Listed) -> Result<Option<Vec<GuestId>>, Error> {
        let doing = format!("asking for the guests of hypervisor {}", listed.id);
        self.of_consumer(listed, "/guestids", LARGEST_GUESTS, &doing)
    }

    /// What the server holds below the path of a hypervisor. `None` if the hypervisor was deleted.
    fn of_consumer<T: serde::de::DeserializeOwned>(
        &mut self,
        listed: &Listed,
        below: &str,
        limit: u64,
        doing: &str,
    ) -> Result<Option<T>, Error> {
        let path = format!("/consumers/{}{below}", utf8_percent_encode(&listed.uuid, PLAIN));
        match self.exchange(doing, Request::get(path)) {
            Ok((response, log_ids)) => Ok(Some(json(response, limit, doing, log_ids)?.0)),
            Err(error) if error.is_deletion_of(&listed.uuid) => {
                log::debug!("hypervisor {} was deleted while the others were read", listed.id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Error {
    /// Whether the server says that the consumer with this uuid was deleted: 410 with its uuid, or 404 from Candlepin itself.
    fn is_deletion_of(&self, uuid: &str) -> bool {
        match self {
            Error::NotFound { .. } => true,
            Error::Gone { source, .. } => {
                matches!(&**source, http::Error::Status { message, .. } if message.contains(uuid))
            }
            _ => false,
        }
    }
}

/// The error of a list that can't be used.
fn unusable(reason: &str) -> Error {
    Error::Unusable {
        reason: reason.to_owned(),
    }
}
