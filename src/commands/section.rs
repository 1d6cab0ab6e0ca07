//! Which section of the configuration a scan uses: one of its own type.

use std::cell::RefCell;
use std::path::Path;

use crate::cli::args;
use crate::commands::kind::comes_later;
use crate::config::{self, Error};
use crate::process;

/// The section that a scan of this type uses, as [`args::Section::find`] chooses it.
///
/// A section of another type is refused, whether it was named by `-n` or is the only one there is. The scan needs `key`; `given` says
/// that an option replaces it, `complete` that options replace all keys.
pub(crate) fn find(
    options: &args::Section,
    key_file: Option<&Path>,
    kind: &str,
    (key, given): (&str, bool),
    complete: bool,
) -> Result<config::Section, Error> {
    let seen = RefCell::new(Vec::new());
    let fits = |section: &config::Section| {
        seen.borrow_mut().push(section.clone());
        Ok(section.source_type()? == kind)
    };
    let section = options.find(key_file, complete, fits)?;
    let chosen = section.name().is_some() || section.is_variables();
    match seen.into_inner().as_slice() {
        _ if section.name().is_some() => expect(&section, kind, &is_command)?,
        [only] if !chosen && !given && !section.has(key) => expect(only, kind, &is_command)?,
        _ => {}
    }
    Ok(section)
}

/// Fails if the section is of another type than `kind`, and names the command for it.
fn expect(section: &config::Section, kind: &str, is_command: &dyn Fn(&str) -> bool) -> Result<(), Error> {
    let found = section.source_type()?;
    if found == kind {
        return Ok(());
    }
    let scan = format!("vw-scan-{found}");
    let other = match is_command(&scan) {
        true => scan,
        false => match comes_later(&found) {
            Some(reason) => format!("{scan} (not available: {reason})"),
            None => format!("{scan} (not available)"),
        },
    };
    if section.text("type")?.is_none() {
        let reason = format!("is missing, which means libvirt; add the line type={kind}, or use {other}");
        return Err(section.wrong("type", &reason));
    }
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let reason = match found.chars().all(is_name) {
        true => format!("is not {kind}, the type that vw-scan-{kind} reads; use {other}"),
        false => format!("is not {kind}, the type that vw-scan-{kind} reads"),
    };
    Err(section.wrong_value("type", &reason))
}

/// Whether this command exists in the folder of the running one or in PATH, where it may be anyone's script.
pub(crate) fn is_command(name: &str) -> bool {
    process::find(name).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn refusal(kind: &str, section: &str) -> Option<String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(section.as_bytes()).unwrap();
        let files = config::Files::new(vec![file.path().to_owned()], None);
        let section = config::Config::load(&files).unwrap().named("hv").unwrap();
        let is_command = |name: &str| ["vw-scan-esx", "vw-scan-fake"].contains(&name);
        let error = expect(&section, kind, &is_command).err()?;
        let text = error
            .to_string()
            .replace(&file.path().display().to_string(), "FILE");
        Some(text)
    }

    #[test]
    fn a_scan_uses_its_own_type_and_names_the_command_for_another() {
        for (kind, section, expected) in [
            ("esx", "[hv]\ntype=esx\n", None),
            ("fake", "[hv]\ntype=fake\n", None),
            (
                "esx",
                "[hv]\ntype=hyperv\n",
                Some(
                    "FILE:2: [hv] type: 'hyperv' is not esx, the type that vw-scan-esx reads; use vw-scan-hyperv (not available: \
                     a scan of Hyper-V comes later, because its protocol, WS-Management, needs a server to test against)",
                ),
            ),
            (
                "esx",
                "[hv]\ntype=fake\n",
                Some(
                    "FILE:2: [hv] type: 'fake' is not esx, the type that vw-scan-esx reads; use vw-scan-fake",
                ),
            ),
            (
                "esx",
                "[hv]\nserver=vc\n",
                Some(
                    "FILE:1: [hv] type: is missing, which means libvirt; add the line type=esx, or use vw-scan-libvirt (not available)",
                ),
            ),
            (
                "fake",
                "[hv]\ntype=\n",
                Some(
                    "FILE:2: [hv] type: is missing, which means libvirt; add the line type=fake, or use vw-scan-libvirt (not available)",
                ),
            ),
            (
                "esx",
                "[hv]\ntype=../ESX\n",
                Some("FILE:2: [hv] type: '../ESX' is not esx, the type that vw-scan-esx reads"),
            ),
        ] {
            assert_eq!(refusal(kind, section).as_deref(), expected);
        }
    }
}
