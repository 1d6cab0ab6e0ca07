//! TCP connections. A signal ends the wait for one.

use std::fmt;

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, TcpConnector, Transport};

use super::Error;
use crate::cancel::Cancel;

/// Connects by ureq's own connector.
///
/// If a server does not answer, that blocks until the limit for connecting, and no signal interrupts it. So it runs in a thread of
/// its own, which ends by itself.
pub(super) fn dial(
    cancel: &Cancel,
    details: &ConnectionDetails<'_>,
) -> Result<Option<Box<dyn Transport>>, ureq::Error> {
    let (uri, config) = (details.uri.clone(), details.config.clone());
    let (addrs, now, timeout) = (details.addrs.clone(), details.now, details.timeout);
    let (request_level, current_time) = (details.request_level, details.current_time.clone());
    let (run_connector, register_shutdown) =
        (details.run_connector.clone(), details.register_shutdown.clone());
    let connect = move || {
        let details = ConnectionDetails {
            uri: &uri,
            addrs,
            config: &config,
            request_level,
            resolver: &Resolved,
            now,
            timeout,
            current_time,
            run_connector,
            register_shutdown,
        };
        let tcp = TcpConnector::default().connect(&details, None::<()>);
        Ok(tcp.map(|tcp| tcp.map(|tcp| Box::new(tcp) as Box<dyn Transport>)))
    };
    match cancel.unblocked(connect) {
        Ok(dialed) => dialed?,
        Err(cancelled) => Err(Error::from(cancelled).into()),
    }
}

/// The time that is left for connecting; ureq's value is from when connecting began.
pub(super) fn time_left(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(limit), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = limit.saturating_sub(now.saturating_duration_since(start)).into();
    }
    timeout
}

/// Looks nothing up, because the addresses are known.
struct Resolved;

impl Resolver for Resolved {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolved")
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpStream};
    use std::time::{Duration, Instant};

    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

    use super::*;
    use crate::cancel::Signal;
    use crate::http::{Base, Endpoint, Http, Request};

    /// Whether a connection to this port waits for the answer to its SYN (`st` 02 in proc_net(5)).
    fn is_being_called(port: u16) -> bool {
        let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let called = format!(":{port:04X}");
        sockets.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|remote| remote.ends_with(&called)) && fields[3] == "02"
        })
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_server_that_does_not_answer() {
        // The queue has room for one connection. Once it is full, the next one gets no answer.
        let deaf = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&deaf, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        listen(&deaf, 0).unwrap();
        let address: SocketAddr = getsockname(&deaf).unwrap().try_into().unwrap();
        let mut waiting = Vec::new();
        while let Ok(one) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            waiting.push(one);
        }
        let base = Base::parse(&format!("http://{address}"), 80, "").unwrap();
        let mut endpoint = Endpoint::new(base);
        endpoint.connect_limit = Duration::from_secs(3600);
        let cancel = Cancel::default();
        let http = Http::new(&endpoint, &cancel).unwrap();
        let sending = std::thread::spawn(move || http.send(&Request::get("/")).map(|_| ()));
        while !is_being_called(address.port()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let since = Instant::now();
        cancel.cancel(Signal::Hangup);
        let error = sending.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{error}");
        // The system itself gives up after two minutes.
        assert!(since.elapsed() < Duration::from_secs(60));
    }
}
