//! vw-password(1).

fn main() -> std::process::ExitCode {
    vw::commands::password::main()
}
