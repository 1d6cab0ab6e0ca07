//! vw-run(1).

fn main() -> std::process::ExitCode {
    vw::commands::run::main()
}
