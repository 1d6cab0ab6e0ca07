//! Requests to an engine, and its answers.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use super::error::{ABOUT, Error};
use super::object::{Listed, Object, Text, Version, text, without_place};
use crate::cancel::Cancel;
use crate::http::{self, Endpoint, Http, Request};
use crate::kept::Kept;
use crate::secret::Secret;

/// How many objects a page has. A virtual machine takes about 8 KiB, so this is a short answer even for a large site.
const PAGE: usize = 500;

/// The largest page in bytes.
const LARGEST_PAGE: u64 = 16 << 20;

/// The largest description of the API in bytes.
const LARGEST_ABOUT: u64 = 1 << 20;

/// The most objects of one kind. An engine that lists more does not stop.
const MOST_OBJECTS: usize = 200_000;

/// The account that each request logs in with.
pub(super) struct Account {
    pub user: String,
    pub password: Secret,
}

/// An engine.
pub(super) struct Engine {
    http: Http,
    account: Account,
}

/// The objects of one kind.
pub(super) struct Objects<T> {
    pub objects: Vec<Object<T>>,
    pub pages: usize,
    /// Whether an object was on several pages, because others came or went meanwhile. One that is twice on a page is there twice.
    pub has_twins: bool,
}

/// What the root of the API says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct About {
    product_info: Product,
    /// How many hosts and virtual machines there are; none on an engine that does not say, or in another form.
    #[serde(default, deserialize_with = "if_usable")]
    pub summary: Option<Summary>,
}

#[derive(Debug, Clone, Deserialize)]
struct Product {
    #[serde(default, deserialize_with = "if_usable")]
    name: Option<Text>,
    #[serde(default, deserialize_with = "if_usable")]
    version: Option<Version>,
}

impl About {
    /// How many hosts and virtual machines there are, as far as the engine says.
    pub(super) fn totals(&self) -> [Option<usize>; 2] {
        let summary = self.summary.as_ref();
        let counts = summary.map(|summary| [&summary.hosts, &summary.vms]);
        let total = |count: &Option<Count>| text(count.as_ref()?.total.as_ref())?.parse().ok();
        counts.map_or([None, None], |counts| counts.map(total))
    }
}

/// How many hosts and virtual machines an engine has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Summary {
    #[serde(default, deserialize_with = "if_usable")]
    hosts: Option<Count>,
    #[serde(default, deserialize_with = "if_usable")]
    vms: Option<Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Count {
    total: Option<Text>,
}

/// Reads a member that the scan can do without: none if it has another form.
fn if_usable<'de, D: Deserializer<'de>, T: DeserializeOwned>(member: D) -> Result<Option<T>, D::Error> {
    let json = <&RawValue>::deserialize(member)?;
    Ok(serde_json::from_str(json.get()).ok())
}

impl Engine {
    pub(super) fn new(endpoint: &Endpoint, account: Account, cancel: &Cancel) -> Result<Self, Error> {
        let http = Http::new(endpoint, cancel)?;
        Ok(Engine { http, account })
    }

    /// Its host and port.
    pub(super) fn server(&self) -> String {
        self.http.base().authority()
    }

    /// The error of lists that never stay the same.
    pub(super) fn changing(&self, times: usize) -> Error {
        let server = self.server();
        Error::Changing { server, times }
    }

    /// What it says about itself. This proves that it is an engine, and that it accepts the account.
    pub(super) fn about(&self) -> Result<About, Error> {
        let json = self.get(String::new(), (ABOUT, "api"), LARGEST_ABOUT)?;
        serde_json::from_slice(&json).map_err(|error| self.unreadable(ABOUT, &error))
    }

    /// All objects of a kind, page by page; calls `seen` for each.
    ///
    /// A page that is not full is the last one, unless the engine counts `total` objects and fewer have come: it may have pages of
    /// its own size.
    pub(super) fn list<T: Listed>(
        &self,
        total: Option<usize>,
        mut seen: impl FnMut(),
    ) -> Result<Objects<T>, Error> {
        let (mut earlier, mut kept) = (HashSet::new(), Kept::default());
        let mut list = Objects {
            objects: Vec::new(),
            pages: 0,
            has_twins: false,
        };
        loop {
            list.pages += 1;
            let json = self.page::<T>(list.pages)?;
            let page = objects::<T>(&json).map_err(|error| self.unreadable(T::WHAT, &error))?;
            let is_full = page.len() >= PAGE;
            let is_twin = |object: &Object<T>| object.id().is_some_and(|id| earlier.contains(id));
            let (twins, new): (Vec<_>, Vec<_>) = page.into_iter().partition(is_twin);
            let has_more = total.is_some_and(|total| list.objects.len() + new.len() < total);
            let has_new = !new.is_empty();
            // An engine that knows no pages sends the same again.
            list.has_twins |= !twins.is_empty() && (is_full || has_new);
            earlier.extend(new.iter().filter_map(Object::id).map(str::to_owned));
            let fits = new.iter().all(|object| {
                seen();
                object.count(&mut kept)
            });
            list.objects.extend(new);
            let reason = if !fits || list.objects.len() > MOST_OBJECTS {
                format!("there are more than {MOST_OBJECTS}, or their texts are too long")
            } else if is_full && !has_new {
                format!("page {} repeats the pages before it", list.pages)
            } else if is_full || (has_new && has_more) {
                continue;
            } else {
                return Ok(list);
            };
            return Err(self.answer(T::WHAT, reason));
        }
    }

    /// A page of a list, counted from 1. The list is sorted, so that an object is on one page only.
    fn page<T: Listed>(&self, number: usize) -> Result<Vec<u8>, Error> {
        let path = T::PATH;
        let search = format!("{path}?search=sortby%20name%20asc%20page%20{number}&max={PAGE}");
        self.get(search, (T::WHAT, T::MEMBER), LARGEST_PAGE)
    }

    /// Gets a path below the API's. Messages and the files of a trace call it by these names.
    fn get(
        &self,
        path: String,
        (what, label): (&'static str, &'static str),
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let request = Request::get(path)
            .basic(&self.account.user, &self.account.password)
            .header("Accept", "application/json")
            .header("User-Agent", concat!("vw-scan-rhevm/", env!("CARGO_PKG_VERSION")))
            .header("Version", "4")
            // An engine may be configured to show an account only its own objects, unless the request says otherwise.
            .header("Filter", "false")
            .gzip()
            .label(label);
        let answer = self
            .http
            .send(&request)
            .and_then(|response| match response.status() {
                200 => Ok(response),
                _ => Err(response.into_error(fault)),
            });
        let answer = answer.map_err(|source| self.failed(what, source))?;
        if answer.is_html() {
            return Err(self.answer(what, "a web page".to_owned()));
        }
        answer.read(limit).map_err(|source| self.failed(what, source))
    }

    fn failed(&self, what: &'static str, source: http::Error) -> Error {
        match source {
            http::Error::Cancelled(_) => Error::Connection(source),
            http::Error::Status { status: 401, .. } => Error::Login {
                server: self.server(),
                user: self.account.user.clone(),
                source: source.into(),
            },
            source => Error::Request {
                what,
                source: source.into(),
            },
        }
    }

    fn unreadable(&self, what: &'static str, error: &serde_json::Error) -> Error {
        self.answer(what, without_place(error))
    }

    fn answer(&self, what: &'static str, reason: String) -> Error {
        let server = self.server();
        Error::Answer { server, what, reason }
    }
}

/// The engine's name and version, such as `oVirt Engine 4.5.4-1.el8`.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { name, version } = &self.product_info;
        f.write_str(text(name.as_ref()).unwrap_or("oVirt"))?;
        let version = version
            .as_ref()
            .and_then(|version| text(version.full_version.as_ref()));
        match version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

/// The engine's own words in the body of a refusal: a `fault` with a reason and details, with or without a member around it.
fn fault(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Fault {
        reason: Option<Text>,
        detail: Option<Text>,
        fault: Option<Box<Fault>>,
    }
    let mut fault = serde_json::from_slice::<Fault>(body).ok()?;
    if let Some(inner) = fault.fault.take() {
        fault = *inner;
    }
    let words = [fault.reason.as_ref(), fault.detail.as_ref()].map(text);
    let words: Vec<&str> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(": "))
}

/// The objects of a page, as they are written.
struct Page<'a>(Vec<&'a RawValue>);

impl<'a> Page<'a> {
    /// Reads the page of a list. An empty list has no member at all, but an answer with other members is none of a list.
    fn read(json: &'a [u8], member: &'static str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let page = json.deserialize_map(PageOf(member))?;
        json.end()?;
        Ok(page)
    }
}

/// Reads the object around the list.
struct PageOf(&'static str);

impl<'de> Visitor<'de> for PageOf {
    type Value = Page<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list {:?}", self.0)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Page<'de>, M::Error> {
        let (mut page, mut other) = (None, None);
        while let Some(name) = members.next_key::<String>()? {
            if name == self.0 {
                page = Some(members.next_value::<Few<'de>>()?.0);
            } else {
                members.next_value::<IgnoredAny>()?;
                other = Some(name);
            }
        }
        match (page, other) {
            (Some(page), _) => Ok(Page(page)),
            (None, None) => Ok(Page(Vec::new())),
            (None, Some(other)) => {
                let other = crate::text::cut(&other, 40).into_owned();
                Err(de::Error::custom(format_args!(
                    "it has {other:?} and no {:?}",
                    self.0
                )))
            }
        }
    }
}

/// The objects of one page. An engine that sends more than it was asked for does not stop.
struct Few<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Few<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FewObjects)
    }
}

struct FewObjects;

impl<'de> Visitor<'de> for FewObjects {
    type Value = Few<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Few<'de>, S::Error> {
        let mut objects = Vec::new();
        while let Some(object) = list.next_element()? {
            objects.push(object);
            if objects.len() > PAGE {
                return Err(de::Error::custom(format_args!(
                    "a page has more than {PAGE} objects"
                )));
            }
        }
        Ok(Few(objects))
    }
}

/// Reads the objects of one page.
pub(super) fn objects<T: Listed>(json: &[u8]) -> Result<Vec<Object<T>>, serde_json::Error> {
    let page = Page::read(json, T::MEMBER)?;
    Ok(page.0.into_iter().map(|raw| Object::read(raw.get())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(json: &str) -> Result<Vec<String>, String> {
        let page = Page::read(json.as_bytes(), "vm").map_err(|error| without_place(&error))?;
        Ok(page.0.iter().map(|raw| raw.get().to_owned()).collect())
    }

    #[test]
    fn a_page_is_the_list_of_its_kind() {
        assert_eq!(page(r#"{"vm":[{"id":"1"},7]}"#).unwrap(), [r#"{"id":"1"}"#, "7"]);
        assert_eq!(page("{}").unwrap(), [""; 0]);
        assert_eq!(page(r#"{"link":[],"vm":[]}"#).unwrap(), [""; 0]);
        for (json, reason) in [
            (r#"{"fault":{}}"#, r#"it has "fault" and no "vm""#),
            (r#"{"vm":{}}"#, "invalid type: map, expected a list"),
            (
                "[]",
                r#"invalid type: sequence, expected an object with a list "vm""#,
            ),
            ("", "EOF while parsing a value"),
            ("{} x", "trailing characters"),
        ] {
            assert_eq!(page(json).unwrap_err(), reason, "{json}");
        }
        let many = format!(r#"{{"vm":[{}1]}}"#, "1,".repeat(PAGE));
        assert_eq!(page(&many).unwrap_err(), "a page has more than 500 objects");
    }

    #[test]
    fn a_fault_says_why() {
        let words = |json: &str| fault(json.as_bytes()).unwrap_or_default();
        let inner = r#"{"reason":"Operation Failed","detail":"[no permission]"}"#;
        assert_eq!(words(inner), "Operation Failed: [no permission]");
        assert_eq!(
            words(&format!(r#"{{"fault":{inner}}}"#)),
            "Operation Failed: [no permission]"
        );
        assert_eq!(words(r#"{"reason":"","detail":null}"#), "");
        assert_eq!(words("<html>"), "");
    }

    #[test]
    fn an_engine_names_itself() {
        let about = |json: &str| serde_json::from_str::<About>(json).unwrap().to_string();
        let version =
            r#"{"product_info":{"name":"oVirt Engine","version":{"full_version":"4.5.4-1.el8","major":4}}}"#;
        assert_eq!(about(version), "oVirt Engine 4.5.4-1.el8");
        assert_eq!(about(r#"{"product_info":{}}"#), "oVirt");
        let odd = r#"{"product_info":{"name":{},"version":7},"summary":"none"}"#;
        assert_eq!(about(odd), "oVirt");
        assert!(serde_json::from_str::<About>("{}").is_err());
    }

    #[test]
    fn an_odd_count_is_no_count() {
        let totals = |summary: &str| {
            let json = format!(r#"{{"product_info":{{}},"summary":{summary}}}"#);
            serde_json::from_str::<About>(&json).unwrap().totals()
        };
        assert_eq!(
            totals(r#"{"hosts":{"total":"2"},"vms":{"total":3}}"#),
            [Some(2), Some(3)]
        );
        for (summary, expected) in [
            (r#"{"hosts":{"total":"2"},"vms":7}"#, [Some(2), None]),
            (
                r#"{"hosts":{"total":["2"]},"vms":{"total":"many"}}"#,
                [None, None],
            ),
            ("[]", [None, None]),
            ("7", [None, None]),
            ("null", [None, None]),
        ] {
            assert_eq!(totals(summary), expected, "{summary}");
        }
    }
}
