//! The simulated vCenters, each in a process that ends with its stdin.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::NamedTempFile;

/// Which simulator.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// This project's own.
    VwSim,
    /// govmomi's, from tests/vcsim.
    Vcsim,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::VwSim, Kind::Vcsim];

    /// The program, as `make bench` builds it.
    pub(crate) fn program(self) -> PathBuf {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_vw-scan-esx"));
        match self {
            Kind::VwSim => built.with_file_name("vw-sim"),
            Kind::Vcsim => match std::env::var_os("VW_VCSIM") {
                Some(program) => program.into(),
                None => built.with_file_name("../vcsim"),
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::VwSim => "vw-sim",
            Kind::Vcsim => "vcsim",
        })
    }
}

/// A running simulator.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// Host and port.
    pub(crate) address: String,
    user: String,
    password: NamedTempFile,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Server {
    /// Starts a simulator over plain HTTP, if it has been built.
    pub(crate) fn start(kind: Kind, hosts: usize, vms: usize) -> crate::Result<Option<Self>> {
        let program = kind.program();
        if !program.exists() {
            return Ok(None);
        }
        let mut command = Command::new(program);
        match kind {
            Kind::VwSim => {
                let (hosts, vms) = (hosts.to_string(), vms.to_string());
                command.args(["--plain", "--hosts", &hosts, "--vms", &vms, "--", "sh", "-c"]);
                // Prints the settings and waits for the end of its stdin; the simulator ends with it.
                command.arg("tr '\\n' ' ' < \"$VW_CONFIG\"; echo; exec cat");
            }
            // The first host and machine are those of the model.
            Kind::Vcsim => {
                let copies = [("-copies", vms - 1), ("-host-copies", hosts - 1)];
                command.args(["-plain", "-clusters", "0", "-vms", "1"]);
                command.args(copies.map(|(option, number)| format!("{option}={number}")));
            }
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
        let (url, user, secret) = match kind {
            Kind::VwSim => {
                let mut settings = String::new();
                output.read_line(&mut settings)?;
                let setting = |name: &str| {
                    let value = settings.split(' ').find_map(|word| word.strip_prefix(name));
                    value
                        .map(str::to_owned)
                        .ok_or(format!("vw-sim printed no {name}"))
                };
                (setting("server=")?, setting("username=")?, setting("password=")?)
            }
            Kind::Vcsim => {
                let url = quoted(&mut output, "url")?;
                (url, "user".to_owned(), "pass".to_owned())
            }
        };
        let address = url
            .trim_start_matches("http://")
            .trim_end_matches("/sdk")
            .to_owned();
        let mut password = NamedTempFile::new()?;
        writeln!(password, "{secret}")?;
        Ok(Some(Server {
            kind,
            address,
            user,
            password,
            output,
            child,
        }))
    }

    /// A scan of it, through another port if one is given.
    pub(crate) fn scan(&self, port: Option<u16>) -> Command {
        let address = match port {
            Some(port) => format!("127.0.0.1:{port}"),
            None => self.address.clone(),
        };
        let mut scan = Command::new(env!("CARGO_BIN_EXE_vw-scan-esx"));
        scan.args(["--server", &format!("http://{address}/sdk"), "-u", &self.user]);
        scan.arg("--password-file").arg(self.password.path());
        scan.env("NO_PROXY", "*");
        scan
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It may print more before it cleans up.
        let _ = io::copy(&mut self.output, &mut io::sink());
        let _ = self.child.wait();
    }
}

/// The text of a member in JSON. It is read without keeping what comes before, because the memory of this process counts as that of
/// its children.
fn quoted(json: &mut impl BufRead, member: &str) -> crate::Result<String> {
    let mut next = || {
        let mut piece = Vec::new();
        match json.read_until(b'"', &mut piece)? {
            0 => Err(format!("vcsim printed no {member}").into()),
            _ => crate::Result::Ok(String::from_utf8(piece)?.trim_end_matches('"').to_owned()),
        }
    };
    while next()? != member {}
    next()?;
    next()
}
