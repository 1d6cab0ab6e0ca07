//! Encrypts passwords for virt-who's configuration: vw-password(1).

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::Context as _;
use crate::cli::{self, args, password};
use crate::config;

/// Encrypt a password for encrypted_password= in virt-who's configuration
///
/// It reads one line of stdin, or asks on a terminal, and prints the encrypted password.
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-password",
    version,
    after_help = "Example: pass show vc | vw-password"
)]
struct Args {
    /// Read an encrypted password and print it decrypted
    #[arg(long)]
    decrypt: bool,
    /// Use the key in FILE; if it is missing, encryption makes it
    ///
    /// The default is $CREDENTIALS_DIRECTORY/key, then /var/lib/virt-who/key.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// The command.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let _at_once = cli::end_at_once(&cancel);
        let key_file = args::key_file(args.key_file.as_deref());
        log::debug!("the key is in {}", key_file.display());
        if args.decrypt {
            let hex = password::from_stdin("Encrypted password: ", &cancel)?;
            let hex = hex.expose().trim();
            let secret = config::password::decrypt(hex, &key_file).context("the encrypted password")?;
            password::print(&secret)?;
        } else {
            let secret = password::from_stdin("Password: ", &cancel)?;
            cli::print(&(config::password::encrypt(&secret, &key_file)? + "\n"))?;
        }
        Ok(())
    })
}
