//! vw-escape(1).

fn main() -> std::process::ExitCode {
    vw::commands::escape::main()
}
