//! vw-scan-ahv(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::ahv::main()
}
