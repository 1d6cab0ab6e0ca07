//! The tunnel through a proxy, for `https://` servers (RFC 9110, 9.3.6).

use std::io::{Read as _, Write as _};

use ureq::unversioned::transport::{ConnectionDetails, Transport, TransportAdapter};

use super::is_tls;
use crate::http::Error;
use crate::http::dial::time_left;
use crate::http::proxy::ProxyUrl;
use crate::secret::Secret;

/// The most bytes of header in a proxy's answer to CONNECT.
const LONGEST_HEADER: usize = 16 * 1024;

/// Asks the proxy for a connection with the server. `peer` is the proxy in messages.
pub(super) fn open(
    tcp: Box<dyn Transport>,
    server: &str,
    proxy: &ProxyUrl,
    peer: &str,
    details: &ConnectionDetails<'_>,
) -> Result<Box<dyn Transport>, ureq::Error> {
    let mut stream = TransportAdapter::new(tcp, details.current_time.clone());
    stream.set_timeout(time_left(details));
    let request = request(server, proxy);
    stream.write_all(request.expose().as_bytes())?;
    stream.flush()?;
    let header = read_header(&mut stream, peer)?;
    match status_of(&header) {
        Some(200..=299) => Ok(stream.into_inner()),
        Some(status) => {
            let text = String::from_utf8_lossy(&header);
            let offered = text.lines().filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("Proxy-Authenticate").then_some(value)
            });
            Err(proxy.refused(status, offered).into())
        }
        None => Err(not_http(peer, "it has no status line; is it an HTTP proxy?")),
    }
}

fn request(server: &str, proxy: &ProxyUrl) -> Secret {
    let start = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    let authorization = proxy.authorization();
    let value = authorization.as_ref().map_or("", Secret::expose);
    // One allocation, because a string that grows leaves copies of the password behind.
    let mut text = String::with_capacity(start.len() + value.len() + 40);
    text.push_str(&start);
    if authorization.is_some() {
        text.push_str("Proxy-Authorization: ");
        text.push_str(value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    Secret::from(text)
}

/// The header of the proxy's answer, read byte by byte: what follows it belongs to the server.
fn read_header(stream: &mut TransportAdapter, peer: &str) -> Result<Vec<u8>, ureq::Error> {
    let mut header = Vec::new();
    let mut byte = [0];
    while !header.ends_with(b"\r\n\r\n") && !header.ends_with(b"\n\n") {
        if stream.read(&mut byte)? == 0 {
            return Err(Error::Cut {
                server: peer.to_owned(),
                unanswered: false,
            }
            .into());
        }
        header.extend_from_slice(&byte);
        if is_tls(&header) {
            return Err(Error::SpeaksTls {
                server: peer.to_owned(),
                is_proxy: true,
            }
            .into());
        }
        if header.len() > LONGEST_HEADER {
            return Err(not_http(peer, "its header is too long or incomplete"));
        }
    }
    Ok(header)
}

fn not_http(peer: &str, reason: &str) -> ureq::Error {
    let (server, reason) = (peer.to_owned(), reason.to_owned());
    Error::NotHttp { server, reason }.into()
}

fn status_of(header: &[u8]) -> Option<u16> {
    let line = header.split(|b| *b == b'\r' || *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?;
    status.parse().ok().filter(|status| (100..1000).contains(status))
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
