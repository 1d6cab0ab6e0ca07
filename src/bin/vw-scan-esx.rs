//! vw-scan-esx(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::esx::main()
}
