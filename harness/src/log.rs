//! The log: what is asked of whom, line by line, for whoever has to find out afterwards.
//!
//! Every report has it whole (`log.txt`, written by the command and by each scenario); a terminal shows as much of it
//! as is asked for. Processes and downloads are `info`; each request to an API server or an engine, each wait and each
//! word of progress is `debug`. No secret enters it: every line goes through [`scrub`].

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::error::Context as _;
use crate::{Code, Error, Result};
use proof::scrub;

/// The log of a report's folder.
pub const FILE: &str = "log.txt";
/// The variable with a filter of one's own.
const VARIABLE: &str = "VOUCHSAFE_LOG";
const OURS: [&str; 3] = ["harness", "scenarios", "xtask"];
/// What steps say is on the terminal already.
const PROGRESS: &str = "harness::progress";
/// How much is kept until it is known where the report lies; of more than that, the end.
const AHEAD: usize = 4 << 20;

/// What is shown, and what is kept.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// None: not even one that lets nothing pass, which would be asked at every event.
    shown: Option<Targets>,
    kept: Option<Targets>,
}

impl Filter {
    /// `-v` so many times, and what `VOUCHSAFE_LOG` adds to that: `harness=debug`, several with commas between. `off`
    /// alone is no log at all, also not in the report.
    ///
    /// # Errors
    /// [`Code::Usage`] when that is no filter.
    pub fn read(verbosity: u8) -> Result<Self> {
        Self::of(verbosity, std::env::var_os(VARIABLE))
    }

    fn of(verbosity: u8, set: Option<OsString>) -> Result<Self> {
        let set = set.map(|set| set.to_string_lossy().trim().to_owned()).filter(|set| !set.is_empty());
        if set.as_deref() == Some("off") {
            return Ok(Self::default());
        }
        let own = set.as_deref().map(parsed).transpose()?;
        let with_own = |base: Targets| match own.clone() {
            Some((Some(default), targets)) => base.with_default(default).with_targets(targets),
            Some((None, targets)) => base.with_targets(targets),
            None => base,
        };
        let level = [LevelFilter::OFF, LevelFilter::INFO, LevelFilter::DEBUG][usize::from(verbosity.min(2))];
        let shown = Targets::new()
            .with_targets(OURS.map(|ours| (ours, level)))
            .with_target(PROGRESS, LevelFilter::OFF);
        // kube's client tells as an error what a wait expects, a server that is not up yet; `kube::asked` has it all.
        let kept = Targets::new().with_default(Level::WARN).with_target("kube_client", LevelFilter::OFF);
        let kept = kept.with_targets(OURS.map(|ours| (ours, Level::DEBUG)));
        let shows = verbosity > 0 || own.is_some();
        Ok(Self { shown: shows.then(|| with_own(shown)), kept: Some(with_own(kept)) })
    }
}

/// A default level, and the levels of modules.
type Directives = (Option<LevelFilter>, Vec<(String, LevelFilter)>);

fn parsed(text: &str) -> Result<Directives> {
    let refused = |part: &str| {
        Error::new(Code::Usage, format!("{VARIABLE}=`{text}` is no filter: `{part}` is neither a level nor MODULE=LEVEL"))
            .next(format!("such as {VARIABLE}=harness=debug; levels are off, error, warn, info, debug and trace; nothing was touched"))
    };
    let level = |word: &str| match word.parse::<u8>() {
        // tracing takes numbers, too; nobody reads them.
        Ok(_) => None,
        Err(_) => word.parse::<LevelFilter>().ok(),
    };
    let is_module =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c));
    let (mut default, mut targets) = (None, Vec::new());
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            None => default = Some(level(part).filter(|_| !part.is_empty()).ok_or_else(|| refused(part))?),
            Some((module, word)) if is_module(module) && !word.is_empty() => {
                targets.push((module.to_owned(), level(word).ok_or_else(|| refused(part))?));
            }
            Some(_) => return Err(refused(part)),
        }
    }
    Ok((default, targets))
}

/// A time, as lines have it.
pub(crate) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Where lines go.
struct Log {
    name: String,
    shown: Option<Targets>,
    kept: Mutex<Kept>,
    printer: Mutex<Option<Printer>>,
}

/// Prints a line without tearing what else is on the terminal.
pub type Printer = Box<dyn Fn(&str) + Send>;

enum Kept {
    Ahead(String),
    In(File),
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Begins the log of this process, called `name` in each line. The first call counts.
pub fn begin(name: &str, filter: Filter) {
    let Filter { shown, kept } = filter;
    let log = Log {
        name: name.to_owned(),
        shown: shown.clone(),
        kept: Mutex::new(Kept::Ahead(String::new())),
        printer: Mutex::default(),
    };
    if (shown.is_none() && kept.is_none()) || LOG.set(log).is_err() {
        return;
    }
    let keeps = kept.map(|filter| {
        tracing_subscriber::fmt::layer().event_format(Line).with_writer(|| To(keep)).with_filter(filter)
    });
    let shows = shown.map(|filter| {
        tracing_subscriber::fmt::layer().event_format(Line).with_writer(|| To(print)).with_filter(filter)
    });
    // Another subscriber in this process is a test's own.
    let _ = tracing_subscriber::registry().with(keeps).with(shows).try_init();
}

/// From now on the log is kept in that folder, with what was said before.
///
/// # Errors
/// [`Code::Internal`] when it cannot be written.
pub fn keep_in(dir: &Path) -> Result<()> {
    let Some(log) = LOG.get() else { return Ok(()) };
    let path = dir.join(FILE);
    let fail = || format!("cannot write {}", path.display());
    let mut file = File::options().create(true).append(true).open(&path).or_fail(Code::Internal, fail)?;
    let mut kept = locked(&log.kept);
    if let Kept::Ahead(before) = &*kept {
        file.write_all(before.as_bytes()).or_fail(Code::Internal, fail)?;
    }
    *kept = Kept::In(file);
    Ok(())
}

/// Who prints from now on; none for standard error as it is.
pub fn printed_by(printer: Option<Printer>) {
    if let Some(log) = LOG.get() {
        *locked(&log.printer) = printer;
    }
}

/// Follows what other processes write into the log of a report, for a terminal that shows it.
#[derive(Debug)]
pub struct Others {
    path: PathBuf,
    at: usize,
}

impl Others {
    /// From the present end of that report's log; none when nothing of it is shown.
    pub fn of(dir: &Path) -> Option<Self> {
        LOG.get()?.shown.as_ref()?;
        let path = dir.join(FILE);
        let at = std::fs::read(&path).map_or(0, |text| text.len());
        Some(Self { path, at })
    }

    /// Prints their new lines, as far as they are to be shown.
    pub fn print_new(&mut self) {
        let (Some(log), Ok(text)) = (LOG.get(), std::fs::read(&self.path)) else { return };
        let new = text.get(self.at..).unwrap_or_default();
        // Whole lines only: a scenario may be writing.
        let Some(end) = new.iter().rposition(|byte| *byte == b'\n') else { return };
        self.at += end + 1;
        for line in String::from_utf8_lossy(&new[..end]).lines() {
            if log.shown.as_ref().is_some_and(|shown| is_anothers(line, &log.name, shown)) {
                print(line);
            }
        }
    }
}

/// Whether a line is of another process and passes the filter.
fn is_anothers(line: &str, own: &str, shown: &Targets) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let (Some(name), Some(level), Some(target)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    level.parse().is_ok_and(|level| name != own && shown.would_enable(target.trim_end_matches(':'), &level))
}

/// `2026-11-26T06:37:53.123Z xtask DEBUG harness::kube: [cluster1/istio] GET /version cluster="cluster1" status=200`
struct Line;

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        cx: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let (of, name) = (event.metadata(), LOG.get().map_or("-", |log| &log.name));
        write!(to, "{:.3} {name} {:5} {}: ", Timestamp::now(), of.level(), of.target())?;
        for span in cx.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                write!(to, "[{fields}] ")?;
            }
        }
        cx.field_format().format_fields(to.by_ref(), event)?;
        to.write_char('\n')
    }
}

/// A writer that is handed one whole event at a time.
struct To(fn(&str));

impl Write for To {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        self.0(&one_line(&String::from_utf8_lossy(event)));
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An event as it is kept: one line, without secrets.
fn one_line(event: &str) -> String {
    scrub::text(event.trim_end()).replace('\n', "\\n")
}

fn keep(line: &str) {
    let Some(log) = LOG.get() else { return };
    match &mut *locked(&log.kept) {
        Kept::Ahead(before) => {
            if before.len() > AHEAD {
                *before =
                    before.lines().skip(before.lines().count() / 2).map(|line| format!("{line}\n")).collect();
            }
            let _ = writeln!(before, "{line}");
        }
        // One call, so that lines of several processes do not mix. A full disk must not end a run from here.
        Kept::In(file) => {
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

fn print(line: &str) {
    let Some(log) = LOG.get() else { return };
    match &*locked(&log.printer) {
        Some(printer) => printer(line),
        None => eprintln!("{line}"),
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(verbosity: u8, set: &str) -> Filter {
        Filter::of(verbosity, Some(set.into())).unwrap()
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_part_that_is_none() {
        for set in [
            "nonsense[",
            "harness",
            "harness=loud",
            "harness=",
            "=debug",
            "harness[x]=debug",
            "debug,,",
            "1",
            "harness=3",
        ] {
            let e = Filter::of(0, Some(set.into())).unwrap_err();
            assert_eq!(e.code(), Code::Usage, "{set}");
            assert!(e.what().contains("is neither a level nor MODULE=LEVEL"), "{set}: {e}");
        }
    }

    #[test]
    fn a_report_keeps_what_is_asked_of_whom_whatever_the_terminal_shows() {
        for (verbosity, set) in [(0, ""), (2, ""), (0, "hyper=trace"), (0, "error")] {
            let filter = filter(verbosity, set);
            assert!(filter.kept.unwrap().would_enable("harness::kube::asked", &Level::DEBUG), "{set}");
        }
        assert!(filter(0, "").shown.is_none());
        assert!(filter(2, "off").kept.is_none() && filter(2, "off").shown.is_none());
    }

    #[test]
    fn each_v_shows_more_and_a_filter_of_ones_own_is_added() {
        let shows = |verbosity, set, target, level| {
            filter(verbosity, set).shown.unwrap().would_enable(target, &level)
        };
        assert!(shows(1, "", "harness::cmd", Level::INFO));
        assert!(!shows(1, "", "harness::kube::asked", Level::DEBUG));
        assert!(shows(2, "", "harness::kube::asked", Level::DEBUG));
        assert!(!shows(2, "", PROGRESS, Level::DEBUG), "steps are on the terminal already");
        assert!(shows(0, "harness::kube=debug", "harness::kube::asked", Level::DEBUG));
        assert!(!shows(0, "harness::kube=debug", "harness::cmd", Level::INFO));
        assert!(
            shows(1, "rustls=trace", "harness::cmd", Level::INFO)
                && shows(1, "rustls=trace", "rustls", Level::TRACE)
        );
    }

    #[test]
    fn an_event_is_one_line_without_secrets() {
        let event = "$ sh -c 'a\nb' --token eyJhbGci.eyJpc3Mi.c2ln -----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\n";
        assert_eq!(one_line(event), "$ sh -c 'a\\nb' --token [removed] [removed]");
    }

    #[test]
    fn only_lines_of_others_that_pass_are_shown_again() {
        let shown = filter(1, "").shown.unwrap();
        let line = |name, level, target| format!("2026-11-26T06:37:53.123Z {name} {level} {target}: words");
        assert!(is_anothers(&line("handshake::a→b", "INFO ", "harness::cmd"), "xtask", &shown));
        assert!(!is_anothers(&line("xtask", "INFO ", "harness::cmd"), "xtask", &shown));
        assert!(!is_anothers(&line("handshake::a→b", "DEBUG", "harness::kube::asked"), "xtask", &shown));
        assert!(!is_anothers("torn", "xtask", &shown));
    }
}
