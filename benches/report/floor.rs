//! The least cost of sending a report's requests.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::recording::request;

/// The option that makes this program the floor, with the address to send to and the number of connections.
pub(crate) const OPTION: &str = "--floor";

/// Sends the requests on stdin to the address, each when the answer to the one before it on its connection has arrived.
pub(crate) fn send(address: &str, connections: usize) -> crate::Result<()> {
    let requests = Mutex::new(BufReader::with_capacity(64 * 1024, io::stdin()));
    let converse = || -> io::Result<()> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut answers = BufReader::with_capacity(64 * 1024, stream);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            if !request(&mut *requests, &mut bytes)? {
                return Ok(());
            }
            drop(requests);
            answers.get_mut().write_all(&bytes)?;
            skip(&mut answers, &mut bytes)?;
        }
    };
    thread::scope(|scope| {
        let conversing: Vec<_> = (0..connections).map(|_| scope.spawn(converse)).collect();
        for thread in conversing {
            thread.join().map_err(|_| "a connection's thread failed")??;
        }
        Ok(())
    })
}

/// Reads an answer, whose body has a length.
fn skip(answers: &mut impl BufRead, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    request(answers, bytes)?;
    std::hint::black_box(bytes);
    Ok(())
}
