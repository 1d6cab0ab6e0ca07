//! The password for virsh, in a file of the form that libvirt's documentation calls the client authentication file.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A file with a user name and password that exists only in memory, and only as long as we and the programs that we start live.
///
/// So nothing of it is left on a disk, however we end. It is inherited: a program finds it under [`AuthFile::path`].
#[derive(Debug)]
pub(super) struct AuthFile(OwnedFd);

impl AuthFile {
    /// Writes the file. libvirt asks it for the login of SASL, and of its test driver.
    pub(super) fn new(username: Option<&str>, password: &Secret) -> io::Result<Self> {
        let file = memfd_create("vw-libvirt-auth", MemfdFlags::empty())?;
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        file.write_all(b"[credentials-vw]\n")?;
        if let Some(username) = username {
            let username = escaped(username);
            write!(file, "username={0}\nauthname={0}\n", *username)?;
        }
        file.write_all(b"password=")?;
        file.write_all(escaped(password.expose()).as_bytes())?;
        for service in ["libvirt", "test"] {
            write!(file, "\n[auth-{service}-default]\ncredentials=vw\n")?;
        }
        Ok(AuthFile(file.into()))
    }

    /// Where a program that we start finds the file.
    pub(super) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

/// A value as GLib's key files write it. libvirt reads them so since 6.2 or earlier; the own reader of 4.5 takes a backslash and
/// blanks at the start as they are.
fn escaped(value: &str) -> Zeroizing<String> {
    let plain = value.trim_start_matches(' ');
    // It never grows, so it leaves no copy behind.
    let mut escaped = Zeroizing::new(String::with_capacity(2 * value.len()));
    (plain.len()..value.len()).for_each(|_| escaped.push_str("\\s"));
    for c in plain.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_has_libvirts_form() {
        let file = AuthFile::new(Some("bob"), &Secret::from("  a\\n b\nc=".to_owned())).unwrap();
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let expected = "[credentials-vw]\nusername=bob\nauthname=bob\npassword=\\s\\sa\\\\n b\\nc=\n\
            [auth-libvirt-default]\ncredentials=vw\n\n[auth-test-default]\ncredentials=vw\n";
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), expected);
    }
}
