//! The simulated Satellite 5 as a client sees it: the faults and oddities of the real one.

#![allow(clippy::expect_used, clippy::panic, reason = "a test says so and ends")]

mod channels;
mod plans;
mod troubles;

use vw_sim::http::{Body, Request, Response, Service};
use vw_sim::satellite5::{Account, Satellite5, Settings, Trouble};

const LABEL: &str = "hypervisor-base-1";
const NEW: &str = "registration.new_system_user_pass";
const NOTIFY: &str = "registration.virt_notify";

fn body(response: Response) -> String {
    let Body::Bytes(body) = response.body else {
        panic!("a streamed answer")
    };
    String::from_utf8(body).expect("UTF-8")
}

fn post(server: &Satellite5, path: &str, body: String) -> Response {
    let request = Request {
        method: "POST".into(),
        path: path.into(),
        body: body.into_bytes(),
        ..Request::default()
    };
    server.answer(&request)
}

/// The body of a call; each parameter is the content of a `<value>`.
fn document(method: &str, parameters: &[&str]) -> String {
    let parameters: String = parameters
        .iter()
        .map(|value| format!("<param><value>{value}</value></param>"))
        .collect();
    format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{parameters}</params></methodCall>"
    )
}

fn call(server: &Satellite5, method: &str, parameters: &[&str]) -> Response {
    let path = if method.starts_with("registration.") {
        "/XMLRPC"
    } else {
        "/rpc/api"
    };
    post(server, path, document(method, parameters))
}

/// A call that must succeed.
fn good(server: &Satellite5, method: &str, parameters: &[&str]) -> String {
    let response = call(server, method, parameters);
    assert_eq!(response.status, 200, "{method}");
    let body = body(response);
    assert!(!body.contains("<fault>"), "{method}: {body}");
    body
}

/// The code and text of the fault that a call must get.
fn bad(server: &Satellite5, method: &str, parameters: &[&str]) -> (i64, String) {
    let response = call(server, method, parameters);
    assert_eq!(response.status, 200, "{method}");
    let body = body(response);
    assert!(body.contains("<fault>"), "{method}: {body}");
    let code = between(&body, "faultCode</name>", "</value>")
        .replace(|c: char| !c.is_ascii_digit() && c != '-', " ");
    // The tags of an `<i4>` leave a 4 on both sides.
    let code = code.split_whitespace().find(|part| *part != "4").expect("a code");
    (
        code.parse().expect("a number"),
        between(&body, "<string>", "</string>"),
    )
}

fn between(text: &str, start: &str, end: &str) -> String {
    let (_, rest) = text
        .split_once(start)
        .unwrap_or_else(|| panic!("no {start} in {text}"));
    rest.split_once(end).expect(end).0.to_owned()
}

fn login(server: &Satellite5, user: &str) -> String {
    between(
        &good(server, "auth.login", &[user, "sim-secret"]),
        "<string>",
        "</string>",
    )
}

fn account(login: &str) -> Account {
    Account {
        org_admin: false,
        ..Account::admin(login, "sim-secret")
    }
}

fn server() -> Satellite5 {
    Satellite5::new(Settings {
        accounts: vec![
            Account::admin("sim", "sim-secret"),
            Account {
                channel_admin: true,
                ..account("channels")
            },
            account("plain"),
            Account {
                read_only: true,
                ..account("reader")
            },
            Account {
                enabled: false,
                ..account("disabled")
            },
            Account {
                org: 2,
                ..Account::admin("stranger", "sim-secret")
            },
            Account {
                may_subscribe: false,
                ..account("unwanted")
            },
        ],
    })
}

/// A server with channel and map, as after a first report.
fn prepared() -> Satellite5 {
    let server = server();
    let key = login(&server, "sim");
    create(&server, &key, LABEL, "Hypervisor Base - 1", "channel-x86_64").expect("a channel");
    good(
        &server,
        "distchannel.setMapForOrg",
        &[&key, "Hypervisor OS", "unknown", "x86_64", LABEL],
    );
    good(&server, "auth.logout", &[&key]);
    server
}

fn create(
    server: &Satellite5,
    key: &str,
    label: &str,
    name: &str,
    arch: &str,
) -> Result<String, (i64, String)> {
    let parameters = [key, label, name, "A summary", arch, ""];
    let body = body(call(server, "channel.software.create", &parameters));
    if body.contains("<fault>") {
        Err(bad(server, "channel.software.create", &parameters))
    } else {
        Ok(body)
    }
}

fn register(server: &Satellite5, profile: &str) -> String {
    let answer = good(
        server,
        NEW,
        &[
            profile,
            "Hypervisor OS",
            "unknown",
            "x86_64",
            "sim",
            "sim-secret",
            "<struct/>",
        ],
    );
    between(&answer, "<name>system_id</name>\n<value><string>", "</string>")
}

fn event(action: &str, target: &str, properties: &[(&str, &str)]) -> String {
    let members: String = properties
        .iter()
        .map(|(name, value)| format!("<member><name>{name}</name><value>{value}</value></member>"))
        .collect();
    format!(
        "<value><array><data><value><int>0</int></value><value>{action}</value><value>{target}</value>\
         <value><struct>{members}</struct></value></data></array></value>"
    )
}

/// A whole plan around these guests.
fn plan(guests: &[String]) -> String {
    let host = event(
        "exists",
        "system",
        &[("identity", "host"), ("uuid", "0000000000000000")],
    );
    let (began, ended) = (
        event("crawl_began", "system", &[]),
        event("crawl_ended", "system", &[]),
    );
    format!(
        "<array><data>{host}{began}{}{ended}</data></array>",
        guests.concat()
    )
}

#[test]
fn sessions_open_and_close() {
    let server = server();
    let key = login(&server, "SIM");
    let (number, hash) = key.split_once('x').expect("a key");
    assert!(number.parse::<u64>().is_ok() && hash.len() == 64, "{key}");
    assert_eq!(server.open_sessions(), 1);
    assert!(good(&server, "auth.logout", &[&key]).contains("<i4>1</i4>"));
    assert_eq!(server.open_sessions(), 0);
    let (code, text) = bad(&server, "auth.logout", &[&key]);
    assert_eq!(code, -1);
    assert!(
        text.contains(&format!("Could not find session with id: {number}")),
        "{text}"
    );
    let (code, text) = bad(&server, "user.getDetails", &["nonsense", "sim"]);
    assert_eq!(code, -1);
    assert!(
        text.contains("Could not find translator for class java.lang.String"),
        "{text}"
    );
    let (code, text) = bad(&server, "auth.login", &["sim", "wrong"]);
    assert_eq!(code, 2950);
    assert_eq!(
        text,
        "redstone.xmlrpc.XmlRpcFault: Either the password or username is incorrect."
    );
    assert_eq!(bad(&server, "auth.login", &["disabled", "sim-secret"]).0, 2950);
    assert_eq!(server.count("auth.login"), 3);
}

#[test]
fn users_see_their_own_details_and_administrators_all() {
    let server = server();
    let (admin, plain) = (login(&server, "sim"), login(&server, "plain"));
    let details = good(&server, "user.getDetails", &[&plain, "plain"]);
    assert!(
        details.contains("<name>org_id</name><value><i4>1</i4>"),
        "{details}"
    );
    assert!(
        details.contains("<name>use_pam</name><value><boolean>0</boolean>"),
        "{details}"
    );
    assert_eq!(bad(&server, "user.getDetails", &[&plain, "PLAIN"]).0, -23);
    assert_eq!(bad(&server, "user.getDetails", &[&admin, "nobody"]).0, -213);
    assert_eq!(bad(&server, "user.getDetails", &[&admin]).0, -1);
}

#[test]
fn registrations_are_checked_in_the_real_order() {
    let server = prepared();
    let code = |profile: &str, release: &str, arch: &str, user: &str, password: &str| {
        bad(
            &server,
            NEW,
            &[
                profile,
                "Hypervisor OS",
                release,
                arch,
                user,
                password,
                "<struct/>",
            ],
        )
        .0
    };
    let fine = ("unknown", "x86_64", "sim-secret");
    assert_eq!(code("h", fine.0, fine.1, "", ""), -11);
    assert_eq!(code("h", fine.0, fine.1, "sim", ""), -12);
    assert_eq!(code("h", fine.0, fine.1, "ab", "x"), -13);
    assert_eq!(code("h", fine.0, fine.1, "a b c", "x"), -15);
    assert_eq!(code("h", fine.0, fine.1, "sim", "x"), -14);
    assert_eq!(code("h", fine.0, fine.1, "sim", &"x".repeat(33)), -701);
    assert_eq!(code("h", fine.0, fine.1, &"s".repeat(65), fine.2), -700);
    assert_eq!(code("h", fine.0, fine.1, "sim", "wrong"), -2);
    assert_eq!(code("h", fine.0, fine.1, "nobody", fine.2), -2);
    assert_eq!(code("h", fine.0, fine.1, "disabled", fine.2), -2);
    assert_eq!(code("h", fine.0, fine.1, "reader", fine.2), -702);
    assert_eq!(code("", fine.0, fine.1, "sim", fine.2), -800);
    assert_eq!(code("h", fine.0, "channel-x86_64", "sim", fine.2), -24);
    assert_eq!(code("h", "6", fine.1, "sim", fine.2), -70);
    assert_eq!(code("h", fine.0, fine.1, "stranger", fine.2), -70);
    assert_eq!(code("h", fine.0, fine.1, "unwanted", fine.2), -71);
    server.limit_slots(Some(0));
    assert_eq!(code("h", fine.0, fine.1, "sim", fine.2), -90);
    for other in ["<array><data/></array>", "<string/>"] {
        assert_eq!(
            bad(&server, NEW, &["h", "o", fine.0, fine.1, "sim", fine.2, other]).0,
            1
        );
    }
    assert_eq!(bad(&server, NEW, &["h", "o", fine.0, fine.1, "sim", fine.2]).0, 1);
    let long = "o".repeat(65);
    let response = call(
        &server,
        NEW,
        &["h", &long, fine.0, fine.1, "sim", fine.2, "<struct/>"],
    );
    assert_eq!(response.status, 500);
    assert_eq!(server.registrations(), 0);
}

#[test]
fn each_registration_makes_a_profile_and_a_lost_systemid_is_found_again() {
    let server = prepared();
    let long = "h".repeat(200);
    let (first, second) = (register(&server, &long), register(&server, &long));
    assert_ne!(first, second);
    let systems = server.systems();
    let ids: Vec<&str> = systems.iter().map(|system| system.id.as_str()).collect();
    assert_eq!(ids, ["ID-1000010000", "ID-1000010001"]);
    assert_eq!((systems[0].profile.len(), server.registrations()), (128, 2));
    let key = login(&server, "sim");
    let found = good(&server, "system.getId", &[&key, &long[..128]]);
    assert!(found.contains("<i4>1000010001</i4>"), "{found}");
    let text = good(
        &server,
        "system.downloadSystemId",
        &[&key, "<int>1000010001</int>"],
    );
    assert_eq!(
        between(&text, "<value><string>", "</string></value></param>"),
        second
    );
    assert_eq!(
        bad(&server, "system.downloadSystemId", &[&key, "1000010001"]).0,
        -1
    );
    assert_eq!(
        bad(&server, "system.downloadSystemId", &[&key, "<int>7</int>"]).0,
        -208
    );
    assert!(
        good(
            &server,
            "registration.refresh_hw_profile",
            &[&first, "<array><data/></array>"]
        )
        .contains("<int>0</int>")
    );
    assert_eq!(
        bad(&server, "registration.refresh_hw_profile", &[&first, "<struct/>"]).0,
        1
    );
}

#[test]
fn a_wrong_systemid_gets_fault_minus_nine() {
    let server = prepared();
    let systemid = register(&server, "esx hypervisor 1");
    let whole = plan(&[]);
    good(&server, NOTIFY, &[&systemid, &whole]);
    good(&server, NOTIFY, &[&format!(" {systemid} "), &whole]);
    for wrong in [
        systemid.replace("1000010000", "1000010001"),
        systemid[..90].into(),
        "x".into(),
        "<int>1</int>".into(),
    ] {
        let (code, text) = bad(&server, NOTIFY, &[&wrong, &whole]);
        assert_eq!(code, -9);
        assert!(
            text.starts_with("\nError Message:\n    Please run rhn_register as root on this client"),
            "{text}"
        );
    }
    assert!(server.delete_system("ID-1000010000"));
    assert_eq!(bad(&server, NOTIFY, &[&systemid, &whole]).0, -9);
}

#[test]
fn the_two_programs_of_satellite_parse_differently() {
    let server = prepared();
    let status = |path: &str, body: &str| post(&server, path, body.into()).status;
    assert_eq!(status("/XMLRPC", ""), 400);
    for body in [
        "hello",
        "<methodCall>",
        "<methodCall><methodName>a</methodName><params><param><value>\u{1}</value></param></params></methodCall>",
    ] {
        assert_eq!(
            (status("/XMLRPC", body), status("/rpc/api", body)),
            (500, 500),
            "{body}"
        );
    }
    let get = |path: &str| {
        server.answer(&Request {
            method: "GET".into(),
            path: path.into(),
            ..Request::default()
        })
    };
    assert_eq!(
        (get("/XMLRPC").status, get("/rpc/api").status, get("/").status),
        (405, 302, 404)
    );
    let wrong = body(post(&server, "/rpc/api", document(NOTIFY, &[])));
    assert!(wrong.contains("handler cannot be found"), "{wrong}");
    let wrong = body(post(
        &server,
        "/XMLRPC",
        document("auth.login", &["sim", "sim-secret"]),
    ));
    assert!(
        wrong.contains("While running 'auth.login'") && wrong.contains("<int>-1</int>"),
        "{wrong}"
    );
    server.announce(Some("Maintenance until noon"));
    let (code, text) = bad(&server, NOTIFY, &["x", "<array><data/></array>"]);
    assert_eq!(code, -1);
    assert!(text.contains("IMPORTANT MESSAGE FOLLOWS"), "{text}");
}

#[test]
fn planned_trouble_happens() {
    let server = prepared();
    server.trouble(NEW, 2, Trouble::Lost(502));
    server.trouble(NEW, 3, Trouble::Fault(-90, "no slots".into()));
    server.trouble("auth.login", 1, Trouble::Status(503));
    register(&server, "one");
    let parameters = [
        "two",
        "Hypervisor OS",
        "unknown",
        "x86_64",
        "sim",
        "sim-secret",
        "<struct/>",
    ];
    assert_eq!(call(&server, NEW, &parameters).status, 502);
    assert_eq!(bad(&server, NEW, &parameters), (-90, "no slots".into()));
    assert_eq!(
        server.registrations(),
        2,
        "the lost one was done, the refused one was not"
    );
    assert_eq!(call(&server, "auth.login", &["sim", "sim-secret"]).status, 503);
    let key = login(&server, "sim");
    server.expire_sessions();
    assert_eq!(bad(&server, "user.getDetails", &[&key, "sim"]).0, -1);
    server.refuse_next([500]);
    assert_eq!(call(&server, "auth.login", &["sim", "sim-secret"]).status, 500);
    assert_eq!(
        server.count("auth.login"),
        3,
        "one for the map, one refused by its method, one good; the last was not read"
    );
}
