//! vw-scan-fake(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::fake::main()
}
