//! The command `selvedge`. One file per subcommand, two more for `sync`, one for what `report` and `watch` share, and a folder for
//! `store`.
//!
//! Results go to standard output, errors to standard error as `error: …`. Nothing asks and nothing blinks: what it
//! prints on a terminal it prints into a pipe, but for the progress of long work.

mod arrays;
mod bench;
mod chat;
mod check;
mod drift;
mod evidence;
mod exit;
mod file;
mod header;
mod inspect;
mod load;
mod model;
mod pack;
mod poster;
mod print;
mod profile;
mod report;
mod rollout;
mod run;
mod store;
mod sync;
mod validate;
mod watch;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use exit::{DRIFT, FAILED, INTERRUPTED, NO, Outcome};

/// Runs model files, looks into them, gets them ready for the device, and tells what the device saw.
#[derive(Parser)]
#[command(name = "selvedge", version, arg_required_else_help = true, after_help = EXIT_CODES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Chat(chat::Chat),
    Run(run::Run),
    Bench(bench::Bench),
    Inspect(inspect::Inspect),
    Validate(validate::Validate),
    Pack(pack::Pack),
    Profile(profile::Profile),
    Drift(drift::Drift),
    Watch(watch::Watch),
    Report(report::Report),
    Evidence(evidence::Evidence),
    Sync(sync::Sync),
    Store(store::StoreCommand),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `validate`, the file is valid; for `sync`, everything was posted; for `drift`,
     there is none
  1  the answer is no: `validate` found the file invalid, `inspect`, `chat`, `run` and `bench`
     could not read it as a model or it does not do what was asked, `pack` could not read it as
     an ONNX model or found nothing in it to pack, or with --check an answer changed much,
     `evidence` found no alert that asks for retraining, `sync` leaves something for another
     time or had something refused, `store` does not trust a package or found it damaged
  2  the command was used wrongly, a file could not be opened, read or written, or
     `pack --check` could not compare
  3  `drift` found drift
130  Ctrl-C ended it";

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Chat(command) => command.run(),
        Command::Run(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Inspect(command) => command.run(),
        Command::Validate(command) => command.run(),
        Command::Pack(command) => command.run(),
        Command::Profile(command) => command.run(),
        Command::Drift(command) => command.run(),
        Command::Watch(command) => command.run(),
        Command::Report(command) => command.run(),
        Command::Evidence(command) => command.run(),
        Command::Sync(command) => command.run(),
        Command::Store(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| match error.downcast_ref::<io::Error>() {
        // Whoever read the output has seen enough, as in `selvedge inspect … | head`.
        Some(e) if e.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => {
            // It may quote names of a file.
            let lines: Vec<String> = format!("{error:#}").lines().map(|line| print::line(line, usize::MAX)).collect();
            eprintln!("error: {}", lines.join("\n"));
            ExitCode::from(code(&*error))
        }
    })
}

/// A file that is no good is an answer; a file that could not be read is a failure.
fn code(error: &(dyn Error + 'static)) -> u8 {
    match error.downcast_ref::<selvedge::Error>().map(selvedge::Error::code) {
        Some(selvedge::Code::Corrupt | selvedge::Code::Unsupported | selvedge::Code::Untrusted) => NO,
        Some(selvedge::Code::Cancelled) => INTERRUPTED,
        _ => FAILED,
    }
}
