//! The secrets in a kubeconfig, so that no message shows them.
//!
//! kubectl reads the file; here it is only searched for what may be secret. It is YAML or JSON, and perhaps neither, which is when
//! kubectl's message repeats parts of it.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::secret::Secret;
use crate::secret::redact::{REDACTED, is_secret_name};

/// The most bytes of a kubeconfig that are searched.
const MOST_BYTES: u64 = 4 << 20;

/// The shortest text that is replaced. A shorter one would be found in other words.
const SHORTEST: usize = 3;

/// The secrets of a kubeconfig.
#[derive(Debug, Default)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The secrets of this file. Without one: of the files that kubectl reads by itself.
    pub fn of(kubeconfig: Option<&Path>) -> Self {
        let files = match kubeconfig {
            Some(file) => vec![file.to_owned()],
            None => usual_files(),
        };
        let mut secrets = Secrets::default();
        for file in files {
            secrets.search(&content(&file), file.parent());
        }
        // A secret may contain another one.
        secrets
            .0
            .sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets
    }

    /// The text without the secrets.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), REDACTED);
            }
        }
        text
    }

    /// Adds the secrets of a kubeconfig with this content; `folder` is where it is.
    fn search(&mut self, content: &str, folder: Option<&Path>) {
        for line in content.lines() {
            self.member(line, folder);
            // In JSON and in YAML's flow style several members are in a line.
            if line.contains(['{', ',']) {
                for member in line.split(['{', '}', ',', '[', ']']) {
                    self.member(member, folder);
                }
            }
        }
    }

    /// Adds the value of a member, such as `- token: x`, if it is secret.
    fn member(&mut self, member: &str, folder: Option<&Path>) {
        let Some((name, value)) = member.split_once([':', '=']) else {
            return;
        };
        let name = name.trim_matches(|c: char| c.is_whitespace() || "-{\"'".contains(c));
        let value = scalar(value);
        match name {
            "client-key" | "clientKey" => {}
            "tokenFile" | "token-file" => {
                let file = folder.map_or_else(|| PathBuf::from(value), |folder| folder.join(value));
                self.add(content(&file).trim());
            }
            // Of a login program's variables only their order says which are secret.
            "value" => self.add(value),
            "server" | "proxy-url" => {
                let user = value
                    .split_once("://")
                    .and_then(|(_, rest)| rest.rsplit_once('@'));
                if let Some((_, password)) = user.and_then(|(user, _)| user.split_once(':')) {
                    self.add(password);
                }
            }
            name if is_secret_name(name) => self.add(value),
            _ => {}
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.push(Secret::from(secret.to_owned()));
        }
    }
}

/// A value without its quotes, or without the comment after it.
fn scalar(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.rsplit_once(quote).map_or(quoted, |(quoted, _)| quoted);
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end()
}

/// Where kubectl looks for a kubeconfig: in the files of `$KUBECONFIG`, otherwise in the home.
fn usual_files() -> Vec<PathBuf> {
    match env::var_os("KUBECONFIG").filter(|files| !files.is_empty()) {
        Some(files) => env::split_paths(&files).collect(),
        None => env::home_dir()
            .map(|home| home.join(".kube/config"))
            .into_iter()
            .collect(),
    }
}

/// As much of a file as can be read. A FIFO or a device is not read: only kubectl may take what comes from it.
fn content(file: &Path) -> String {
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut bytes = Vec::new();
    if is_file && let Ok(file) = File::open(file) {
        let _ = file.take(MOST_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(content: &str) -> Vec<String> {
        let mut secrets = Secrets::default();
        secrets.search(content, None);
        let mut found: Vec<String> = secrets
            .0
            .iter()
            .map(|secret| secret.expose().to_owned())
            .collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn secrets_are_found_in_yaml_and_json() {
        let yaml = "
apiVersion: v1
clusters:
- name: c
  cluster:
    server: https://admin:pa ss@k8s.example.com:6443   # here
    certificate-authority-data: LS0t
users:
- name: u
  user:
    token: \"eyJ, {x}\"
    password: 'a: b'   # old
    client-key: /etc/key.pem
    client-key-data: S0VZ
- user: {token: t0k3n, username: me}
- user:
    exec:
      command: login
      args: [--client-secret=sh-h, get]
      env:
      - name: X
        value: env-secret
    auth-provider:
      config:
        id-token: idt
        refresh-token: rft
";
        let found_in_yaml = found(yaml);
        for secret in [
            "pa ss",
            "eyJ, {x}",
            "a: b",
            "S0VZ",
            "t0k3n",
            "sh-h",
            "env-secret",
            "idt",
            "rft",
        ] {
            assert!(
                found_in_yaml.iter().any(|found| found == secret),
                "{secret} {found_in_yaml:?}"
            );
        }
        for other in ["LS0t", "/etc/key.pem", "me", "login", "u", "v1"] {
            assert!(
                !found_in_yaml.iter().any(|found| found == other),
                "{other} {found_in_yaml:?}"
            );
        }
        assert_eq!(
            found(r#"{"users":[{"user":{"token":"t0k3n","username":"me"}}]}"#),
            ["t0k3n"]
        );
        // Cut, so kubectl can't read it.
        assert_eq!(found(r#"{"users":[{"user":{"token":"t0k3n"#), ["t0k3n"]);
    }

    #[test]
    fn a_text_is_shown_without_the_secrets_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(folder.path().join("tok"), "in-a-file\n").unwrap();
        std::fs::write(&file, "token: abc\npassword: abc123\ntokenFile: tok\n").unwrap();
        let secrets = Secrets::of(Some(&file));
        assert_eq!(
            secrets.redact("abc, abc123 and in-a-file"),
            "(redacted), (redacted) and (redacted)"
        );
        assert_eq!(
            Secrets::of(Some(&folder.path().join("none"))).redact("abc"),
            "abc"
        );
        assert_eq!(Secrets::of(Some(Path::new("/dev/zero"))).redact("abc"), "abc");
    }
}
