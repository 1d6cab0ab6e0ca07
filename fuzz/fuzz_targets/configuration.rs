//! Configuration files: any bytes become sections and notes, or are refused.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use vw::config::{Config, Files};

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), bytes).expect("a file that can be written");
    let files = Files::new(vec![file.path().to_owned()], None);
    let Ok(config) = Config::load(&files) else { return };
    let names: Vec<String> = config.names().map(str::to_owned).collect();
    for name in names {
        if let Ok(section) = config.named(&name) {
            let _ = (
                section.source_type(),
                section.text("server"),
                section.flag("simplified_vim"),
            );
            let _ = (section.number::<u32>("interval"), section.list("filter_hosts"));
        }
    }
    let _ = config.notes().iter().map(ToString::to_string).count();
});
