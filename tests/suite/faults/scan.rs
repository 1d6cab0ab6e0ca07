//! vw-scan-esx, walked through the table.

use tempfile::TempDir;
use vw_sim::hostile::{answer, endless};
use vw_sim::http::{Fault, Request};
use vw_sim::proxy::Proxy;
use vw_sim::vcenter::{Inventory, VCenter};

use super::{Call, Row, common, ended, from, meets, walk, xml};
use crate::support::Run;

const NAME: &str = "vw-scan-esx";
/// Asks for the versions of the API, without SOAP.
const VERSIONS: &str = "vimServiceVersions.xml";

/// A vCenter, a proxy before it, and the password of an account.
struct Site {
    vcenter: VCenter,
    proxy: Proxy,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let vcenter = VCenter::start(Inventory::new(3, 12), None).unwrap();
        let proxy = Proxy::before(vcenter.server().address()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site {
            vcenter,
            proxy,
            folder,
        }
    }

    fn run(&self) -> Run {
        let password = self.folder.path().join("password");
        Run::new(env!("CARGO_BIN_EXE_vw-scan-esx"))
            .args(["--server", &self.proxy.url(), "-u", "sim", "--password-file"])
            .args([password])
    }
}

/// Each kind of request that a scan makes.
fn calls() -> Vec<Call> {
    let site = Site::new();
    site.run().run().quiet_success();
    let mut names = vec![VERSIONS.to_owned()];
    for name in site.vcenter.calls() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    assert!(names.iter().any(|name| name == "Login"));
    let call = |name: String| Call {
        large: name.starts_with("RetrieveProperties") || name.starts_with("WaitForUpdates"),
        name,
    };
    names.into_iter().map(call).collect()
}

/// The beginning of an answer to a call.
fn start(call: &str) -> String {
    if call == VERSIONS {
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<namespaces version=\"1.0\">".into();
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"><soapenv:Body>\
         <{call}Response xmlns=\"urn:vim25\"><returnval>"
    )
}

fn asks_for(request: &Request, call: &str) -> bool {
    if call == VERSIONS {
        return request.path.ends_with(call);
    }
    let body = String::from_utf8_lossy(&request.body);
    body.contains(&format!("<{call} ")) || body.contains(&format!("<{call}>"))
}

/// What is left undone when all is read: the scan itself has worked.
fn cleans_up(call: &str) -> bool {
    call == "Logout" || call.starts_with("Destroy") || call.starts_with("Cancel")
}

fn step(row: &Row, call: &str) -> Result<(), String> {
    let site = Site::new();
    let wanted = call.to_owned();
    site.proxy
        .server()
        .misbehave(meets(row, start(call), move |request| asks_for(request, &wanted)));
    let mut expected = row.statuses.to_vec();
    match (call, row.name) {
        // A list of versions that tells none is as one that is not there.
        (VERSIONS, "204" | "nothing at all" | "XML that is none" | "XML of another kind") => expected.push(0),
        _ if cleans_up(call) => expected.push(0),
        _ => {}
    }
    let outcome = ended(row, &expected, NAME, site.run())?;
    if outcome.stdout.is_empty() != (outcome.status != 0) {
        return Err(format!("a document of a scan that failed, or none: {outcome:?}"));
    }
    let open = site.vcenter.open().sessions;
    let logins = site
        .vcenter
        .calls()
        .iter()
        .filter(|name| *name == "Login")
        .count();
    // Without the answer's header nobody knows the session, nor can it be closed by what never arrives.
    let unknown = call == "Login" && matches!(row.name, "closed after the body was sent" | "late" | SLOW);
    let left = if unknown || call == "Logout" { logins } else { 0 };
    if open > left {
        return Err(format!("{open} sessions are open: {outcome:?}"));
    }
    Ok(())
}

const SLOW: &str = "a byte at a time, slowly";

#[test]
fn vw_scan_esx_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(xml());
    walk(&rows, &calls(), step);
}

/// What grows in memory, for it could be wanted.
#[test]
fn what_is_kept_of_an_object_in_memory_is_limited() {
    let object = "<objects><obj type='HostSystem'>host-1</obj>";
    let reference = "<ManagedObjectReference type='VirtualMachine'>vm-1</ManagedObjectReference>";
    let table = [
        (
            "properties",
            "",
            "<propSet><name>name</name><val xsi:type='xsd:string'>esx1</val></propSet>",
        ),
        (
            "references",
            "<propSet><name>vm</name><val xsi:type='ArrayOfManagedObjectReference'>",
            reference,
        ),
        (
            "faults",
            "",
            "<missingSet><path>vm</path><fault><fault xsi:type='NoPermission'/></fault></missingSet>",
        ),
    ];
    let rows = table.map(|(name, text, piece)| {
        let fault = move |start: &str| endless("text/xml", &format!("{start}{object}{text}"), piece);
        from(name, fault, &[76], &["more than"])
    });
    let calls: Vec<Call> = calls().into_iter().filter(|call| call.large).collect();
    walk(&rows, &calls, step);
}

/// What may have any length, since it is the inventory's, ends by `--timeout` while it is read.
#[test]
fn an_endless_inventory_ends_the_scan_in_time() {
    let object = "<objects><obj type='HostSystem'>host-1</obj></objects>";
    let objects = move |start: &str| endless("text/xml", start, object);
    let calls: Vec<Call> = calls().into_iter().filter(|call| call.large).collect();
    walk(
        &[from(
            "objects",
            objects,
            &[75, 76],
            &["far more objects", "--timeout"],
        )],
        &calls,
        step,
    );
    // Page after page, each with a token that asks for the next one.
    let pages = from("pages", |_| Fault::Close, &[76], &["never ends"]);
    for call in calls.iter().filter(|call| call.name == "RetrievePropertiesEx") {
        let site = Site::new();
        site.proxy.server().misbehave(|_, request| {
            let methods = ["RetrievePropertiesEx", "ContinueRetrievePropertiesEx"];
            let asked = methods.into_iter().find(|method| asks_for(request, method))?;
            let page = format!("{}<token>more</token>", start(asked));
            let end = format!("</returnval></{asked}Response></soapenv:Body></soapenv:Envelope>");
            Some(answer("text/xml", page + &end))
        });
        ended(&pages, pages.statuses, NAME, site.run())
            .unwrap_or_else(|error| panic!("{}: {error}", call.name));
        assert_eq!(site.vcenter.open().sessions, 0);
    }
}
