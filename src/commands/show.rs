//! Shows mappings to people: vw-show(1).

mod hosts;
mod html;
mod results;
mod rows;
mod source;
mod summary;
mod why;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use crate::cli::words::{self, Warnings};
use crate::cli::{self, Exit, Failure};
use crate::error::Kind;
use crate::mapping::{
    self, BoundedFaults, Entry, Fault, Hypervisor, Limit, MAX_DOCUMENT_BYTES, Reader, Tail,
};
use crate::show::Needle;

/// Show mappings to people: a table, a summary, a page, or why a host is missing
#[derive(clap::Parser)]
#[command(
    name = "vw-show",
    version,
    after_help = "Examples:\n  \
                      vw-scan-esx -n prod --guest-names > prod.json; vw-show < prod.json\n  \
                      vw-show --guests --match web --sort host < prod.json\n  \
                      vw-show --html < prod.json > report.html\n  \
                      vw-scan-esx -n prod | vw-filter -n prod | vw-show --why esx17"
)]
struct Args {
    /// List the guests with their hosts instead of the hosts
    #[arg(long, group = "form")]
    guests: bool,
    /// Print one row per guest as CSV
    #[arg(long, group = "form")]
    csv: bool,
    /// Count hosts, sockets and guests, per cluster and in total
    #[arg(long, group = "form")]
    summary: bool,
    /// Say where this host or guest is, or why it is missing
    ///
    /// TEXT is a name, an id, a uuid in either byte order, or a part of one.
    #[arg(long, group = "form", value_name = "TEXT")]
    why: Option<String>,
    /// Print a page for a browser, with search and sorting
    #[arg(long, group = "form")]
    html: bool,
    /// Sort the table by this column, such as cluster [default: name]
    #[arg(long, value_name = "COLUMN", conflicts_with_all = ["csv", "summary", "why", "html"])]
    sort: Option<String>,
    /// Sort the other way round
    #[arg(short, long, conflicts_with_all = ["csv", "summary", "why", "html"])]
    reverse: bool,
    /// Show only rows of the table that contain TEXT
    #[arg(short, long = "match", value_name = "TEXT", conflicts_with_all = ["csv", "summary", "why", "html"])]
    matching: Option<String>,
}

/// The name of this stage, for what it can't show.
const STAGE: &str = "vw-show";

/// The command line.
pub fn command() -> clap::Command {
    cli::command::<Args>()
}

/// Runs vw-show.
pub fn main() -> ExitCode {
    cli::main(|args: Args| {
        cli::end_without_reader()?;
        show(&args).map_err(cli::mapping::advise)
    })
}

fn show(args: &Args) -> cli::Result<Exit> {
    if let Some(text) = &args.why {
        let empty = || Failure::new(Kind::Usage, "--why needs a name, an id or a uuid");
        let needle = Needle::new(text).ok_or_else(empty)?;
        return why::answer(text, &needle);
    }
    let mut out = cli::stdout();
    if args.html {
        if io::stdout().is_terminal() {
            let advice =
                "--html prints a page for a browser; write it to a file: vw-show --html > report.html";
            return Err(Failure::new(Kind::Usage, advice).into());
        }
        html::page(cli::mapping::reader()?, &mut out)?;
    } else if args.csv {
        rows::csv(cli::mapping::reader()?, &mut out)?;
    } else if args.summary {
        each_document(cli::mapping::reader()?, &mut out, summary::Counting::new)?;
    } else {
        let form = hosts::Form::new(args)?;
        let listing = |number| hosts::Listing::new(&form, number);
        each_document(cli::mapping::reader()?, &mut out, listing)?;
    }
    out.flush().map_err(written)?;
    Ok(Exit::Ok)
}

/// What is shown of one document.
trait View {
    /// Whether memory grows with the document, so that its size must be limited.
    const GROWS: bool;

    /// Takes the next hypervisor.
    fn hypervisor(
        &mut self,
        entry: &Entry<'_>,
        hypervisor: Hypervisor,
        out: &mut dyn Write,
    ) -> cli::Result<()>;

    /// Takes a hypervisor that has no valid id or list of guests.
    fn unusable(&mut self, _entry: &Entry<'_>, _fault: &Fault) {}

    /// Takes the rest of the document and the faults of its hypervisors and guests, and prints it.
    fn end(self, tail: &Tail, faults: Vec<Fault>, out: &mut dyn Write) -> cli::Result<()>;
}

/// Shows each document of the input as soon as it is complete. `begin` gets the number of documents before.
fn each_document<V: View>(
    mut input: Reader<impl BufRead>,
    out: &mut impl Write,
    mut begin: impl FnMut(usize) -> V,
) -> cli::Result<()> {
    let mut number = 0;
    while let Some(mut document) = input.next_document()? {
        let at = document.at();
        let mut view = begin(number);
        let mut faults = BoundedFaults::of_document();
        let mut warnings = Warnings::default();
        while let Some(entry) = document.next_entry()? {
            if V::GROWS && entry.at() - at > MAX_DOCUMENT_BYTES {
                let limit = Limit::DocumentBytes;
                return Err(mapping::Error::TooLarge { at, limit }.into());
            }
            let unusable = match entry.read() {
                Ok(read) => {
                    view.hypervisor(&entry, read.hypervisor, out)?;
                    read.flaws.into_iter().for_each(|flaw| warnings.say(flaw));
                    read.faults
                }
                Err(fault) => {
                    view.unusable(&entry, &fault);
                    vec![fault]
                }
            };
            for fault in unusable {
                warnings.say(format_args!("{fault}; no reporter can use it"));
                faults.push(fault);
            }
        }
        warnings.end();
        view.end(&document.finish()?, faults.into_vec(), out)?;
        out.flush().map_err(written)?;
        number += 1;
    }
    Ok(())
}

/// A count with its noun.
fn counted(count: u64, noun: &str) -> String {
    words::counted(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

/// A failed write to stdout.
fn written(error: io::Error) -> Failure {
    Failure::of_stdout(&error)
}
