//! `vw-escape` as its users meet it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

/// Runs the command with its arguments and stdin; gives status, stdout and stderr.
fn run(args: &[&str], stdin: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vw-escape"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A command that fails early does not read the rest.
    let writer = std::thread::spawn(move || drop(input.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn fine(args: &[&str], stdin: &str) -> String {
    let (status, stdout, stderr) = run(args, stdin.as_bytes());
    assert_eq!((status, stderr.as_str()), (0, ""), "{args:?}");
    stdout
}

#[test]
fn each_scheme_converts_arguments_and_lines_both_ways() {
    let schemes = [
        ("name", r#"a%b/c\d|e"f"#, r#"a%25b%2fc%5cd|e"f"#),
        ("vmx-name", r#"a%b/c\d|e"f"#, "a%25b%2fc%5cd|7ce|22f"),
        ("annotation", r#"a%b/c\d|e"f"#, r"a%b/c\d|7ce|22f"),
        (
            "datastore-item",
            r"Müller & Söhne\1",
            "M+w7w-ller +Jg- S+w7Y-hne+JQ-5c1",
        ),
    ];
    for (scheme, plain, escaped) in schemes {
        let lines = |text: &str| format!("{text}\n{text}\n");
        assert_eq!(fine(&[scheme, plain, plain], ""), lines(escaped));
        assert_eq!(fine(&["-d", scheme, escaped, escaped], ""), lines(plain));
        assert_eq!(fine(&[scheme], &lines(plain)), lines(escaped));
        assert_eq!(fine(&["--decode", scheme], &lines(escaped)), lines(plain));
    }
}

#[test]
fn lines_end_with_a_line_feed_or_a_nul_as_asked() {
    assert_eq!(fine(&["name"], ""), "");
    assert_eq!(fine(&["name"], "\n\na/b"), "\n\na%2fb\n");
    assert_eq!(fine(&["-z", "name"], "a/b\nc\0d"), "a%2fb\nc\0d\0");
    assert_eq!(fine(&["--null", "name", "a", "b"], ""), "a\0b\0");
    assert_eq!(
        fine(&["-zd", "annotation"], "one|0Atwo\0three"),
        "one\ntwo\0three\0"
    );
}

#[test]
fn a_line_break_in_a_text_never_makes_two_texts() {
    assert_eq!(fine(&["-d", "annotation", "one|0Atwo"], ""), "one\ntwo\n");
    let message = "has a line break in it, and would look like two; use -z\n";
    assert_eq!(
        run(&["-d", "annotation"], b"fine\none|0Atwo\nnever read"),
        (65, "fine\n".into(), format!("vw-escape: line 2: {message}"))
    );
    assert_eq!(
        run(&["-d", "annotation", "fine", "one|0atwo"], b""),
        (65, String::new(), format!("vw-escape: one|0atwo: {message}"))
    );
    assert_eq!(run(&["-zd", "name"], b"%00").0, 65);
}

#[test]
fn an_invalid_text_is_named_with_line_and_position() {
    assert_eq!(
        run(&["-d", "name"], b"a%2Fb\na%2x\n"),
        (
            65,
            "a/b\n".into(),
            "vw-escape: line 2: character 2: % is not followed by two hexadecimal digits\n".into()
        )
    );
    assert_eq!(
        run(&["-d", "datastore-item", "ok", "a+b.c"], b""),
        (
            65,
            String::new(),
            "vw-escape: a+b.c: character 4: '.' stands in the base64 sequence that begins at character 2\n"
                .into()
        )
    );
    assert_eq!(
        run(&["name"], b"a/b\nc\xe4\n"),
        (
            65,
            "a%2fb\n".into(),
            "vw-escape: line 2: not UTF-8 after 1 bytes\n".into()
        )
    );
    let (status, stdout, stderr) = run(&["name"], &vec![b'x'; 3 << 20]);
    assert_eq!((status, stdout.as_str()), (65, ""));
    assert_eq!(
        stderr,
        "vw-escape: line 1: 1048576 bytes or more, which no name has\n"
    );
}

#[test]
fn wrong_options_are_one_line_and_status_64() {
    for args in [&[][..], &["base64"], &["-x", "name"], &["name", "-a"]] {
        let (status, stdout, stderr) = run(args, b"");
        assert_eq!((status, stdout.as_str()), (64, ""), "{args:?}");
        assert!(stderr.starts_with("vw-escape: "), "{stderr}");
        assert!(stderr.ends_with("; see vw-escape --help\n"), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn each_line_is_converted_before_the_next_one_is_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vw-escape"))
        .arg("name")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..2 {
        input.write_all(b"a/b\n").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert_eq!(answer, "a%2fb\n");
    }
    drop(input);
    assert_eq!(output.read_to_string(&mut String::new()).unwrap(), 0);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_is_no_failure_but_a_full_disk_is() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vw-escape"))
        .arg("name")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let _ = child.stdin.take().unwrap().write_all(b"a/b\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );

    if cfg!(target_os = "linux") {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_vw-escape"))
            .args(["name", "a"])
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(74));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("vw-escape: writing to stdout: "), "{message}");
    }
}
