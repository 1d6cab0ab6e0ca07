//! vw-config(1).

fn main() -> std::process::ExitCode {
    vw::commands::config::main()
}
