//! All simulators at once, with a configuration that names them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::ahv::{self, Edition, Prism};
use crate::candlepin::{self, Candlepin};
use crate::http::{Authority, Certificate, Server, Service, Tls};
use crate::rhevm::{self, Rhevm};
use crate::satellite5::{self, Satellite5};
use crate::vcenter::{Inventory, VCenter};
use crate::xen::{Pool, Xen};

/// The running servers and the folder with their settings. Dropping it ends and deletes them.
pub struct Simulation {
    folder: TempDir,
    vcenter: VCenter,
    xen: Xen,
    rhevm: Arc<Rhevm>,
    rhevm_server: Server,
    candlepin: Arc<Candlepin>,
    candlepin_server: Server,
    satellite5: Arc<Satellite5>,
    satellite5_server: Server,
    prism_element: Server,
    prism_central: Server,
}

impl Simulation {
    /// Starts the servers on free ports and writes the configuration; `plain` means HTTP instead of HTTPS.
    ///
    /// The vCenter has this inventory, and each Prism has as many hosts and virtual machines.
    pub fn start(inventory: Inventory, plain: bool) -> io::Result<Simulation> {
        let authority = Authority::new()?;
        let tls = match plain {
            true => None,
            false => Some(authority.issue(&Certificate::Good)?),
        };
        let nutanix = ahv::Inventory::new(inventory.hosts().count(), inventory.vms().count());
        let candlepin = Arc::new(Candlepin::new(candlepin::Settings::default()));
        let rhevm = Arc::new(Rhevm::new(rhevm::Inventory::new(2, 10)));
        let satellite5 = Arc::new(Satellite5::new(satellite5::Settings::default()));
        let pool = Pool::new(inventory.hosts().count(), inventory.vms().count());
        let simulation = Simulation {
            folder: tempfile::Builder::new().prefix("vw-sim-").tempdir()?,
            vcenter: VCenter::start(inventory, tls.clone())?,
            xen: Xen::start(pool, tls.clone())?,
            rhevm_server: Server::start(Arc::clone(&rhevm) as Arc<dyn Service>, tls.clone())?,
            rhevm,
            candlepin_server: Server::start(Arc::clone(&candlepin) as Arc<dyn Service>, tls.clone())?,
            candlepin,
            satellite5_server: Server::start(Arc::clone(&satellite5) as Arc<dyn Service>, tls.clone())?,
            satellite5,
            prism_element: prism(Edition::Element, nutanix.clone().in_one_cluster(), tls.clone())?,
            prism_central: prism(Edition::Central, nutanix, tls)?,
        };
        fs::write(simulation.authority(), authority.pem())?;
        // It contains passwords, and the commands warn about such a file if others may read it.
        let mut configuration = File::options();
        configuration.write(true).create_new(true).mode(0o600);
        let sections = simulation.sections(plain);
        configuration
            .open(simulation.configuration())?
            .write_all(sections.as_bytes())?;
        Ok(simulation)
    }

    /// The configuration file, in virt-who's format.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("virt-who.conf")
    }

    /// The certificate of the authority that issued the servers' certificate, as PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The variables by which a command finds the servers: its configuration, and the authority in place of the system's.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("VW_CONFIG", self.configuration()),
            ("SSL_CERT_FILE", self.authority()),
        ]
    }

    /// The simulated vCenter.
    pub fn vcenter(&self) -> &VCenter {
        &self.vcenter
    }

    /// The simulated pool of XenServer hosts, with as many hosts and virtual machines as the vCenter.
    pub fn xen(&self) -> &Xen {
        &self.xen
    }

    /// The simulated oVirt engine.
    pub fn rhevm(&self) -> &Rhevm {
        &self.rhevm
    }

    /// Where the engine answers, without a path.
    pub fn rhevm_url(&self) -> String {
        self.rhevm_server.url()
    }

    /// The simulated Candlepin.
    pub fn candlepin(&self) -> &Candlepin {
        &self.candlepin
    }

    /// Where Candlepin answers, its base path included.
    pub fn candlepin_url(&self) -> String {
        self.candlepin_server.url() + &self.candlepin.settings().prefix
    }

    /// The simulated Satellite 5.
    pub fn satellite5(&self) -> &Satellite5 {
        &self.satellite5
    }

    /// Where Satellite 5 answers, without a path.
    pub fn satellite5_url(&self) -> String {
        self.satellite5_server.url()
    }

    /// Where Prism Element and Prism Central answer, without a path.
    pub fn prism_urls(&self) -> [String; 2] {
        [self.prism_element.url(), self.prism_central.url()]
    }

    /// The user's name and password on each server.
    pub fn account(&self) -> (&str, &str) {
        self.vcenter.account()
    }

    fn sections(&self, plain: bool) -> String {
        let server = self.vcenter.url();
        let (user, password) = self.account();
        let account = format!("username={user}\npassword={password}\n");
        let source = format!("type=esx\nserver={server}\n{account}hypervisor_id=uuid\nowner=sim\n");
        let settings = self.candlepin.settings();
        let port = self.candlepin_server.address().port();
        // A host name alone means HTTPS, so plain HTTP needs a URL.
        let host = match plain {
            true => self.candlepin_server.url(),
            false => "127.0.0.1".to_owned(),
        };
        let (prefix, satellite) = (&settings.prefix, self.satellite5_url());
        let candlepin = format!(
            "rhsm_hostname={host}\nrhsm_port={port}\nrhsm_prefix={prefix}\nrhsm_username={user}\nrhsm_password={password}\n"
        );
        let xen = self.xen.url();
        let [element, central] = self.prism_urls();
        let engine = self.rhevm_url();
        format!(
            "# Written by vw-sim; gone when it ends.\n\n\
             [sim]\n{source}{candlepin}\n\
             [sim-sat5]\n{source}sm_type=satellite\nsat_server={satellite}\nsat_username={user}\n\
             sat_password={password}\n\n\
             [sim-xen]\ntype=xen\nserver={xen}\n{account}owner=sim\n{candlepin}\n\
             [sim-ahv]\ntype=ahv\nserver={element}\n{account}owner=sim\n{candlepin}\n\
             [sim-prism]\ntype=ahv\nprism_central=true\nserver={central}\n{account}owner=sim\n{candlepin}\n\
             [sim-rhevm]\ntype=rhevm\nserver={engine}\nusername={user}@internal\npassword={password}\nowner=sim\n{candlepin}"
        )
    }
}

fn prism(edition: Edition, inventory: ahv::Inventory, tls: Option<Tls>) -> io::Result<Server> {
    let prism = Prism::new(ahv::Settings::new(edition), inventory);
    Server::start(Arc::new(prism), tls)
}
