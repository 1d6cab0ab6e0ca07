//! vw-report-sat5(1).

fn main() -> std::process::ExitCode {
    vw::commands::report::sat5::main()
}
