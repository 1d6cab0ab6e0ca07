//! vw-diff(1).

fn main() -> std::process::ExitCode {
    vw::commands::diff::main()
}
