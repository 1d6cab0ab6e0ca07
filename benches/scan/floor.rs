//! The least cost of reading an answer with quick-xml.

use std::hint::black_box;
use std::io::BufReader;
use std::net::TcpStream;

use quick_xml::Reader;
use quick_xml::events::Event;

/// The option that makes this program the floor, with the address to read from.
pub(crate) const OPTION: &str = "--floor";

/// Reads XML from the address.
pub(crate) fn read(address: &str) -> crate::Result<()> {
    let stream = TcpStream::connect(address)?;
    let mut reader = Reader::from_reader(BufReader::with_capacity(64 * 1024, stream));
    let mut buffer = Vec::new();
    while !matches!(black_box(reader.read_event_into(&mut buffer)?), Event::Eof) {
        buffer.clear();
    }
    Ok(())
}
