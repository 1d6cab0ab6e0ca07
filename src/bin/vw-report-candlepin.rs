//! `vw-report-candlepin`: checks hypervisors and their guests in with Candlepin.

use std::process::ExitCode;

use vw::cli::candlepin::{Options, Report};
use vw::cli::{self, Exit};

/// Check hypervisors and their guests in with Candlepin
///
/// It reads mappings from stdin and prints what became of each: a line on a terminal, else one line of JSON.
#[derive(clap::Parser)]
#[command(name = "vw-report-candlepin", version)]
#[command(after_help = "Example:\n  vw-scan-esx -n prod | vw-filter -n prod | vw-report-candlepin -n prod")]
struct Args {
    #[command(flatten)]
    report: Options,
}

fn main() -> ExitCode {
    cli::main(|Args { report: options }: Args| {
        let cancel = cli::cancel_on_signals()?;
        let (check, job) = (options.check, options.job.clone());
        let report = Report::new(options, &cancel)?;
        if check || job.is_some() {
            report.ask(&cancel)?;
        }
        let asked = match job {
            Some(id) => report.job(&id, &cancel),
            None if check => report.check(&cancel),
            None => return report.documents(&cancel),
        };
        asked.or_else(|error| {
            let error = report.explain(error);
            report.say(&error);
            Ok(Exit::Failed(error.kind()))
        })
    })
}
