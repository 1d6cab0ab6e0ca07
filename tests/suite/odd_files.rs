//! The table of odd configuration files, which the configuration room is held to, against Python's own configparser.

use std::path::Path;
use std::process::Command;

use crate::support::skipped;

#[test]
fn the_table_of_odd_files_is_what_python_reads() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let made = match Command::new("python3")
        .arg("-B")
        .arg(tests.join("odd_files.py"))
        .output()
    {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return skipped("the table of odd files against Python: python3 is not installed");
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
