//! The plan: the events that say which guests a hypervisor has (`registration.virt_notify`).
//!
//! The server processes a plan in one transaction: one event that it does not accept undoes all of them. So guests that it
//! would not accept are left out, and [`Plan::omitted`] names them.

use std::borrow::Cow;

use super::{Error, Registrant};
use crate::mapping::{Guest, GuestState};
use crate::text;
use crate::xmlrpc::Datum;

/// The longest name of a guest, in characters. A longer one causes a database error, and the plan is lost.
const LONGEST_NAME: usize = 128;
/// The most digits of a uuid.
const LONGEST_UUID: usize = 32;
/// How many of a hypervisor's omitted guests are named.
const MOST_NAMED: usize = 10;
/// The uuid of the hypervisor itself, which has none. With any other, each report would add a row for it.
const OWN_UUID: &str = "0000000000000000";

/// The events of one hypervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan<'a> {
    /// The events: the hypervisor exists, a crawl begins, each guest exists, the crawl ends. With its end the server sets the
    /// guests that were not mentioned to stopped.
    pub events: Datum<'a>,
    /// The ids of guests that are left out, with the reason.
    pub omitted: Vec<(&'a str, &'static str)>,
}

impl<'a> Plan<'a> {
    /// The plan of a hypervisor.
    pub fn of(registrant: &Registrant<'a>) -> Self {
        Plan::new(registrant.kind, registrant.id, &registrant.hypervisor.guests)
    }

    /// The plan of the hypervisor `id`, whose source is of virt-who's type `kind`.
    fn new(kind: &str, id: &str, guests: &'a [Guest]) -> Self {
        let mut omitted = Vec::new();
        let own = [("identity", Datum::text("host")), ("uuid", Datum::text(OWN_UUID))];
        let mut events = vec![
            event("exists", "system", Datum::members(own)),
            event("crawl_began", "system", Datum::members([])),
        ];
        for guest in guests {
            match uuid(&guest.id) {
                Ok(uuid) => events.push(event("exists", "domain", properties(kind, id, guest, uuid))),
                Err(reason) => omitted.push((guest.id.as_str(), reason)),
            }
        }
        events.push(event("crawl_ended", "system", Datum::members([])));
        Plan {
            events: Datum::Array(events),
            omitted,
        }
    }

    /// The error that guests are left out, if any are.
    pub fn incomplete(&self) -> Option<Error> {
        if self.omitted.is_empty() {
            return None;
        }
        let named = self.omitted.iter().take(MOST_NAMED);
        let mut omitted: Vec<String> = named
            .map(|(id, reason)| format!("{:?}, {reason}", text::cut(id, LONGEST_NAME)))
            .collect();
        if self.omitted.len() > MOST_NAMED {
            omitted.push(format!("and {} more", self.omitted.len() - MOST_NAMED));
        }
        Some(Error::Incomplete(omitted.join("; ")))
    }
}

/// The number of guests that a plan leaves out.
pub fn count_unsendable(guests: &[Guest]) -> usize {
    guests.iter().filter(|guest| uuid(&guest.id).is_err()).count()
}

/// The name of a hypervisor's profile. The server cuts it to 128 characters.
pub fn profile_name(kind: &str, id: &str) -> String {
    format!("{kind} hypervisor {id}")
}

/// An event. Its first element is a time, which the server ignores.
fn event<'a>(action: &'static str, target: &'static str, properties: Datum<'a>) -> Datum<'a> {
    Datum::Array(vec![
        Datum::Int(0),
        Datum::text(action),
        Datum::text(target),
        properties,
    ])
}

/// The properties of a guest, as in virt-who. The numbers are required, although they are not known.
fn properties<'a>(kind: &str, host: &str, guest: &'a Guest, uuid: Cow<'a, str>) -> Datum<'a> {
    let name = format!("VM {} from {}", guest.id, profile_name(kind, host));
    let name: String = name.chars().take(LONGEST_NAME).collect();
    Datum::members([
        ("uuid", Datum::Text(uuid)),
        ("name", Datum::text(name)),
        ("state", Datum::text(word(guest.state.unwrap_or_default()))),
        ("vcpus", Datum::Int(1)),
        ("memory_size", Datum::Int(0)),
        ("virt_type", Datum::text("fully_virtualized")),
    ])
}

/// The guest's uuid as the server reads it, without dashes; or why the guest is left out.
fn uuid(id: &str) -> Result<Cow<'_, str>, &'static str> {
    let digits = match id.contains('-') {
        true => Cow::Owned(id.replace('-', "")),
        false => Cow::Borrowed(id),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("its id is not hexadecimal; the server would refuse the hypervisor with all its guests");
    }
    if digits.bytes().all(|digit| digit == b'0') {
        return Err("its id is zero, which to the server is the hypervisor itself");
    }
    if digits.len() > LONGEST_UUID {
        return Err("its id has more than 32 digits, which the server can't store");
    }
    Ok(digits)
}

/// The server's word for a state. With a word that it does not know the plan is lost.
fn word(state: GuestState) -> &'static str {
    match state {
        GuestState::Running => "running",
        GuestState::Blocked => "blocked",
        GuestState::Paused => "paused",
        GuestState::ShuttingDown => "shutdown",
        GuestState::ShutOff => "shutoff",
        GuestState::Crashed => "crashed",
        // The server has no word for a guest that suspended itself.
        GuestState::None | GuestState::PmSuspended => "nostate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "564DAE86-1234-5678-9abc-def012345678";

    fn guest(id: &str, state: GuestState) -> Guest {
        Guest::new(id, state, "esx")
    }

    fn events<'a>(plan: &'a Plan<'_>) -> Vec<&'a [Datum<'a>]> {
        let Datum::Array(events) = &plan.events else {
            panic!()
        };
        let elements = |event: &'a Datum<'a>| match event {
            Datum::Array(elements) => elements.as_slice(),
            _ => panic!(),
        };
        events.iter().map(elements).collect()
    }

    #[test]
    fn a_plan_has_the_events_of_virt_who_in_their_order() {
        let guests = [guest(UUID, GuestState::Running)];
        let plan = Plan::new("esx", "esx1.example.com", &guests);
        let events = events(&plan);
        let named: Vec<_> = events
            .iter()
            .map(|e| (e.len(), e[1].as_text().unwrap(), e[2].as_text().unwrap()))
            .collect();
        assert_eq!(
            named,
            [
                (4, "exists", "system"),
                (4, "crawl_began", "system"),
                (4, "exists", "domain"),
                (4, "crawl_ended", "system")
            ]
        );
        assert!(events.iter().all(|event| event[0] == Datum::Int(0)));
        let text = |event: usize, name: &str| events[event][3].member(name).unwrap().as_text().unwrap();
        assert_eq!(
            (text(0, "identity"), text(0, "uuid")),
            ("host", "0000000000000000")
        );
        assert_eq!(text(2, "uuid"), "564DAE86123456789abcdef012345678");
        assert_eq!(
            text(2, "name"),
            format!("VM {UUID} from esx hypervisor esx1.example.com")
        );
        assert_eq!(text(2, "virt_type"), "fully_virtualized");
        assert!(events[2][3].member("vcpus") == Some(&Datum::Int(1)));
        assert!(events[2][3].member("memory_size") == Some(&Datum::Int(0)));
        assert_eq!(Plan::new("esx", "a", &[]).omitted, []);
    }

    #[test]
    fn each_state_has_a_word_that_the_server_knows() {
        let words = [
            "nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "nostate",
        ];
        assert_eq!(GuestState::ALL.map(word), words);
    }

    #[test]
    fn guests_that_would_break_the_plan_are_left_out_and_named() {
        let table = [
            ("not-a-uuid", Some("not hexadecimal")),
            ("0x12", Some("not hexadecimal")),
            (" 12", Some("not hexadecimal")),
            ("١٢", Some("not hexadecimal")),
            ("00000000-0000-0000-0000-000000000000", Some("is zero")),
            ("-", Some("is zero")),
            ("123456789012345678901234567890123", Some("more than 32")),
            ("1", None),
            (UUID, None),
        ];
        for (id, reason) in table {
            let guests = [guest(id, GuestState::Running)];
            let plan = Plan::new("esx", "h", &guests);
            match reason {
                None => assert_eq!((events(&plan).len(), plan.omitted.len()), (4, 0), "{id}"),
                Some(reason) => {
                    assert_eq!(events(&plan).len(), 3, "{id}");
                    assert_eq!(plan.omitted[0].0, id);
                    assert!(plan.omitted[0].1.contains(reason), "{id}: {}", plan.omitted[0].1);
                }
            }
        }
    }

    #[test]
    fn at_most_ten_of_the_guests_left_out_are_named_and_all_are_counted() {
        let odd = |count: usize| -> Vec<Guest> {
            let ids = (0..count).map(|n| guest(&format!("odd{n}"), GuestState::Running));
            ids.chain([guest(UUID, GuestState::Running)]).collect()
        };
        let message = |guests: &[Guest]| {
            let incomplete = Plan::new("esx", "h", guests).incomplete();
            incomplete.map(|error| error.to_string())
        };
        for (count, more) in [
            (1, None),
            (10, None),
            (11, Some("; and 1 more")),
            (25, Some("; and 15 more")),
        ] {
            let guests = odd(count);
            assert_eq!(count_unsendable(&guests), count);
            let message = message(&guests).unwrap();
            assert_eq!(
                message.matches("its id is not hexadecimal").count(),
                count.min(10),
                "{message}"
            );
            assert_eq!(message.find("; and ").map(|at| &message[at..]), more);
        }
        assert_eq!((count_unsendable(&odd(0)), message(&odd(0))), (0, None));
    }

    proptest! {
        #[test]
        fn no_guest_makes_a_plan_that_the_server_refuses(id in "[0-9a-fA-F-]{0,40}|.{0,40}", host in ".{0,200}") {
            let guests = [guest(&id, GuestState::Paused)];
            let plan = Plan::new("esx", &host, &guests);
            for event in events(&plan).iter().filter(|e| e[2].as_text() == Some("domain")) {
                let text = |name: &str| event[3].member(name).unwrap().as_text().unwrap();
                prop_assert!(text("name").chars().count() <= 128);
                let number = u128::from_str_radix(text("uuid"), 16);
                prop_assert!(number.is_ok_and(|number| number > 0));
            }
        }
    }
}
