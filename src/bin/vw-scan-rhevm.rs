//! vw-scan-rhevm(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::rhevm::main()
}
