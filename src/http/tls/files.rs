//! Files with certificates and keys, and the system's store of authorities.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::cancel::Cancel;
use crate::environment::{CERT_DIR, CERT_FILE, Environment};
use crate::http::Error;
use crate::text;

/// The largest file of certificates or keys, in bytes: forty times a system's whole store.
pub(super) const LARGEST: usize = 8 << 20;

/// The content of a file or pipe, if it is not larger than [`LARGEST`].
fn read(path: &Path, cancel: &Cancel) -> Result<Zeroizing<Vec<u8>>, Error> {
    let fail = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let file = path.to_owned();
    // Opening a FIFO that nobody writes to blocks.
    let read = cancel.unblocked(move || {
        let file = File::open(file)?;
        // Allocated once, because a buffer that grows leaves copies of a key behind.
        let expected = usize::try_from(file.metadata()?.len()).unwrap_or(LARGEST);
        let mut bytes = Zeroizing::new(Vec::with_capacity(expected.min(LARGEST) + 1));
        file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    })?;
    let bytes = read.map_err(|error| fail(text::reason(&error)))?;
    if bytes.len() > LARGEST {
        return Err(fail(format!(
            "it is larger than {} MiB, so it is not a file of certificates or keys",
            LARGEST >> 20
        )));
    }
    Ok(bytes)
}

/// The certificates in a PEM file; there is at least one.
pub(super) fn certificates(path: &Path, cancel: &Cancel) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path, cancel)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let reason = match all {
        Ok(all) if !all.is_empty() => return Ok(all),
        Ok(_) => "it holds no certificate in PEM".to_owned(),
        Err(error) => format!("its PEM is damaged: {error}"),
    };
    let path = path.to_owned();
    Err(Error::File { path, reason })
}

/// The first private key in a PEM file.
pub(super) fn private_key(path: &Path, cancel: &Cancel) -> Result<PrivateKeyDer<'static>, Error> {
    let bytes = read(path, cancel)?;
    let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"];
    let reason = if encrypted
        .iter()
        .any(|mark| memchr::memmem::find(&bytes, mark).is_some())
    {
        "the key is encrypted; make a copy without a passphrase, with: openssl pkey -in FILE -out COPY"
            .to_owned()
    } else {
        match PrivateKeyDer::from_pem_slice(&bytes) {
            Ok(key) => return Ok(key),
            Err(rustls::pki_types::pem::Error::NoItemsFound) => "it holds no private key in PEM".to_owned(),
            Err(error) => format!("its PEM is damaged: {error}"),
        }
    };
    let path = path.to_owned();
    Err(Error::File { path, reason })
}

/// The authorities that the system trusts. An unreadable part causes a warning; no authority at all is an error.
pub(super) fn system_certificates(
    environment: &Environment,
    cancel: &Cancel,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let (file, folders) = (environment.value(CERT_FILE), environment.value(CERT_DIR));
    let (found, problems) = match file.is_some() || folders.is_some() {
        true => named_certificates(file, folders, cancel)?,
        false => {
            let found = rustls_native_certs::load_native_certs();
            let problems = found.errors.iter().map(ToString::to_string).collect();
            (found.certs, problems)
        }
    };
    if found.is_empty() {
        let variables = [CERT_FILE, CERT_DIR].into_iter().filter_map(|name| {
            let value = environment.value(name)?;
            Some(format!("{name}={}", value.display()))
        });
        let mut reason: Vec<String> = variables.chain(problems).collect();
        if reason.is_empty() {
            reason.push("the usual files and folders are empty".into());
        }
        return Err(Error::NoAuthorities {
            reason: reason.join("; "),
        });
    }
    for problem in problems {
        log::warn!("some of the system's trusted authorities can't be read: {problem}");
    }
    Ok(found)
}

/// The certificates in `file` and in all files of `folders`, which are separated by colons; and the problems of those that can't
/// be read.
///
/// Not by rustls-native-certs, which reads files of any length.
fn named_certificates(
    file: Option<&OsStr>,
    folders: Option<&OsStr>,
    cancel: &Cancel,
) -> Result<(Vec<CertificateDer<'static>>, Vec<String>), Error> {
    let mut files: Vec<PathBuf> = file.map(PathBuf::from).into_iter().collect();
    let mut problems = Vec::new();
    let folders = folders.map(std::env::split_paths).into_iter().flatten();
    for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
        match fs::read_dir(&folder) {
            Ok(entries) => {
                let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
                files.extend(paths.filter(|path| path.is_file()));
            }
            Err(error) => {
                let reason = text::reason(&error);
                problems.push(format!("{}: {reason}", folder.display()));
            }
        }
    }
    let mut found = Vec::new();
    for file in files {
        match read(&file, cancel) {
            Ok(bytes) => {
                for certificate in CertificateDer::pem_slice_iter(&bytes) {
                    match certificate {
                        Ok(certificate) => found.push(certificate),
                        Err(error) => {
                            problems.push(format!("{}: its PEM is damaged: {error}", file.display()))
                        }
                    }
                }
            }
            Err(error @ Error::Cancelled(_)) => return Err(error),
            Err(error) => problems.push(error.to_string()),
        }
    }
    // A certificate in a folder often has several names.
    found.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
    found.dedup();
    Ok((found, problems))
}
