use super::*;

const STAT: &str = "cpu  100 10 50 800 20 1 4 15 7 0\ncpu0 1 2 3 4 5 6 7 8 9 0\ncpu1 1 2 3 4 5 6 7 8 9 0\nintr 5\n";
const PROCESS: &str = "42 (a (b) c) R 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20\n";

#[test]
fn ticks_are_read() {
    let ticks = Ticks::parse(STAT, PROCESS);
    // Guests are counted into user time by the system itself.
    assert_eq!(ticks, Some(Ticks { all: 1000, busy: 165, stolen: 15, own: 42 }));
    assert_eq!((Ticks::parse("", PROCESS), Ticks::parse(STAT, "42")), (None, None));
    assert_eq!(STAT.lines().filter(|line| is_core(line)).count(), 2);
}

#[test]
fn work_of_others_is_said() {
    let load = |others| Load { cores: 2, others, average: Some(1.5) };
    assert_eq!([0.05, 0.5].map(|others| load(Some(others)).is_alone()), [Some(true), Some(false)]);
    assert!(load(Some(0.05)).in_words().contains("beside nothing else on the machine"));
    assert!(load(Some(0.5)).in_words().contains("BESIDE OTHER WORK"), "{}", load(Some(0.5)).in_words());
    assert!(load(None).in_words().contains("not told"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_works_is_other_work_to_this_one() {
    let busy = |child: bool| {
        let watch = Watch::begin();
        let mut other =
            child.then(|| std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
        std::thread::sleep(std::time::Duration::from_secs(2));
        if let Some(other) = &mut other {
            other.kill().unwrap();
            other.wait().unwrap();
        }
        watch.end().others.unwrap()
    };
    // Others may work as well, so that nothing is known of a machine without the child.
    let with = busy(true);
    assert!(with > 0.15, "{with}");
}
