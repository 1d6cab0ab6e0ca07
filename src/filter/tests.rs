use super::*;
use proptest::prelude::*;

fn host(id: &str) -> Candidate<'_> {
    Candidate {
        id,
        ..Candidate::default()
    }
}

fn list(patterns: &[&str]) -> Option<Vec<String>> {
    Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
}

/// Whether a host with this id is kept if `filter_hosts` is this pattern.
fn keeps(syntax: Option<Syntax>, pattern: &str, id: &str) -> bool {
    let rules = Rules {
        filter_hosts: list(&[pattern]),
        syntax,
        ..Rules::default()
    };
    let filter = HostFilter::new(rules).unwrap();
    let mut used = filter.unused();
    filter.dropped(&host(id), &mut used).unwrap().is_none()
}

#[test]
fn wildcards_match_as_in_fnmatch() {
    let cases = [
        ("esx1", "esx1", true),
        ("esx1", "ESX1", true),
        ("esx1", "esx11", false),
        ("esx1", "my-esx1", false),
        ("*", "", true),
        ("*", "anything", true),
        ("esx*", "esx", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false),
        ("*aab", "aaab", true),
        ("esx?", "esx", false),
        ("esx?", "esxé", true),
        ("esx[1-3]", "esx2", true),
        ("esx[1-3]", "esx4", false),
        ("esx[A-C]", "esxb", true),
        ("esx[a-c]", "esxB", true),
        ("esx[!1-3]", "esx2", false),
        ("esx[!1-3]", "esx4", true),
        ("esx[!a]", "esxA", false),
        ("esx[]]", "esx]", true),
        ("esx[!]]", "esx]", false),
        ("esx[!]]", "esx1", true),
        ("esx[a-]", "esx-", true),
        ("esx[3-1]", "esx2", false),
        ("esx[", "esx[", true),
        ("esx[!", "esx[!", true),
        ("esx[]", "esx[]", true),
        ("a.c", "abc", false),
        ("É", "é", true),
    ];
    for (pattern, id, expected) in cases {
        assert_eq!(
            keeps(Some(Syntax::Wildcards), pattern, id),
            expected,
            "{pattern} {id}"
        );
    }
}

#[test]
fn regular_expressions_match_the_whole_text_as_in_python() {
    let cases = [
        ("esx1", "ESX1", true),
        ("esx1", "esx11", false),
        (r"esx\d+", "esx12", true),
        ("a|b", "a", true),
        ("a|b", "ax", false),
        ("a|b", "xb", false),
        ("(?!test).*", "prod1", true),
        ("(?!test).*", "test1", false),
        (r"(.)\1", "aa", true),
        (r"(.)\1", "ab", false),
        (r"[a\&&]", "&", true),
        ("a&&b", "a&&b", true),
        ("[a]&&b", "a&&b", true),
        (r"[\[a]", "[", true),
    ];
    for (pattern, id, expected) in cases {
        assert_eq!(
            keeps(Some(Syntax::Regex), pattern, id),
            expected,
            "{pattern} {id}"
        );
    }
}

#[test]
fn without_a_syntax_a_pattern_matches_in_either() {
    let cases = [
        ("*.example.com", "a.example.com", true),
        ("esx.", "esx1", true),
        ("esx.*", "esx1", true),
        ("esx?", "es", true),
        ("esx?", "esx1", true),
        ("esx?", "esx12", false),
    ];
    for (pattern, id, expected) in cases {
        assert_eq!(keeps(None, pattern, id), expected, "{pattern} {id}");
    }
}

#[test]
fn invalid_patterns_and_empty_lists_are_refused() {
    let refused = |syntax, pattern: &str| {
        let rules = Rules {
            exclude_hosts: list(&[pattern]),
            syntax,
            ..Rules::default()
        };
        HostFilter::new(rules).unwrap_err().to_string()
    };
    let regex = Some(Syntax::Regex);
    assert_eq!(refused(None, ""), "exclude_hosts has an empty pattern");
    for bad in ["*.example.com", "(a", "a)|(b", "(?L)a"] {
        let message = refused(regex, bad);
        assert_eq!(
            message,
            format!("exclude_hosts has \"{bad}\", which is not a valid regular expression")
        );
    }
    // A bracket in brackets is a member in Python, and the beginning of a set in our engine.
    for bad in ["[a&&b]", "[]&&b]", "[^]--b]", r"\[[a~~b]", "[a[b]", "[[]a&&]"] {
        assert!(refused(regex, bad).contains("an operation on sets"), "{bad}");
    }
    let empty = Rules {
        filter_host_parents: list(&[]),
        ..Rules::default()
    };
    let message = HostFilter::new(empty).unwrap_err().to_string();
    assert!(message.starts_with("filter_host_parents is empty"), "{message}");
}

#[test]
fn catastrophic_backtracking_is_an_error() {
    let rules = Rules {
        filter_hosts: list(&[r"(?:(a|aa)+)(?=[b-z]).*"]),
        syntax: Some(Syntax::Regex),
        ..Rules::default()
    };
    let filter = HostFilter::new(rules).unwrap();
    let id = "a".repeat(60);
    let error = filter.dropped(&host(&id), &mut filter.unused()).unwrap_err();
    assert!(matches!(error, Error::TooSlow { .. }), "{error:?}");
}

#[test]
fn a_slow_pattern_fails_only_if_it_decides() {
    let slow = r"(?:(a|aa)+)(?=[b-z]).*";
    let filter = HostFilter::new(Rules {
        exclude_hosts: list(&["esx1", slow]),
        syntax: Some(Syntax::Regex),
        ..Rules::default()
    })
    .unwrap();
    let mut used = filter.unused();
    let name = "a".repeat(60);
    let named = |id| Candidate {
        id,
        name: Some(&name),
        ..Candidate::default()
    };
    // Here the slow pattern matters only for a hint, because names don't count and the first pattern drops the host.
    assert!(filter.dropped(&named("esx2"), &mut used).unwrap().is_none());
    assert!(filter.dropped(&named("esx1"), &mut used).unwrap().is_some());
    filter.note_absent(Some(&name), Some(&name), &mut used);
    assert_eq!(filter.unmatched(&used)[0].pattern, slow);
    assert!(filter.dropped(&host(&name), &mut used).is_err());
    // Here another pattern has decided before.
    let decided = HostFilter::new(Rules {
        exclude_hosts: list(&["a+", slow]),
        syntax: Some(Syntax::Regex),
        ..Rules::default()
    })
    .unwrap();
    let mut used = decided.unused();
    assert!(decided.dropped(&host(&name), &mut used).unwrap().is_some());
    assert_eq!(decided.unmatched(&used)[0].pattern, slow);
}

#[test]
fn each_list_is_named_and_reached_by_its_key() {
    let mut rules = Rules::default();
    for name in List::ALL {
        *rules.list(name) = list(&[name.key()]);
    }
    assert_eq!(rules.filter_hosts, list(&["filter_hosts"]));
    assert_eq!(rules.exclude_hosts, list(&["exclude_hosts"]));
    assert_eq!(rules.filter_host_parents, list(&["filter_host_parents"]));
    assert_eq!(rules.exclude_host_parents, list(&["exclude_host_parents"]));
    let filter = HostFilter::new(rules).unwrap();
    assert!(List::ALL.into_iter().all(|list| filter.has(list)));
    let none = HostFilter::new(Rules::default()).unwrap();
    assert!(!List::ALL.into_iter().any(|list| none.has(list)));
    let rule = |id| {
        filter
            .dropped(&host(id), &mut filter.unused())
            .unwrap()
            .unwrap()
            .to_string()
    };
    assert_eq!(rule("exclude_hosts"), "exclude_hosts has \"exclude_hosts\"");
    assert_eq!(rule("other"), "nothing in filter_hosts matches");
}

#[test]
fn a_plain_parent_that_is_part_of_an_id_is_named() {
    let filter = HostFilter::new(Rules {
        filter_host_parents: list(&["domain-c7", "domain-c*", "Rack 7", "c8"]),
        exclude_host_parents: list(&["c7", "domain.c7"]),
        ..Rules::default()
    })
    .unwrap();
    let plain: Vec<_> = filter.plain_parents("domain-c71").collect();
    let expected = [
        (List::ExcludeHostParents, "c7"),
        (List::FilterHostParents, "domain-c7"),
    ];
    assert_eq!(plain, expected);
    assert_eq!(
        filter.plain_parents("domain.c7 Rack 7").count(),
        1,
        "c7 is part of it"
    );
}

#[test]
fn excluding_comes_first_and_a_host_must_pass_every_list() {
    let filter = HostFilter::new(Rules {
        filter_hosts: list(&["esx*"]),
        exclude_hosts: list(&["x", "esx1"]),
        filter_host_parents: list(&["domain-c*", "Lab"]),
        exclude_host_parents: list(&["c9"]),
        syntax: Some(Syntax::Wildcards),
        ..Rules::default()
    })
    .unwrap();
    let verdict = |id, parent_id, parent_name| {
        let host = Candidate {
            id,
            name: None,
            parent_id,
            parent_name,
        };
        filter.dropped(&host, &mut filter.unused()).unwrap()
    };
    assert!(List::ALL.into_iter().all(|list| filter.has(list)));
    assert_eq!(verdict("esx2", Some("domain-c7"), None), None);
    assert_eq!(verdict("esx2", Some("domain-s7"), Some("lab")), None);
    let excluded = verdict("esx1", Some("domain-c7"), None);
    assert_eq!(excluded, Some(Rule::Excluded(List::ExcludeHosts, "esx1")));
    let in_parent = verdict("esx2", Some("domain-c91"), None);
    assert_eq!(in_parent, Some(Rule::Excluded(List::ExcludeHostParents, "c9")));
    let not_kept = verdict("other", Some("domain-c7"), None);
    assert_eq!(not_kept, Some(Rule::NotKept(List::FilterHosts)));
    for (id, name) in [(Some("domain-s7"), Some("lab 2")), (None, None)] {
        assert_eq!(
            verdict("esx2", id, name),
            Some(Rule::NotKept(List::FilterHostParents))
        );
    }
}

#[test]
fn ids_of_parents_are_searched_as_in_virt_who() {
    let within = |pattern: &str, syntax, id: &str| {
        let rules = Rules {
            filter_host_parents: list(&[pattern]),
            syntax,
            ..Rules::default()
        };
        let host = Candidate {
            parent_id: Some(id),
            ..host("esx")
        };
        let filter = HostFilter::new(rules).unwrap();
        filter.dropped(&host, &mut filter.unused()).unwrap().is_none()
    };
    assert!(within("c7", None, "domain-c7"));
    assert!(within("c7", None, "domain-c70"));
    assert!(within("c7$", None, "domain-c7"));
    assert!(!within("c7$", None, "domain-c70"));
    assert!(within("*c7*", Some(Syntax::Regex), "domain-c7"));
    assert!(within("d*7", Some(Syntax::Wildcards), "domain-c7"));
    assert!(!within("(c7", None, "domain-c7"));
}

#[test]
fn names_count_only_with_match_names() {
    let named = Candidate {
        name: Some("esx1.example.com"),
        ..host("4711")
    };
    for match_names in [false, true] {
        let filter = HostFilter::new(Rules {
            exclude_hosts: list(&["ESX1.*"]),
            match_names,
            ..Rules::default()
        })
        .unwrap();
        assert_eq!(
            filter.dropped(&named, &mut filter.unused()).unwrap().is_some(),
            match_names
        );
    }
}

proptest! {
    /// The matcher agrees with a naive one, in which each star tries every length.
    #[test]
    fn wildcards_match_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        fn defined(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern, text) {
                ([], text) => text.is_empty(),
                ([b'*', rest @ ..], text) => (0..=text.len()).any(|skipped| defined(rest, &text[skipped..])),
                ([b'?', rest @ ..], [_, more @ ..]) => defined(rest, more),
                ([one, rest @ ..], [other, more @ ..]) => one == other && defined(rest, more),
                _ => false,
            }
        }
        prop_assume!(!pattern.is_empty());
        prop_assert_eq!(keeps(Some(Syntax::Wildcards), &pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
    }

    #[test]
    fn no_pattern_panics(pattern in ".{1,20}", text in ".{0,20}") {
        let rules = Rules { filter_hosts: list(&[&pattern]), ..Rules::default() };
        let filter = HostFilter::new(rules).unwrap();
        let _ = filter.dropped(&host(&text), &mut filter.unused());
    }
}

#[test]
fn the_lists_of_hosts_can_drop_an_id_alone() {
    let filter = |keep: &[&str], exclude: &[&str], parents: &[&str]| {
        let some = |patterns: &[&str]| (!patterns.is_empty()).then(|| list(patterns)).flatten();
        HostFilter::new(Rules {
            filter_hosts: some(keep),
            exclude_hosts: some(exclude),
            filter_host_parents: some(parents),
            ..Rules::default()
        })
        .unwrap()
    };
    assert!(filter(&[], &["esx*"], &[]).drops_id("ESX1"));
    assert!(filter(&["esx*"], &[], &[]).drops_id("other"));
    assert!(!filter(&["esx*"], &["other"], &[]).drops_id("esx1"));
    assert!(!filter(&[], &[], &["domain-c7"]).drops_id("esx1"));
}

#[test]
fn patterns_that_match_nothing_are_found_whichever_rule_decides() {
    let rules = Rules {
        filter_hosts: list(&["esx1", "esx2.example.com", "nobody"]),
        exclude_hosts: list(&["esx*", "esx2", "gone", "lost"]),
        exclude_host_parents: list(&["Lab", "Web / Database 2"]),
        ..Rules::default()
    };
    let filter = HostFilter::new(rules).unwrap();
    let mut used = filter.unused();
    for (id, name, parent) in [
        ("esx1", "a", "Web"),
        ("esx2", "esx2.example.com", "Lab"),
        ("other", "b", "c"),
    ] {
        let host = Candidate {
            id,
            name: Some(name),
            parent_id: Some("domain-c7"),
            parent_name: Some(parent),
        };
        assert!(filter.dropped(&host, &mut used).unwrap().is_some());
    }
    filter.note_absent(Some("host-17"), Some("gone"), &mut used);
    filter.note_absent(Some("lost"), None, &mut used);
    let unmatched: Vec<_> = filter
        .unmatched(&used)
        .iter()
        .map(|one| (one.list, one.pattern, one.is_name))
        .collect();
    assert_eq!(
        unmatched,
        [
            (List::FilterHosts, "esx2.example.com", true),
            (List::FilterHosts, "nobody", false),
            (List::ExcludeHostParents, "Web / Database 2", false)
        ]
    );
}
