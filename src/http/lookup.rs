//! From a name to an address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, mpsc};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::Error;
use super::link::Link;
use crate::text::without_numbers;

/// The most addresses of one name that are tried; ureq has no room for more.
const MOST: usize = 16;

/// Finds the address that we connect to: the server's, or that of the proxy before it.
pub(super) struct Lookup {
    pub(super) host: String,
    pub(super) port: u16,
    /// The server or proxy, for messages.
    pub(super) peer: String,
    pub(super) link: Arc<Link>,
}

impl Lookup {
    fn failed(&self, reason: &str) -> ureq::Error {
        let own = reason.strip_prefix("failed to lookup address information: ");
        let error = Error::Name {
            server: self.peer.clone(),
            reason: without_numbers(own.unwrap_or(reason)).into_owned(),
        };
        error.into()
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
        // The system's resolver can't be interrupted. So it gets a thread of its own, and a late answer is dropped.
        let (sender, receiver) = mpsc::channel();
        let cancelled = sender.clone();
        let _hook = self.link.cancel.on_cancel(move || _ = cancelled.send(None));
        let (host, port) = (self.host.clone(), self.port);
        let thread = std::thread::Builder::new().name("resolver".into());
        thread.spawn(move || {
            let found = (host.as_str(), port).to_socket_addrs();
            sender.send(Some(found.map(Iterator::collect::<Vec<_>>)))
        })?;
        match receiver.recv_timeout(*timeout.after) {
            Ok(Some(Ok(found))) if found.is_empty() => Err(self.failed("it has no address")),
            Ok(Some(Ok(found))) => {
                for address in found.into_iter().take(MOST) {
                    addresses.push(address);
                }
                Ok(addresses)
            }
            Ok(Some(Err(error))) => Err(self.failed(&error.to_string())),
            Ok(None) => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
            Err(_) => {
                let late = ureq::Error::Timeout(timeout.reason);
                Err(self.link.failed_at(self.peer.clone(), late).into())
            }
        }
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}
