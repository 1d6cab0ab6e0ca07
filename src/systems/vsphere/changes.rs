//! The stream of changes of the objects that a property filter selects (vSphere Web Services API, `WaitForUpdatesEx`).

use std::fmt::Write as _;
use std::io::BufRead;
use std::time::Duration;

use super::property::{Object, read_missing_object};
use super::rounds::{MOST_OBJECTS, Rounds};
use super::session::Session;
use super::soap::Answer;
use super::{Error, ManagedObject, NOT_AUTHENTICATED};
use crate::xml::{self, Reader};

const WAIT: &str = "WaitForUpdatesEx";

/// The fault of a wait that CancelWaitForUpdates ended.
const CANCELED: &str = "RequestCanceled";

/// How long a server may stay silent after the time that it was asked to wait.
const SILENCE: Duration = Duration::from_secs(60);

/// How often in a row the server may cancel a wait. It does so whenever another call asks for it.
const MOST_CANCELS: usize = 100;

/// A change of one object.
pub(super) struct Update<'u> {
    /// `enter`, `modify` or `leave`.
    pub(super) kind: &'u str,
    /// The object with the properties that the update sets.
    pub(super) object: &'u Object,
    /// The properties that the update names, including those that are no longer set.
    pub(super) paths: &'u [String],
}

/// The changes of one session's filters, from the first state on.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The state that the server described last; opaque, and empty before the first.
    version: String,
    /// How often in a row a wait was cancelled.
    cancels: usize,
}

impl Changes {
    /// Forgets earlier cancelled waits, because this one was cancelled on request.
    pub(super) fn expect_cancel(&mut self) {
        self.cancels = 0;
    }

    /// Waits for changes, at most `longest` (rounded up to seconds), and hands all that there are to `each`; returns whether
    /// there were any.
    ///
    /// The first call returns all objects at once, as `enter`.
    pub(super) fn wait(
        &mut self,
        session: &mut Session,
        longest: Duration,
        each: &mut impl FnMut(&Update<'_>),
    ) -> Result<bool, Error> {
        let mut next = self.next_page(session, longest, each)?;
        let changed = next.is_some();
        let mut rounds = Rounds::default();
        while let Some(page) = next {
            rounds.add(WAIT, page.objects)?;
            if !page.truncated {
                break;
            }
            next = self.next_page(session, Duration::ZERO, each)?;
        }
        Ok(changed)
    }

    fn next_page(
        &mut self,
        session: &mut Session,
        longest: Duration,
        each: &mut impl FnMut(&Update<'_>),
    ) -> Result<Option<Page>, Error> {
        let seconds = longest.as_millis().div_ceil(1000);
        let mut parameters = format!("<version>{}</version>", xml::escape(&self.version));
        let _ = write!(
            parameters,
            "<options><maxWaitSeconds>{seconds}</maxWaitSeconds></options>"
        );
        let Session { client, content, .. } = session;
        let silence = Some(longest + SILENCE);
        let collector = &content.property_collector;
        let page = loop {
            let read = |xml: &mut Answer| read_page(xml, each);
            match client.call_patiently(WAIT, collector, &parameters, silence, read) {
                Err(error) if error.is_fault(CANCELED) => {
                    self.count_cancel()?;
                    // A call that does not wait fetches the rest of a change, and half a change must not be shown.
                    if !longest.is_zero() {
                        return Ok(None);
                    }
                }
                page => break page?,
            }
        };
        self.cancels = 0;
        if let Some(page) = &page {
            if let Some(fault) = &page.fault {
                return Err(Error::of_fault(WAIT, fault.clone()));
            }
            self.version.clone_from(&page.version);
        }
        Ok(page)
    }

    fn count_cancel(&mut self) -> Result<(), Error> {
        self.cancels += 1;
        if self.cancels <= MOST_CANCELS {
            return Ok(());
        }
        let what = format!("{CANCELED} {} times in a row", self.cancels);
        Err(Error::Endless { method: WAIT, what })
    }
}

/// What an answer contains besides the updates themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) version: String,
    /// Whether more updates are available at once.
    pub(super) truncated: bool,
    /// How many updates there were.
    objects: usize,
    /// Why no more updates can come: the session has ended, or the view is gone.
    fault: Option<String>,
}

/// Reads an `UpdateSet` and hands its updates to `each`. Returns none if nothing has changed.
pub(super) fn read_page<R: BufRead>(
    xml: &mut Reader<R>,
    each: &mut impl FnMut(&Update<'_>),
) -> Result<Option<Page>, xml::Error> {
    let mut found = None;
    while let Some(name) = xml.child()? {
        if name != "returnval" {
            xml.skip()?;
            continue;
        }
        let page: &mut Page = found.get_or_insert_default();
        while let Some(name) = xml.child()? {
            match name {
                "version" => page.version = xml.text()?.to_owned(),
                "truncated" => page.truncated = matches!(xml.text()?.trim(), "true" | "1"),
                "filterSet" => page.read_filter(xml, each)?,
                _ => xml.skip()?,
            }
        }
    }
    Ok(found)
}

impl Page {
    /// Reads the updates of one filter.
    fn read_filter<R: BufRead>(
        &mut self,
        xml: &mut Reader<R>,
        each: &mut impl FnMut(&Update<'_>),
    ) -> Result<(), xml::Error> {
        let (mut object, mut paths) = (Object::default(), Vec::new());
        while let Some(name) = xml.child()? {
            match name {
                "objectSet" if self.objects == MOST_OBJECTS => {
                    return Err(xml.refuse("a page of more objects than there can be"));
                }
                "objectSet" => {
                    let kind = object.read_update(xml, &mut paths)?;
                    self.objects += 1;
                    if object.is_without_session() {
                        self.fault = Some(NOT_AUTHENTICATED.to_owned());
                    }
                    each(&Update {
                        kind: &kind,
                        object: &object,
                        paths: &paths,
                    });
                }
                "missingSet" => self.miss(read_missing_object(xml)?),
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// Notes an object that the filter does not find. If it is the view, the filter never reports anything again.
    fn miss(&mut self, (object, fault): (Option<ManagedObject>, String)) {
        let is_view = object.is_some_and(|object| object.kind == "ContainerView");
        if is_view || fault == NOT_AUTHENTICATED {
            self.fault = Some(fault);
        }
    }
}
