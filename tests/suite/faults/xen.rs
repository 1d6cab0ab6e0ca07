//! vw-scan-xen, walked through the table.

use tempfile::TempDir;
use vw_sim::hostile::endless;
use vw_sim::proxy::Proxy;
use vw_sim::xen::{Pool, Xen};

use super::{Call, Row, common, ended, from, meets, walk, xml};
use crate::support::Run;
use crate::vw_scan_xen::failures::calls as asks_for;

const NAME: &str = "vw-scan-xen";
const LOGIN: &str = "session.login_with_password";
const LOGOUT: &str = "session.logout";
const RECORDS: [&str; 2] = ["host.get_all_records", "VM.get_all_records"];

/// A good answer, down to where its value begins.
const START: &str = "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct>\
    <member><name>Status</name><value>Success</value></member><member><name>Value</name><value>";

/// A pool without a machine that is off, a proxy before it, and the password of an account.
struct Site {
    xen: Xen,
    proxy: Proxy,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let mut pool = Pool::new(3, 12);
        pool.set(&Pool::vm("off"), "resident_on", Some(&Pool::host(1)));
        let xen = Xen::start(pool, None).unwrap();
        let proxy = Proxy::before(xen.server().address()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("password"), "sim-secret\n").unwrap();
        Site { xen, proxy, folder }
    }

    fn run(&self) -> Run {
        let password = self.folder.path().join("password");
        Run::new(env!("CARGO_BIN_EXE_vw-scan-xen"))
            .args(["--server", &self.proxy.url(), "-u", "sim", "--password-file"])
            .args([password])
    }
}

fn calls() -> Vec<Call> {
    let site = Site::new();
    site.run().run().quiet_success();
    let names = [LOGIN, RECORDS[0], RECORDS[1], LOGOUT];
    assert!(names.iter().all(|name| site.xen.count(name) == 1));
    let call = |name: &str| Call {
        large: RECORDS.contains(&name),
        name: name.to_owned(),
    };
    names.map(call).into()
}

fn step(row: &Row, call: &str, limit: u32) -> Result<(), String> {
    let site = Site::new();
    let wanted = call.to_owned();
    let meets = meets(row, START.to_owned(), move |request| asks_for(request, &wanted));
    site.proxy.server().misbehave(meets);
    let mut expected = row.statuses.to_vec();
    if call == LOGOUT {
        expected.push(0);
    }
    let outcome = ended(row, &expected, NAME, site.run(), limit)?;
    if outcome.stdout.is_empty() != (outcome.status != 0) {
        return Err(format!("a document of a scan that failed, or none: {outcome:?}"));
    }
    // Without the answer to a login the session is unknown, and a log-out that never arrives closes nothing.
    let left = if [LOGIN, LOGOUT].contains(&call) {
        site.xen.count(LOGIN)
    } else {
        0
    };
    let open = site.xen.open_sessions();
    if open > left {
        return Err(format!("{open} sessions are open: {outcome:?}"));
    }
    Ok(())
}

#[test]
fn vw_scan_xen_survives_every_fault_at_every_call() {
    let mut rows = common();
    rows.extend(xml());
    walk(&rows, &calls(), step);
}

/// What is kept of records has a limit, and so has their number.
#[test]
fn what_is_kept_of_endless_records_is_limited() {
    let record = |member: &str| {
        format!("<member><name>OpaqueRef:1</name><value><struct>{member}</struct></value></member>")
    };
    let name = "x".repeat(10_000);
    let member =
        |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let table = [
        ("endless records", "", record("")),
        ("endless long names", "", record(&member("name_label", &name))),
        (
            "endless others",
            "",
            record(&member("is_a_template", "<boolean>1</boolean>")),
        ),
    ];
    let mut rows: Vec<Row> = table
        .into_iter()
        .map(|(name, text, piece)| {
            let fault = move |_: &str| endless("text/xml", &format!("{START}<struct>{text}"), &piece);
            from(
                name,
                fault,
                &[75, 76],
                &["more records than any pool has", "--timeout"],
            )
        })
        .collect();
    // The members of one record are skipped, so only the length of the answer and the time limit them.
    let skipped = member("tags", "<array><data/></array>");
    let members = move |_: &str| {
        endless(
            "text/xml",
            &format!("{START}<struct><member><name>a</name><value><struct>"),
            &skipped,
        )
    };
    rows.push(from(
        "endless members",
        members,
        &[75, 76],
        &["longer than", "--timeout"],
    ));
    let calls: Vec<Call> = calls().into_iter().filter(|call| call.large).collect();
    walk(&rows, &calls, step);
}
