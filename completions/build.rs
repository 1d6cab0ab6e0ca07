//! Lists the commands: each file in src/bin of the package `vw` calls the `main` of one.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = Path::new("../src/bin");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    files.sort();
    let mut list = String::from("[\n");
    for file in files {
        let program = fs::read_to_string(&file)?;
        let unknown = || io::Error::other(format!("{}: no call of a command's main", file.display()));
        let room = room(&program).ok_or_else(unknown)?;
        list += &format!("    vw::commands::{room}::command,\n");
    }
    list += "]\n";
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    fs::write(Path::new(&out).join("commands.rs"), list)
}

/// Such as `scan::esx`, of a program that calls `vw::commands::scan::esx::main()`.
fn room(program: &str) -> Option<&str> {
    let (_, call) = program.split_once("vw::commands::")?;
    let (room, _) = call.split_once("::main()")?;
    Some(room)
}
