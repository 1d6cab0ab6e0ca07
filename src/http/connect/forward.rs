//! Requests for `http://` servers, which a proxy forwards.

use std::io;

use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};
use zeroize::Zeroizing;

/// A connection to a proxy that forwards requests: it learns the server from the request line, `GET http://HOST/PATH`
/// (RFC 9112, 3.2.2).
///
/// ureq only knows CONNECT, which proxies commonly refuse for ports other than 443, and its request line has only the path. So
/// the server's origin is put in front of the path here; everything else that the proxy needs is a header field.
#[derive(Debug)]
pub(super) struct Forward {
    transport: Box<dyn Transport>,
    /// The server's URL without a path.
    origin: String,
    /// The next output begins a request: nothing has been sent since an answer was awaited.
    at_start: bool,
}

impl Forward {
    pub(super) fn new(transport: Box<dyn Transport>, origin: String) -> Self {
        Forward {
            transport,
            origin,
            at_start: true,
        }
    }

    fn send(&mut self, bytes: &[u8], timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.transport.buffers().output()[..bytes.len()].copy_from_slice(bytes);
        self.transport.transmit_output(bytes.len(), timeout)
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
        // The header may hold a password.
        let output = Zeroizing::new(self.transport.buffers().output()[..amount].to_vec());
        let path = output.iter().position(|byte| *byte == b' ');
        let path = path.ok_or_else(|| io::Error::other("no request line"))? + 1;
        // In two pieces, since the buffer may have no room for the origin.
        let start = [&output[..path], self.origin.as_bytes()].concat();
        self.send(&start, timeout)?;
        self.send(&output[path..], timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.at_start = true;
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}
