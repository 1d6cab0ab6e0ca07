//! SOAP as the vSphere Web Services API uses it: calls, answers and faults (SOAP 1.1 over POST to `/sdk`).

use std::io::BufRead;
use std::time::{Duration, Instant};

use super::{Error, Fault, ManagedObject};
use crate::cancel::Cancel;
use crate::http::{Body, Endpoint, Http, Request, Response};
use crate::secret::Secret;
use crate::xml::{self, Reader};

/// The name of the cookie that identifies the session.
const SESSION_COOKIE: &str = "vmware_soap_session";

/// The version for servers that do not list theirs. Every server since vSphere 5.5 understands it.
const OLDEST_VERSION: &str = "5.5";

/// The method whose answer contains a secret.
pub(super) const LOGIN: &str = "Login";

/// Methods that may be called twice: they only read, or destroy what does not exist the second time.
const REPEATABLE: [&str; 7] = [
    "RetrieveServiceContent",
    "RetrievePropertiesEx",
    "WaitForUpdatesEx",
    "CancelWaitForUpdates",
    "DestroyPropertyFilter",
    "DestroyView",
    "Logout",
];

/// The answer to a call, while it arrives.
pub(super) type Answer = Reader<Body>;

/// The connections to the API, with the version in use and the session's cookie.
#[derive(Clone)]
pub(super) struct Client {
    http: Http,
    action: String,
    cookie: Option<Secret>,
}

impl Client {
    /// Connects and chooses the newest version of the API that the server lists.
    pub(super) fn connect(endpoint: &Endpoint, cancel: &Cancel) -> Result<Self, Error> {
        let http = Http::new(endpoint, cancel)?;
        let version = newest_version(&http)?;
        log::debug!("using version {version} of the API");
        Ok(Client {
            http,
            action: format!("\"urn:vim25/{version}\""),
            cookie: None,
        })
    }

    /// The server's host and port.
    pub(super) fn server(&self) -> String {
        self.http.base().authority()
    }

    /// The same session over new connections and with another deadline, if any.
    pub(super) fn reconnected(&self, cancel: &Cancel, deadline: Option<Instant>) -> Self {
        Client {
            http: self.http.reconnect(cancel, deadline),
            ..self.clone()
        }
    }

    /// Takes over the session of another client.
    pub(super) fn continue_session(&mut self, other: Client) {
        self.cookie = other.cookie;
    }

    /// Whether the server has sent a session's cookie.
    pub(super) fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Calls a method of a managed object; `read` reads the children of the response's element.
    ///
    /// `parameters` are the elements after `_this`.
    pub(super) fn call<T>(
        &mut self,
        method: &'static str,
        this: &ManagedObject,
        parameters: &str,
        read: impl FnOnce(&mut Answer) -> Result<T, xml::Error>,
    ) -> Result<T, Error> {
        self.call_patiently(method, this, parameters, None, read)
    }

    /// [`Client::call`] of a method that may stay silent for this time, longer than others.
    pub(super) fn call_patiently<T>(
        &mut self,
        method: &'static str,
        this: &ManagedObject,
        parameters: &str,
        silence: Option<Duration>,
        read: impl FnOnce(&mut Answer) -> Result<T, xml::Error>,
    ) -> Result<T, Error> {
        log::debug!("calling {method}");
        let envelope = Secret::from(envelope(method, this, parameters));
        let response = self.send(method, envelope.expose(), silence)?;
        if response.status() != 200 {
            return Err(error_of(method, response));
        }
        let mut answer = Reader::new(response.into_body());
        let value = read_answer(method, &mut answer, read)?;
        answer.finish().map_err(|error| Error::of_answer(method, error))?;
        Ok(value)
    }

    fn send(
        &mut self,
        method: &'static str,
        envelope: &str,
        silence: Option<Duration>,
    ) -> Result<Response, Error> {
        let mut request = Request::post("", "text/xml; charset=utf-8", envelope.as_bytes());
        request = request.label(method).header("SOAPAction", &self.action).gzip();
        if method == LOGIN {
            // It contains the session's key.
            request = request.secret_answer();
        }
        if REPEATABLE.contains(&method) {
            request = request.repeatable();
        }
        if let Some(silence) = silence {
            request = request.silence(silence);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", cookie.expose());
        }
        let response = self.http.send(&request)?;
        if let Some(cookie) = session_cookie(&response) {
            self.cookie = Some(cookie);
        }
        soap_or_page(method, response)
    }
}

/// Refuses a web page, which no vSphere server sends here.
fn soap_or_page(method: &'static str, response: Response) -> Result<Response, Error> {
    match response.status() {
        200 if response.is_html() => Err(Error::NotSoap {
            method,
            found: "a web page".into(),
        }),
        _ => Ok(response),
    }
}

fn envelope(method: &str, this: &ManagedObject, parameters: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>\
         <{method} xmlns=\"urn:vim25\">{}{parameters}</{method}></soapenv:Body></soapenv:Envelope>",
        this.element("_this"),
    )
}

/// The session's cookie as it is sent back: `NAME=VALUE` without the attributes.
fn session_cookie(response: &Response) -> Option<Secret> {
    response.headers("set-cookie").find_map(|cookie| {
        let pair = cookie.split(';').next()?.trim();
        let name = pair.split('=').next()?;
        (name == SESSION_COOKIE).then(|| Secret::from(pair.to_owned()))
    })
}

/// Enters the response within the envelope; `read` reads it.
fn read_answer<R: BufRead, T>(
    method: &'static str,
    answer: &mut Reader<R>,
    read: impl FnOnce(&mut Reader<R>) -> Result<T, xml::Error>,
) -> Result<T, Error> {
    let of_answer = |error| Error::of_answer(method, error);
    let not_soap = |found: Option<&str>| Error::NotSoap {
        method,
        found: found.map_or("empty".to_owned(), |name| format!("<{name}>")),
    };
    for wanted in ["Envelope", "Body"] {
        loop {
            match answer.child().map_err(of_answer)? {
                Some(name) if name == wanted => break,
                Some("Header") => answer.skip().map_err(of_answer)?,
                other => return Err(not_soap(other)),
            }
        }
    }
    match answer.child().map_err(of_answer)? {
        Some(name) if name.strip_suffix("Response") == Some(method) => {}
        Some("Fault") => {
            let fault = read_fault(answer).map_err(of_answer)?;
            return Err(Error::Fault { method, fault });
        }
        other => return Err(not_soap(other)),
    }
    read(answer).map_err(of_answer)
}

/// The fault in an answer whose status is an error, such as 500, or the status itself if there is no fault.
fn error_of(method: &'static str, response: Response) -> Error {
    if response.status() == 404 {
        let found = "404 Not Found".into();
        return Error::NotSoap { method, found };
    }
    let mut fault = None;
    let status = response.into_error(|text| {
        fault = read_answer(method, &mut Reader::new(text), |_| Ok(())).err();
        None
    });
    match fault {
        Some(fault @ Error::Fault { .. }) => fault,
        _ => status.into(),
    }
}

/// Reads the SOAP fault in the element that was entered last.
fn read_fault<R: BufRead>(xml: &mut Reader<R>) -> Result<Fault, xml::Error> {
    let mut fault = Fault::default();
    while let Some(name) = xml.child()? {
        match name {
            "faultstring" => fault.text = xml.text()?.trim().to_owned(),
            "detail" => {
                while let Some(name) = xml.child()? {
                    // Without xsi:type the element's name is the type with "Fault" after it.
                    let named = name.strip_suffix("Fault").unwrap_or(name).to_owned();
                    let typed = xml
                        .prefixed_attribute("type")
                        .map(|name| without_prefix(&name).to_owned());
                    fault.kind = typed.unwrap_or(named);
                    xml.skip()?;
                }
            }
            _ => xml.skip()?,
        }
    }
    Ok(fault)
}

/// The name without its prefix, which each server chooses for itself.
pub(super) fn without_prefix(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// The newest version of the API that the server lists in `vimServiceVersions.xml`.
fn newest_version(http: &Http) -> Result<String, Error> {
    let method = "vimServiceVersions.xml";
    let response = http.send(&Request::get("/vimServiceVersions.xml").label("versions"))?;
    if response.status() == 404 {
        response.into_body().finish()?;
        return Ok(OLDEST_VERSION.into());
    }
    let response = soap_or_page(method, response.success()?)?;
    let mut xml = Reader::new(response.into_body());
    let version = read_versions(&mut xml).and_then(|version| xml.finish().map(|()| version));
    let version = version.map_err(|error| Error::of_answer(method, error))?;
    Ok(version.unwrap_or_else(|| OLDEST_VERSION.into()))
}

/// Reads `namespaces/namespace` with `name` and `version`; the current version comes before the prior ones.
fn read_versions<R: BufRead>(xml: &mut Reader<R>) -> Result<Option<String>, xml::Error> {
    let mut vim25 = None;
    if xml.child()? != Some("namespaces") {
        return Ok(None);
    }
    while xml.child()?.is_some() {
        let (mut name, mut version) = (String::new(), String::new());
        while let Some(child) = xml.child()? {
            match child {
                "name" => name.push_str(xml.text()?.trim()),
                "version" => version.push_str(xml.text()?.trim()),
                _ => xml.skip()?,
            }
        }
        let plain = !version.is_empty() && version.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
        if name == "urn:vim25" && plain {
            vim25 = Some(version);
        }
    }
    Ok(vim25)
}
