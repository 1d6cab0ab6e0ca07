//! vw-scan-candlepin(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::candlepin::main()
}
