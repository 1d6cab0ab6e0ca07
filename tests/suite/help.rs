//! `--help` fits a screen, whatever its width, and the commands that have many options group them.

use std::time::Duration;

use vw_sim::http::Fault;
use vw_sim::vcenter::Inventory;

use crate::man::{built, commands};
use crate::support::{Run, at_once};
use crate::vw_scan_esx_options::Site;

fn help(command: &str) -> Run {
    Run::new(built().join(command).to_str().unwrap()).args(["--help"])
}

/// The output on a terminal with this number of columns, without colours.
fn seen(command: &str, columns: u16) -> String {
    let colours = fancy_regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    let outcome = help(command).run_on_terminal(columns);
    colours.replace_all(&outcome.stdout, "").into_owned()
}

#[test]
fn help_fits_a_screen_of_80_columns_and_80_lines() {
    for command in commands() {
        for shown in [help(&command).run().quiet_success(), seen(&command, 80)] {
            assert!(
                shown.lines().count() <= 80,
                "{command}: {} lines",
                shown.lines().count()
            );
            for line in shown.lines() {
                assert!(line.chars().count() <= 80, "{command}: {line}");
            }
        }
    }
}

#[test]
fn help_is_wrapped_at_the_width_of_the_terminal() {
    for command in commands() {
        let mut before = usize::MAX;
        for columns in [60, 80, 200] {
            let shown = seen(&command, columns);
            for line in shown.lines() {
                assert!(
                    line.chars().count() <= columns.into(),
                    "{command} {columns}: {line}"
                );
            }
            let lines = shown.lines().count();
            assert!(lines <= before, "{command}: a wider terminal needs no more lines");
            before = lines;
        }
    }
}

#[test]
fn commands_with_many_options_group_them_under_headings() {
    for command in commands() {
        let shown = help(&command).run().quiet_success();
        let options = shown
            .lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .count();
        let headings = shown
            .lines()
            .filter(|line| line.ends_with(':') && !line.starts_with(' '))
            .count();
        if options > 12 {
            let of_options = [
                ("Options:", "--help"),
                ("Section:", "--config"),
                ("Output:", "--layout"),
                ("Output:", "--json"),
                ("Messages:", "--debug"),
            ];
            for (heading, _) in of_options.iter().filter(|(_, option)| shown.contains(option)) {
                assert!(shown.lines().any(|line| line == *heading), "{command}: {heading}");
            }
        } else {
            assert!(headings < 5, "{command}");
        }
    }
}

#[test]
fn the_help_of_the_stages_shows_the_pipeline_with_its_filter() {
    for (command, ends) in [
        ("vw-scan-esx", "vw-report-candlepin -n prod"),
        ("vw-filter", "vw-report-candlepin -n prod"),
        ("vw-report-candlepin", "vw-report-candlepin -n prod"),
        ("vw-report-sat5", "vw-report-sat5 -n prod"),
    ] {
        let shown = help(command).run().quiet_success();
        let pipeline = format!("vw-scan-esx -n prod | vw-filter -n prod | {ends}");
        assert!(shown.contains(&pipeline), "{command}: {shown}");
    }
}

#[test]
fn a_progress_line_never_fills_the_terminal() {
    let site = Site::new(Inventory::new(1, 1));
    // So slow that the line is drawn, also by a command that is slow itself.
    site.vcenter.server().misbehave(|_, request| {
        let asked = String::from_utf8_lossy(&request.body).contains("<RetrievePropertiesEx");
        asked.then(|| Fault::Delay(Duration::from_millis(1500)))
    });
    at_once([20, 30, 200], |columns| {
        let shown = site.run(&[]).run_on_terminal(columns);
        let drawn: Vec<&str> = shown
            .stdout
            .split(['\r', '\n', '\u{1b}'])
            .map(|piece| {
                piece
                    .trim_start_matches("[2K")
                    .trim_start_matches("[1A")
                    .trim_end()
            })
            .filter(|piece| piece.starts_with("vw-scan-esx: "))
            .collect();
        assert!(!drawn.is_empty(), "{columns}: {shown:?}");
        for line in drawn {
            assert!(line.chars().count() < columns.into(), "{columns}: {line}");
        }
    });
}
