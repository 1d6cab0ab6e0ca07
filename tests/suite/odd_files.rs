//! The table of odd configuration files, which the configuration room is held to, against Python's own configparser.

use std::path::Path;
use std::process::Command;

#[test]
fn the_table_is_what_python_says() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let made = match Command::new("python3")
        .arg("-B")
        .arg(tests.join("odd_files.py"))
        .output()
    {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: without python3 the table stays as it was committed");
            return;
        }
        made => made.unwrap(),
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let table = std::fs::read_to_string(tests.join("data/odd_files.json")).unwrap();
    assert!(
        String::from_utf8(made.stdout).unwrap() == table,
        "run: python3 tests/odd_files.py > tests/data/odd_files.json"
    );
}
