"""Runs the cases that every binding runs: bindings/conformance/README.md says what the steps are."""

import gzip
import hashlib
import itertools
import json
import os
import tempfile
import threading

import numpy as np

import selvedge
from selvedge import Cancel, Engine, Monitor, Options, Outbox, Profile, Retry, SelvedgeError, Source, Table, Telemetry

DTYPES = {
    "f32": np.float32, "f64": np.float64, "i8": np.int8, "u8": np.uint8, "i16": np.int16, "u16": np.uint16,
    "i32": np.int32, "u32": np.uint32, "i64": np.int64, "u64": np.uint64, "bool": np.bool_, "string": object,
}  # fmt: skip
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def lacks(case):
    """What a case needs and is not there."""
    variables = {"corpus": "SELVEDGE_CORPUS", "onnxruntime": "SELVEDGE_ONNXRUNTIME"}
    features = selvedge.features()
    return [n for n in case["needs"] if not (os.environ.get(variables[n]) if n in variables else n in features)]


class Runner:
    def __init__(self, repo, folder):
        self.paths = {
            "${REPO}": str(repo),
            "${TMP}": str(folder),
            "${SELVEDGE_CORPUS}": os.environ.get("SELVEDGE_CORPUS", ""),
        }
        with open(repo / "bindings/conformance/rows.json") as file:
            self.tables = json.load(file)
        self.things, self.told = {}, {}

    def case(self, case):
        for at, step in enumerate(case["steps"]):
            self.where = f"{case['name']}: step {at} ({step['op']})"
            self.step(step)
        for thing in self.things.values():
            if hasattr(thing, "close"):
                thing.close()

    def step(self, step):
        if len({i["name"] for i in step.get("inputs", [])}) < len(step.get("inputs", [])):
            return  # inputs are a dict here: no name comes twice
        try:
            got = getattr(self, step["op"])(step)
        except SelvedgeError as error:
            name = next(k for k in dir(selvedge.__dict__["errors"]) if getattr(selvedge.errors, k) is type(error))
            code = {"BackendError": "BACKEND"}.get(
                name, "".join("_" + c if c.isupper() else c.upper() for c in name)[1:]
            )
            assert step.get("error") == code, f"{self.where}: {code}: {error}"
            for part in step.get("message", []):
                assert part in str(error), f"{self.where}: expected '{part}' in '{error}'"
            return
        assert "error" not in step, f"{self.where}: expected {step['error']}, got {got}"
        if "expect" in step:
            self.match(step["expect"], got, step.get("tolerance", 0), "")

    def match(self, expected, got, tolerance, at):
        said = f"{self.where}{at}: expected {expected!r}, got {got!r}"
        if isinstance(expected, dict) and "$first" in expected:
            first = expected["$first"]
            self.match(first, got[: len(first)], tolerance, at)
        elif isinstance(expected, dict) and list(expected)[:1] and list(expected)[0].startswith("$"):
            ((kind, value),) = expected.items()
            has = lambda part: (part.encode() if isinstance(got, bytes) else part) in got  # noqa: E731
            assert {
                "$any": lambda: got is not None,
                "$min": lambda: got >= value,
                "$start": lambda: got.startswith(value),
                "$has": lambda: all(map(has, value)),
            }[kind](), said
        elif isinstance(expected, dict):
            assert isinstance(got, dict), said
            for name, value in expected.items():
                assert name in got, f"{self.where}{at}: {name} is not among {list(got)}"
                self.match(value, got[name], tolerance, f"{at}.{name}")
        elif isinstance(expected, list):
            assert len(expected) == len(got), said
            for i, (e, g) in enumerate(zip(expected, got)):
                self.match(e, g, tolerance, f"{at}[{i}]")
        elif isinstance(expected, float) or isinstance(got, float):
            assert abs(expected - got) <= max(tolerance, 1e-9 * abs(expected)), said
        else:
            assert expected == got, said

    # What steps take.

    def path(self, step, name="path"):
        path = step[name]
        for variable, value in self.paths.items():
            path = path.replace(variable, value)
        return path

    def keep(self, step, thing):
        self.things[step["as"]] = thing
        return thing

    def rows(self, step):
        return np.array(self.tables[step["rows"]][step.get("from", 0) : step.get("to")], np.float32).reshape(-1, 4)

    def terms(self, step):
        terms = {name: step[name] for name in ("id", "priority") if name in step}
        if "timeout_ms" in step:
            terms["timeout"] = step["timeout_ms"] / 1000
        if "cancel" in step:
            terms["cancel"] = self.things[step["cancel"]]
        if "cancel_after_ms" in step:
            terms["cancel"] = Cancel()
            threading.Timer(step["cancel_after_ms"] / 1000, terms["cancel"].set).start()
        return terms

    def inputs(self, step):
        def array(i):
            dtype = DTYPES[i["dtype"]]
            return (
                np.full(i["shape"], i["fill"], dtype) if "fill" in i else np.array(i["data"], dtype).reshape(i["shape"])
            )

        return {i["name"]: array(i) for i in step["inputs"]}

    # Engines.

    def open(self, step, source=None):
        options = dict(step.get("options", {}))
        if "onnxruntime" in options:
            options["onnxruntime"] = self.path(options, "onnxruntime")
        if "cancel" in options:
            options["cancel"] = self.things[options["cancel"]]
        engine = Engine.open(source or self.path(step), Options(**options))
        return self.keep(step, engine) if "as" in step else engine.close()

    def open_bytes(self, step):
        with open(self.path(step), "rb") as file:
            return self.open(step, Source.memory(file.read()))

    def open_file(self, step):
        path, before = self.path(step), step.get("prefix", 0)
        length = 0
        if before:
            with open(path, "rb") as file:
                data = file.read()
            path, length = f"{self.paths['${TMP}']}/part", len(data)
            with open(path, "wb") as file:
                file.write(bytes(before) + data + b"behind")
        with open(path, "rb") as file:
            return self.open(step, Source.file(file, before, length))

    def inspect(self, step):
        return selvedge.inspect(self.path(step))

    def validate(self, step):
        return selvedge.validate(self.path(step))

    def spec(self, step):
        return self.things[step["engine"]].spec

    def run(self, step):
        engine, inputs, terms = self.things[step["engine"]], self.inputs(step), self.terms(step)
        if step.get("into"):
            return self.run_into(step, engine, inputs, terms)
        return self.outputs(step, engine.run(inputs, step.get("outputs"), **terms))

    def start(self, step):
        run = self.things[step["engine"]].start(self.inputs(step), step.get("outputs"), **self.terms(step))
        return self.outputs(step, run.answer())

    def outputs(self, step, answer):
        if "answer" in step:
            self.match(step["answer"], answer.json, 0, ".answer")
        return [self.output(name, array, "data" in e) for (name, array), e in
                itertools.zip_longest(answer.outputs.items(), step.get("expect", []), fillvalue={})]  # fmt: skip

    def output(self, name, array, with_data):
        told = {"name": name, "dtype": NAMES[array.dtype], "shape": list(array.shape)}
        return {**told, "data": array.ravel().tolist()} if with_data else told

    def run_into(self, step, engine, inputs, terms):
        places = {e["name"]: np.zeros(e["shape"], DTYPES[e["dtype"]]) for e in step["expect"]}
        short = {name: array.ravel().view(np.uint8)[:-1].copy() for name, array in places.items()}
        short = {name: array.view(places[name].dtype) if array.nbytes % places[name].itemsize == 0 else
                 places[name].ravel()[:-1].copy() for name, array in short.items()}  # fmt: skip
        try:
            engine.run_into(inputs, short, **terms)
        except selvedge.InvalidArgument:
            pass
        else:
            raise AssertionError(f"{self.where}: too little room was no failure")
        return [self.output(name, array, True) for name, array in engine.run_into(inputs, places, **terms).items()]

    def generate(self, step):
        names = (
            "prompt", "messages", "tokens", "max_tokens", "stop", "seed", "temperature", "tool_choice", "tool_name",
            "thinking", "variables", "continue_last", "separate_reasoning", "logprobs", "top_logprobs", "ban", "adapters",
        )  # fmt: skip
        request = {name: step[name] for name in names if name in step}
        request["tools"] = [selvedge.Tool(**tool) for tool in step.get("tools", ())]
        request["documents"] = [selvedge.Document(**document) for document in step.get("documents", ())]
        request["bias"] = dict(step.get("bias", ()))
        for kind, form in step.get("grammar", {}).items():
            request["grammar"] = getattr(selvedge.Grammar, kind)(form)
        engine, terms = self.things[step["engine"]], self.terms(step)
        if "cancel_after_texts" in step:
            terms["cancel"] = Cancel()
        run, pieces, tokens, calls, done = engine.generate(**request, **terms), [], [], [], None
        for event in run:
            if isinstance(event, (selvedge.Text, selvedge.Reasoning, selvedge.CallPiece)):
                tokens += [token.id for token in event.tokens]
            if isinstance(event, selvedge.ToolCall):
                calls.append(event)
            elif isinstance(event, selvedge.Text):
                pieces.append(event.text)
                if len(pieces) == step.get("cancel_after_texts"):
                    terms["cancel"].set()
                if len(pieces) == step.get("take"):
                    return run.close()
            elif isinstance(event, selvedge.Done):
                done = event
        streamed, whole = run.answer(), engine.generate(**request, **terms).answer()
        assert streamed.text == whole.text == "".join(pieces), self.where
        assert streamed.tokens == whole.tokens == tokens, self.where
        assert streamed.tool_calls == whole.tool_calls == calls, self.where
        if "answer" in step:
            self.match(step["answer"], streamed.json, 0, ".answer")
        told = {"text": "".join(pieces), "tool_calls": [call._asdict() for call in calls]}
        return {**told, "finish": done.finish, "stop": done.stop, "output_tokens": done.output_tokens}

    def score(self, step):
        terms = {name: step[name] for name in ("messages", "tokens", "adapters") if name in step}
        scores = self.things[step["engine"]].score(step.get("prompt"), step["continuations"], **terms)
        return {name: array.tolist() for name, array in scores._asdict().items()}

    def rerank(self, step):
        ranking = self.things[step["engine"]].rerank(step["query"], step["documents"])
        return {name: array.tolist() for name, array in ranking._asdict().items()}

    def save_prefixes(self, step):
        return self.things[step["engine"]].save_prefixes(self.path(step))._asdict()

    def restore_prefixes(self, step):
        return self.things[step["engine"]].restore_prefixes(self.path(step))._asdict()

    def tokenize(self, step):
        return self.things[step["engine"]].tokenize(step.get("prompt"), messages=step.get("messages"))

    def detokenize(self, step):
        return self.things[step["engine"]].detokenize(step["tokens"])

    def render(self, step):
        return self.things[step["engine"]].render(step["messages"])

    def embed(self, step):
        vectors = self.things[step["engine"]].embed(step["texts"], raw=step.get("raw", False))
        return {"shape": list(vectors.shape), "data": vectors.ravel().tolist()}

    def trim(self, step):
        return self.things[step["engine"]].trim(step["level"])

    def cancel(self, step):
        made = self.keep(step, Cancel())
        return made.set() if step.get("set") else None

    def close(self, step):
        self.things[step["what"]].close()
        self.things[step["what"]].close()

    # Profiles and monitors.

    def fit(self, step):
        rows, names = self.rows(step), step.get("columns", self.tables["columns"])
        how = {name: step[name] for name in ("bins", "block", "categories", "seed", "sha256") if name in step}
        return self.keep(step, Profile.fit(rows, names=names, **how))

    def encode(self, step):
        data = self.things[step["profile"]].encode()
        with open(self.path(step), "wb") as file:
            file.write(data)
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def decode(self, step):
        return self.keep(step, Profile.load(self.path(step)))

    def profile_json(self, step):
        return self.things[step["profile"]].json

    def compare(self, step):
        return self.things[step["profile"]].compare(self.rows(step), names=self.tables["columns"])

    def telemetry(self, step):
        return self.keep(step, Telemetry(self.path(step)))

    def telemetry_status(self, step):
        return self.things[step["telemetry"]].status()

    def monitor(self, step):
        told = []
        profile = self.things[step["profile"]] if "profile" in step else None
        engine, telemetry = self.things[step["engine"]], self.things[step["telemetry"]]
        made = self.keep(step, Monitor(engine, telemetry, profile=profile, on_alert=told.append, **step["config"]))
        self.told[step["as"]] = told
        self.things[step["engine_as"]] = made.engine

    def run_rows(self, step):
        for id, row in enumerate(self.rows(step), step["first_id"]):
            self.things[step["engine"]].run({step["input"]: row.reshape(1, -1)}, id=id)

    def feedback(self, step):
        values = [value for value, times in step["values"] for _ in range(times)]
        name = {"class": "label", "correct": "correct"}[step["label"]]
        monitor = self.things[step["monitor"]]
        verdicts = [monitor.feedback(id, **{name: value}) for id, value in enumerate(values, step["first_id"])]
        return [[verdict, len(list(group))] for verdict, group in itertools.groupby(verdicts)]

    def tick(self, step):
        self.things[step["monitor"]].tick()

    def close_window(self, step):
        self.things[step["monitor"]].close_window()

    def alerts(self, step):
        told, polled = self.told[step["monitor"]], self.things[step["monitor"]].alerts()
        assert told == polled, f"{self.where}: told {told}, polled {polled}"
        told.clear()
        return [vars(alert) for alert in polled if alert.feature != "latency"]

    def report(self, step):
        report = self.things[step["monitor"]].report()
        report["alerts"] = [alert for alert in report["alerts"] if alert["feature"] != "latency"]
        return report

    def monitor_profile(self, step):
        return self.keep(step, self.things[step["monitor"]].profile())

    def story(self, step):
        return selvedge.report_html(self.path(step))

    # Sync.

    def outbox(self, step):
        options = dict(step["options"])
        options["interval"] = options.pop("interval_ms", 0) / 1000
        return self.keep(step, Outbox(self.things[step["telemetry"]], folder=self.path(step), **options))

    def batch(self, step):
        batch = self.keep(step, self.things[step["outbox"]].next_batch(step["max_bytes"]))
        if batch is None:
            return None
        if "same_as" in step:
            other = self.things[step["same_as"]]
            assert batch.json == other.json and batch.requests == other.requests, self.where
        read = {"gzip": gzip.decompress, "": bytes}
        requests = [{**vars(r), "body": read[r.content_encoding](r.body)} for r in batch.requests]
        return {"requests": requests, "json": batch.json}

    def retry(self, step):
        return Retry(**step["retry"]) if "retry" in step else None

    def judgement(self, made):
        return {**vars(made), "wait_ms": round(made.wait * 1000)}

    def begin(self, step):
        return self.judgement(self.things[step["outbox"]].begin(step["network"], self.retry(step)))

    def judge(self, step):
        response = dict(step["response"])
        response["body"] = response.get("body", "").encode()
        outbox, batch = self.things[step["outbox"]], self.things[step["batch"]]
        return self.judgement(outbox.judge(batch, step["index"], step["attempt"], retry=self.retry(step), **response))

    def ack(self, step):
        self.things[step["outbox"]].ack(self.things[step["batch"]])

    def refuse(self, step):
        self.things[step["outbox"]].refuse(self.things[step["batch"]], step["refused"])

    def split(self, step):
        return self.things[step["outbox"]].split(self.things[step["batch"]])

    def bisect(self, step):
        return self.things[step["outbox"]].bisect(self.things[step["batch"]])

    def outbox_status(self, step):
        return self.things[step["outbox"]].status()

    def reset_install_id(self, step):
        return self.things[step["outbox"]].reset_install_id()

    # Tables and packing.

    def table(self, step):
        table = Table(self.path(step), step["tensor"])
        if "as" in step:
            self.keep(step, table)
        return {"rows": table.shape[0], "width": table.shape[1]}

    def gather(self, step):
        return self.things[step["table"]].gather(step["ids"]).ravel().tolist()

    def pool(self, step):
        return self.things[step["table"]].pool(step["ids"], pool=step["pool"], normalize=step["normalize"]).tolist()

    def search(self, step):
        return [list(hit) for hit in self.things[step["table"]].search(step["query"], step["k"])]

    def pack(self, step):
        how = {"min_elements": step["min_elements"]} if "min_elements" in step else {}
        return selvedge.pack(self.path(step), self.path(step, "to"), step["scheme"], **how)


def run(repo, case):
    with tempfile.TemporaryDirectory() as folder:
        Runner(repo, folder).case(case)
