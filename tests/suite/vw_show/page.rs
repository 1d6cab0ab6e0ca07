//! The page of `vw-show --html`, as a browser shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{MAPPING, command, large, show};
use crate::support::skipped;

/// The page of a document in a folder.
fn page(document: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    fs::write(&path, show(&["--html"], document).quiet_success()).unwrap();
    (folder, path)
}

/// The page as Chromium has it after its scripts ran, or `None` without Chromium.
fn opened(page: &Path, address: &str) -> Option<String> {
    if Command::new("chromium").arg("--version").output().is_err() {
        skipped("the page of vw-show --html in a browser: chromium is not installed");
        return None;
    }
    let profile = tempfile::tempdir().unwrap();
    // Nothing depends on how long it takes, but a browser that hangs would hold up all tests.
    let output = Command::new("timeout")
        .args(["--kill-after=10", "300", "chromium", "--headless", "--no-sandbox"])
        .args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}{address}", page.display()))
        .env("HOME", profile.path())
        .output()
        .unwrap();
    let dom = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        dom.contains("<html"),
        "chromium shows nothing: {} {stderr}",
        output.status
    );
    Some(dom)
}

/// The text of the elements with this beginning, such as `<tr class="host">`, without markup.
fn texts(dom: &str, beginning: &str) -> Vec<String> {
    let element: String = beginning[1..]
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let end = format!("</{element}>");
    let parts = dom.split(beginning).skip(1);
    let markup = fancy_regex::Regex::new("<[^>]*>").unwrap();
    parts
        .map(|part| {
            let content = part.split(&end).next().unwrap().replace("</td>", " | ");
            markup
                .replace_all(&content, "")
                .trim_end_matches(" | ")
                .to_owned()
        })
        .collect()
}

#[test]
fn the_page_is_one_file_that_may_load_nothing() {
    let (_folder, path) = page(MAPPING);
    let page = fs::read_to_string(path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{page}");
    assert!(
        page.contains("content=\"default-src 'none'; script-src 'sha256-"),
        "{page}"
    );
    assert!(
        !page.contains("unsafe-inline") && !page.contains("src=") && !page.contains("url("),
        "{page}"
    );
    for words in [
        "<h2>section prod, vc.example.com, scanned 2026-08-01T12:00:00Z</h2>",
        "<td>Cluster A</td><td class=\"number\">2</td>",
        "divided by 2 and rounded up",
        "left out by vw-filter: 1 host: exclude_hosts has &quot;esx5*&quot;",
        "<p id=\"complete\">",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let terminal = command(&["--html"]).stdin(MAPPING).run_on_terminal(80);
    assert_eq!(terminal.status, 64, "{terminal:?}");
    assert!(
        terminal.stdout.contains("vw-show --html > report.html"),
        "{terminal:?}"
    );
}

#[test]
fn a_page_that_was_cut_says_that_it_is_incomplete() {
    let cut = show(&["--html"], &MAPPING[..MAPPING.len() - 10]);
    assert_eq!(cut.status, 66);
    assert!(cut.stdout.contains("This page is incomplete.") && !cut.stdout.contains("id=\"complete\""));
    let (_folder, path) = page(MAPPING);
    if let Some(dom) = opened(&path, "") {
        assert!(!dom.contains("This page is incomplete."), "{dom}");
    }
}

#[test]
fn search_and_sort_in_a_browser() {
    let (_folder, path) = page(MAPPING);
    let Some(dom) = opened(&path, "#q=web1") else {
        return;
    };
    assert_eq!(
        texts(&dom, "<tr class=\"host\">"),
        [
            "esx1.example.com | 9705df9f-0000-1000-8000-000000000001 | Cluster A | 3 | 3 | 2 running, 1 shut off"
        ]
    );
    assert_eq!(
        texts(&dom, "<tr class=\"guest\">"),
        ["web1 | 564dae86-5aee-e348-8b8e-56d029eae0d7 | vm-1 |  |  | running"]
    );
    assert_eq!(texts(&dom, "<p role=\"status\">"), ["1 host of 4, 1 guest"]);
    let names = |address: &str| -> Vec<String> {
        let dom = opened(&path, address).unwrap();
        let rows = texts(&dom, "<tr class=\"host\">");
        rows.iter()
            .map(|row| row.split(" | ").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names("#sort=sockets&descending"),
        ["esx1.example.com", "東京ホスト", "שלום", "esx4.example.com"]
    );
    let dom = opened(&path, "#q=esx17").unwrap();
    assert_eq!(
        texts(&dom, "<tr class=\"omitted\">"),
        ["host | esx17.example.com | host-17 | vw-scan-esx | no hardware.systemInfo.uuid"]
    );
}

/// The copy of a page with a script of the test's own, which types and clicks as a user does. The page's own policy would refuse it.
fn with_user(page: &Path, script: &str) -> PathBuf {
    let text = fs::read_to_string(page).unwrap();
    let (before, after) = text
        .split_once("<meta http-equiv=\"Content-Security-Policy\"")
        .unwrap();
    let after = after.split_once('>').unwrap().1;
    let copy = page.with_file_name("user.html");
    let text = format!("{before}{after}").replace("</body>", &format!("<script>{script}</script></body>"));
    fs::write(&copy, text).unwrap();
    copy
}

#[test]
fn typing_and_clicking_change_what_is_shown() {
    let (_folder, path) = page(MAPPING);
    let copy = with_user(
        &path,
        r#"
        const names = () => [...document.querySelectorAll("tr.host td:first-child")].map((cell) => cell.textContent).join();
        const guests = () => document.querySelectorAll("tr.guest").length;
        const query = document.getElementById("query");
        const type = (text) => { query.value = text; query.dispatchEvent(new Event("input")); };
        const log = [];
        type("CLUSTER a"); log.push(names()); type("");
        document.querySelector('th[data-key="sockets"] button').click(); log.push(names());
        document.querySelector('th[data-key="sockets"] button').click(); log.push(names());
        log.push(document.querySelector('th[data-key="sockets"]').getAttribute("aria-sort"), location.hash);
        document.querySelector("tr.host button").click(); log.push(guests());
        document.querySelector("tr.host button").click(); log.push(guests());
        document.getElementById("guests").click(); log.push(guests());
        type("running"); log.push(guests());
        const result = document.createElement("pre"); result.className = "log"; result.textContent = log.join("\n");
        document.body.append(result);"#,
    );
    let Some(dom) = opened(&copy, "") else {
        return;
    };
    let up = "esx4.example.com,שלום,東京ホスト,esx1.example.com";
    let down = "esx1.example.com,東京ホスト,שלום,esx4.example.com";
    let expected = [
        "esx1.example.com,esx4.example.com",
        up,
        down,
        "descending",
        "#sort=sockets&amp;descending=",
        "3",
        "0",
        "4",
        "2",
    ];
    assert_eq!(
        texts(&dom, "<pre class=\"log\">")[0].lines().collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_hostile_name_is_only_a_name() {
    const NAMES: [&str; 4] = [
        "</script><script>document.title='owned'</script>",
        "<img src=x onerror=\"document.title='owned'\">",
        "<!--<script>",
        "\u{2028}\u{202e}{states}{script}",
    ];
    let hosts: Vec<_> = NAMES
        .iter()
        .map(|name| {
            serde_json::json!({"uuid": name, "name": name, "guests": [{"guestId": name, "name": name, "state": 1}],
                "facts": {"hypervisor.cluster": name}})
        })
        .collect();
    let omitted =
        serde_json::json!({"kind": NAMES[0], "name": NAMES[1], "stage": NAMES[0], "reason": NAMES[2]});
    let document = serde_json::json!({"hypervisors": hosts, "source": {"server": NAMES[0], "section": NAMES[1]}, "omitted": [omitted]});
    let (_folder, path) = page(&document.to_string());
    let page = fs::read_to_string(&path).unwrap();
    assert!(
        !page.contains("owned'</script>") && !page.contains("<img"),
        "{page}"
    );
    let Some(dom) = opened(&path, "#guests") else {
        return;
    };
    assert!(dom.contains("<title>Hosts and guests</title>"), "{dom}");
    let shown = texts(&dom, "<tr class=\"host\">");
    assert_eq!(shown.len(), 4, "{shown:?}");
    let name = "&lt;/script&gt;&lt;script&gt;document.title='owned'&lt;/script&gt;";
    assert!(shown.iter().any(|row| row.starts_with(name)), "{shown:?}");
    assert!(
        shown.iter().any(|row| row.starts_with("  {states}{script}")),
        "{shown:?}"
    );
    assert_eq!(texts(&dom, "<tr class=\"guest\">").len(), 4);
    assert_eq!(texts(&dom, "<tr class=\"omitted\">").len(), 1);

    // Even a script that got into the page would not run.
    let other = "<script>document.title='owned'</script></body>";
    fs::write(&path, page.replace("</body>", other)).unwrap();
    let dom = opened(&path, "").unwrap();
    assert!(dom.contains("owned") && dom.contains("<title>Hosts and guests</title>"));
    assert_eq!(texts(&dom, "<tr class=\"host\">").len(), 4);
}

#[test]
fn a_page_of_100_000_guests_draws_only_what_is_seen_and_all_of_it_is_searched_and_printed() {
    let (_folder, path) = page(&large(5000, 20));
    let Some(dom) = opened(&path, "#guests") else {
        return;
    };
    assert_eq!(
        texts(&dom, "<p role=\"status\">"),
        ["5,000 hosts, 100,000 guests"]
    );
    let drawn =
        |dom: &str| dom.matches("<tr class=\"guest\">").count() + dom.matches("<tr class=\"host\">").count();
    // Otherwise the browser would be busy for many seconds.
    assert!((200..2000).contains(&drawn(&dom)), "{}", drawn(&dom));
    let dom = opened(&path, "#q=guest-4999-19").unwrap();
    assert_eq!(texts(&dom, "<p role=\"status\">"), ["1 host of 5,000, 1 guest"]);
    let copy = with_user(&path, "dispatchEvent(new Event('beforeprint'))");
    assert_eq!(drawn(&opened(&copy, "").unwrap()), 5000);
}

#[test]
fn each_document_of_a_stream_has_its_part_of_the_page() {
    let (_folder, path) = page(&format!("{MAPPING}{{\"hypervisors\":[]}}"));
    let Some(dom) = opened(&path, "") else {
        return;
    };
    assert_eq!(
        texts(&dom, "<p role=\"status\">"),
        ["4 hosts, 4 guests", "0 hosts, 0 guests"]
    );
    assert!(
        dom.contains("<h2>A mapping that does not name its source</h2>"),
        "{dom}"
    );
}
