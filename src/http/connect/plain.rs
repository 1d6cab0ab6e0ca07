//! Connections without TLS.

use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use super::is_tls;
use crate::http::Error;
use crate::http::link::is_cut;
use crate::http::proxy::Route;

/// A connection without TLS to a server or proxy, which notices an answer in TLS.
#[derive(Debug)]
pub(super) struct Plain {
    transport: Box<dyn Transport>,
    /// The server or proxy, for messages.
    peer: String,
    /// The peer is the server itself.
    is_direct: bool,
    /// Something came back on this connection.
    answered: bool,
}

impl Plain {
    pub(super) fn new(transport: Box<dyn Transport>, route: &Route, server: &str) -> Self {
        Plain {
            transport,
            peer: route.peer(server),
            is_direct: *route == Route::Direct,
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
            Err(error) => matches!(error, ureq::Error::Io(error) if is_cut(error)),
        };
        let input = self.transport.buffers().input();
        if ended && !self.answered && input.is_empty() {
            return Err(Error::Cut {
                server: self.peer.clone(),
                unanswered: self.is_direct,
            }
            .into());
        }
        // It takes two bytes to recognize TLS.
        if !self.answered && input.len() > 1 {
            self.answered = true;
            if is_tls(input) {
                return Err(Error::SpeaksTls {
                    server: self.peer.clone(),
                    is_proxy: !self.is_direct,
                }
                .into());
            }
        }
        more
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }
}
