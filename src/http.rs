//! HTTP and HTTPS to one server: its address, trust, proxy, limits in time and size, and errors that say what to do.
//!
//! An [`Endpoint`] holds the settings, [`Http`] keeps its connections, a [`Request`] is sent and a [`Response`] read as it comes:
//!
//! ```no_run
//! use vw::cancel::Cancel;
//! use vw::http::{Base, Endpoint, Http, Request};
//!
//! let endpoint = Endpoint::new(Base::parse("vc.example.com", 443, "/sdk")?);
//! let http = Http::new(&endpoint, &Cancel::default())?;
//! let about = http.send(&Request::get("/vimServiceVersions.xml"))?.success()?.read(100_000)?;
//! # Ok::<(), vw::http::Error>(())
//! ```
//!
//! An endpoint with a [`Trace`] saves every exchange, without secrets; one with a [`Replay`] answers from what was saved.
//!
//! Only this room knows ureq. Redirects are not followed, cookies not kept, statuses not judged (see [`Response::success`]).

mod base;
mod connect;
mod dial;
mod error;
mod message;
mod proxy;
mod tls;
mod trace;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderValue, Uri};
use ureq::{Agent, Timeout};

pub use base::Base;
pub use error::{Error, Limit};
pub use message::{Body, Request, Response};
pub use proxy::{NoProxy, Proxy, ProxyUrl, Way};
pub use tls::{BadThumbprint, Flaw, Identity, Thumbprint, Trust, first_certificate};
pub use trace::Trace;
pub use trace::replay::Replay;

use crate::cancel::{Cancel, HookGuard};
use crate::text;
use connect::{Dialer, Lookup};
use proxy::Route;
use tls::Tls;

/// A kept connection is not used again after this pause: Apache closes it after 5 s by default, and a request that crosses
/// with the closing is lost.
const IDLE: Duration = Duration::from_secs(4);

/// All that there is to say about how to reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub base: Base,
    /// How its certificate is verified.
    pub trust: Trust,
    /// Who we are, where the server asks for a certificate.
    pub identity: Option<Identity>,
    /// Whether a proxy is used.
    pub proxy: Proxy,
    /// When all work with this server must be done.
    pub deadline: Option<Instant>,
    /// The longest time for finding the address, and again for connecting; 10 s.
    pub connect_limit: Duration,
    /// The longest time without a byte; 60 s.
    pub silence_limit: Duration,
    /// Where exchanges are saved.
    pub trace: Option<Trace>,
    /// Exchanges that were saved, and that answer instead of the server.
    pub replay: Option<Replay>,
}

impl Endpoint {
    /// The server at `base`, with the system's trust, the environment's proxy and the usual limits.
    pub fn new(base: Base) -> Self {
        Endpoint {
            base,
            trust: Trust::default(),
            identity: None,
            proxy: Proxy::default(),
            deadline: None,
            connect_limit: Duration::from_secs(10),
            silence_limit: Duration::from_secs(60),
            trace: None,
            replay: None,
        }
    }
}

/// Speaks with one server, over connections that are kept and used again.
///
/// Clones share the connections; several threads may send at once.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    agent: Agent,
    endpoint: Endpoint,
    route: Route,
    tls: Option<Tls>,
    link: Arc<Link>,
    /// How many connections were made.
    made: Arc<AtomicUsize>,
    /// Ends what blocks when a signal comes, as long as we or one of our bodies live.
    hook: Arc<HookGuard>,
}

impl Http {
    /// Reads the files that the endpoint names. Nothing is sent yet.
    ///
    /// When `cancel` is set all that blocks on a connection ends at once, with [`Error::Cancelled`], and nothing can be sent
    /// any more.
    pub fn new(endpoint: &Endpoint, cancel: &Cancel) -> Result<Self, Error> {
        let base = &endpoint.base;
        if endpoint.replay.is_some() {
            return Ok(Http::build(endpoint.clone(), Route::Direct, None, cancel));
        }
        if let Some(trace) = &endpoint.trace {
            trace.open()?;
        }
        let way = endpoint.proxy.way(base, |name| std::env::var(name).ok())?;
        let route = Route::new(way, base);
        let tls = match base.https {
            true => Some(Tls::new(
                base,
                &endpoint.trust,
                endpoint.identity.as_ref(),
                cancel,
            )?),
            false => None,
        };
        Ok(Http::build(endpoint.clone(), route, tls, cancel))
    }

    /// New connections to the same server, with a token and deadline of their own, as the log-out after a signal needs them.
    pub fn anew(&self, cancel: &Cancel, deadline: Option<Instant>) -> Self {
        let Inner {
            endpoint, route, tls, ..
        } = &*self.0;
        let endpoint = Endpoint {
            deadline,
            ..endpoint.clone()
        };
        Http::build(endpoint, route.clone(), tls.clone(), cancel)
    }

    fn build(endpoint: Endpoint, route: Route, tls: Option<Tls>, cancel: &Cancel) -> Self {
        let base = &endpoint.base;
        let link = Arc::new(Link {
            server: base.authority(),
            cancel: cancel.clone(),
            connect_limit: endpoint.connect_limit,
            silence_limit: endpoint.silence_limit,
            deadline: endpoint.deadline,
        });
        let (host, port) = match &route {
            Route::Direct => (base.host.clone(), base.port),
            Route::Forward(proxy) | Route::Tunnel(proxy) => (proxy.host.clone(), proxy.port),
        };
        let made = Arc::new(AtomicUsize::new(0));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // Ours are chosen by ourselves: ureq would speak CONNECT for http:// too, and reads NO_PROXY in its own way.
            .proxy(None)
            .user_agent(concat!("vw/", env!("CARGO_PKG_VERSION")))
            .accept_encoding(AutoHeaderValue::None)
            .timeout_resolve(Some(endpoint.connect_limit))
            .timeout_connect(Some(endpoint.connect_limit))
            .timeout_per_read(Some(endpoint.silence_limit))
            .timeout_per_write(Some(endpoint.silence_limit))
            .max_idle_age(IDLE)
            .max_idle_connections_per_host(16)
            .max_idle_connections(16)
            .build();
        let dialer = Dialer {
            link: link.clone(),
            origin: base.origin(),
            route: route.clone(),
            tls: tls.clone(),
            made: made.clone(),
        };
        let lookup = Lookup {
            host,
            port,
            hop: route.hop(&link.server),
            link: link.clone(),
        };
        let agent = Agent::with_parts(config, dialer, lookup);
        let hook = cancel.on_cancel({
            let agent = agent.clone();
            move || agent.shutdown()
        });
        Http(Arc::new(Inner {
            agent,
            endpoint,
            route,
            tls,
            link,
            made,
            hook: Arc::new(hook),
        }))
    }

    /// The server's address.
    pub fn base(&self) -> &Base {
        &self.0.endpoint.base
    }

    /// Sends a request and reads the answer's header.
    ///
    /// A status is no error, but a redirect is, and the refusal of a proxy.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        loop {
            let made = self.0.made.load(Ordering::Relaxed);
            match self.exchange(request) {
                // The server closed a kept connection while the request was on its way. Where this one did not make a
                // connection it was such a one; each attempt uses one up.
                Err(Error::Cut { .. })
                    if request.repeatable && self.0.made.load(Ordering::Relaxed) == made => {}
                done => return done,
            }
        }
    }

    fn exchange(&self, request: &Request<'_>) -> Result<Response, Error> {
        let Inner {
            endpoint, link, hook, ..
        } = &*self.0;
        link.check()?;
        let mut link = link.clone();
        if let Some(silence_limit) = request.silence {
            Arc::make_mut(&mut link).silence_limit = silence_limit;
        }
        if let Some(replay) = &endpoint.replay {
            let saved = replay.answer(&endpoint.base, request)?;
            return Ok(Response::new(
                saved.status,
                saved.headers,
                saved.body,
                None,
                link,
                hook.clone(),
            ));
        }
        let saved = match &endpoint.trace {
            Some(trace) => trace.request(&endpoint.base, request)?,
            None => None,
        };
        match self.transmit(request, &link) {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let status = head.status.as_u16();
                let saved = saved
                    .map(|saved| saved.answered(status, &head.headers))
                    .transpose()?;
                let body = Box::new(body.into_with_config().limit(request.limit).reader());
                let response = Response::new(status, head.headers, body, saved, link, hook.clone());
                self.refused(&response)?;
                Ok(response)
            }
            Err(error) => {
                if let Some(saved) = saved {
                    saved.failed(&error);
                }
                Err(error)
            }
        }
    }

    /// Sends a request over the network.
    fn transmit(
        &self,
        request: &Request<'_>,
        link: &Link,
    ) -> Result<ureq::http::Response<ureq::Body>, Error> {
        let Inner { agent, endpoint, .. } = &*self.0;
        let left = endpoint
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut built = ureq::http::Request::builder()
            .method(&request.method)
            .uri(format!("{}{}", endpoint.base, request.path));
        let invalid = |error: ureq::http::Error| link.failed(error.into());
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value.expose()).map_err(|error| invalid(error.into()))?;
            built = built.header(*name, sensitive(value));
        }
        let response = match request.body {
            Some(body) => {
                let built = built.body(body).map_err(invalid)?;
                agent.run(self.limited(built, link, left))
            }
            None => {
                let built = built.body(()).map_err(invalid)?;
                agent.run(self.limited(built, link, left))
            }
        };
        response.map_err(|error| link.failed(error))
    }

    fn limited<S: ureq::AsSendBody>(
        &self,
        request: ureq::http::Request<S>,
        link: &Link,
        left: Option<Duration>,
    ) -> ureq::http::Request<S> {
        let config = self.0.agent.configure_request(request);
        config
            .timeout_global(left)
            .timeout_per_read(Some(link.silence_limit))
            .build()
    }

    /// What no client wants to see as an answer.
    fn refused(&self, response: &Response) -> Result<(), Error> {
        match (response.status(), &self.0.route) {
            (status @ 407, Route::Forward(proxy)) => {
                let offered = response.headers("Proxy-Authenticate");
                Err(connect::refused(proxy, status, offered))
            }
            (status @ (301 | 302 | 303 | 307 | 308), _) => match response.header("Location") {
                Some(location) => Err(Error::Redirect {
                    server: self.0.link.server.clone(),
                    status,
                    location: self.place(location),
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A redirect's place without what could be secret: user name and query.
    fn place(&self, location: &str) -> String {
        let Ok(uri) = location.parse::<Uri>() else {
            return "a place that is no URL".to_owned();
        };
        match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let host = authority.as_str().rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{}", uri.path())
            }
            _ => format!("{}{}", self.base().origin(), uri.path()),
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(self.base()).finish()
    }
}

/// A header field's value that nothing prints.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// What it takes to tell what went wrong.
#[derive(Clone)]
struct Link {
    server: String,
    cancel: Cancel,
    connect_limit: Duration,
    silence_limit: Duration,
    deadline: Option<Instant>,
}

impl Link {
    /// Whether there is time left, and no signal came.
    fn check(&self) -> Result<(), Error> {
        self.cancel.check()?;
        match self.deadline {
            Some(deadline) if deadline <= Instant::now() => Err(Error::Timeout {
                server: self.server.clone(),
                limit: Limit::Deadline,
            }),
            _ => Ok(()),
        }
    }

    /// What an error of ureq means for the user.
    fn failed(&self, error: ureq::Error) -> Error {
        if let Err(cancelled) = self.cancel.check() {
            return cancelled.into();
        }
        self.failed_with(self.server.clone(), error)
    }

    /// The same for what happened between us and `server`, which may be a proxy.
    fn failed_with(&self, server: String, error: ureq::Error) -> Error {
        let limit = |server, limit| Error::Timeout { server, limit };
        let cut = |server| Error::Cut {
            server,
            unanswered: false,
        };
        match error {
            ureq::Error::Other(carried) => match carried.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::NotHttp {
                    server,
                    reason: other.to_string(),
                },
            },
            ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                limit(server, Limit::Silence(self.silence_limit))
            }
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                limit(server, Limit::Connect(self.connect_limit))
            }
            ureq::Error::Timeout(_) => limit(server, Limit::Deadline),
            ureq::Error::Io(error) => match tls::rustls_error(&error) {
                Some(error) => tls::explain(&server, error),
                None if is_cut(&error) => cut(server),
                None => unreachable(server, &error),
            },
            ureq::Error::Decompress(_, error) if is_cut(&error) => cut(server),
            ureq::Error::BodyExceedsLimit(limit) => Error::TooLarge { server, limit },
            error @ (ureq::Error::Http(_) | ureq::Error::BadUri(_)) => Error::Request {
                server,
                reason: error.to_string(),
            },
            error => Error::NotHttp {
                server,
                reason: error.to_string(),
            },
        }
    }

    /// What an error while reading means; one that has been told already stays itself.
    fn failed_reading(&self, error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => self.failed(error.into()),
        }
    }
}

/// Whether the other side ended the connection.
fn is_cut(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

fn unreachable(server: String, error: &io::Error) -> Error {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; is the server running and the port right?".to_owned()
        }
        _ => text::reason(error),
    };
    Error::Unreachable { server, reason }
}
