//! `[global]`. Nothing in it makes a section unusable.

use std::io;
use std::path::Path;

use super::Check;
use crate::config::{Error, Section};

impl Check {
    /// Warns about values that can't be used.
    pub(super) fn global(&mut self, global: &Section) {
        let mut errors = Vec::new();
        let interval = global.number::<u64>("interval");
        if matches!(interval, Ok(Some(..60)) | Err(_)) && global.has("interval") {
            errors.push(global.wrong_value(
                "interval",
                "is less than 60 or not a number, so it counts as 3600 seconds",
            ));
        }
        for key in ["debug", "oneshot", "print_", "status", "json", "log_per_config"] {
            errors.extend(global.flag(key).err());
        }
        for key in ["reporter_id", "log_file"] {
            errors.extend(global.text(key).err());
        }
        match global.text("log_dir") {
            Ok(folder) => self.log_dir(global, folder.as_deref()),
            Err(error) => errors.push(error),
        }
        errors.extend(global.list("configs").err());
        for error in errors {
            if let Error::Wrong(note) = error {
                self.add(false, note);
            }
        }
    }

    fn log_dir(&mut self, global: &Section, folder: Option<&str>) {
        let folder = Path::new(folder.unwrap_or_default());
        match folder.metadata() {
            _ if folder == Path::new("") => {}
            Ok(about) if about.is_dir() => {}
            Ok(_) => {
                let reason = format!(
                    "{} is not a folder, so messages go only to stderr",
                    folder.display()
                );
                self.warn(global, "log_dir", &reason);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let reason = format!(
                    "{} does not exist; the first command that writes a log makes it",
                    folder.display()
                );
                self.warn(global, "log_dir", &reason);
            }
            Err(error) => self.warn(global, "log_dir", &format!("{}: {error}", folder.display())),
        }
    }
}
