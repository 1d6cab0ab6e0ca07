//! What kubectl prints: a list or events become an inventory, whatever is in them. What it says on stderr becomes one short line
//! without the secrets of its kubeconfig.

use std::fs;

use vw::mapping::HypervisorId;
use vw::systems::kubevirt::{Complaint, Objects, Secrets, answer};

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

pub fn run(bytes: &[u8]) {
    match bytes.first() {
        Some(b'{') => stdout(bytes),
        _ => stderr(bytes),
    }
}

fn stdout(bytes: &[u8]) {
    for id in [HypervisorId::Uuid, HypervisorId::Hostname] {
        let mut objects = Objects::default();
        if answer::list(bytes, |object| objects.add(object)).is_ok() {
            let inventory = objects.inventory(id);
            assert!(inventory.hypervisors.iter().all(|host| !host.is_local()));
        }
    }
    let _ = answer::events(bytes, |event| _ = Objects::default().add(event.object.get()));
}

/// The bytes are a kubeconfig, and what kubectl says about it.
fn stderr(bytes: &[u8]) {
    const TOKEN: &str = "s3cret-t0ken";
    let file = FOLDER.with(|folder| folder.path().join("config"));
    let content = [bytes, format!("\n    token: {TOKEN}\n").as_bytes()].concat();
    fs::write(&file, &content).expect("a file that can be written");
    let secrets = Secrets::of(Some(&file));
    let said = String::from_utf8_lossy(bytes);
    let said = secrets.redact(&said);
    assert!(!said.contains(TOKEN), "{said}");
    let mut lines: Vec<String> = String::from_utf8_lossy(&content)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.push(format!("error: yaml: {TOKEN} {}", String::from_utf8_lossy(bytes)));
    for end in [lines.len(), lines.len() / 2] {
        let Some(complaint) = Complaint::find(&lines[..end], |text| secrets.redact(text)) else {
            continue;
        };
        let shown = complaint.to_string();
        assert!(
            shown.chars().count() <= 501 && !shown.contains(vw::text::is_control),
            "{shown:?}"
        );
        assert!(!shown.contains(TOKEN), "{shown:?}");
        let _ = (
            complaint.is_unknown_api(),
            complaint.is_untrusted(),
            complaint.kind(),
        );
    }
}
