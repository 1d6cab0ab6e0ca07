//! The servers, each in a process of its own that ends with its stdin, so that neither their CPU nor their memory is counted.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use vw_sim::candlepin::{self, Candlepin, JobTime};
use vw_sim::http::{self, Authority, Certificate, Request, Response, Service, Tls};
use vw_sim::satellite5::Satellite5;
use vw_sim::vcenter::{Inventory, VCenter};

use crate::{Result, SERVE, VMS_PER_HOST};

/// The certificate of the servers' authority, in their folder.
const AUTHORITY: &str = "ca.pem";
/// The configuration that names them.
const CONFIGURATION: &str = "virt-who.conf";
/// The page of a replay.
const PAGE: &str = "page";

/// A process of servers.
pub(crate) struct Servers {
    folder: TempDir,
    /// The URLs that it printed, each with its name.
    urls: Vec<(String, String)>,
    stdin: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    child: Child,
}

impl Servers {
    /// Starts a number of vCenters with the sections vc0, vc1, …, of this number of virtual machines each, with a Candlepin, and a
    /// Satellite 5 in the section sat5.
    pub(crate) fn simulators(vcenters: usize, vms: usize, tls: bool) -> Result<Self> {
        Servers::start(tempfile::tempdir()?, &[vcenters, vms], tls)
    }

    /// Starts a server that answers everything with the content of a file.
    pub(crate) fn replay(file: &Path, tls: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::copy(file, folder.path().join(PAGE))?;
        Servers::start(folder, &[], tls)
    }

    fn start(folder: TempDir, numbers: &[usize], tls: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(SERVE).arg(folder.path()).arg(tls.to_string());
        command.args(numbers.iter().map(usize::to_string));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut urls = Vec::new();
        loop {
            let mut line = String::new();
            output.read_line(&mut line)?;
            match line.trim_end().split_once(' ') {
                Some((name, url)) => urls.push((name.to_owned(), url.to_owned())),
                None => break,
            }
        }
        let stdin = child.stdin.take();
        Ok(Servers {
            folder,
            urls,
            stdin,
            output,
            child,
        })
    }

    /// The URL of the first server with this name: `vcenter`, `candlepin`, `satellite5` or `page`.
    pub(crate) fn url(&self, name: &str) -> Result<&str> {
        let found = self.urls.iter().find(|(named, _)| named == name);
        Ok(&found.ok_or(format!("no server {name}"))?.1)
    }

    /// A command of this project that finds them.
    pub(crate) fn command(&self, command: &str) -> Command {
        self.known_to(crate::cost::vw(command))
    }

    /// Adds the variables by which they are found.
    pub(crate) fn known_to(&self, mut command: Command) -> Command {
        command.env("VW_CONFIG", self.folder.path().join(CONFIGURATION));
        command.env("SSL_CERT_FILE", self.authority());
        command.env_remove("SSL_CERT_DIR").env("NO_PROXY", "*");
        command
    }

    /// The certificate of their authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join(AUTHORITY)
    }

    /// Changes this number of virtual machines of the first vCenter at once.
    pub(crate) fn change(&mut self, vms: usize) -> Result<()> {
        let stdin = self.stdin.as_mut().ok_or("it has ended")?;
        writeln!(stdin, "{vms}")?;
        // It says when it is done.
        self.output.read_line(&mut String::new())?;
        Ok(())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves until stdin ends, in the process that [`Servers`] starts with these arguments. Prints the URLs.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let [folder, tls, numbers @ ..] = arguments else {
        return Err("arguments are missing".into());
    };
    let folder = Path::new(folder);
    let authority = Authority::new()?;
    fs::write(folder.join(AUTHORITY), authority.pem())?;
    let tls = match tls == "true" {
        true => Some(authority.issue(&Certificate::Good)?),
        false => None,
    };
    match numbers {
        [vcenters, vms] => simulate(folder, vcenters.parse()?, vms.parse()?, &tls),
        _ => replay(folder, tls),
    }
}

fn replay(folder: &Path, tls: Option<Tls>) -> Result<()> {
    let server = http::Server::start(Arc::new(Page(fs::read(folder.join(PAGE))?)), tls)?;
    writeln!(io::stdout(), "page {}\n", server.url())?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// The answer to everything.
struct Page(Vec<u8>);

impl Service for Page {
    fn answer(&self, _: &Request) -> Response {
        Response::new(200, "text/xml", self.0.clone())
    }
}

fn simulate(folder: &Path, vcenters: usize, vms: usize, tls: &Option<Tls>) -> Result<()> {
    let start = |service| http::Server::start(service, tls.clone());
    // A job takes no time, because waiting is not measured.
    let settings = candlepin::Settings {
        job_time: JobTime::After(Duration::ZERO),
        ..candlepin::Settings::default()
    };
    let candlepin = start(Arc::new(Candlepin::new(settings)))?;
    let satellite5 = start(Arc::new(Satellite5::default()))?;
    let inventory = || Inventory::new(vms.div_ceil(VMS_PER_HOST), vms);
    let vcenters = (0..vcenters).map(|_| VCenter::start(inventory(), tls.clone()));
    let vcenters = vcenters.collect::<io::Result<Vec<_>>>()?;

    let mut configuration = File::options();
    configuration.write(true).create_new(true).mode(0o600);
    let mut configuration = configuration.open(folder.join(CONFIGURATION))?;
    for (number, vcenter) in vcenters.iter().enumerate() {
        let (user, password) = vcenter.account();
        writeln!(
            configuration,
            "[vc{number}]\ntype=esx\nserver={}\nusername={user}\npassword={password}\nowner=sim\n\
             rhsm_hostname={}\nrhsm_prefix=/candlepin\nrhsm_username={user}\nrhsm_password={password}",
            vcenter.url(),
            candlepin.url(),
        )?;
        if number == 0 {
            writeln!(
                configuration,
                "[sat5]\ntype=esx\nserver={}\nusername={user}\npassword={password}\nsm_type=satellite\n\
                 sat_server={}\nsat_username={user}\nsat_password={password}",
                vcenter.url(),
                satellite5.url(),
            )?;
        }
    }
    let mut out = io::stdout();
    writeln!(out, "candlepin {}", candlepin.url())?;
    writeln!(out, "satellite5 {}", satellite5.url())?;
    for vcenter in &vcenters {
        writeln!(out, "vcenter {}", vcenter.url())?;
    }
    writeln!(out)?;
    for (round, line) in io::stdin().lines().enumerate() {
        let count = line?.parse()?;
        let vcenter = vcenters.first().ok_or("no vCenter")?;
        vcenter.change(|inventory| change(inventory, count, round));
        writeln!(out)?;
    }
    Ok(())
}

/// Moves half of so many virtual machines, each round to other hosts, and switches the others.
fn change(inventory: &mut Inventory, count: usize, round: usize) {
    let hosts: Vec<_> = inventory.hosts().map(|(host, _)| host).collect();
    let vms = inventory.vms().map(|(vm, machine)| (vm, machine.power.clone()));
    let vms: Vec<_> = vms.collect();
    let step = (vms.len() / count).max(1);
    for (number, (vm, power)) in vms.into_iter().step_by(step).take(count).enumerate() {
        match number % 2 {
            0 => {
                let host = hosts[(number + round) % hosts.len()];
                inventory.move_vm(vm, host);
            }
            _ => {
                let off = power.as_deref() == Some("poweredOff");
                let power = if off { "poweredOn" } else { "poweredOff" };
                inventory.vm_mut(vm).power = Some(power.to_owned());
            }
        }
    }
}
