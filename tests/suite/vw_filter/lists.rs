//! Patterns that match nothing, and the section whose lists were applied.

use super::*;

#[test]
fn a_pattern_that_matches_nothing_is_named() {
    let said = |args: &[&str]| filter(args, MAPPING).stderr;
    let warning = |words: &str| format!("vw-filter: warning: {words}\n");
    // A blank where a comma was meant.
    assert_eq!(
        said(&["--filter-hosts", "esx1 esx2"]),
        warning("filter_hosts has \"esx1 esx2\", which matches no hypervisor; is a comma missing?")
    );
    // A host that an earlier stage left out is known by the name or id that this stage gave it.
    assert_eq!(said(&["--exclude-hosts", "HOST-17, esx1"]), "");
    // Ids are compared, unless names are wanted.
    assert_eq!(
        said(&["--exclude-hosts", "esx1, two.example.com"]),
        warning(
            "exclude_hosts has \"two.example.com\", which matches no hypervisor; it is the name of one, and ids are \
             compared (see vw-filter --match-names)"
        )
    );
    assert_eq!(said(&["--exclude-hosts", "esx1, two.*", "--match-names"]), "");
    // Of a pattern whose host another one has dropped already something is known all the same.
    assert_eq!(
        said(&["--exclude-hosts", "esx*, esx1, ESX2", "--filter-hosts=esx2"]),
        ""
    );
    assert_eq!(
        said(&["--exclude-host-parents", "Cluster A"]),
        "",
        "an inner blank is kept"
    );
    assert_eq!(
        said(&["--exclude-host-parents", "Cluster B, c7"]),
        warning(
            "exclude_host_parents has \"Cluster B\", which matches no parent of a hypervisor; is a comma missing?"
        )
    );
    assert_eq!(said(&["--exclude-hosts", "nobody", "-q"]), "");

    // In a stream each is told once.
    let stream = MAPPING.repeat(3) + CHECKIN;
    let stderr = filter(&["--exclude-hosts", "nobody,one"], stream).stderr;
    assert_eq!(stderr.matches("\"nobody\"").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("\"one\"").count(), 1, "{stderr}");
    // An empty document tells nothing about patterns.
    filter(&["--exclude-hosts", "nobody"], "{\"hypervisors\":[]}").quiet_success();
}

#[test]
fn the_output_is_marked_with_the_section_whose_lists_were_applied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    std::fs::write(
        &file,
        "[prod]\ntype=esx\nserver=vc\nowner=o\nexclude_hosts=esx1\n[test]\ntype=esx\nserver=vc\nowner=o\n",
    )
    .unwrap();
    let config = format!("--config={}", file.display());
    let run = |args: &[&str], document: &str| filter(&[&[&*config], args].concat(), document).quiet_success();
    let marked = |document: &str| {
        let mapping = Reader::new(document.as_bytes()).next_mapping().unwrap().unwrap();
        mapping.tail.source.and_then(|source| source.filtered)
    };
    let of_prod = run(&["-n", "prod"], MAPPING);
    assert_eq!(marked(&of_prod).as_deref(), Some("prod"));
    assert!(
        of_prod.contains(r#""instanceUuid":"i","filtered":"prod","x":1234"#),
        "{of_prod}"
    );
    // A document without source gets one.
    let bare = r#"{"hypervisors":[{"uuid":"esx1","guests":[]},{"uuid":"esx2","guests":[]}]}"#;
    assert_eq!(marked(&run(&["-n", "prod"], bare)).as_deref(), Some("prod"));
    // The last section counts, and one that says nothing is one, too.
    assert_eq!(marked(&run(&["-n", "test"], &of_prod)).as_deref(), Some("test"));
    // Without a section the mark stays; options that replace a list of the section set none.
    assert_eq!(
        marked(&filter(&[], &*of_prod).quiet_success()).as_deref(),
        Some("prod")
    );
    assert_eq!(
        marked(&run(&["-n", "prod", "--exclude-hosts=esx2"], MAPPING)),
        None
    );
    assert_eq!(
        marked(&run(&["-n", "prod", "--filter-hosts=esx2"], MAPPING)).as_deref(),
        Some("prod")
    );
    // Patterns that are read in another way are other patterns.
    assert_eq!(
        marked(&run(&["-n", "prod", "--filter-type=regex"], MAPPING)),
        None
    );
    let checkin = run(&["-n", "prod", "--layout=checkin", "-q"], MAPPING);
    assert!(!checkin.contains("filtered"), "{checkin}");
}

#[test]
fn a_pattern_that_matches_only_omitted_hosts_is_not_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    let text = "[prod]\ntype=esx\nserver=vc\nowner=o\nexclude_host_parents=c7\nfilter_host_parents=domain-*, c8\n\
                [test]\ntype=esx\nserver=vc\nowner=o\nexclude_host_parents=c7\n";
    std::fs::write(&file, text).unwrap();
    let config = format!("--config={}", file.display());
    let run = |args: &[&str], document: &str| filter(&[&[&*config], args].concat(), document);
    let document = |parent: &str| {
        format!(
            r#"{{"hypervisors":[{{"uuid":"a","guests":[],"parent":{{"id":"domain-c7"}}}},{{"uuid":"b","guests":[]{parent}}}]}}"#
        )
    };
    let first = run(&["-n", "test"], &document(r#","parent":{"id":"domain-c8"}"#)).quiet_success();
    // The same section again, another section, and an option; its reason says who had the pattern.
    assert_eq!(run(&["-n", "test"], &first).quiet_success(), first);
    run(&["-n", "prod"], &first).quiet_success();
    filter(&["--exclude-host-parents=c7"], &*first).quiet_success();
    let other = run(&["-n", "test", "--exclude-hosts=nobody"], &first).stderr;
    assert!(other.contains("nobody") && other.lines().count() == 1, "{other}");
    // Where the section has dropped all that had a parent, it can be applied again, and options can't.
    let none = run(&["-n", "test"], &document("")).quiet_success();
    assert_eq!(run(&["-n", "test"], &none).quiet_success(), none);
    run(&["-n", "prod"], &none).failed(65, "[prod] filter_host_parents is set");
    run(&["-n", "test", "--filter-host-parents=c8"], &none).failed(65, "filter_host_parents is set");
}

#[test]
fn a_too_slow_pattern_of_a_section_is_a_configuration_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.conf");
    std::fs::write(
        &file,
        "[prod]\nfilter_type=regex\nfilter_hosts=(?:(a|aa)+)(?=[b-z]).*\n",
    )
    .unwrap();
    let config = format!("--config={}", file.display());
    let document = format!(
        "{{\"hypervisors\":[{{\"uuid\":\"{}\",\"guests\":[]}}]}}",
        "a".repeat(60)
    );
    filter(&[&config], document).failed(78, "a.conf:3: [prod] filter_hosts: has");
}
