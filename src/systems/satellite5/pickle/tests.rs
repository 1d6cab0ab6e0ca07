use super::*;
use crate::xmlrpc::Datum;
use proptest::prelude::*;

const ASCII: &str = "<?xml version=\"1.0\"?>\n<params>it's \\ \"x\"</params>\t";

/// The files are those that `tests/data/satellite5/make-pickles.py` wrote with several versions of Python.
#[test]
fn the_files_of_each_python_and_protocol_are_read() {
    macro_rules! files {
        ($label:literal: $($python:literal),*) => {
            [$(($python, include_bytes!(concat!(
                "../../../../tests/data/satellite5/systemid-", $label, "-python", $python, ".pickle"
            )).as_slice())),*]
        };
    }
    let ascii = files!["ascii": "2.7-protocol0", "2.7-protocol2", "3.6-protocol3", "3.11-protocol0", "3.11-protocol4", "3.11-protocol5"];
    let unicode = files!["unicode": "2.7-protocol0", "2.7-protocol2", "3.6-protocol3", "3.11-protocol0", "3.11-protocol4", "3.11-protocol5"];
    for (python, file) in ascii {
        assert_eq!(text_of(file, "system_id").as_deref(), Ok(ASCII), "{python}");
    }
    for (python, file) in unicode {
        let text = text_of(file, "system_id").unwrap();
        assert!(
            text.contains(r#"hypervisor é\u0041 it's "😀""#),
            "{python}: {text}"
        );
        assert!(text.ends_with("</params>\n"), "{python}: {text}");
        for end in 0..file.len() {
            assert!(
                text_of(&file[..end], "system_id").is_err(),
                "{python} cut at {end}"
            );
        }
    }
}

#[test]
fn a_pickle_with_more_than_plain_data_is_refused() {
    let table: [(&[u8], &str); 14] = [
        (b"", "cut short at byte 0"),
        (b"cos\nsystem\n(S'true'\ntR.", "opcode 0x63 at byte 0"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "opcode 0x93"),
        (b"(i__main__\nX\n.", "opcode 0x69"),
        (b"\x80\x02}q\x00b.", "opcode 0x62"),
        (b"P1\n.", "opcode 0x50"),
        (b".", "damaged at byte 1"),
        (b"}h\x07.", "damaged"),
        (b"(N.", "no text named system_id"),
        (b"}(Nu.", "damaged"),
        (b"N(NNu.", "damaged"),
        (b"}u.", "damaged"),
        (b"X\xff\xff\xff\xffabc.", "cut short"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short"),
    ];
    for (file, expected) in table {
        let error = text_of(file, "system_id").unwrap_err().to_string();
        assert!(error.contains(expected), "{}: {error}", file.escape_ascii());
    }
    // As in Python, what is below a mark can't be reached.
    assert!(text_of(b"}(0.", "system_id").is_err());
}

#[test]
fn nesting_and_sharing_cost_no_more_than_the_file() {
    let deep = [vec![b'('; 1 << 20], vec![b'l'; 1 << 20], b".".to_vec()].concat();
    assert!(text_of(&deep, "x").is_err());
    let mut shared = b"]q\0".to_vec();
    for _ in 0..100_000 {
        shared.extend(b"0]q\0(h\0h\0eq\0");
    }
    shared.push(b'.');
    assert!(matches!(text_of(&shared, "x"), Err(Error::Missing(_))));
    let holds_itself = b"}q\0X\x01\0\0\0xh\0s.";
    assert!(matches!(text_of(holds_itself, "x"), Err(Error::Missing(_))));
}

/// A struct with a member of each type.
fn registration(system_id: &str) -> Datum<'_> {
    let texts = |texts: &[&'static str]| Datum::Array(texts.iter().map(|t| Datum::text(*t)).collect());
    Datum::members([
        ("channels", texts(&["hypervisor-base-1"])),
        ("failed", texts(&[])),
        ("number", Datum::Int(-70000)),
        ("flag", Datum::Boolean(true)),
        ("nothing", Datum::Nil),
        ("half", Datum::Double(0.5)),
        ("system_id", Datum::text(system_id)),
    ])
}

#[test]
fn python_loads_our_pickles() {
    let check = "import pickle,sys; d = pickle.loads(getattr(sys.stdin, 'buffer', sys.stdin).read()); \
        assert d == {'channels': ['hypervisor-base-1'], 'failed': [], 'number': -70000, 'flag': True, 'nothing': None, \
        'half': 0.5, 'system_id': u'\\xe9 it\\'s \\U0001F600'}, d";
    let mut tried = 0;
    for python in ["python3", "python2"] {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let works = Command::new(python)
            .arg("-V")
            .output()
            .is_ok_and(|out| out.status.success());
        if !works {
            continue;
        }
        let mut child = Command::new(python)
            .args(["-c", check])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pickle = write(&registration("é it's 😀"));
        child.stdin.take().unwrap().write_all(&pickle).unwrap();
        assert!(child.wait().unwrap().success(), "{python}");
        tried += 1;
    }
    if tried == 0 {
        eprintln!("skipped: no Python is installed to load a pickle that we write");
    }
}

proptest! {
    #[test]
    fn a_written_text_is_read_back(system_id in any::<String>()) {
        let pickle = write(&registration(&system_id));
        prop_assert_eq!(text_of(&pickle, "system_id"), Ok(system_id));
    }

    #[test]
    fn garbage_never_panics(mut file in prop::collection::vec(any::<u8>(), 0..64), opcodes in "[(.012NILFJKMGSVUTBXCdlstuaepqrghj}\\])]{0,40}") {
        let _ = text_of(&file, "x");
        file.splice(0..0, opcodes.bytes());
        let _ = text_of(&file, "x");
    }
}
