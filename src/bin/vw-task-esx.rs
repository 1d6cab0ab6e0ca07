//! vw-task-esx(1).

fn main() -> std::process::ExitCode {
    vw::commands::task::main()
}
