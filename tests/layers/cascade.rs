//! The error rate that a threshold promises, on a real model's answers: will it rain tomorrow in Seattle and New York?

use selvedge::layer::cascade::Threshold;

/// Confidence and whether it was right, of 1,824 days: `tests/drift/delayed/make.py` asked `rain.onnx`.
fn answers() -> Vec<(f32, bool)> {
    let lines = include_str!("../drift/delayed/rows.csv").lines().filter(|line| line.starts_with("weather,"));
    let answer = |line: &str| {
        let column: Vec<&str> = line.split(',').collect();
        let p: f32 = column[2].parse().unwrap();
        (p.max(1.0 - p), (p > 0.5) == (column[4] == "1"))
    };
    lines.map(answer).collect()
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        (1..items.len()).rev().for_each(|i| items.swap(i, self.below(i + 1)));
    }
}

const SPLITS: usize = 500;

/// Over random splits: the mean share of requests that got a wrong answer, its standard error, and by how much the mean
/// share of escalations was foretold wrongly.
fn over_splits(held_out: usize, choose: impl Fn(&[(f32, bool)]) -> Threshold) -> (f64, f64, f64) {
    let (mut answers, mut chance) = (answers(), Chance(5));
    assert_eq!(answers.len(), 1824);
    let (mut wrong, mut foretold, mut escalated) = (Vec::new(), 0.0, 0.0);
    for _ in 0..SPLITS {
        chance.shuffle(&mut answers);
        let (held_out, asked) = answers.split_at(held_out);
        let threshold = choose(held_out);
        let accepted = asked.iter().filter(|(confidence, _)| threshold.accepts(*confidence));
        wrong.push(accepted.clone().filter(|(_, right)| !right).count() as f64 / asked.len() as f64);
        escalated += 1.0 - accepted.count() as f64 / asked.len() as f64;
        foretold += threshold.escalated.value;
    }
    let n = SPLITS as f64;
    let mean = wrong.iter().sum::<f64>() / n;
    let variance = wrong.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt(), (foretold - escalated) / n)
}

#[test]
fn the_stated_error_rate_holds_over_500_random_splits() {
    for (rate, held_out) in [(0.05, 600), (0.1, 600), (0.02, 600), (0.05, 50), (0.01, 200)] {
        let (mean, error, foretold) = over_splits(held_out, |held_out| Threshold::fit(held_out, rate).unwrap());
        println!("{rate} from {held_out}: {mean:.4} ± {error:.4}, escalations foretold {foretold:+.4} too many");
        assert!(mean <= rate + 3.0 * error, "{rate} from {held_out}: {mean} ± {error}");
        // And it is no lower than it need be: what is left is the rounding to whole answers.
        let step = 2.0 / (held_out as f64 + 1.0);
        assert!(mean >= rate - step - 3.0 * error, "{rate} from {held_out}: {mean} ± {error}");
        assert!(foretold.abs() < 0.02, "{rate} from {held_out}: {foretold}");
    }
}

#[test]
fn the_model_s_own_claim_does_not_hold_it() {
    // A threshold at which the confidences themselves promise the rate: the model is surer than it is right.
    let rate = 0.05;
    let (mean, error, _) = over_splits(600, |held_out| {
        let mut sure: Vec<f32> = held_out.iter().map(|(confidence, _)| *confidence).collect();
        sure.sort_by(|a, b| b.total_cmp(a));
        let n = sure.len() as f64;
        let mut claimed = 0.0;
        let fits = sure.iter().take_while(|confidence| {
            claimed += f64::from(1.0 - **confidence) / n;
            claimed <= rate
        });
        Threshold::fixed(fits.last().copied().unwrap_or(1.0))
    });
    assert!(mean > rate + 10.0 * error, "{mean} ± {error}");
}

#[cfg(feature = "tract")]
mod asked {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use selvedge::fake::Fake;
    use selvedge::layer::cascade::{Cascade, Check, Threshold, confidence};
    use selvedge::layer::probe::Classes;
    use selvedge::{Ask, Backend, Options, Tensor, Tensors, open};

    fn quickstart(file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart").join(file)
    }

    fn probe() -> Classes {
        Classes::of("rain_tomorrow")
    }

    /// Today's weather, and whether it rained tomorrow, in the order of [`super::answers`]: Seattle in 2015, then New York.
    fn days() -> Vec<([f32; 4], bool)> {
        let text = std::fs::read_to_string(quickstart("weather.csv")).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
        let weather = |line: &[&str]| [2, 3, 4, 5].map(|i| line[i].parse::<f32>().unwrap());
        let pairs = lines.windows(2).filter(|pair| pair[0][0] == pair[1][0]);
        let day = |pair: &[Vec<&str>]| (weather(&pair[0]), weather(&pair[1])[0] > 0.5);
        let of = |city: &str, year: &str| -> Vec<_> {
            pairs.clone().filter(|pair| pair[0][0] == city && pair[0][1] >= year).map(day).collect()
        };
        [of("Seattle", "2015"), of("New York", "")].concat()
    }

    #[test]
    fn a_real_model_asks_for_help_as_often_as_foretold() {
        let engine = open(quickstart("rain.onnx"), Options::new().backend(Backend::Tract).threads(1)).unwrap();
        let request = |day: &[f32; 4]| Tensors::from([("weather", Tensor::new(&[1, 4], day.to_vec()).unwrap())]);
        let days = days();
        let mut pairs = Vec::new();
        for ((day, rained), (expected, right)) in days.iter().zip(super::answers()) {
            let answer = engine.run(request(day)).unwrap();
            let rain = answer.output("rain_tomorrow").unwrap().as_slice::<f32>().unwrap()[0];
            let sure = confidence(&probe(), &answer).unwrap();
            assert!((sure - expected).abs() < 2e-6, "{sure}, {expected}");
            assert_eq!((rain > 0.5) == *rained, right);
            pairs.push((sure, right));
        }
        assert_eq!(pairs.len(), 1824);
        // Every other day is held out; the others are asked, and a clairvoyant stands behind the model.
        let held_out: Vec<(f32, bool)> = pairs.iter().copied().step_by(2).collect();
        let threshold = Threshold::fit(&held_out, 0.05).unwrap();
        let truth: Arc<Vec<([f32; 4], bool)>> = Arc::new(days.clone());
        let spec = engine.spec();
        let clairvoyant = Fake::tensors(spec.inputs.clone(), spec.outputs.clone(), move |inputs| {
            let day = inputs[0].as_ref().unwrap().as_slice::<f32>()?.to_vec();
            let rained = truth.iter().any(|(weather, rained)| *rained && weather[..] == day[..]);
            Tensor::new(&[1, 1], vec![f32::from(u8::from(rained))]).map(|y| vec![y])
        });
        let clairvoyant = clairvoyant.name("clairvoyant").build();
        let cascade =
            Cascade::builder().stage(engine, [Check::confident(probe(), threshold)]).build(clairvoyant).unwrap();
        let (mut wrong, mut asked) = (0, 0);
        for (day, rained) in days.iter().skip(1).step_by(2) {
            let answer = cascade.run(request(day)).unwrap();
            let rain = answer.output("rain_tomorrow").unwrap().as_slice::<f32>().unwrap()[0];
            wrong += usize::from((rain > 0.5) != *rained);
            asked += 1;
        }
        let status = cascade.status();
        let escalated = status.stages[1].asked as f64 / asked as f64;
        println!("{wrong} of {asked} wrong, {escalated:.3} escalated, {:?} foretold", threshold.escalated);
        assert!((wrong as f64) < 0.07 * asked as f64, "{wrong} of {asked}");
        assert!((escalated - threshold.escalated.value).abs() < 0.06, "{escalated}, {threshold:?}");
        assert_eq!(status.stages[0].refused, [("confident".to_string(), status.stages[1].asked)]);
    }
}
