//! The simulated Satellite 5, in a process that ends with its stdin.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use vw_sim::http;
use vw_sim::satellite5::Satellite5;

/// The option that makes this program the server.
pub(crate) const OPTION: &str = "--serve";

/// Serves until stdin ends. Prints the address.
pub(crate) fn serve() -> crate::Result<()> {
    let server = http::Server::start(Arc::new(Satellite5::default()), None)?;
    writeln!(io::stdout(), "{}", server.address())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// A running server.
pub(crate) struct Server {
    /// Host and port.
    pub(crate) address: String,
    child: Child,
}

impl Server {
    /// Starts a server that holds nothing yet.
    pub(crate) fn start() -> crate::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(OPTION).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut address = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut address)?;
        Ok(Server {
            address: address.trim().to_owned(),
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
