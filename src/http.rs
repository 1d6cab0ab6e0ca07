//! HTTP and HTTPS to one server: its address, trust, proxy, and limits in time and size.
//!
//! An [`Endpoint`] holds the settings, and [`Http`] keeps its connections. A [`Request`] is sent, and its [`Response`] is read as
//! it arrives:
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
//! Only this room uses ureq. It follows no redirects, keeps no cookies, and takes any status (see [`Response::success`]). It reads
//! no environment: an endpoint holds the values of the variables.

mod base;
mod connect;
mod dial;
mod error;
mod link;
mod lookup;
mod proxy;
mod request;
mod response;
mod thumbprint;
mod tls;
mod trace;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::config::AutoHeaderValue;
use ureq::http::{HeaderValue, Uri};

pub use base::Base;
pub use error::{Error, Flaw, Limit};
pub use proxy::{NoProxy, Proxy, ProxyUrl, Way};
pub use request::Request;
pub use response::{Body, LONGEST_PAUSE, Response};
pub use thumbprint::{BadThumbprint, Thumbprint};
pub use tls::{Identity, Trust, common_name};
pub use trace::Trace;
pub use trace::replay::Replay;

use crate::cancel::{Cancel, HookGuard};
use crate::environment::Environment;
use crate::text;
use connect::Dialer;
use link::Link;
use lookup::Lookup;
use proxy::Route;
use tls::Tls;

/// The longest pause after which a kept connection is used again. Apache closes it after 5 s by default, and a request that is sent
/// at that moment is lost.
const IDLE: Duration = Duration::from_secs(4);

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub base: Base,
    /// How its certificate is verified.
    pub trust: Trust,
    /// The client certificate, in case the server requests one.
    pub identity: Option<Identity>,
    /// Whether a proxy is used.
    pub proxy: Proxy,
    /// The variables that [`Proxy::Environment`] and [`Trust::System`] go by.
    pub environment: Environment,
    /// When all work with this server must be done.
    pub deadline: Option<Instant>,
    /// The longest time for finding the address, and again for connecting; 10 s by default.
    pub connect_limit: Duration,
    /// The longest time without a byte; 60 s by default.
    pub silence_limit: Duration,
    /// Where exchanges are saved.
    pub trace: Option<Trace>,
    /// Saved exchanges that answer instead of the server.
    pub replay: Option<Replay>,
}

impl Endpoint {
    /// The server at `base`, with the system's trust, an empty environment and the default limits.
    pub fn new(base: Base) -> Self {
        Endpoint {
            base,
            trust: Trust::default(),
            identity: None,
            proxy: Proxy::default(),
            environment: Environment::default(),
            deadline: None,
            connect_limit: Duration::from_secs(10),
            silence_limit: Duration::from_secs(60),
            trace: None,
            replay: None,
        }
    }

    /// Whether the server is reached through a proxy, and why.
    ///
    /// Fails if a proxy is used whose URL is not usable.
    pub fn way(&self) -> Result<Way, Error> {
        self.proxy.way(&self.base, &self.environment)
    }
}

/// A client of one server, whose connections are kept and used again.
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
    /// Closes the connections when a signal comes, as long as this client or one of its bodies exists.
    hook: Arc<HookGuard>,
}

impl Http {
    /// Reads the files that the endpoint names. Nothing is sent yet.
    ///
    /// Once `cancel` is set, everything that blocks on a connection fails with [`Error::Cancelled`], and so does every new request.
    pub fn new(endpoint: &Endpoint, cancel: &Cancel) -> Result<Self, Error> {
        let base = &endpoint.base;
        if endpoint.replay.is_some() {
            return Ok(Http::build(endpoint.clone(), Route::Direct, None, cancel));
        }
        if let Some(trace) = &endpoint.trace {
            trace.open()?;
        }
        let route = Route::new(endpoint.way()?, base);
        let identity = endpoint.identity.as_ref();
        let tls = match base.https {
            true => Some(Tls::new(
                base,
                &endpoint.trust,
                identity,
                &endpoint.environment,
                cancel,
            )?),
            false => None,
        };
        Ok(Http::build(endpoint.clone(), route, tls, cancel))
    }

    /// A client of the same server with connections, a token and a deadline of its own, such as for the logout after a signal.
    pub fn reconnect(&self, cancel: &Cancel, deadline: Option<Instant>) -> Self {
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
            peer: route.peer(&link.server),
            link: link.clone(),
        };
        let agent = Agent::with_parts(configuration(&endpoint), dialer, lookup);
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
    /// Any status of the server is a success, except a redirect. The refusal of a proxy is an error.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        loop {
            let made = self.0.made.load(Ordering::Relaxed);
            match self.exchange(request) {
                // The server closed a kept connection while the request was on its way: this attempt made no connection, so it
                // used a kept one. There is an end to that, because each attempt uses one up.
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
                let response = response.hiding(&request.secrets);
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
        let for_proxy = match &self.0.route {
            Route::Forward(proxy) => proxy.authorization(),
            Route::Direct | Route::Tunnel(_) => None,
        };
        let for_proxy = for_proxy.map(|value| ("Proxy-Authorization", value));
        for (name, value) in request.headers.iter().chain(&for_proxy) {
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

    /// Fails for a redirect and for the refusal of a proxy.
    fn refused(&self, response: &Response) -> Result<(), Error> {
        match (response.status(), &self.0.route) {
            (status @ 407, Route::Forward(proxy)) => {
                let offered = response.headers("Proxy-Authenticate");
                Err(proxy.refused(status, offered))
            }
            (status @ (301 | 302 | 303 | 307 | 308), _) => match response.header("Location") {
                Some(location) => Err(Error::Redirect {
                    server: self.0.link.server.clone(),
                    status,
                    location: self.shown(location),
                }),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The URL of a redirect without user name and query, which may be secret.
    fn shown(&self, location: &str) -> String {
        let Ok(uri) = location.parse::<Uri>() else {
            return "an invalid URL".to_owned();
        };
        let url = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                let host = authority.as_str().rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{}", uri.path())
            }
            _ => format!("{}{}", self.base().origin(), uri.path()),
        };
        text::cut(&url, response::LONGEST_MESSAGE).into_owned()
    }
}

/// ureq's settings.
fn configuration(endpoint: &Endpoint) -> ureq::config::Config {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // We connect to proxies ourselves: ureq uses CONNECT for http:// too, and reads NO_PROXY in its own way.
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
        .build()
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(self.base()).finish()
    }
}

/// A header field's value that is never printed.
fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
