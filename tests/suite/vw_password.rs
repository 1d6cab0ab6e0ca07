//! vw-password as its users meet it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Outcome, Run, skipped};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
const IV: &str = "f0e0d0c0b0a090807060504030201000";

/// A folder with a key file.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place(folder);
        fs::write(place.key(), format!("{KEY}\n{IV}\n")).unwrap();
        place
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("key")
    }

    fn run(&self, options: &[&str], stdin: impl Into<Vec<u8>>) -> Outcome {
        password(&self.key(), options).stdin(stdin).run()
    }
}

fn password(key: &Path, options: &[&str]) -> Run {
    Run::new(env!("CARGO_BIN_EXE_vw-password"))
        .args(["--key-file", key.to_str().unwrap()])
        .args(options)
}

/// The output of openssl for the password; `None` if it is not installed.
fn openssl(options: &[&str], stdin: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(["enc", "-aes-128-cbc", "-K", KEY, "-iv", IV])
        .args(options)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_line_is_encrypted_with_its_blanks_and_decrypted_again() {
    let place = Place::new();
    for (typed, password) in [
        ("s3cret", "s3cret\n"),
        ("s3cret\n", "s3cret\n"),
        ("s3cret\r\n", "s3cret\n"),
        (" größe 本 \n", " größe 本 \n"),
    ] {
        let hex = place.run(&[], typed).quiet_success();
        assert!(!hex.contains(password.trim()));
        assert_eq!(place.run(&["--decrypt"], hex).quiet_success(), password);
    }
    // In capital letters, and with spaces that copying may add.
    let hex = " E3479DCED51D8F33415FA527767F7AF6 \n";
    assert_eq!(place.run(&["--decrypt"], hex).quiet_success(), "s3cret\n");
}

#[test]
fn openssl_reads_and_writes_the_same() {
    let place = Place::new();
    let text = "a longer pässword, of two blocks";
    let Some(theirs) = openssl(&[], text.as_bytes()) else {
        return skipped("passwords against openssl: it is not installed");
    };
    assert_eq!(place.run(&[], text).quiet_success(), hex(&theirs) + "\n");
    let decrypted = place.run(&["--decrypt"], hex(&theirs)).quiet_success();
    assert_eq!(decrypted.trim_end(), text);
}

#[test]
fn a_missing_key_file_is_made_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("virt-who/key");
    let made = password(&key, &[]).stdin("s3cret\n").run();
    assert_eq!(made.status, 0);
    assert_eq!(
        made.stderr,
        format!("vw-password: made the key file {}\n", key.display())
    );
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let again = password(&key, &[]).stdin("s3cret\n").run().quiet_success();
    assert_eq!(made.stdout, again);
    let lines = fs::read_to_string(&key).unwrap();
    assert!(lines.lines().count() == 2 && lines.lines().all(|line| line.len() == 32));
}

#[test]
fn the_key_may_come_from_systemd_credentials() {
    let place = Place::new();
    let run = Run::new(env!("CARGO_BIN_EXE_vw-password"))
        .env("CREDENTIALS_DIRECTORY", place.0.path().to_str().unwrap())
        .stdin("s3cret")
        .run();
    assert_eq!(run.quiet_success(), "e3479dced51d8f33415fa527767f7af6\n");
}

#[test]
fn each_failure_names_its_cause() {
    let place = Place::new();
    for (options, stdin, status, words) in [
        (&[][..], "", 65, "stdin: is empty"),
        (&[], "\n", 65, "stdin: is empty"),
        (&[], "a\nb\n", 65, "more than one line"),
        (&["--decrypt"], "", 65, "stdin: is empty"),
        (&["--decrypt"], " \n", 65, "has 0 hexadecimal digits"),
        (&["--decrypt"], "abc", 65, "an odd number"),
        (&["--decrypt"], "abcd", 65, "a multiple of 32"),
        (&["--decrypt"], "s3cret", 65, "hexadecimal digits alone"),
        (
            &["--decrypt"],
            "6431995611c0a30f53df1710cfc3eb76",
            65,
            "holds an empty password",
        ),
        (
            &["--decrypt"],
            "00112233445566778899aabbccddeeff",
            78,
            "does not fit",
        ),
        (
            &["--decrypt"],
            "cc93e05cbf1e2d54d3b77cd842f9d20f",
            78,
            "is not UTF-8 text",
        ),
        (&["s3cret"], "", 64, "unexpected argument"),
    ] {
        let outcome = place.run(options, stdin);
        outcome.failed(status, words);
        assert_eq!(outcome.stdout, "");
    }
    place.run(&[], vec![0xff]).failed(65, "is not UTF-8");
    place
        .run(&[], vec![b'a'; 70_000])
        .failed(65, "longer than 64 KiB");

    let gone = place.0.path().join("gone");
    let secret = "e3479dced51d8f33415fa527767f7af6";
    let decrypt = |key: &Path| password(key, &["--decrypt"]).stdin(secret).run();
    decrypt(&gone).failed(78, "gone does not exist; name it with --key-file");
    decrypt(place.0.path()).failed(78, "does not have two lines");
    decrypt(&place.key().join("below")).failed(78, "can't be read: Not a directory");
    fs::write(place.key(), format!("{KEY}\n")).unwrap();
    let outcome = place.run(&[], "s3cret");
    outcome.failed(78, "does not have two lines");
    assert!(!outcome.stderr.contains("s3cret") && !outcome.stderr.contains(KEY));
    assert_eq!(fs::read_to_string(place.key()).unwrap(), format!("{KEY}\n"));
}

/// A name without a folder is a file where the user is.
#[test]
fn a_key_is_made_in_the_working_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = |options: &[&str]| password(Path::new("new"), options).folder(folder.path());
    let made = here(&[]).stdin("s3cret").run();
    assert_eq!(
        (made.status, made.stderr.as_str()),
        (0, "vw-password: made the key file new\n")
    );
    assert!(folder.path().join("new").exists());
    let decrypted = here(&["--decrypt"]).stdin(made.stdout).run();
    assert_eq!(decrypted.quiet_success(), "s3cret\n");
}

#[test]
fn an_unwritable_output_is_a_failure() {
    let place = Place::new();
    for (options, stdin) in [
        (&[][..], "s3cret"),
        (&["--decrypt"], "e3479dced51d8f33415fa527767f7af6"),
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let outcome = password(&place.key(), options).stdin(stdin).run_with_stdout(full);
        outcome.failed(74, "writing to stdout");
    }
}
