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
use crate::cancel::Cancel;
use crate::secret::Secret;

/// A proxy's answer to CONNECT has at most this many bytes of header.
const PROXY_HEADER: usize = 16 * 1024;

/// Finds the address of what we connect to: the server, or the proxy before it.
pub(super) struct Lookup {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) link: Arc<Link>,
}

impl Lookup {
    fn failed(&self, reason: impl fmt::Display) -> ureq::Error {
        carried(Error::Name {
            server: super::base::authority(&self.host, self.port),
            reason: super::without_number(&reason.to_string()),
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
            Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
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
    pub(super) cancel: Cancel,
    /// The server's host and port.
    pub(super) server: String,
    /// Its URL without a path.
    pub(super) origin: String,
    pub(super) route: Route,
    pub(super) tls: Option<Tls>,
    /// How many connections were made.
    pub(super) made: Arc<AtomicUsize>,
}

impl Dialer {
    fn hop(&self) -> String {
        match &self.route {
            Route::Direct => self.server.clone(),
            Route::Forward(proxy) | Route::Tunnel(proxy) => format!("the proxy {}", proxy.authority()),
        }
    }

    fn dial(&self, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, ureq::Error> {
        self.made.fetch_add(1, Ordering::Relaxed);
        match super::dial::dial(&self.cancel, details) {
            Ok(Some(tcp)) => Ok(tcp),
            Ok(None) => Err(ureq::Error::ConnectionFailed),
            Err(ureq::Error::Io(error)) => Err(carried(super::unreachable(self.hop(), &error))),
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
        let tcp = self.dial(details)?;
        let transport = match &self.route {
            Route::Direct => tcp,
            Route::Forward(proxy) => Box::new(Forward {
                transport: tcp,
                origin: self.origin.clone(),
                authorization: proxy.authorization(),
                at_start: true,
            }),
            Route::Tunnel(proxy) => tunnel(tcp, &self.server, proxy, details)?,
        };
        match &self.tls {
            Some(tls) => tls.start(transport, &self.server, details).map(Some),
            None => Ok(Some(transport)),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("server", &self.server)
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
    let name = || format!("the proxy {}", proxy.authority());
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
            return Err(carried(Error::Cut { server: name() }));
        }
        header.extend_from_slice(&byte);
        if header.len() > PROXY_HEADER {
            return Err(carried(Error::NotHttp {
                server: name(),
                reason: "its header has no end".into(),
            }));
        }
    }
    match status_of(&header) {
        Some(200..=299) => Ok(stream.into_inner()),
        Some(status) => Err(carried(Error::ProxyRefused {
            proxy: proxy.authority(),
            status,
        })),
        None => Err(carried(Error::NotHttp {
            server: name(),
            reason: "it has no status line; is it an HTTP proxy?".into(),
        })),
    }
}

fn status_of(header: &[u8]) -> Option<u16> {
    let line = header.split(|b| *b == b'\r' || *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?;
    status.parse().ok().filter(|status| (100..1000).contains(status))
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
    fn completed(&self, output: &[u8]) -> Option<Vec<u8>> {
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
        Some(parts.concat())
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
        let output = self.transport.buffers().output()[..amount].to_vec();
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
