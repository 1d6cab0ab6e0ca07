//! What a writer leaves out, and in which layout.

use super::*;

fn written(
    mapping: &Mapping,
    layout: Layout,
    set: impl FnOnce(Writer<&mut Vec<u8>>) -> Writer<&mut Vec<u8>>,
) -> String {
    let mut out = Vec::new();
    let mut writer = set(Writer::new(&mut out, layout, Style::Compact));
    for hypervisor in &mapping.hypervisors {
        writer.hypervisor(hypervisor).unwrap();
    }
    writer.finish(&mapping.tail).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn names_of_guests_are_written_only_in_our_layout_and_if_wanted() {
    let mapping = read(FULL).unwrap();
    let names = [r#""name":"web""#, r#""moref":"vm-1""#, r#""uuid":"u""#];
    let has_names = |layout, wanted| {
        let text = written(&mapping, layout, |writer| writer.with_guest_names(wanted));
        let found = names.map(|name| text.contains(name));
        assert!(found.iter().all(|one| *one == found[0]), "{text}");
        found[0]
    };
    assert!(has_names(Layout::Mapping, true));
    assert!(!has_names(Layout::Mapping, false));
    assert!(!has_names(Layout::Checkin, true));
    assert!(!has_names(Layout::Checkin, false));
}

/// Whoever deletes what a document lacks must know that it may only be left out.
#[test]
fn a_document_without_omitted_says_so_if_a_host_is_left_out() {
    let omitted = |kind: &str, source: &str| {
        let omitted = format!(r#"{{"kind":"{kind}","id":"x","stage":"vw-filter","reason":"y"}}"#);
        read(&format!(r#"{{"hypervisors":[]{source},"omitted":[{omitted}]}}"#)).unwrap()
    };
    let source = r#","source":{"section":"prod"}"#;
    let shown = |mapping: &Mapping, layout, with: bool| {
        let mut writes = None;
        let text = written(mapping, layout, |writer| {
            let writer = writer.with_omitted(with);
            writes = Some(writer.writes_omitted());
            writer
        });
        (text, writes.unwrap())
    };
    let text = |after: &str| format!("{{\"hypervisors\":[]{after}}}\n");
    let host = omitted("host", source);
    assert_eq!(
        shown(&host, Layout::Mapping, false),
        (
            text(r#","source":{"section":"prod","unlisted":"vw-filter"}"#),
            false
        )
    );
    assert_eq!(
        shown(&omitted("host", ""), Layout::Mapping, false),
        (text(r#","source":{"unlisted":"vw-filter"}"#), false)
    );
    assert_eq!(
        shown(&omitted("guest", source), Layout::Mapping, false),
        (text(source), false)
    );
    let (all, writes) = shown(&host, Layout::Mapping, true);
    assert!(
        all.contains(r#""omitted":[{"kind":"host""#) && !all.contains("unlisted"),
        "{all}"
    );
    assert!(writes);
    for with in [true, false] {
        assert_eq!(shown(&host, Layout::Checkin, with), (text(""), false));
    }
}

#[test]
fn the_layout_may_be_set_before_the_first_hypervisor() {
    let mapping = read(CHECKIN).unwrap();
    let text = written(&mapping, Layout::Mapping, |mut writer| {
        writer.set_layout(Layout::Checkin);
        writer
    });
    assert_eq!(text, CHECKIN);
}
