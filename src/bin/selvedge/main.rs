//! The command `selvedge`. One file per subcommand.
//!
//! Results go to standard output, errors to standard error as `error: …`. Nothing asks and nothing blinks: what it
//! prints on a terminal it prints into a pipe, but for the progress of long work.

mod sync;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Posts what the device sealed.
#[derive(Parser)]
#[command(name = "selvedge", version, arg_required_else_help = true, after_help = EXIT_CODES, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Sync(sync::Sync),
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `sync`, everything was posted
  1  the answer is no: `sync` leaves something for another time
  2  the command was used wrongly, or a file could not be opened, read or written";

/// The command was done, and its answer is no.
const NO: u8 = 1;
/// It could not be done.
const FAILED: u8 = 2;

type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Sync(command) => command.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(FAILED)
    })
}
