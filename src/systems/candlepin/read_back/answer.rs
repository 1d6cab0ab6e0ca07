//! The answers: a page of the list, a consumer, its guests.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{LAST_CHECKIN, Listed, REPORTER};
use crate::http::Response;
use crate::mapping::{Hypervisor, JsonValue, LeftOut, Members};

/// A hypervisor in the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) uuid: String,
    hypervisor_id: Option<HypervisorId>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HypervisorId {
    hypervisor_id: Option<String>,
    reporter_id: Option<String>,
}

/// A consumer. Its `guestIds` are always empty.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Consumer {
    /// Present in each answer about a consumer, so without it the answer is another one.
    #[serde(rename = "uuid")]
    _uuid: String,
    name: Option<String>,
    hypervisor_id: Option<HypervisorId>,
    last_checkin: Option<String>,
    facts: Option<BTreeMap<String, Option<String>>>,
}

/// A guest in the list of a consumer's guests, which has neither attributes nor states.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GuestId {
    pub(super) guest_id: String,
}

/// What the header of a page says about the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pages {
    /// The number of hypervisors on all pages.
    pub(super) total: Option<usize>,
    /// Whether there is another page.
    pub(super) has_next: bool,
}

impl Entry {
    /// The hypervisor. A consumer without a hypervisorId, which no reporter knows, is left out.
    pub(super) fn hypervisor(self) -> Result<Listed, LeftOut> {
        let id = self.hypervisor_id.and_then(|id| id.hypervisor_id);
        let uuid = self.uuid;
        match id {
            Some(id) if !id.is_empty() => Ok(Listed { id, uuid }),
            _ => Err(LeftOut {
                kind: LeftOut::HOST.into(),
                id: Some(uuid),
                name: None,
                reason: "the consumer has no hypervisorId".into(),
            }),
        }
    }
}

impl Consumer {
    /// The hypervisor with this id, without its guests. Its facts are sorted, because the server gives them in any order.
    pub(super) fn hypervisor(self, id: &str) -> Hypervisor {
        let mut hypervisor = Hypervisor::new(id);
        hypervisor.name = self.name.filter(|name| !name.is_empty());
        let facts = self.facts.unwrap_or_default().into_iter();
        hypervisor.facts = facts
            .filter_map(|(name, value)| Some((name, JsonValue::from(value?))))
            .collect::<Members>();
        let reporter = self.hypervisor_id.and_then(|id| id.reporter_id);
        for (member, value) in [(REPORTER, reporter), (LAST_CHECKIN, self.last_checkin)] {
            if let Some(value) = value {
                hypervisor.unknown.set(member, value);
            }
        }
        hypervisor
    }
}

/// What the header of a page says. The address of the next page is not used: its host is the server's idea of itself.
pub(super) fn pages(response: &Response) -> Pages {
    let total = response.header("X-total-count");
    Pages {
        total: total.and_then(|total| total.trim().parse().ok()),
        has_next: response.headers("Link").any(leads_on),
    }
}

/// Whether a `Link` names the next page.
fn leads_on(link: &str) -> bool {
    let parameters = link.split(['>', ';', ',']).map(str::trim);
    let mut relations = parameters.filter_map(|parameter| parameter.strip_prefix("rel="));
    relations.any(|relation| relation.trim_matches('"').eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_of_both_generations_leads_on() {
        // Recorded, shortened to the parts that matter.
        let current = "<https://localhost:8443/candlepin/owners/o/hypervisors?per_page=2&page=2>; rel=\"next\"; \
                       title=\"next\"; type=\"application/json\", <https://localhost:8443/x?page=1>; rel=\"first\"";
        let old = "<https://localhost:8443/x?page=1&per_page=2&per_page=2&page=2>; rel=\"next\", <https://x>; rel=\"last\"";
        let last = "<https://localhost:8443/x?rel=next&page=1>; rel=\"first\"; title=\"next\", <https://x>; rel=\"last\"";
        assert_eq!([current, old, last].map(leads_on), [true, true, false]);
    }

    #[test]
    fn a_consumer_becomes_a_hypervisor_without_guests() {
        // Recorded with 4.7.5, shortened.
        let consumer = r#"{"facts":{"hypervisor.type":"VMware ESXi","dmi.system.uuid":"read-h1","cpu.cpu_socket(s)":"2",
            "odd":null},"guestIds":[],"hypervisorId":{"created":"2026-11-26T14:13:28+0000","hypervisorId":"read-h1",
            "reporterId":"reader"},"lastCheckin":"2026-11-26T14:13:28+0000","name":"esx1.example.com","uuid":"2498b80c"}"#;
        let consumer: Consumer = serde_json::from_str(consumer).unwrap();
        let hypervisor = consumer.hypervisor("read-h1");
        let facts: Vec<_> = hypervisor.facts.iter().map(|(name, _)| name).collect();
        assert_eq!(facts, ["cpu.cpu_socket(s)", "dmi.system.uuid", "hypervisor.type"]);
        assert_eq!(hypervisor.name.as_deref(), Some("esx1.example.com"));
        assert_eq!(hypervisor.unknown.text(REPORTER), Some("reader"));
        assert_eq!(
            hypervisor.unknown.text(LAST_CHECKIN),
            Some("2026-11-26T14:13:28+0000")
        );
        let bare: Consumer = serde_json::from_str(r#"{"uuid":"u"}"#).unwrap();
        assert_eq!(bare.hypervisor("a"), Hypervisor::new("a"));
    }

    #[test]
    fn a_consumer_without_an_id_is_left_out() {
        for text in [
            r#"{"uuid":"u","hypervisorId":null}"#,
            r#"{"uuid":"u","hypervisorId":{"hypervisorId":""}}"#,
            r#"{"uuid":"u"}"#,
        ] {
            let entry: Entry = serde_json::from_str(text).unwrap();
            let left_out = entry.hypervisor().unwrap_err();
            assert_eq!(left_out.id.as_deref(), Some("u"), "{text}");
        }
    }
}
