//! Figures: ratios of rounds, and the lines that they are printed in.

/// One ratio per round.
#[derive(Default)]
pub(crate) struct Ratios(Vec<f64>);

impl Ratios {
    /// A round: how many times as fast ours was, from the times that both sides took for as much.
    pub(crate) fn speed(&mut self, ours: f64, theirs: f64) {
        self.0.push(theirs / ours);
    }

    /// A round: our time as a share of theirs.
    pub(crate) fn time(&mut self, ours: f64, theirs: f64) {
        self.0.push(ours / theirs);
    }

    /// Prints the median beside the least that it may be.
    pub(crate) fn at_least(self, name: &str, bar: f64) {
        self.print(name, ">=", bar);
    }

    /// Prints the median beside the most that it may be.
    pub(crate) fn at_most(self, name: &str, bar: f64) {
        self.print(name, "<=", bar);
    }

    /// Prints the median, where there is one.
    pub(crate) fn tell(mut self, name: &str) {
        if !self.0.is_empty() {
            println!("{name}: {:.3}", median(&mut self.0));
        }
    }

    fn print(mut self, name: &str, relation: &str, bar: f64) {
        let median = median(&mut self.0);
        println!("{name}: {} rounds, {:.3} to {:.3}", self.0.len(), self.0[0], self.0[self.0.len() - 1]);
        println!("RATIO {name} {median:.3} {relation}{bar}");
    }
}

/// Prints a time beside the most that it may be, both in milliseconds.
pub(crate) fn at_most_ms(name: &str, seconds: f64, bar: f64) {
    println!("RATIO {name}_ms {:.3} <={bar}", seconds * 1e3);
}

/// The median; leaves the values sorted.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The value that 99 of 100 do not exceed; leaves the values sorted.
pub(crate) fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99).div_ceil(100) - 1]
}

/// So many rounds, or as many as `SELVEDGE_BENCH_ROUNDS` says: fewer for a look, more on a busy machine.
pub(crate) fn rounds(usual: usize) -> usize {
    let asked = std::env::var("SELVEDGE_BENCH_ROUNDS").ok();
    asked.map_or(usual, |rounds| rounds.parse().expect("SELVEDGE_BENCH_ROUNDS: a number of rounds"))
}

/// Processor time that this process has had, ended threads included, in hundredths of a second; it says more than the clock where
/// others want the processor too. None on a system that does not tell.
pub(crate) fn processor_time() -> Option<f64> {
    let all = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = all.rsplit_once(')')?;
    let times = after_name.split_whitespace().skip(11).take(2);
    times.map(|time| time.parse::<f64>().ok()).sum()
}

/// What else ran on the machine: processes that wanted a core in the last minute.
pub(crate) fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
