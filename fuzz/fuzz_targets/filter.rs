//! Filters: the first line is a list as in a configuration, the second a host's id. Wildcards match what a plain matcher matches.

use vw::filter::{Candidate, HostFilter, Rules, Syntax};
use vw::list;
use vw_fuzz::first_line;

pub fn run(bytes: &[u8]) {
    let Some((text, rest)) = first_line(bytes) else {
        return;
    };
    let Some((id, rest)) = first_line(rest) else {
        return;
    };
    let Some((name, _)) = first_line(rest) else { return };
    let Ok(patterns) = list::parse(text) else { return };
    quoted(&patterns);
    wildcards(&patterns, id);
    for syntax in [None, Some(Syntax::Regex), Some(Syntax::Wildcards)] {
        for match_names in [false, true] {
            opposites(&patterns, id, name, syntax, match_names);
        }
    }
}

/// A list that is written with quotes is read as the same list.
fn quoted(patterns: &[String]) {
    let quote = |item: &String| format!("'{}'", item.replace('\\', r"\\").replace('\'', r"\'"));
    let text: Vec<String> = patterns.iter().map(quote).collect();
    assert_eq!(list::parse(&text.join(",")).as_deref(), Ok(patterns));
}

/// What one list keeps, the other drops.
fn opposites(patterns: &[String], id: &str, name: &str, syntax: Option<Syntax>, match_names: bool) {
    let list = Some(patterns.to_vec());
    let rules = Rules {
        syntax,
        match_names,
        ..Rules::default()
    };
    let keep = HostFilter::new(Rules {
        filter_hosts: list.clone(),
        ..rules.clone()
    });
    let drop = HostFilter::new(Rules {
        exclude_hosts: list.clone(),
        ..rules.clone()
    });
    let (Ok(keep), Ok(drop)) = (&keep, &drop) else {
        assert!(keep.is_err() && drop.is_err());
        return;
    };
    let host = Candidate {
        id,
        name: Some(name),
        parent_id: Some(id),
        parent_name: Some(name),
    };
    let mut used = keep.unused();
    // Some regular expressions take too long; then both say so.
    let (kept, dropped) = (
        keep.dropped(&host, &mut used),
        drop.dropped(&host, &mut drop.unused()),
    );
    match (kept, dropped) {
        (Ok(kept), Ok(dropped)) => {
            assert_eq!(kept.is_none(), dropped.is_some());
            // Every pattern is tried as long as it has not matched.
            assert_eq!(kept.is_none(), keep.unmatched(&used).len() < patterns.len());
            assert_eq!(keep.drops_id(id), kept.is_some() && !match_names);
        }
        (kept, dropped) => assert!(kept.is_err() && dropped.is_err()),
    }
    let of_parents = HostFilter::new(Rules {
        exclude_host_parents: list,
        ..rules
    });
    if let Ok(of_parents) = of_parents {
        let orphan = Candidate {
            id,
            ..Candidate::default()
        };
        let mut used = of_parents.unused();
        assert!(
            of_parents
                .dropped(&orphan, &mut used)
                .expect("nothing is matched")
                .is_none()
        );
        let _ = of_parents.dropped(&host, &mut used);
    }
}

/// Wildcards match as in fnmatch(3), which is written here as its definition says, without regard to time.
fn wildcards(patterns: &[String], id: &str) {
    // The cases of some characters are several characters.
    if !id.is_ascii() || id.len() > 12 {
        return;
    }
    for pattern in patterns {
        if pattern.is_empty() || !pattern.is_ascii() || pattern.len() > 12 {
            continue;
        }
        let rules = Rules {
            exclude_hosts: Some(vec![pattern.clone()]),
            syntax: Some(Syntax::Wildcards),
            ..Rules::default()
        };
        let filter = HostFilter::new(rules).expect("any text is a wildcard");
        let host = Candidate {
            id,
            ..Candidate::default()
        };
        let dropped = filter
            .dropped(&host, &mut filter.unused())
            .expect("a wildcard is fast");
        assert_eq!(
            dropped.is_some(),
            fnmatch(pattern.as_bytes(), id.as_bytes()),
            "{pattern:?} {id:?}"
        );
    }
}

fn fnmatch(pattern: &[u8], text: &[u8]) -> bool {
    let Some((first, rest)) = pattern.split_first() else {
        return text.is_empty();
    };
    let one = text.split_first();
    match first {
        b'*' => (0..=text.len()).any(|skipped| fnmatch(rest, &text[skipped..])),
        b'?' => one.is_some_and(|(_, after)| fnmatch(rest, after)),
        b'[' => {
            let negated = rest.first() == Some(&b'!');
            let inner = if negated { &rest[1..] } else { rest };
            // A bracket that comes first is a member.
            let Some(end) = inner.iter().skip(1).position(|byte| *byte == b']') else {
                return one.is_some_and(|(byte, after)| *byte == b'[' && fnmatch(rest, after));
            };
            let (set, rest) = (&inner[..end + 1], &inner[end + 2..]);
            one.is_some_and(|(byte, after)| is_in(set, *byte) != negated && fnmatch(rest, after))
        }
        own => one.is_some_and(|(byte, after)| byte.eq_ignore_ascii_case(own) && fnmatch(rest, after)),
    }
}

fn is_in(set: &[u8], byte: u8) -> bool {
    match set {
        [] => false,
        [from, b'-', to, rest @ ..] => {
            let in_range = |byte: u8| (*from..=*to).contains(&byte);
            in_range(byte.to_ascii_lowercase()) || in_range(byte.to_ascii_uppercase()) || is_in(rest, byte)
        }
        [own, rest @ ..] => own.eq_ignore_ascii_case(&byte) || is_in(rest, byte),
    }
}
