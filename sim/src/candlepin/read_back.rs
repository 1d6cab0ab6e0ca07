//! Reading back what was reported: the list of an owner's hypervisors, a consumer, and the guests of a consumer.
//!
//! The answers are those of exchanges recorded with 4.7.5 and 2.4.16.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::access::{Answer, Refused, accepts, forbidden, parameter, parameters};
use super::{Candlepin, Generation, Guest, Hypervisor};
use crate::clock;
use crate::http::Request;

/// The entries of a page, if only its number is given. Candlepin's default.
const PAGE: usize = 10;

/// Header fields of an answer.
pub(super) type Fields = Vec<(String, String)>;

/// The page that a request asks for.
struct Page {
    /// From 1.
    number: usize,
    size: usize,
}

impl Candlepin {
    /// The hypervisors of an owner: all, or those whose ids are asked for; sorted, cut into pages, and cut to some members.
    pub(super) fn list(&self, owner: &str, request: &Request, fields: &mut Fields) -> Answer {
        let (who, state) = self.admit(owner, request)?;
        if who.is_consumer {
            return Err(forbidden());
        }
        let query = &request.query;
        let page = self.page(query)?;
        let wanted: BTreeSet<String> = parameters(query, "hypervisor_id")
            .iter()
            .map(|id| id.to_lowercase())
            .collect();
        let store = state.stores.get(owner).into_iter();
        let mut found: Vec<(&str, &Hypervisor)> = store
            .flat_map(|store| store.listed())
            .filter(|(id, _)| wanted.is_empty() || wanted.contains(*id))
            .collect();
        sort(&mut found, query)?;
        let found = match page {
            None => &found[..],
            Some(page) => {
                let begin = ((page.number - 1).saturating_mul(page.size)).min(found.len());
                let end = begin.saturating_add(page.size).min(found.len());
                self.lead_on(&page, found.len(), request, fields);
                &found[begin..end]
            }
        };
        let members: BTreeSet<String> = parameters(query, "include").into_iter().collect();
        let shown = found.iter().map(|(id, held)| {
            let mut entry = consumer(Some(id), owner, held);
            // The list has no facts, whatever `include` says.
            entry.remove("facts");
            entry.retain(|name, _| members.is_empty() || members.contains(name));
            Value::Object(entry)
        });
        Ok((200, shown.collect()))
    }

    /// The page of a request, if it asks for one.
    fn page(&self, query: &str) -> Result<Option<Page>, Refused> {
        let number = |name: &str| {
            let Some(text) = parameter(query, name) else {
                return Ok(None);
            };
            let number = text.parse().ok().filter(|number| *number > 0);
            number.map(Some).ok_or_else(|| {
                let message = match self.settings.generation {
                    Generation::Current => format!("param \"{name}\" must be a positive integer"),
                    Generation::Old => "offset and limit parameters must be positive integers".into(),
                };
                Refused(400, message)
            })
        };
        Ok(match (number("page")?, number("per_page")?) {
            (None, None) => None,
            (number, size) => Some(Page {
                number: number.unwrap_or(1),
                size: size.unwrap_or(PAGE),
            }),
        })
    }

    /// The header fields of a page: how many entries all pages have, and where the other pages are.
    ///
    /// The address is the server's idea of itself, not the one that it was reached by.
    fn lead_on(&self, page: &Page, total: usize, request: &Request, fields: &mut Fields) {
        let current = self.settings.generation == Generation::Current;
        let last = total.div_ceil(page.size);
        let beyond = page.number > last;
        // 2.4.16 knows no total for a page after the last.
        let (total, last) = if beyond && !current { (0, 0) } else { (total, last) };
        let others = request.query.split('&').filter(|pair| !pair.starts_with("page="));
        let others: String = others.map(|pair| format!("{pair}&")).collect();
        let link = |name: &str, number: usize| {
            let (path, query) = (&request.path, &request.query);
            if current {
                format!(
                    "<https://localhost:8443{path}?{others}page={number}>; rel=\"{name}\"; title=\"{name}\"; \
                     type=\"application/json\""
                )
            } else {
                // Recorded: it puts the parameters behind those that came.
                format!("<https://localhost:8443{path}?{query}&{others}page={number}>; rel=\"{name}\"")
            }
        };
        let mut links = Vec::new();
        // A guess: the record has no page with one before it.
        if page.number > 1 && !beyond {
            links.push(link("prev", page.number - 1));
        }
        if page.number < last {
            links.push(link("next", page.number + 1));
        }
        links.extend([link("first", 1), link("last", last)]);
        fields.extend([
            ("Link".into(), links.join(", ")),
            ("X-total-count".into(), total.to_string()),
        ]);
    }

    /// `GET /consumers/UUID/guestids`, and one of the guests with its attributes.
    pub(super) fn guests(&self, uuid: &str, guest: Option<&str>, request: &Request) -> Answer {
        accepts(request)?;
        let (_, _, state) = self.admit_to_consumer(uuid, request)?;
        let mut stores = state.stores.values();
        let held = stores.find_map(|store| store.held(uuid));
        let guests = held.map(|held| held.guests.as_slice()).unwrap_or_default();
        let Some(wanted) = guest else {
            let shown = guests.iter().map(|guest| Value::Object(shown(guest)));
            return Ok((200, shown.collect()));
        };
        let found = guests.iter().find(|guest| guest.id.eq_ignore_ascii_case(wanted));
        let Some(found) = found else {
            // A guess: there is no record of it.
            return Err(Refused(
                404,
                format!("Guest with ID {wanted} could not be found."),
            ));
        };
        let mut shown = shown(found);
        shown.insert("attributes".into(), json!(found.attributes));
        Ok((200, Value::Object(shown)))
    }
}

/// A guest without its attributes. Its state is not stored.
fn shown(guest: &Guest) -> Map<String, Value> {
    Map::from_iter([("guestId".into(), guest.id.clone().into())])
}

/// A consumer with the members that are of use to a reader. Its guests are never among them.
pub(super) fn consumer(id: Option<&str>, owner: &str, held: &Hypervisor) -> Map<String, Value> {
    let kind = if id.is_some() { "hypervisor" } else { "system" };
    let id = id.map(|id| json!({"hypervisorId": id, "reporterId": held.reporter}));
    let members = [
        ("uuid", json!(held.uuid)),
        ("name", json!(held.name)),
        ("hypervisorId", json!(id)),
        ("facts", json!(held.facts)),
        ("guestIds", json!([])),
        ("lastCheckin", json!(held.checked_in.map(clock::with_zone))),
        ("href", json!(format!("/consumers/{}", held.uuid))),
        ("owner", json!({"key": owner})),
        ("type", json!({"label": kind})),
    ];
    members
        .map(|(name, value)| (name.to_owned(), value))
        .into_iter()
        .collect()
}

/// Sorts as `sort_by` and `order` say; without them the newest come first. `order_by` is ignored.
fn sort(found: &mut [(&str, &Hypervisor)], query: &str) -> Result<(), Refused> {
    match parameter(query, "sort_by").as_deref() {
        None => found.reverse(),
        Some("uuid") => found.sort_by(|(_, one), (_, other)| one.uuid.cmp(&other.uuid)),
        Some("name") => found.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name)),
        // A guess: other columns are not recorded.
        Some(other) => return Err(Refused(400, format!("cannot sort by {other}"))),
    }
    match parameter(query, "order").as_deref() {
        Some("asc" | "ascending") => {}
        // Candlepin's default is descending.
        None | Some("desc" | "descending") => {
            if parameter(query, "sort_by").is_some() {
                found.reverse();
            }
        }
        Some(_) => {
            let message = "the order parameter must be either \"ascending\" or \"descending\"";
            return Err(Refused(400, message.into()));
        }
    }
    Ok(())
}
