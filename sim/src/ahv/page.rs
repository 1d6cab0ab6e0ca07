//! Which part of a list a request wants.

use serde_json::Value;

use super::refused::Refused;
use super::{List, Paging};
use crate::http::Request;

/// The length of a page if none is asked for.
const USUAL: usize = 20;

/// The members that the body of a list request may have.
const MEMBERS: [&str; 6] = [
    "kind",
    "offset",
    "length",
    "filter",
    "sort_order",
    "sort_attribute",
];

/// The part of a list that a request wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) offset: usize,
    pub(super) length: usize,
}

impl Wanted {
    /// In v2.0. Parameters that a list does not have are ignored. Pages are counted in the length that was asked for, also if it is
    /// cut afterwards; that is a guess.
    pub(super) fn of_query(query: &str, list: List, machines: Paging) -> Result<Self, Refused> {
        let paging = match list {
            List::Machines => machines,
            List::Clusters | List::Hosts => Paging::Pages,
        };
        Ok(match paging {
            Paging::Never => Wanted {
                offset: 0,
                length: usize::MAX,
            },
            Paging::Offsets => Wanted {
                offset: number(query, "offset", 0)?.unwrap_or(0),
                length: number(query, "length", 1)?.unwrap_or(USUAL),
            },
            Paging::Pages => {
                let length = number(query, "count", 1)?.unwrap_or(USUAL);
                let page = number(query, "page", 1)?.unwrap_or(1);
                Wanted {
                    offset: (page - 1).saturating_mul(length),
                    length,
                }
            }
        })
    }

    /// In v3.
    pub(super) fn of_body(request: &Request, list: List) -> Result<Self, Refused> {
        let kind = request.header("Content-Type").unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(Refused::MediaType);
        }
        let body = serde_json::from_slice(&request.body).ok();
        let Some(Value::Object(body)) = body else {
            return Err(Refused::Invalid("the body is not a JSON object".into()));
        };
        if let Some(other) = body.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
            let reason = format!("Additional properties are not allowed ({other:?} was unexpected)");
            return Err(Refused::Invalid(reason));
        }
        if body.get("kind").is_some_and(|kind| *kind != list.kind()) {
            return Err(Refused::Invalid("the kind is not that of the list".into()));
        }
        let member = |name: &str, least: u64| match body.get(name) {
            None => Ok(None),
            Some(value) => match value.as_u64().filter(|number| *number >= least) {
                Some(number) => Ok(usize::try_from(number).ok()),
                None => Err(Refused::Invalid(format!("{name} is {value}"))),
            },
        };
        Ok(Wanted {
            offset: member("offset", 0)?.unwrap_or(0),
            length: member("length", 1)?.unwrap_or(USUAL),
        })
    }

    /// With at most this length. A list that is not paged is not cut.
    pub(super) fn cut(self, longest: usize) -> Self {
        match self.length {
            usize::MAX => self,
            length => Wanted {
                length: length.min(longest),
                ..self
            },
        }
    }
}

/// A parameter of the query. That an invalid one is refused is a guess.
fn number(query: &str, name: &str, least: usize) -> Result<Option<usize>, Refused> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.find(|(key, _)| *key == name) else {
        return Ok(None);
    };
    match value.parse().ok().filter(|number| *number >= least) {
        Some(number) => Ok(Some(number)),
        None => Err(Refused::Invalid(format!("{name} is {value}"))),
    }
}
