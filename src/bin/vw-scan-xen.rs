//! vw-scan-xen(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::xen::main()
}
