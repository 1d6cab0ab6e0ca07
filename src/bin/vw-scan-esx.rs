//! `vw-scan-esx`: from a vCenter or an ESX host to a mapping.

use std::process::ExitCode;

use vw::cancel::Cancel;
use vw::cli::esx::Scan;
use vw::cli::progress::Progress;
use vw::cli::{self, args};
use vw::mapping::{Source, Tail};
use vw::vsphere::{self, About, Identified, Inventory, Session};

/// Print which virtual machine runs on which host of a vCenter or an ESX host
#[derive(Debug, clap::Parser)]
#[command(
    name = "vw-scan-esx",
    version,
    after_help = "Examples:\n  \
        vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod\n  \
        vw-scan-esx --server vc.example.com -u virtwho --password-file <(pass show vc)"
)]
struct Args {
    #[command(flatten)]
    scan: cli::esx::Options,
    /// Fail, and print nothing, if anything is left out
    #[arg(long)]
    strict: bool,
    /// Log in, print the server's name and version, and log out
    #[arg(long, conflicts_with_all = [
        "strict", "guest_names", "stamp", "layout", "pretty", "compact", "no_omitted",
    ])]
    check: bool,
    #[command(flatten)]
    output: args::Output,
}

fn main() -> ExitCode {
    cli::main(|args: Args| {
        let cancel = cli::cancel_on_signals()?;
        let scan = Scan::new(&args.scan, &cancel)?;
        if args.check {
            let (about, ()) = in_session(&scan, &cancel, |_| Ok(()))?;
            let About {
                full_name,
                api_version,
                ..
            } = about;
            return Ok(cli::print(&format!("{full_name}, API {api_version}\n"))?);
        }
        let (about, inventory) = in_session(&scan, &cancel, |session| read(session, scan.guest_names))?;
        print(inventory, about, scan, &args)
    })
}

/// Reads the inventory, and tells on a terminal how far that is.
fn read(session: &mut Session, guest_names: bool) -> Result<Inventory, vsphere::Error> {
    let progress = Progress::counting("vw-scan-esx", "objects read,");
    vsphere::scan(session, guest_names, || progress.one())
}

/// Logs in, works, logs out.
fn in_session<T>(
    scan: &Scan,
    cancel: &Cancel,
    work: impl FnOnce(&mut Session) -> Result<T, vsphere::Error>,
) -> anyhow::Result<(About, T)> {
    let mut session = Session::open(&scan.endpoint, &scan.credentials, cancel)?;
    let result = work(&mut session)?;
    let about = session.about().clone();
    // All is read: a reader that takes its time must not keep the session open.
    if let Err(error) = session.close() {
        log::warn!("logging out, the session stays open until it expires: {error}");
    }
    Ok((about, result))
}

fn print(inventory: Inventory, about: About, scan: Scan, args: &Args) -> anyhow::Result<()> {
    let identified = inventory.identify(scan.hypervisor_id);
    if args.strict {
        cli::omitted::refuse(identified.omitted())?;
    }
    let mut writer = cli::mapping::writer(cli::stdout(), &args.output);
    warn_of_shared_ids(&identified);
    cli::omitted::warn(identified.omitted(), writer.tells_omitted());
    for hypervisor in identified.hypervisors() {
        writer.hypervisor(&hypervisor)?;
    }
    let tail = Tail {
        source: Some(Source {
            instance_uuid: about.instance_uuid,
            ..scan.source
        }),
        omitted: identified.omitted().to_vec(),
        ..Tail::default()
    };
    Ok(writer.finish(&tail)?)
}

/// Says what will be hard to tell apart in the mapping.
fn warn_of_shared_ids(identified: &Identified) {
    for (id, hosts) in identified.shared_ids() {
        log::warn!("{} hosts have the id {id}: {}", hosts.len(), hosts.join(", "));
    }
}
