//! Hand-written calls of vim25, and access to their answers.

use vw_sim::vcenter::VCenter;

use crate::client::{Answer, Client};

pub(crate) const HOST_PATHS: [&str; 9] = [
    "name",
    "vm",
    "hardware.systemInfo.uuid",
    "hardware.cpuInfo.numCpuPackages",
    "parent",
    "config.product.name",
    "config.product.version",
    "config.network.dnsConfig.hostName",
    "config.network.dnsConfig.domainName",
];
pub(crate) const VM_PATHS: [&str; 3] = ["config.uuid", "config.version", "runtime.powerState"];

/// A client with its session.
pub(crate) struct Vim {
    pub(crate) client: Client,
    pub(crate) cookie: String,
    pub(crate) action: &'static str,
}

impl Vim {
    pub(crate) fn new(vcenter: &VCenter) -> Vim {
        Vim {
            client: Client::plain(&vcenter.url()),
            cookie: String::new(),
            action: "urn:vim25/8.0.2.0",
        }
    }

    pub(crate) fn logged_in(vcenter: &VCenter) -> Vim {
        let mut vim = Vim::new(vcenter);
        let answer = vim.login("sim", "sim-secret");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let line = answer
            .head
            .lines()
            .find(|l| l.starts_with("Set-Cookie: "))
            .unwrap();
        let cookie = line.trim_start_matches("Set-Cookie: ").split(';').next();
        vim.cookie = cookie.unwrap().to_owned();
        vim
    }

    pub(crate) fn login(&mut self, user: &str, password: &str) -> Answer {
        self.post(&format!(
            "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this>\
             <userName>{user}</userName><password>{password}</password></Login>"
        ))
    }

    pub(crate) fn post(&mut self, call: &str) -> Answer {
        self.post_raw(&envelope(call))
    }

    pub(crate) fn post_raw(&mut self, body: &str) -> Answer {
        let headers = format!("SOAPAction: \"{}\"\r\nCookie: {}\r\n", self.action, self.cookie);
        self.client.send("POST", "/sdk", &headers, body.as_bytes())
    }

    /// Calls a method of the property collector that must succeed.
    pub(crate) fn collector(&mut self, method: &str, inner: &str) -> String {
        let answer = self.post(&collector_call(method, inner));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(
            answer
                .text()
                .contains(&format!("<{method}Response xmlns=\"urn:vim25\">"))
        );
        answer.text().to_owned()
    }

    /// A call that must fail; the fault's type.
    pub(crate) fn fault(&mut self, call: &str) -> String {
        fault(&self.post(call))
    }

    pub(crate) fn view(&mut self, types: &[&str]) -> String {
        let types: String = types.iter().map(|t| format!("<type>{t}</type>")).collect();
        let answer = self.post(&format!(
            "<CreateContainerView xmlns=\"urn:vim25\"><_this type=\"ViewManager\">ViewManager</_this>\
             <container type=\"Folder\">group-d1</container>{types}<recursive>true</recursive></CreateContainerView>"
        ));
        between(answer.text(), "<returnval type=\"ContainerView\">", "<")
            .unwrap()
            .to_owned()
    }
}

pub(crate) fn envelope(call: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><S:Body>{call}</S:Body></S:Envelope>"
    )
}

pub(crate) fn collector_call(method: &str, inner: &str) -> String {
    format!(
        "<{method} xmlns=\"urn:vim25\"><_this type=\"PropertyCollector\">propertyCollector</_this>{inner}</{method}>"
    )
}

pub(crate) fn fault(answer: &Answer) -> String {
    assert_eq!(answer.status, 500, "{}", answer.text());
    let detail = between(answer.text(), "<detail>", "</detail>").unwrap();
    between(detail, "xsi:type=\"", "\"").unwrap().to_owned()
}

pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// The ids of the objects in an answer, in order.
pub(crate) fn ids(text: &str) -> Vec<String> {
    let parts = text.split("<obj type=\"").skip(1);
    parts
        .map(|part| between(part, ">", "<").unwrap().to_owned())
        .collect()
}

/// The part of an answer about one object.
pub(crate) fn object<'a>(text: &'a str, id: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!(">{id}</obj>")).unwrap();
    rest.split_once("<obj ").map_or(rest, |(found, _)| found)
}

pub(crate) fn properties(kind: &str, paths: &[&str]) -> String {
    let paths: String = paths.iter().map(|p| format!("<pathSet>{p}</pathSet>")).collect();
    format!("<propSet><type>{kind}</type><all>false</all>{paths}</propSet>")
}

pub(crate) fn all_properties() -> String {
    properties("VirtualMachine", &VM_PATHS)
        + &properties("ClusterComputeResource", &["name"])
        + &properties("HostSystem", &HOST_PATHS)
}

pub(crate) fn over_view(view: &str) -> String {
    format!(
        "{}<objectSet><obj type=\"ContainerView\">{view}</obj><skip>true</skip><selectSet xsi:type=\"TraversalSpec\">\
         <type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet>",
        all_properties()
    )
}

/// The recursive traversal that virt-who and others use.
pub(crate) fn from_root() -> String {
    let traversal = |name: &str, kind: &str, path: &str, next: &[&str]| {
        let next: String = next
            .iter()
            .map(|n| format!("<selectSet><name>{n}</name></selectSet>"))
            .collect();
        format!(
            "<selectSet xsi:type=\"TraversalSpec\"><name>{name}</name><type>{kind}</type><path>{path}</path>{next}</selectSet>"
        )
    };
    let all = [
        traversal(
            "folders",
            "Folder",
            "childEntity",
            &["folders", "hosts", "vms", "compute", "pool"],
        ),
        traversal("vms", "Datacenter", "vmFolder", &["folders"]),
        traversal("hosts", "Datacenter", "hostFolder", &["folders"]),
        traversal("compute", "ComputeResource", "host", &["machines"]),
        traversal("pool", "ComputeResource", "resourcePool", &["in-pool"]),
        traversal("machines", "HostSystem", "vm", &[]),
        traversal("in-pool", "ResourcePool", "vm", &[]),
    ];
    format!(
        "{}<objectSet><obj type=\"Folder\">group-d1</obj><skip>false</skip>{}</objectSet>",
        all_properties(),
        all.concat()
    )
}

pub(crate) fn filter(spec: &str) -> String {
    format!("<spec>{spec}</spec><partialUpdates>false</partialUpdates>")
}

pub(crate) fn wait(version: &str, seconds: u32) -> String {
    format!("<version>{version}</version><options><maxWaitSeconds>{seconds}</maxWaitSeconds></options>")
}
