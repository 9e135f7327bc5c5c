//! Two models of one app: one queue decides whose call is next, one budget of memory what is open.
//!
//! `cargo run --release -p selvedge-examples --example schedule [-- FIRST.onnx SECOND.onnx]`

use std::path::{Path, PathBuf};

use selvedge::backend::inspect;
use selvedge::layer::schedule::{Models, Schedule, ScheduleOptions};
use selvedge::{Ask, Call, DType, Engine, Error, Kind, Options, Priority, Result, Tensor, Tensors, open};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let rain = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/quickstart/rain.onnx"));
    let [first, second] = <[PathBuf; 2]>::try_from(given).unwrap_or([rain.clone(), rain]);

    // What each needs is known before it is opened. There is room for the larger of the two, not for both.
    let (first_needs, second_needs) = (estimate(&first)?, estimate(&second)?);
    let models = Models::new(first_needs.total().max(second_needs.total()));
    models.add("first", first_needs, move |cancel| open(&first, Options::new().cancel(cancel)))?;
    models.add("second", second_needs, move |cancel| open(&second, Options::new().cancel(cancel)))?;
    // Where the system tells, memory is given back when others need it.
    let _watch = models.watch_pressure().map_err(|e| eprintln!("{e}")).ok();

    // One run at a time over both; the user's calls go first, and nobody waits for ever.
    let schedule = Schedule::new(ScheduleOptions::new().at_once(1).capacity(16))?;
    let engines = [schedule.around(models.engine("first")?), schedule.around(models.engine("second")?)];
    std::thread::scope(|scope| {
        for (caller, engine) in (1..).zip(&engines) {
            for priority in [Priority::Background, Priority::Interactive] {
                scope.spawn(move || {
                    let call = Call::new().caller(caller).priority(priority);
                    match ask(&**engine, call) {
                        Ok(text) => println!("caller {caller}, {priority:?}: {text}"),
                        Err(e) => println!("caller {caller}, {priority:?}: {e}, retry after {:?}", e.retry_after()),
                    }
                });
            }
        }
    });
    let status = models.status();
    println!(
        "{} of {} bytes; opened {} times, {} are open",
        status.used,
        status.budget,
        status.opened,
        status.open.len()
    );
    println!("{:?}", schedule.status());
    Ok(())
}

fn estimate(path: &PathBuf) -> Result<selvedge::MemoryEstimate> {
    let inspection = inspect(path, &Options::new())?;
    let (_, estimate) = inspection.backends.into_iter().next().ok_or_else(|| none(path))?;
    estimate
}

fn none(path: &Path) -> Error {
    Error::new(selvedge::Code::Unsupported, format!("{}: no backend of this build takes it", path.display()))
}

/// Asks with zeros for all inputs.
fn ask(engine: &dyn Engine, call: Call) -> Result<String> {
    let zeros = engine.spec().inputs.iter().map(|port| {
        let Kind::Tensor { shape: Some(dims), dtype: DType::F32 } = &port.kind else {
            return Err(none(Path::new(&port.name)));
        };
        let dims: Vec<usize> = dims.iter().map(|dim| if let selvedge::Dim::Fixed(n) = dim { *n } else { 1 }).collect();
        Ok((port.name.clone(), Tensor::zeros(DType::F32, &dims)?))
    });
    let answer = engine.run_with(Tensors::new(zeros.collect::<Result<Vec<_>>>()?), call)?;
    let usage = answer.usage;
    Ok(format!("queued {:.1?}, opened in {:.1?}, computed in {:.1?}", usage.queued, usage.prepare, usage.compute))
}
