//! vw-scan-libvirt(1).

fn main() -> std::process::ExitCode {
    vw::commands::scan::libvirt::main()
}
