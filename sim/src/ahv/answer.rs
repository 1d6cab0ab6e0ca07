//! Pages.

use serde_json::{Value, json};

use super::page::Wanted;
use super::{Edition, Inventory, List};
use crate::http::Response;

/// The part of a list that is wanted, with what each API says about it.
pub(super) fn page(edition: Edition, list: List, inventory: &Inventory, wanted: Wanted) -> Response {
    let total = inventory.count(edition, list);
    let begin = wanted.offset.min(total);
    let end = begin.saturating_add(wanted.length).min(total);
    let entities = (begin..end).map(|place| inventory.record(edition, list, place));
    let entities: Vec<Value> = entities.collect();
    let body = match (edition, list) {
        (Edition::Central, _) => json!({
            "api_version": "3.1",
            "metadata": {"total_matches": total, "kind": list.kind(), "length": entities.len(), "offset": wanted.offset},
            "entities": entities,
        }),
        // The list of virtual machines says less about itself than the others.
        (Edition::Element, List::Machines) => json!({
            "metadata": {"grand_total_entities": total, "total_entities": total, "count": entities.len()},
            "entities": entities,
        }),
        (Edition::Element, _) => json!({
            "metadata": {
                "grand_total_entities": total, "total_entities": total, "filter_criteria": "", "sort_criteria": "",
                "page": wanted.offset / wanted.length.max(1) + 1, "count": entities.len(),
                "start_index": begin + 1, "end_index": end,
            },
            "entities": entities,
        }),
    };
    Response::new(200, "application/json", body.to_string())
}
