//! Stdout for a command that must hear of a signal while nobody reads what it prints.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd as _;

use crate::cancel::Cancel;

/// Standard output, buffered. A write that blocks fails when the token is set, with [`crate::cancel::Cancelled`] in the error.
pub fn stdout_until(cancel: &Cancel) -> BufWriter<impl Write + use<>> {
    // Each write costs a thread, so there are few.
    BufWriter::with_capacity(256 * 1024, Until(cancel.clone()))
}

struct Until(Cancel);

impl Write for Until {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The write may go on after we have given it up, so that it has a descriptor and bytes of its own.
        let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let bytes = bytes.to_vec();
        self.0
            .unblocked(move || stdout.write_all(&bytes).map(|()| bytes.len()))
            .unwrap_or_else(|cancelled| Err(io::Error::other(cancelled)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
