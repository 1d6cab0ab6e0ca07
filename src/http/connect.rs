//! From a name to a connection that HTTP can be spoken on: address, TCP, proxy, TLS.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, Transport, TransportAdapter,
};

use super::proxy::{ProxyUrl, Route};
use super::tls::Tls;
use super::{Error, Link};
use crate::secret::Secret;
use crate::text::without_numbers;
use zeroize::Zeroizing;

/// A proxy's answer to CONNECT has at most this many bytes of header.
const PROXY_HEADER: usize = 16 * 1024;

/// Finds the address of what we connect to: the server, or the proxy before it.
pub(super) struct Lookup {
    pub(super) host: String,
    pub(super) port: u16,
    /// The same for messages.
    pub(super) hop: String,
    pub(super) link: Arc<Link>,
}

impl Lookup {
    fn failed(&self, reason: impl fmt::Display) -> ureq::Error {
        let reason = reason.to_string();
        let reason = reason
            .strip_prefix("failed to lookup address information: ")
            .unwrap_or(&reason);
        carried(Error::Name {
            server: self.hop.clone(),
            reason: without_numbers(reason).into_owned(),
        })
    }
}

impl Resolver for Lookup {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        if let Ok(address) = self.host.parse::<IpAddr>() {
            addresses.push(SocketAddr::new(address, self.port));
            return Ok(addresses);
        }
        // The system's resolver can't be interrupted, so it runs by itself; its late answer finds nobody waiting.
        let (tell, told) = mpsc::channel();
        let cancelled = tell.clone();
        let _hook = self.link.cancel.on_cancel(move || _ = cancelled.send(None));
        let (host, port) = (self.host.clone(), self.port);
        let thread = std::thread::Builder::new().name("resolver".into());
        thread.spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            tell.send(Some(found.map(Iterator::collect::<Vec<_>>)))
        })?;
        match told.recv_timeout(*timeout.after) {
            Ok(Some(Ok(found))) => {
                let room = 16;
                found
                    .into_iter()
                    .take(room)
                    .for_each(|address| addresses.push(address));
                if addresses.is_empty() {
                    return Err(self.failed("it has no address"));
                }
                Ok(addresses)
            }
            Ok(Some(Err(error))) => Err(self.failed(error)),
            Ok(None) => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            Err(_) => {
                let late = ureq::Error::Timeout(timeout.reason);
                Err(carried(self.link.failed_with(self.hop.clone(), late)))
            }
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}

/// Makes connections to one server.
pub(super) struct Dialer {
    /// The server, and the limits in time.
    pub(super) link: Arc<Link>,
    /// The server's URL without a path.
    pub(super) origin: String,
    pub(super) route: Route,
    pub(super) tls: Option<Tls>,
    /// How many connections were made.
    pub(super) made: Arc<AtomicUsize>,
}

impl Dialer {
    fn dial(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, ureq::Error> {
        self.made.fetch_add(1, Ordering::Relaxed);
        match super::dial::dial(&self.link.cancel, details) {
            Ok(Some(tcp)) => Ok(tcp),
            Ok(None) => Err(ureq::Error::ConnectionFailed),
            Err(error @ (ureq::Error::Io(_) | ureq::Error::Timeout(_))) => {
                let hop = self.route.hop(&self.link.server);
                Err(carried(match error {
                    // Also one that was reset: nothing was sent on it yet.
                    ureq::Error::Io(error) => super::unreachable(hop, &error),
                    error => self.link.failed_with(hop, error),
                }))
            }
            Err(error) => Err(error),
        }
    }
}

impl Connector for Dialer {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let server = &self.link.server;
        let tcp = self.dial(details)?;
        let transport: Box<dyn Transport> = match &self.route {
            Route::Direct if self.tls.is_none() => Box::new(Plain::new(tcp, &self.route, server)),
            Route::Direct => tcp,
            Route::Forward(proxy) => Box::new(Forward {
                transport: Box::new(Plain::new(tcp, &self.route, server)),
                origin: self.origin.clone(),
                authorization: proxy.authorization(),
                at_start: true,
            }),
            Route::Tunnel(proxy) => tunnel(tcp, server, proxy, details).map_err(|error| {
                // It stays what it is where it is told already.
                carried(self.link.failed_with(self.route.hop(server), error))
            })?,
        };
        match &self.tls {
            Some(tls) => tls.start(transport, &self.link, details).map(Some),
            None => Ok(Some(transport)),
        }
    }
}

/// Why a proxy that speaks TLS itself is of no use.
const ONLY_PLAIN_PROXIES: &str = "only proxies without TLS are supported";

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("server", &self.link.server)
            .finish_non_exhaustive()
    }
}

/// Our error within ureq's.
pub(super) fn carried(error: Error) -> ureq::Error {
    ureq::Error::Other(Box::new(error))
}

/// What is left of the time for connecting; ureq's value is that of its beginning.
pub(super) fn time_left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(limit), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = limit.saturating_sub(now.saturating_duration_since(start)).into();
    }
    timeout
}

/// Has the proxy connect us with the server (RFC 9110, 9.3.6).
fn tunnel(
    tcp: Box<dyn Transport>,
    server: &str,
    proxy: &ProxyUrl,
    details: &ConnectionDetails<'_>,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let name = || Route::Tunnel(proxy.clone()).hop(server);
    let mut stream = TransportAdapter::new(tcp, details.current_time.clone());
    stream.set_timeout(time_left(details));
    let authorization = proxy.authorization();
    let request = Secret::from(format!(
        "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{}\r\n",
        authorization.expose()
    ));
    stream.write_all(request.expose().as_bytes())?;
    stream.flush()?;
    let mut header = Vec::new();
    let mut byte = [0];
    // One byte after the other: what follows the header is the server's already.
    while !header.ends_with(b"\r\n\r\n") && !header.ends_with(b"\n\n") {
        if stream.read(&mut byte)? == 0 {
            let (server, unanswered) = (name(), false);
            return Err(carried(Error::Cut { server, unanswered }));
        }
        header.extend_from_slice(&byte);
        if is_tls(&header) {
            return Err(carried(Error::SpeaksTls {
                server: name(),
                advice: ONLY_PLAIN_PROXIES,
            }));
        }
        if header.len() > PROXY_HEADER {
            return Err(carried(Error::NotHttp {
                server: name(),
                reason: "its header has no end".into(),
            }));
        }
    }
    match status_of(&header) {
        Some(200..=299) => Ok(stream.into_inner()),
        Some(status) => {
            let text = String::from_utf8_lossy(&header);
            let offered = text.lines().filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("Proxy-Authenticate").then_some(value)
            });
            Err(carried(refused(proxy, status, offered)))
        }
        None => Err(carried(Error::NotHttp {
            server: name(),
            reason: "it has no status line; is it an HTTP proxy?".into(),
        })),
    }
}

/// The refusal of a proxy; `offered` are the values of `Proxy-Authenticate`.
pub(super) fn refused<'a>(proxy: &ProxyUrl, status: u16, offered: impl Iterator<Item = &'a str>) -> Error {
    let schemes = offered.filter_map(|value| value.split_whitespace().next());
    let schemes: Vec<String> = schemes
        .map(|scheme| scheme.trim_end_matches(',').chars().take(40).collect())
        .take(10)
        .collect();
    let basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"));
    Error::ProxyRefused {
        proxy: proxy.authority(),
        status,
        user: proxy.user().map(str::to_owned),
        wants: if basic { Vec::new() } else { schemes },
    }
}

fn status_of(header: &[u8]) -> Option<u16> {
    let line = header.split(|b| *b == b'\r' || *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?;
    status.parse().ok().filter(|status| (100..1000).contains(status))
}

/// Whether an answer to plain HTTP begins with a record of TLS: an alert or a handshake (RFC 8446, 5.1).
fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 3, ..])
}

/// A connection without TLS, on which an answer in TLS is noticed.
#[derive(Debug)]
struct Plain {
    transport: Box<dyn Transport>,
    /// Who answers, and what to do.
    hop: (String, &'static str),
    /// It is the server itself, not a proxy.
    is_direct: bool,
    /// Something came back on this connection.
    answered: bool,
}

impl Plain {
    fn new(transport: Box<dyn Transport>, route: &Route, server: &str) -> Self {
        let is_direct = *route == Route::Direct;
        let advice = if is_direct {
            "use https://"
        } else {
            ONLY_PLAIN_PROXIES
        };
        Plain {
            transport,
            hop: (route.hop(server), advice),
            is_direct,
            answered: false,
        }
    }
}

impl Transport for Plain {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let more = self.transport.await_input(timeout);
        let ended = match &more {
            Ok(more) => !more,
            Err(error) => matches!(error, ureq::Error::Io(error) if super::is_cut(error)),
        };
        let input = self.transport.buffers().input();
        if ended && !self.answered && input.is_empty() {
            let (server, unanswered) = (self.hop.0.clone(), self.is_direct);
            return Err(carried(Error::Cut { server, unanswered }));
        }
        // Of a single byte it can't be told yet.
        if !self.answered && input.len() > 1 {
            self.answered = true;
            if is_tls(input) {
                let (server, advice) = self.hop.clone();
                return Err(carried(Error::SpeaksTls { server, advice }));
            }
        }
        more
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}

/// Requests go to a proxy, which learns from the request line where to: `GET http://HOST/PATH` (RFC 9112, 3.2.2).
///
/// ureq writes only the path there, so the line is completed on its way.
#[derive(Debug)]
struct Forward {
    transport: Box<dyn Transport>,
    origin: String,
    authorization: Secret,
    /// The next output begins a request: nothing was sent yet, or an answer was awaited since.
    at_start: bool,
}

impl Forward {
    fn completed(&self, output: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let method = output.iter().position(|b| *b == b' ')? + 1;
        let line = output.windows(2).position(|two| two == b"\r\n")? + 2;
        let authorization = self.authorization.expose().as_bytes();
        let parts = [
            &output[..method],
            self.origin.as_bytes(),
            output.get(method..line)?,
            authorization,
            &output[line..],
        ];
        Some(Zeroizing::new(parts.concat()))
    }
}

impl Transport for Forward {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        if !std::mem::take(&mut self.at_start) {
            return self.transport.transmit_output(amount, timeout);
        }
        // It may hold a password in its header.
        let output = Zeroizing::new(self.transport.buffers().output()[..amount].to_vec());
        let completed = self
            .completed(&output)
            .ok_or_else(|| io::Error::other("no request line"))?;
        let mut rest = completed.as_slice();
        while !rest.is_empty() {
            let room = self.transport.buffers().output();
            let (now, later) = rest.split_at(rest.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.transport.transmit_output(now.len(), timeout)?;
            rest = later;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.at_start = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_a_proxy() {
        assert_eq!(
            status_of(b"HTTP/1.1 200 Connection established\r\n\r\n"),
            Some(200)
        );
        assert_eq!(status_of(b"HTTP/1.0 407\r\nX: y\r\n\r\n"), Some(407));
        for text in [
            "",
            "HTTP/1.1\r\n",
            "SSH-2.0 200 x",
            "HTTP/1.1 20x OK",
            "HTTP/1.1 99999 OK",
            "HTTP/1.1 7 OK",
        ] {
            assert_eq!(status_of(text.as_bytes()), None, "{text}");
        }
    }
}
