//! vw-filter(1).

fn main() -> std::process::ExitCode {
    vw::commands::filter::main()
}
