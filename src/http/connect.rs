//! From an address to a connection on which HTTP is spoken: TCP, proxy, TLS.

mod forward;
mod plain;
mod tunnel;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ureq::unversioned::transport::{ConnectionDetails, Connector, Transport};

use self::forward::Forward;
use self::plain::Plain;
use super::dial;
use super::link::{Link, unreachable};
use super::proxy::Route;
use super::tls::Tls;

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
        let peer = || self.route.peer(&self.link.server);
        match dial::dial(&self.link.cancel, details) {
            Ok(Some(tcp)) => Ok(tcp),
            Ok(None) => Err(ureq::Error::ConnectionFailed),
            // A reset, too: nothing has been sent yet, so nothing was cut.
            Err(ureq::Error::Io(error)) => Err(unreachable(peer(), &error).into()),
            Err(late @ ureq::Error::Timeout(_)) => Err(self.link.failed_at(peer(), late).into()),
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
            Route::Forward(_) => {
                let plain = Box::new(Plain::new(tcp, &self.route, server));
                Box::new(Forward::new(plain, self.origin.clone()))
            }
            Route::Tunnel(proxy) => {
                let peer = self.route.peer(server);
                let opened = tunnel::open(tcp, server, proxy, &peer, details);
                // An error that is ours already keeps its own peer.
                opened.map_err(|error| self.link.failed_at(peer, error))?
            }
        };
        match &self.tls {
            Some(tls) => tls.start(transport, &self.link, details).map(Some),
            None => Ok(Some(transport)),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("server", &self.link.server)
            .finish_non_exhaustive()
    }
}

/// Whether an answer to plain HTTP begins with a record of TLS: an alert or a handshake (RFC 8446, 5.1).
fn is_tls(answer: &[u8]) -> bool {
    matches!(answer, [0x15 | 0x16, 3, ..])
}
