//! The steps of vw-migrating(7), one after the other, as an administrator takes them.
//!
//! systemctl and virt-who are scripts: the first notes what it was asked, the second prints what virt-who prints of the same
//! vCenter, and refuses to run beside its service.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::man::{built, commands, examples_in, fits, page, simulators};
use crate::support::{skipped, write_program};

const SYSTEMCTL: &str = r#"#!/bin/sh
echo "$*" >> "$PLACE/systemctl"
case $* in
"stop virt-who" | "disable --now virt-who") rm -f "$PLACE/virt-who.running" ;;
"enable --now virt-who") touch "$PLACE/virt-who.running" ;;
"status vw") echo "vw.service - active" ;;
esac
"#;

const VIRT_WHO: &str = r#"#!/bin/sh
[ ! -e "$PLACE/virt-who.running" ] || { echo "virt-who seems to be already running" >&2; exit 1; }
[ "$*" = -p ] && vw-scan-esx -n prod --layout checkin --compact
"#;

#[test]
fn the_steps_lead_from_virt_who_to_vw_run_and_back() {
    let steps = examples_in(&page("vw-migrating", 7), "STEPS");
    assert!(steps.len() >= 14, "{steps:#?}");
    let has = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let missing = |command: &str| {
        let diff = command.starts_with("vw-diff ") && !commands().iter().any(|name| name == "vw-diff");
        diff || command.starts_with("jq ") && !has("jq")
    };
    let place = tempfile::tempdir().unwrap();
    let path = place.path();
    fs::create_dir(path.join("bin")).unwrap();
    write_program(&path.join("bin/systemctl"), SYSTEMCTL);
    write_program(&path.join("bin/virt-who"), VIRT_WHO);
    let run = format!(
        "#!/bin/sh\nexec {}/vw-run --state-dir \"$PLACE/state\" \"$@\"\n",
        built().display()
    );
    write_program(&path.join("bin/vw-run"), &run);
    fs::write(path.join("virt-who.running"), "").unwrap();

    // A machine with one section, whose state is not the real one.
    let mut script = String::from(
        "set -u\numask 077\nPATH=$PLACE/bin:$PATH\n\
         sed -n '/^\\[sim\\]/,/^$/p' \"$VW_CONFIG\" | sed 's/^\\[sim/[prod/' > virt-who.conf\n\
         export VW_CONFIG=$PLACE/virt-who.conf\n",
    );
    for (number, step) in steps.iter().enumerate() {
        if missing(&step.command) {
            skipped(&format!(
                "a step of vw-migrating(7): there is no program for {}",
                step.command
            ));
            continue;
        }
        writeln!(
            script,
            "{{ {}; }} >{number}.out 2>{number}.err </dev/null; echo $? >{number}.status",
            step.command
        )
        .unwrap();
    }
    let mut commands = vec![built().to_path_buf()];
    commands.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let ended = Command::new(simulators())
        .args(["--", "sh", "-c", &script])
        .current_dir(path)
        .env("PATH", std::env::join_paths(commands).unwrap())
        .env("PLACE", path)
        .env_remove("VW_CONFIG")
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    for (number, step) in steps
        .iter()
        .enumerate()
        .filter(|(_, step)| !missing(&step.command))
    {
        let read = |kind: &str| fs::read_to_string(path.join(format!("{number}.{kind}"))).unwrap_or_default();
        let output = read("out");
        assert_eq!(read("status"), "0\n", "{}\n{output}{}", step.command, read("err"));
        assert!(
            fits(&output, &step.output),
            "{}\n--- printed\n{output}--- the page shows\n{}",
            step.command,
            step.output.join("\n")
        );
    }
    let asked = fs::read_to_string(path.join("systemctl")).unwrap();
    let last: Vec<&str> = asked.lines().rev().take(2).collect();
    assert_eq!(last, ["enable --now virt-who", "disable --now vw"], "{asked}");
}
