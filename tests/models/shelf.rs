//! Several real models within one budget of memory that holds two of them: each answers as it does alone, whoever was closed
//! for it.

use std::path::PathBuf;
use std::sync::Arc;

use selvedge::backend::inspect;
use selvedge::layer::schedule::{Models, Pressure, Schedule, ScheduleOptions};
use selvedge::{
    Answer, Ask, Call, Code, DType, Dim, Embed, Engine, Generate, Kind, MemoryEstimate, Options, Priority, Request,
    Tensor, Tensors,
};

use crate::corpus;

const FILES: [&str; 4] = [
    "mobilenetv2/mobilenetv2-7.onnx",
    "mnist-conv/model.onnx",
    "minilm-gguf/all-MiniLM-L6-v2-f16.gguf",
    "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
];

/// Those of the corpus that this build opens, with what each needs.
fn files() -> Vec<(PathBuf, MemoryEstimate)> {
    let options = options();
    let present = FILES.iter().filter_map(|file| corpus::path(file));
    let estimate = |path: &PathBuf| inspect(path, &options).unwrap().backends.into_iter().find_map(|(_, e)| e.ok());
    present.filter_map(|path| estimate(&path).map(|needs| (path, needs))).collect()
}

fn options() -> Options {
    Options::new().threads(1).context_tokens(256)
}

/// A question that the engine serves, the same each time.
fn request(engine: &dyn Engine) -> Request {
    let spec = engine.spec();
    if spec.abilities.generate {
        return Generate::text("The capital of France is").temperature(0.0).max_tokens(2).into();
    }
    if spec.abilities.embed {
        return Embed::new(["The weather is lovely today."]).into();
    }
    let tensors = spec.inputs.iter().map(|port| {
        let Kind::Tensor { dtype: DType::F32, shape: Some(dims) } = &port.kind else { panic!("{port}") };
        let dims: Vec<usize> = dims.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 }).collect();
        let values = (0..dims.iter().product()).map(|i: usize| (i % 13) as f32 * 0.1).collect();
        (port.name.clone(), Tensor::new(&dims, values).unwrap())
    });
    Tensors::new(tensors.collect::<Vec<_>>()).into()
}

/// Texts are equal; numbers differ at most as those of other batches do.
fn assert_same(got: &Answer, alone: &Answer) {
    assert_eq!((&got.text, got.outputs.len()), (&alone.text, alone.outputs.len()), "{}", alone.provenance.model);
    for ((name, got), (_, alone)) in got.outputs.iter().zip(&alone.outputs) {
        let (got, alone) = (got.as_slice::<f32>().unwrap(), alone.as_slice::<f32>().unwrap());
        assert!(got.len() == alone.len() && got.iter().zip(alone).all(|(a, b)| (a - b).abs() < 1e-3), "{name}");
    }
    assert_eq!((got.provenance.digest, got.provenance.backend), (alone.provenance.digest, alone.provenance.backend));
}

#[test]
fn real_models_take_turns_within_a_budget_that_holds_two() {
    let files = files();
    if files.len() < 2 {
        return;
    }
    let mut needs: Vec<u64> = files.iter().map(|(_, needs)| needs.total()).collect();
    needs.sort_unstable_by_key(|n| std::cmp::Reverse(*n));
    let budget = needs[0] + needs[1];
    let alone: Vec<Answer> = files
        .iter()
        .map(|(path, _)| {
            let engine = selvedge::open(path, options()).unwrap();
            engine.run(request(&*engine)).unwrap()
        })
        .collect();

    let (models, schedule) = (Models::new(budget), Schedule::new(ScheduleOptions::new()).unwrap());
    for (i, (path, needs)) in files.iter().enumerate() {
        let path = path.clone();
        models.add(format!("{i}"), *needs, move |cancel| selvedge::open(&path, options().cancel(cancel))).unwrap();
    }
    let engines: Vec<Arc<dyn Engine>> =
        (0..files.len()).map(|i| schedule.around(models.engine(&i.to_string()).unwrap())).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (engines, alone, models) = (&engines, &alone, &models);
            scope.spawn(move || {
                for round in 0..6 {
                    let i = (thread + round) % engines.len();
                    let priority = if thread == 0 { Priority::Interactive } else { Priority::Background };
                    let call = Call::new().caller(thread as u64).priority(priority);
                    let answer = engines[i].run_with(request(&*engines[i]), call).unwrap();
                    assert_same(&answer, &alone[i]);
                    assert_eq!(answer.provenance.route, ["schedule", "models"]);
                    assert!(models.status().used <= budget, "{:?}", models.status());
                }
            });
        }
    });
    let status = models.status();
    println!("{status:?}, {:?}", schedule.status());
    assert!(files.len() < 3 || status.evicted > 0, "there was room for all: {status:?}");
    assert!(models.pressure(Pressure::Critical) > 0);
    assert_eq!((models.status().used, models.status().open.len()), (0, 0));
    // Opened again, when it is asked.
    assert_same(&engines[0].run(request(&*engines[0])).unwrap(), &alone[0]);

    let small = Models::new(needs[0] - 1);
    let (path, largest) = files.iter().find(|(_, n)| n.total() == needs[0]).unwrap();
    let path = path.clone();
    let refused = small.add("largest", *largest, move |_| selvedge::open(&path, options())).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfMemory, "{refused}");
}
