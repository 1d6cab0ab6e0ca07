//! SOAP as the vSphere Web Services API speaks it: calls, answers and faults (SOAP 1.1 over POST to `/sdk`).

use std::io::BufRead;
use std::time::{Duration, Instant};

use super::{Error, Fault, ManagedObject};
use crate::cancel::Cancel;
use crate::http::{Body, Endpoint, Http, Request, Response};
use crate::secret::Secret;
use crate::xml::{self, Reader};

/// The name of the cookie that is the session.
const SESSION_COOKIE: &str = "vmware_soap_session";

/// What servers since vSphere 5.5 understand, for those that do not tell their versions.
const OLDEST_VERSION: &str = "5.5";

/// The method whose answer holds a secret.
pub(super) const LOGIN: &str = "Login";
/// Calls that do the same once or twice: they only read, or take away what is gone the second time.
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

/// The connections to the API, with the version that is spoken and the session's cookie.
#[derive(Clone)]
pub(super) struct Client {
    http: Http,
    action: String,
    cookie: Option<Secret>,
}

impl Client {
    /// Connects and asks which version of the API the server speaks best.
    pub(super) fn connect(endpoint: &Endpoint, cancel: &Cancel) -> Result<Self, Error> {
        let http = Http::new(endpoint, cancel)?;
        let version = newest_version(&http)?;
        log::debug!("speaking version {version} of the API");
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

    /// The same session over new connections: with a deadline for a log-out after a signal or a broken answer, without one
    /// for a session that has no end.
    pub(super) fn anew(&self, cancel: &Cancel, deadline: Option<Instant>) -> Self {
        Client {
            http: self.http.reconnect(cancel, deadline),
            ..self.clone()
        }
    }

    /// Goes on with the session of the other.
    pub(super) fn continue_session(&mut self, other: Client) {
        self.cookie = other.cookie;
    }

    /// Whether the server has given a cookie, by which it knows us again.
    pub(super) fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Calls a method of a managed object, and has `read` read the children of the response's element.
    ///
    /// `parameters` are the elements that follow `_this`.
    pub(super) fn call<T>(
        &mut self,
        method: &'static str,
        this: &ManagedObject,
        parameters: &str,
        read: impl FnOnce(&mut Answer) -> Result<T, xml::Error>,
    ) -> Result<T, Error> {
        self.call_patiently(method, this, parameters, None, read)
    }

    /// [`Client::call`] of a method that may be silent for longer than others, so long.
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
            return Err(refusal(method, response));
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
            // The session's key.
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

/// Where a vCenter should have answered, a web page comes from something else.
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

/// Goes down to the response within the envelope and has `read` read it.
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

/// The fault in the answer, with status 500, or the status itself where there is none.
fn refusal(method: &'static str, response: Response) -> Error {
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

/// Reads a SOAP fault, whose element has been gone down to.
fn read_fault<R: BufRead>(xml: &mut Reader<R>) -> Result<Fault, xml::Error> {
    let mut fault = Fault::default();
    while let Some(name) = xml.child()? {
        match name {
            "faultstring" => fault.text = xml.text()?.trim().to_owned(),
            "detail" => {
                while let Some(name) = xml.child()? {
                    // Without xsi:type the element's name tells the type, with "Fault" behind it.
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

/// The name behind its prefix: servers choose their own.
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
