//! Writes the completions of all commands into the folders `bash`, `zsh` and `fish` of a folder.
//!
//! `make` runs this after the commands are built, so that `make install` needs no cargo. The command lines come from the rooms
//! themselves: what a command reads is what is completed.

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

/// The command lines, one for each file in src/bin. See build.rs.
const COMMANDS: &[fn() -> Command] = &include!(concat!(env!("OUT_DIR"), "/commands.rs"));

fn main() -> io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or_else(|| io::Error::other("usage: vw-completions FOLDER"))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let folder = folder.join(shell.to_string());
        // The completion of a command that was removed goes with it.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for command in COMMANDS {
            let mut command = command();
            let name = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command, name, &folder)?;
        }
    }
    Ok(())
}
