//! vw-show(1).

fn main() -> std::process::ExitCode {
    vw::commands::show::main()
}
