//! vw-report-candlepin(1).

fn main() -> std::process::ExitCode {
    vw::commands::report::candlepin::main()
}
