//! rhsm.conf: any bytes become the way to the subscription service, or are refused.

use std::fs;

use vw::config::{Rhsm, Section};

thread_local! {
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a file");
}

pub fn run(bytes: &[u8]) {
    FILE.with(|file| {
        fs::write(file.path(), bytes).expect("a file that can be written");
        let section = Section::default();
        let shown = Rhsm::effective_keys(Some(file.path()), &section);
        let Ok(rhsm) = Rhsm::load(Some(file.path()), &section) else {
            return;
        };
        assert!(!rhsm.hostname.is_empty() && rhsm.port > 0, "{rhsm:?}");
        if let Some(proxy) = &rhsm.proxy {
            assert!(!proxy.hostname.is_empty() && proxy.port > 0, "{proxy:?}");
            assert!(
                proxy
                    .hostname
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c)),
                "{proxy:?}"
            );
        }
        let shown = shown.expect("what can be used can be shown");
        let hostname = shown
            .iter()
            .find(|key| key.key == "rhsm_hostname")
            .expect("it has a default");
        let value = hostname
            .value
            .clone()
            .expect("it is no secret")
            .expect("it can be read");
        // URLs are shown without their passwords.
        assert!(
            value == rhsm.hostname || value.contains("(redacted)"),
            "{value} {rhsm:?}"
        );
        if let Some(password) = rhsm
            .proxy
            .and_then(|proxy| proxy.password)
            .filter(|password| password.expose().len() > 20)
        {
            let shown = format!("{shown:?}");
            // The same text may be the value of another key, too.
            let others = String::from_utf8_lossy(bytes).matches(password.expose()).count() > 1;
            assert!(others || !shown.contains(password.expose()), "{shown}");
        }
    });
}
