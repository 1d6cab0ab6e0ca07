//! Configuration files: any bytes become sections and notes, or are refused. No note shows a password.

use std::fs;
use std::path::Path;

use vw::config::sysconfig::Variables;
use vw::config::{Config, Files, Note};

/// A section with a password, after which the input continues.
const PASSWORD: &str = "s3cret-Passw0rd";

thread_local! {
    static FILE: tempfile::NamedTempFile = tempfile::NamedTempFile::new().expect("a file");
}

pub fn run(bytes: &[u8]) {
    FILE.with(|file| {
        let path = file.path();
        if bytes
            .windows(PASSWORD.len())
            .any(|part| part == PASSWORD.as_bytes())
        {
            return;
        }
        let before = format!("[one]\ntype=esx\npassword={PASSWORD}\nserver=https://u:{PASSWORD}@vc\n");
        // In front of the input, a section that is all right remains so: it ends where the input begins a section.
        if let Some(config) = load(path, &[before.as_bytes(), b"\n[two]\n", bytes].concat()) {
            look_at(&config);
            if config.names().filter(|name| *name == "one").count() == 1
                && !bytes.windows(5).any(|part| part == b"[one]")
            {
                let section = config.named("one").expect("a section that is all right");
                let password = section
                    .secret("password")
                    .expect("a password")
                    .expect("a password");
                assert_eq!(password.expose(), PASSWORD);
            }
        }
        if let Some(config) = load(path, bytes) {
            look_at(&config);
            // Lines may end as in files of other systems.
            if !bytes.contains(&b'\r') {
                let lines = bytes
                    .split(|byte| *byte == b'\n')
                    .collect::<Vec<_>>()
                    .join(&b"\r\n"[..]);
                let other = load(path, &lines).expect("the same with other ends of lines");
                assert_eq!(shown(&other), shown(&config));
            }
        }
        sysconfig(path, bytes);
    });
}

fn load(path: &Path, bytes: &[u8]) -> Option<Config> {
    fs::write(path, bytes).expect("a file that can be written");
    Config::load(&Files::new(vec![path.to_owned()], None)).ok()
}

/// All values that are in force, as they are shown.
fn shown(config: &Config) -> Vec<String> {
    let keys = |section: &vw::config::Section| {
        let keys = section.effective_keys().into_iter();
        keys.map(|key| {
            format!(
                "{:?} {} {:?} {:?}",
                section.name(),
                key.key,
                key.value,
                key.origin
            )
        })
        .collect::<Vec<_>>()
    };
    config.sections().flat_map(keys).collect()
}

fn look_at(config: &Config) {
    let names: Vec<&str> = config.names().collect();
    let mut distinct = names.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "each section is there once");
    for line in shown(config)
        .into_iter()
        .chain(notes(config.notes()))
        .chain(notes(&config.unknown()))
    {
        assert!(!line.contains(PASSWORD), "{line}");
    }
    for name in names {
        let Ok(section) = config.named(name) else { continue };
        let errors = [
            section.source_type().err(),
            section.text("server").err(),
            section.flag("simplified_vim").err(),
            section.number::<u32>("interval").err(),
            section.port("rhsm_port").err(),
            section.list("filter_hosts").err(),
            section.secret("password").err(),
            section.fingerprint().err(),
        ];
        for error in errors.into_iter().flatten() {
            assert!(!error.to_string().contains(PASSWORD), "{error}");
        }
        if let Ok(Some(port)) = section.port("rhsm_port") {
            assert!(port > 0);
        }
    }
}

fn notes(notes: &[Note]) -> Vec<String> {
    notes.iter().map(ToString::to_string).collect()
}

/// The same bytes as a file of assignments. What is migrated can be written into a configuration and is read from it again.
fn sysconfig(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file that can be written");
    let Ok(variables) = Variables::read(path) else {
        return;
    };
    let _ = notes(&variables.notes()).len() + notes(&variables.unknown()).len();
    let [_, _, section] = variables.migrated();
    let mut text = "[migrated]\n".to_owned();
    let mut written = Vec::new();
    for (key, value) in &section {
        if let Some(form) = vw::config::written_form(value) {
            text += &format!("{key}={form}\n");
            written.push((key, value));
        }
    }
    let Some(config) = load(path, text.as_bytes()) else {
        return;
    };
    let Ok(migrated) = config.named("migrated") else {
        return;
    };
    for (key, value) in written {
        let is_plain = !key.contains("password") && !value.is_empty();
        if is_plain {
            assert_eq!(migrated.text(key).ok().flatten().as_ref(), Some(value), "{key}");
        }
    }
}
