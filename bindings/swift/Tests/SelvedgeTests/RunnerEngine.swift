import Dispatch
import Foundation
import Selvedge

extension Runner {
    /// nil: not an op of this.
    func askEngine(_ op: String, _ s: JSON) throws -> JSON? {
        switch op {
        case "open", "open_bytes", "open_file": return try open(op, s)
        case "inspect": return try JSON.parse(inspect(.path(path(s)), options: options(s)).text)
        case "validate":
            try validate(.path(path(s)), options: options(s))
            return .null
        case "spec":
            let engine = try find(engines, s, "engine")
            let json = try engine.specJSON()
            if !s.has("error") { _ = try engine.spec() }
            return try JSON.parse(json.text)
        case "run": return try run(s)
        case "start": return try start(s)
        case "embed":
            let made = try find(engines, s, "engine").embed(s["texts"].texts, raw: s["raw"].flag, call: call(s))
            return try json(made.output("embedding"))
        case "trim":
            let level: Engine.TrimLevel = s["level"].text == "all" ? .all : .caches
            return .number(Double(try find(engines, s, "engine").trim(level)))
        case "cancel":
            let made = try Cancel()
            if s["set"].flag { made.set() }
            cancels[name(s)] = made
            return .null
        case "close": return try close(s)
        case "table":
            let table = try Table(.path(path(s)), tensor: s["tensor"].text ?? "")
            weights[name(s)] = table
            return .object(["rows": .number(Double(table.rows)), "width": .number(Double(table.width))])
        case "gather":
            let ids = s["ids"].doubles.map { UInt32($0) }
            return .array(try find(weights, s, "table").gather(ids).map { .number(Double($0)) })
        case "pool": return try pool(s)
        case "search":
            let query = s["query"].doubles.map { Float($0) }
            let hits = try find(weights, s, "table").search(query, k: s["k"].int ?? 0)
            return JSON.array(hits.map { JSON.array([JSON.number(Double($0.row)), JSON.number(Double($0.score))]) })
        case "pack":
            let schemes: [String: Scheme] = ["f16": .f16, "int8": .int8, "int4": .int4]
            var how = PackOptions(schemes[s["scheme"].text ?? ""] ?? .int8)
            how.minElements = UInt64(s["min_elements"].int ?? 0)
            return try JSON.parse(pack(.path(path(s)), to: path(s, "to"), options: how).text)
        default: return nil
        }
    }

    private func options(_ s: JSON) throws -> Options {
        let given = s["options"]
        var made = Options()
        if let name = given["backend"].text, let backend = Backend(rawValue: name) { made.backend = backend }
        if given["loading"].text == "read" { made.loading = .read }
        made.threads = UInt32(given["threads"].int ?? 0)
        made.contextTokens = UInt32(given["context_tokens"].int ?? 0)
        made.parallel = UInt32(given["parallel"].int ?? 0)
        made.promptThreads = UInt32(given["prompt_threads"].int ?? 0)
        made.memoryLimit = UInt64(given["memory_limit"].int ?? 0)
        made.sha256 = given["sha256"].text
        made.onnxruntime = given["onnxruntime"].text
        made.noSymlinks = given["no_symlinks"].flag
        return made
    }

    private func open(_ op: String, _ s: JSON) throws -> JSON {
        let cancel = s["options"].has("cancel") ? try find(cancels, s["options"], "cancel") : nil
        var source = Source.path(path(s))
        var file: FileHandle?
        if op == "open_bytes" {
            source = .bytes(try Data(contentsOf: URL(fileURLWithPath: path(s))))
        } else if op == "open_file" {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path(s)))
            let prefix = s["prefix"].int ?? 0
            let within = tmp.appendingPathComponent("within")
            var whole = Data(count: prefix)
            whole.append(bytes)
            if prefix != 0 { whole.append(Data("behind it".utf8)) }
            try whole.write(to: within)
            let opened = try FileHandle(forReadingFrom: within)
            let length = prefix == 0 ? 0 : bytes.count
            source = .file(descriptor: opened.fileDescriptor, offset: UInt64(prefix), length: UInt64(length))
            file = opened
        }
        let engine = try Engine(source, options: options(s), cancel: cancel)
        withExtendedLifetime(file) {}
        engines[name(s)] = engine
        return .bool(true)
    }

    func call(_ s: JSON) throws -> Call {
        var made = Call(id: UInt64(s["id"].int ?? 0))
        if let time = s["timeout_ms"].double { made.timeout = time / 1000 }
        if s.has("cancel") { made.cancel = try find(cancels, s, "cancel") }
        return made
    }

    private func run(_ s: JSON) throws -> JSON {
        let engine = try find(engines, s, "engine")
        let inputs = try s["inputs"].items.map { try tensor($0) }
        var terms = try call(s)
        if s["into"].flag { return try into(engine, inputs, s["expect"], terms) }
        if let time = s["cancel_after_ms"].int {
            let cancel = try Cancel()
            terms.cancel = cancel
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(time)) { cancel.set() }
        }
        let made = try engine.run(inputs, outputs: s["outputs"].texts, call: terms)
        answer = try JSON.parse(made.json().text)
        return .array(try made.outputs().map { try json($0) })
    }

    /// Memory of the caller's, as large as expected; and once too little, by a byte's worth of an element.
    private func into(_ engine: Engine, _ inputs: [Tensor], _ expected: JSON, _ terms: Call) throws -> JSON {
        var all: [JSON] = []
        for output in expected.items {
            let name = output["name"].text ?? ""
            let count = output["shape"].doubles.reduce(1) { $0 * Int($1) }
            guard output["dtype"].text == "f32" else { throw Failure("the runner puts only f32 into memory") }
            let memory = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
            memory.initialize(repeating: 0)
            defer { memory.deallocate() }
            do {
                let less = UnsafeMutableBufferPointer(start: memory.baseAddress, count: count - 1)
                _ = try engine.run(inputs, output: name, into: less, call: terms)
                throw Failure("an output fitted into too little memory")
            } catch let error as SelvedgeError {
                if error.code != .invalidArgument { throw error }
            }
            let shape = try engine.run(inputs, output: name, into: memory, call: terms)
            all.append(try json(Tensor(name, Array(memory), shape: shape)))
        }
        return .array(all)
    }

    private func start(_ s: JSON) throws -> JSON {
        let inputs = try s["inputs"].items.map { try tensor($0) }
        let run = try find(engines, s, "engine").start(inputs, outputs: s["outputs"].texts, call: call(s))
        if try run.text() != "" { throw Failure("a run of tensors gave text") }
        let made = try run.answer()
        answer = try JSON.parse(made.json().text)
        return .array(try made.outputs().map { try json($0) })
    }

    private func pool(_ s: JSON) throws -> JSON {
        let made = try find(weights, s, "table").pool(
            s["ids"].doubles.map { UInt32($0) }, s["pool"].text == "sum" ? .sum : .mean,
            weights: s.has("weights") ? s["weights"].doubles.map { Float($0) } : nil, normalize: s["normalize"].flag)
        return .array(made.map { .number(Double($0)) })
    }
}

func tensor(_ from: JSON) throws -> Tensor {
    let name = from["name"].text ?? ""
    let shape = from["shape"].doubles.map { Int($0) }
    let count = shape.reduce(1, *)
    let filled = from["fill"].double.map { [Double](repeating: $0, count: count) }
    let numbers = filled ?? from["data"].doubles
    switch from["dtype"].text ?? "" {
    case "string": return Tensor(name, strings: from["data"].texts, shape: shape)
    case "f32": return Tensor(name, numbers.map { Float($0) }, shape: shape)
    case "f64": return Tensor(name, numbers, shape: shape)
    case "bool": return Tensor(name, numbers.map { $0 != 0 }, shape: shape)
    case "i8": return Tensor(name, numbers.map { Int8($0) }, shape: shape)
    case "u8": return Tensor(name, numbers.map { UInt8($0) }, shape: shape)
    case "i16": return Tensor(name, numbers.map { Int16($0) }, shape: shape)
    case "u16": return Tensor(name, numbers.map { UInt16($0) }, shape: shape)
    case "i32": return Tensor(name, numbers.map { Int32($0) }, shape: shape)
    case "u32": return Tensor(name, numbers.map { UInt32($0) }, shape: shape)
    case "i64": return Tensor(name, numbers.map { Int64($0) }, shape: shape)
    case "u64": return Tensor(name, numbers.map { UInt64($0) }, shape: shape)
    default: throw Failure("the runner does not know the dtype \(from["dtype"].brief)")
    }
}

func json(_ tensor: Tensor) throws -> JSON {
    let data: [JSON]
    switch tensor.dtype {
    case .string: data = try tensor.strings().map { .string($0) }
    case .f32: data = try tensor.elements(Float.self).map { .number(Double($0)) }
    case .f64: data = try tensor.elements(Double.self).map { .number($0) }
    case .bool: data = try tensor.elements(Bool.self).map { .number($0 ? 1 : 0) }
    case .i8: data = try tensor.elements(Int8.self).map { .number(Double($0)) }
    case .u8: data = try tensor.elements(UInt8.self).map { .number(Double($0)) }
    case .i16: data = try tensor.elements(Int16.self).map { .number(Double($0)) }
    case .u16: data = try tensor.elements(UInt16.self).map { .number(Double($0)) }
    case .i32: data = try tensor.elements(Int32.self).map { .number(Double($0)) }
    case .u32: data = try tensor.elements(UInt32.self).map { .number(Double($0)) }
    case .i64: data = try tensor.elements(Int64.self).map { .number(Double($0)) }
    case .u64: data = try tensor.elements(UInt64.self).map { .number(Double($0)) }
    case .f16, .bf16: throw Failure("the runner does not read \(tensor.dtype)")
    }
    return .object([
        "name": .string(tensor.name), "dtype": .string("\(tensor.dtype)"),
        "shape": .array(tensor.shape.map { .number(Double($0)) }), "data": .array(data),
    ])
}
