//! Answers of a server that is not there: exchanges as `--trace` saves them, whose answers are replaced.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vw::http::{Base, Endpoint, Proxy, Replay, Trace};

/// The server of all saved exchanges.
const SERVER: &str = "https://server.example.com";

/// Saved exchanges.
pub struct Exchanges {
    folder: TempDir,
    base: Base,
}

impl Exchanges {
    /// No exchanges yet, with a server whose services are below this path.
    pub fn new(path: &str) -> Self {
        Exchanges {
            folder: tempfile::tempdir().expect("a folder"),
            base: Base::parse(&format!("{SERVER}{path}"), 443, "").expect("an address"),
        }
    }

    /// Adds an exchange: method and path, and the body of the request. Its stem names it.
    pub fn add(&self, stem: &str, line: &str, body: &[u8]) {
        let head = format!("{line} HTTP/1.1\r\nHost: server.example.com\r\n\r\n");
        self.write(stem, "request", &head, body);
    }

    /// Sets the answer to an exchange. Each line of the header ends with `\r\n`.
    pub fn answer(&self, stem: &str, status: u16, header: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\n{header}\r\n");
        self.write(stem, "response", &head, body);
    }

    /// An endpoint that answers each exchange once.
    pub fn endpoint(&self) -> Endpoint {
        endpoint(&self.base, self.folder.path())
    }

    fn write(&self, stem: &str, kind: &str, head: &str, body: &[u8]) {
        let path = self.folder.path().join(format!("{stem}-{kind}.http"));
        fs::write(path, [head.as_bytes(), body].concat()).expect("a file that can be written");
    }
}

fn endpoint(base: &Base, folder: &Path) -> Endpoint {
    let mut endpoint = Endpoint::new(base.clone());
    endpoint.replay = Some(Replay::open(folder).expect("saved exchanges"));
    endpoint
}

/// Exchanges that were recorded once with a simulator.
pub struct Recorded {
    folder: TempDir,
    base: Base,
}

impl Recorded {
    /// Records what `work` does with the server at this address.
    pub fn new(url: &str, work: impl FnOnce(&Endpoint)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = Base::parse(url, 443, "/sdk").expect("the server's address");
        let mut recording = Endpoint::new(base.clone());
        recording.proxy = Proxy::none("the fuzzer");
        recording.trace = Some(Trace::new(folder.path()));
        work(&recording);
        Recorded { folder, base }
    }

    /// Replaces the body of the answer to the first exchange with this label.
    pub fn replace(&self, label: &str, body: &[u8]) {
        let path = self.answer(label);
        let kept = path.with_extension("kept");
        if !kept.exists() {
            fs::copy(&path, kept).expect("a file that can be copied");
        }
        let head = b"HTTP/1.1 200\r\nContent-Type: text/xml\r\n\r\n";
        fs::write(path, [&head[..], body].concat()).expect("a file that can be written");
    }

    /// Undoes [`replace`](Recorded::replace).
    pub fn restore(&self, label: &str) {
        let path = self.answer(label);
        let kept = path.with_extension("kept");
        if kept.exists() {
            fs::copy(kept, path).expect("a file that can be copied");
        }
    }

    /// The file with the answer to the first exchange with this label.
    fn answer(&self, label: &str) -> PathBuf {
        let names = fs::read_dir(self.folder.path()).expect("the folder");
        let mut names: Vec<_> = names.map(|entry| entry.expect("an entry").path()).collect();
        names.sort();
        let end = format!("-{label}-response.http");
        let found = names
            .into_iter()
            .find(|path| path.to_string_lossy().ends_with(&end));
        found.expect("the answer")
    }

    /// An endpoint that answers each exchange once.
    pub fn endpoint(&self) -> Endpoint {
        endpoint(&self.base, self.folder.path())
    }
}
