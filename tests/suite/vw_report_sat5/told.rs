//! What is said: with `-d` what is in force, at a refused login what to look at, at a long pause how long it is.

use super::*;

impl Site {
    /// A section that says everything.
    fn section(&self, password: &str) -> String {
        let url = self.server.url();
        let text = format!(
            "# ours\n[prod]\ntype=esx\nsat_server={url}\nsat_username=sim\nsat_password={password}\n"
        );
        fs::write(self.file("virt-who.conf"), text).unwrap();
        format!("section [prod] ({}:2)", self.file("virt-who.conf"))
    }
}

#[test]
fn debug_messages_say_what_is_in_force_and_how_long_it_took() {
    let site = Site::new();
    let section = site.section("sim-secret");
    let outcome = site.bare().args(["-d"]).run();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    let url = site.server.url();
    for words in [
        format!("using {section}\n"),
        format!("reporting to {url} as user \"sim\"\n"),
        format!("registrations are kept in {}\n", site.file("state")),
        "the source is of type esx\n".to_owned(),
        "limits: connecting 10 s, silence 60 s, 14400 s for a document\n".to_owned(),
        "the user's organisation is 1\n".to_owned(),
        "auth.login: answered after ".to_owned(),
        "registration.virt_notify: answered after ".to_owned(),
        "esx1.example.com: registered as \"esx hypervisor esx1.example.com\"\n".to_owned(),
    ] {
        assert!(outcome.stderr.contains(&words), "{words}: {outcome:?}");
    }
    assert!(!outcome.stderr.contains("sim-secret"), "{outcome:?}");
    let systemids = site.satellite.systems();
    assert!(systems_are_not_told(&outcome, &systemids), "{outcome:?}");
}

fn systems_are_not_told(outcome: &Outcome, systems: &[vw_sim::satellite5::System]) -> bool {
    systems
        .iter()
        .all(|system| !outcome.stderr.contains(&system.systemid))
}

#[test]
fn a_wrong_password_names_section_server_and_user() {
    let site = Site::new();
    let section = site.section("wrong-one");
    let outcome = site.bare().run();
    failed(&outcome, 77, &format!("vw-report-sat5: {section}: "));
    let login = format!("login to {} as \"sim\" failed: ", site.server.url());
    for words in [&*login, "check user name and password", "may lock the account"] {
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    assert!(!outcome.stderr.contains("wrong-one"), "{outcome:?}");
}

#[test]
fn a_long_pause_that_the_server_asks_for_is_told() {
    let site = Site::new();
    site.server
        .misbehave(|_, _| Some(vw_sim::hostile::retry_after(503, "3600")));
    let outcome = site.run().run();
    failed(&outcome, 75, "the server asks to wait 3600 s");
}

#[test]
fn when_the_time_is_over_it_is_told_what_went_wrong_before() {
    let site = Site::new();
    let mut first = true;
    site.server.misbehave(move |_, request| {
        if std::mem::take(&mut first) {
            return Some(vw_sim::hostile::status(502));
        }
        // Not the log-in, whose answer is waited for somewhat longer.
        let body = String::from_utf8_lossy(&request.body);
        body.contains("user.getDetails").then_some(Fault::Silence)
    });
    let outcome = site.run().args(["--timeout", "5"]).run();
    assert_eq!(outcome.status, 75, "{outcome:?}");
    let last = outcome.stderr.lines().last().unwrap();
    let (before, late) = last.split_once("; the last attempt: ").unwrap();
    assert!(
        before.contains("502") && late.contains("--timeout"),
        "{outcome:?}"
    );
}

#[test]
fn a_refused_login_ends_a_stream_at_once() {
    let site = Site::new();
    type Refusal = Box<dyn Fn(&Site)>;
    let refusals: [(Refusal, &str); 3] = [
        (
            Box::new(|site| {
                site.satellite
                    .trouble(LOGIN, 1, Trouble::Fault(2950, "incorrect.".into()))
            }),
            "fault 2950",
        ),
        (
            Box::new(|site| {
                site.satellite
                    .trouble(REGISTER, 1, Trouble::Fault(-2, "Invalid".into()))
            }),
            "fault -2",
        ),
        (
            Box::new(|site| site.satellite.trouble(LOGIN, 1, Trouble::Status(401))),
            "401",
        ),
    ];
    for (refuse, words) in refusals {
        refuse(&site);
        let before = site.satellite.count(LOGIN);
        let (mut child, stdin) = site.stream(&mapping());
        let mut status = None;
        let end = Instant::now() + Duration::from_secs(30);
        while status.is_none() && Instant::now() < end {
            status = child.try_wait().unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        // Its input is still open, and more could come.
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(status.is_some(), "it goes on: {output:?}");
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(words),
            "{output:?}"
        );
        assert_eq!(site.satellite.count(LOGIN), before + 1, "{output:?}");
    }
}

#[test]
fn a_missing_role_does_not_end_a_stream() {
    let site = Site::new();
    site.satellite
        .trouble("channel.software.create", 1, Trouble::Fault(-23, "no".into()));
    let of =
        |section: &str| mapping().replacen('{', &format!("{{\"source\":{{\"section\":\"{section}\"}},"), 1);
    let outcome = site.run().stdin(of("a") + &of("b")).run();
    assert_eq!(
        (outcome.status, outcome.stdout.lines().count()),
        (77, 2),
        "{outcome:?}"
    );
    assert_eq!(
        site.satellite.registrations(),
        2,
        "an administrator had given the role meanwhile"
    );
}

impl Site {
    /// The command with one document, and its stdin, which stays open.
    fn stream(&self, document: &str) -> (Child, std::process::ChildStdin) {
        let (url, password) = (self.server.url(), self.file("password"));
        let mut child = Command::new(PROGRAM)
            .args([
                "--server",
                &url,
                "--username",
                "sim",
                "--password-file",
                &password,
            ])
            .args(["--state-dir", &self.file("state")])
            .env("VW_CONFIG", self.file("virt-who.conf"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(document.as_bytes()).unwrap();
        (child, stdin)
    }
}
