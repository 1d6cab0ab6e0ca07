//! Rounds at each change: the scan goes on, and each of its documents is reported.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;

use super::{Order, SourceLine};
use crate::cancel::{Cancel, Signal};
use crate::error::Kind;
use crate::process::Limits;
use crate::service::round::{Spool, no_mapping, own_failure};
use crate::service::stage::{Stage, Voice};
use crate::service::{Failure, Pipeline};

/// The limit for a scan that goes on for ever.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The newest document that has not been taken, and when it came.
type Newest = Arc<Mutex<Option<Spool>>>;

/// What a scan that watches came to.
enum Ended {
    /// It failed, or just ended.
    Scan(Failure),
    /// No round may follow.
    Stopped,
}

impl SourceLine {
    /// Starts the scan when it is due, and reports each of its documents, until it is stopped.
    pub(super) fn watch(&self, orders: &Receiver<Order>, own: &Sender<Order>) {
        while self.wait_until_due(orders) {
            let began = Instant::now();
            match self.follow_scan(orders, own) {
                Ended::Stopped => return,
                Ended::Scan(failure) => {
                    for pipeline in &self.source.pipelines {
                        let nothing = (None, Some(failure.clone()));
                        let done = |outcome| self.conclude(outcome, began);
                        self.work.finish(pipeline, began, false, nothing, &done);
                    }
                }
            }
        }
    }

    /// Runs the scan to its end.
    fn follow_scan(&self, orders: &Receiver<Order>, own: &Sender<Order>) -> Ended {
        let name = self.source.name();
        let program = match &self.source.scan {
            Ok(program) => program,
            Err(failure) => {
                log::error!(section = name; "[{name}] {}", failure.message);
                return Ended::Scan(failure.clone());
            }
        };
        let mut scan = match Stage::start(program, &Voice::new(name), Stdio::null(), Stdio::piped()) {
            Ok(scan) => scan,
            Err(failure) => return Ended::Scan(failure),
        };
        let (newest, stop) = (Newest::default(), Cancel::default());
        let _guard = stop.follow(self.work.cancel());
        let stdout = scan.stdout();
        thread::scope(|scope| {
            let limits = Limits {
                time: FOR_EVER,
                cancel: &stop,
            };
            scope.spawn(|| {
                let read = stdout.map_or(Ok(()), |stdout| {
                    take_documents(stdout, (name, &program.name()), &newest, own)
                });
                if let Err(failure) = read {
                    let _ = own.send(Order::Ended(Err(failure)));
                    stop.cancel(Signal::Terminate);
                }
            });
            scope.spawn(move || _ = own.send(Order::Ended(scan.wait(limits))));
            let ended = self.report_news(orders, &newest, &program.name());
            stop.cancel(Signal::Terminate);
            ended
        })
    }

    /// Reports the newest document to each section that has not got it, until the scan ends.
    fn report_news(&self, orders: &Receiver<Order>, newest: &Newest, scan: &str) -> Ended {
        let mut document: Option<Spool> = None;
        let mut waiting: Vec<&Pipeline> = Vec::new();
        loop {
            let due = self.schedules.first_due(&waiting);
            let pause = due.map_or(FOR_EVER, |due| due.saturating_duration_since(Instant::now()));
            match orders.recv_timeout(pause) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return Ended::Stopped,
                Ok(Order::Ended(Err(failure))) => return Ended::Scan(failure),
                Ok(Order::Ended(Ok(()))) => {
                    return Ended::Scan(own_failure(
                        self.source.name(),
                        Kind::TempFail,
                        format!("{scan} --watch ended, although it should go on"),
                    ));
                }
                Ok(Order::Hurry) => self.schedules.hurry(),
                Ok(Order::News) => {
                    if let Some(news) = newest.lock().unwrap_or_else(PoisonError::into_inner).take() {
                        document = Some(news);
                        waiting = self.pipelines();
                        // Its failures before concerned another document.
                        self.schedules.hurry();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(document) = &document {
                self.report_due(document, &mut waiting);
            }
        }
    }

    /// Reports the document to those that are due. Those where another attempt may help go on waiting.
    fn report_due(&self, document: &Spool, waiting: &mut Vec<&Pipeline>) {
        let began = Instant::now();
        let due: Vec<&Pipeline> = self.schedules.due(waiting, began);
        if due.is_empty() {
            return;
        }
        let failed = Mutex::new(Vec::new());
        let voice = Voice::new(self.source.name());
        self.work.report_to(&due, document, (began, &voice), &|outcome| {
            if matches!(outcome.kind(), Some(Kind::TempFail | Kind::NoPerm | Kind::Config)) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.push(outcome.section.clone());
            }
            self.conclude(outcome, began);
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_due = |pipeline: &&Pipeline| due.iter().any(|due| due.section == pipeline.section);
        waiting.retain(|pipeline| !is_due(pipeline) || failed.contains(&pipeline.section));
    }
}

/// Puts each document that the scan prints into a file, and keeps the newest.
fn take_documents(
    stdout: ChildStdout,
    (section, scan): (&str, &str),
    newest: &Newest,
    orders: &Sender<Order>,
) -> Result<(), Failure> {
    let mut input = BufReader::new(stdout);
    loop {
        let document = Spool::new(section)?;
        let failed = |error: &dyn std::fmt::Display, kind| {
            let message = format!("reading the documents of {scan}: {error}");
            own_failure(section, kind, message)
        };
        let mut copying = Copying {
            from: &mut input,
            to: BufWriter::new(document.file()),
        };
        let is_whole = next_document(&mut copying).map_err(|error| failed(&error, kind_of(&error)))?;
        copying.to.flush().map_err(|error| failed(&error, Kind::Io))?;
        drop(copying);
        if !is_whole {
            return Ok(());
        }
        let checked = document.check();
        checked.map_err(|error| no_mapping(section, scan, &error))?;
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
        if orders.send(Order::News).is_err() {
            return Ok(());
        }
    }
}

/// Reads one document. Returns false at the end of the stream; a scan that fails may leave an unfinished document there.
fn next_document(input: impl Read) -> Result<bool, serde_json::Error> {
    let mut documents = serde_json::Deserializer::from_reader(input).into_iter::<IgnoredAny>();
    match documents.next() {
        Some(Ok(_)) => Ok(true),
        Some(Err(error)) if error.is_eof() => Ok(false),
        Some(Err(error)) => Err(error),
        None => Ok(false),
    }
}

fn kind_of(error: &serde_json::Error) -> Kind {
    match error.is_io() {
        true => Kind::Io,
        false => Kind::Data,
    }
}

/// Copies all that is read.
struct Copying<'a, R, W> {
    from: &'a mut R,
    to: W,
}

impl<R: Read, W: Write> Read for Copying<'_, R, W> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(bytes)?;
        self.to.write_all(&bytes[..length])?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_split_into_its_documents_however_they_are_written() {
        let mut stream = &b"{\"a\": [1,\n 2]}\n{\"b\":\"}\"}{\"c\":{}} {\"cut\":"[..];
        let mut found = Vec::new();
        loop {
            let mut copy = Vec::new();
            let mut copying = Copying {
                from: &mut stream,
                to: &mut copy,
            };
            if !next_document(&mut copying).unwrap() {
                break;
            }
            found.push(String::from_utf8(copy).unwrap().trim().to_owned());
        }
        assert_eq!(found, ["{\"a\": [1,\n 2]}", "{\"b\":\"}\"}", "{\"c\":{}}"]);
        assert!(next_document(&b"nonsense"[..]).is_err());
    }
}
