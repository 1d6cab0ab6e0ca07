//! vw-scan-kubevirt(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::kubevirt::main()
}
