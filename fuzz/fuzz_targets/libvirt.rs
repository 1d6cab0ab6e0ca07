//! What virsh prints: the host and its domains are read, or refused. And how people write which libvirt is asked.

use vw::mapping::HypervisorId;
use vw::systems::libvirt::{self, Uri, UriError};
use vw_fuzz::text;

pub fn run(bytes: &[u8]) {
    match bytes.starts_with(b"<") {
        true => printed(bytes),
        false => uri(text(bytes)),
    }
}

/// What is shown of a URI can be read again, and is what virsh is given: nothing in it is an option of ssh, or a password.
fn uri(text: &str) {
    const PASSWORD: &str = "s3cret-Passw0rd";
    if text.contains(PASSWORD) {
        return;
    }
    for username in [None, Some("me@home -x")] {
        match Uri::parse(text, username) {
            Ok(uri) => {
                let shown = uri.to_string();
                assert_eq!(Uri::parse(&shown, None).as_ref(), Ok(&uri));
                assert!(
                    !shown.chars().any(|c| c.is_whitespace() || c.is_control()),
                    "{shown:?}"
                );
                assert!(uri.name().chars().count() <= shown.chars().count());
                let (_, rest) = shown.split_once("://").expect("a URI");
                let authority = rest.split(['/', '?']).next().unwrap_or_default();
                let host = authority.rsplit('@').next().unwrap_or_default();
                assert!(!host.trim_start_matches('[').starts_with('-'), "{shown}");
            }
            Err(UriError::Vmware { scheme }) => assert!(scheme.len() == 3),
            Err(UriError::Password { .. } | UriError::Malformed { .. }) => {}
        }
    }
    let mut urls = vec![format!("qemu://u:{PASSWORD}@{text}")];
    // A user has none of these, so that what follows is no password.
    if !text.contains(['/', '?', '#']) {
        urls.push(format!("{text}:{PASSWORD}@kvm"));
    }
    for url in urls {
        let shown = format!("{:?}", Uri::parse(&url, None));
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
}

fn printed(bytes: &[u8]) {
    for id in [HypervisorId::Uuid, HypervisorId::Hostname] {
        if let Ok(inventory) = libvirt::read(bytes, id) {
            assert_eq!(inventory.hypervisors.len(), 1);
            assert!(
                inventory.hypervisors[0]
                    .guests
                    .iter()
                    .all(|guest| guest.id.len() == 36)
            );
        }
    }
}
