use super::*;

fn value(lines: &str) -> Result<Option<String>, String> {
    let (_, section) = section(lines);
    section.text("a").map_err(|error| error.to_string())
}

/// Python's ConfigParser has the same limit.
#[test]
fn references_may_be_nested_ten_levels_deep() {
    let nested = |levels: usize| {
        let chain = (1..levels).map(|n| format!("k{n}=%(k{})s\n", n + 1));
        value(&format!("a=%(k1)s\n{}k{levels}=end", chain.collect::<String>()))
    };
    assert_eq!(nested(10).unwrap().as_deref(), Some("end"));
    assert!(nested(11).unwrap_err().contains("nested deeper than 10"));
    assert!(
        value("a=%(b)s\nb=%(a)s")
            .unwrap_err()
            .contains("refer to each other")
    );
}

#[test]
fn a_value_may_become_one_mebibyte_long() {
    let half = "x".repeat(1 << 19);
    let of = |more: &str| value(&format!("a=%(half)s{more}%(half)s\nhalf={half}"));
    assert_eq!(of("").unwrap().map(|text| text.len()), Some(1 << 20));
    assert!(of("y").unwrap_err().contains("longer than 1 MiB; shorten it"));
    // Many short parts are no trouble.
    let short = value(&format!("a={}\nb={}", "%(b)s".repeat(100), "y".repeat(5_000)));
    assert_eq!(short.unwrap().map(|text| text.len()), Some(500_000));
}

/// A missing key may be a part of a password that has a percent sign.
#[test]
fn the_name_of_a_missing_key_is_shown_unless_it_may_be_secret() {
    let names = |lines: &str| value(lines).unwrap_err().contains("%(gone)s names a key");
    assert!(names("a=x%(gone)s"));
    assert!(names("a=%(b)s\nb=%(gone)s"));
    assert!(!names("a=root@%(gone)s"));
    assert!(!names("a=%(password)s\npassword=s3cret%(gone)s"));
}

#[test]
fn a_value_with_a_secret_in_it_is_secret() {
    let shown = |lines: &str| {
        let (_, section) = section(lines);
        let keys = section.effective_keys();
        keys.into_iter().find(|shown| shown.key == "owner").unwrap().value
    };
    assert_eq!(shown("owner=%(password)s-%(b)s\npassword=s3cret\nb=x"), None);
    assert_eq!(
        shown("owner=%(b)s\nb=%(c)s\nc=%(password)s\npassword=s3cret"),
        None
    );
    let plain = shown("owner=%(b)s\nb=x\npassword=s3cret");
    assert_eq!(plain, Some(Ok("x".to_owned())));
}

/// `vw-password` and `vw-config` show what to write.
#[test]
fn a_value_is_written_so_that_it_is_read_again() {
    let table = [
        ("s3cret", Some("s3cret")),
        ("50%", Some("50%%")),
        ("%(a)s", Some("%%(a)s")),
        (" blank ", Some("\" blank \"")),
        ("'quoted'", Some("\"'quoted'\"")),
        ("\"quoted\"", Some("'\"quoted\"'")),
        ("\"it's\"", None),
        ("two\nlines", None),
    ];
    for (value, written) in table {
        assert_eq!(
            crate::config::interpolation::written_form(value).as_deref(),
            written,
            "{value}"
        );
    }
}
