import CSelvedge
import Dispatch
import Foundation

/// A loaded model. Any number of threads may ask it at once; its calls block the one that makes them, but for `events`.
public final class Engine: Sendable {
    let handle: Handle

    /// Blocks until the model is loaded.
    public init(
        _ source: Source, options: Options = Options(), cancel: Cancel? = nil, onProgress: ProgressHandler? = nil
    ) throws(SelvedgeError) {
        let arena = Arena()
        var how = try options.raw(arena, cancel)
        let told = onProgress.map { Held<ProgressHandler>.retain($0) }
        if told != nil {
            how.on_progress = { userData, done, total in tellProgress(userData, done, total) }
            how.user_data = told
        }
        var from = source.raw(arena)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_open_source(&from, &how, &made, &error)
        release(told)
        withExtendedLifetime(arena) {}
        try check(status, error)
        handle = Handle(made) { _ = selvedge_engine_close($0) }
    }

    public convenience init(path: String, options: Options = Options()) throws(SelvedgeError) {
        try self.init(.path(path), options: options)
    }

    init(handle: Handle) {
        self.handle = handle
    }

    /// Calls and runs in flight go on to their end.
    public func close() { handle.close() }

    /// What the engine takes, gives, can do and costs.
    public func spec() throws(SelvedgeError) -> Spec {
        try specJSON().decode(Spec.self)
    }

    public func specJSON() throws(SelvedgeError) -> JSONText {
        var json: UnsafePointer<CChar>?
        var length = 0
        var error: OpaquePointer?
        let status = selvedge_engine_spec_json(handle.raw, &json, &length, &error)
        try check(status, error)
        return JSONText(text: string(json, length))
    }

    /// Runs tensors. `outputs`: the names that are wanted; none: all.
    public func run(_ inputs: [Tensor], outputs: [String] = [], call: Call = Call()) throws(SelvedgeError) -> Answer {
        let arena = Arena()
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = withRawTensors(inputs, arena) { (raw: [selvedge_tensor]) -> selvedge_status in
            var request = tensors(raw, outputs, arena)
            return selvedge_engine_run(handle.raw, &request, &terms, &made, &error)
        }
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Answer(made)
    }

    /// Runs tensors, puts one output into memory of the app's, and gives its shape.
    public func run<T: TensorElement>(
        _ inputs: [Tensor], output: String, into memory: UnsafeMutableBufferPointer<T>, call: Call = Call()
    ) throws(SelvedgeError) -> [Int] {
        let arena = Arena()
        var terms = call.raw()
        var error: OpaquePointer?
        var dims = [Int64](repeating: 0, count: 64)
        var wanted: selvedge_output = sized()
        wanted.name = arena.text(output)
        wanted.data = UnsafeMutableRawPointer(memory.baseAddress)
        wanted.capacity = memory.count * MemoryLayout<T>.stride
        wanted.dtype = cEnum(T.dtype.rawValue)
        let status = withRawTensors(inputs, arena) { (raw: [selvedge_tensor]) -> selvedge_status in
            dims.withUnsafeMutableBufferPointer { (room: inout UnsafeMutableBufferPointer<Int64>) -> selvedge_status in
                wanted.dims = room.baseAddress
                wanted.dim_capacity = room.count
                var request = tensors(raw, [], arena)
                return selvedge_engine_run_into(handle.raw, &request, &wanted, 1, &terms, &error)
            }
        }
        withExtendedLifetime(arena) {}
        try check(status, error)
        return dims.prefix(wanted.rank).map { Int($0) }
    }

    /// Starts to run tensors, to be pulled step by step.
    public func start(_ inputs: [Tensor], outputs: [String] = [], call: Call = Call()) throws(SelvedgeError) -> Run {
        let arena = Arena()
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = withRawTensors(inputs, arena) { (raw: [selvedge_tensor]) -> selvedge_status in
            var request = tensors(raw, outputs, arena)
            return selvedge_engine_start(handle.raw, &request, &terms, &made, &error)
        }
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Run(made)
    }

    /// Starts to generate text, to be pulled step by step.
    public func generate(_ request: Generate, call: Call = Call()) throws(SelvedgeError) -> Run {
        let arena = Arena()
        var raw = request.raw(arena)
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_generate(handle.raw, &raw, &terms, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Run(made)
    }

    /// Generates text on a thread of its own. To leave the loop, or to cancel the task, ends it.
    ///
    ///     for try await event in engine.events(Generate("Once upon a time")) { print(event.text, terminator: "") }
    public func events(_ request: Generate, call: Call = Call()) -> AsyncThrowingStream<Event, any Error> {
        let engine = self
        return AsyncThrowingStream<Event, any Error> { continuation in
            let run: Run
            do {
                run = try engine.generate(request, call: call)
            } catch {
                continuation.finish(throwing: error)
                return
            }
            continuation.onTermination = { _ in run.close() }
            DispatchQueue(label: "selvedge.run").async { run.tell(continuation) }
        }
    }

    /// One vector for each text: one output, "embedding", f32 [texts, dimensions]. `raw`: not scaled to length 1.
    public func embed(_ texts: [String], raw unscaled: Bool = false, call: Call = Call()) throws(SelvedgeError) -> Answer {
        let arena = Arena()
        var request: selvedge_embed = sized()
        request.texts = arena.texts(texts)
        request.text_count = texts.count
        request.flags = unscaled ? 1 : 0
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_embed(handle.raw, &request, &terms, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Answer(made)
    }

    public enum TrimLevel: Int32, Sendable {
        case caches = 1
        case all = 2
    }

    /// Gives memory back, for the system's warnings, and says how many bytes; the next call is slower.
    @discardableResult
    public func trim(_ level: TrimLevel) throws(SelvedgeError) -> UInt64 {
        var freed: UInt64 = 0
        var error: OpaquePointer?
        let status = selvedge_engine_trim(handle.raw, cEnum(level.rawValue), &freed, &error)
        try check(status, error)
        return freed
    }

    /// The tokens of the prompt, or of the rendered conversation.
    public func tokenize(_ request: Generate) throws(SelvedgeError) -> [UInt32] {
        let arena = Arena()
        var raw = request.raw(arena)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_tokenize(handle.raw, &raw, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        let bytes = data(taking: made)
        return bytes.withUnsafeBytes { (all: UnsafeRawBufferPointer) -> [UInt32] in
            stride(from: 0, to: all.count, by: 4).map { all.loadUnaligned(fromByteOffset: $0, as: UInt32.self) }
        }
    }

    public func detokenize(_ tokens: [UInt32]) throws(SelvedgeError) -> String {
        let arena = Arena()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_detokenize(handle.raw, arena.array(tokens), tokens.count, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return string(taking: made)
    }

    /// The conversation as the model sees it.
    public func render(_ request: Generate) throws(SelvedgeError) -> String {
        let arena = Arena()
        var raw = request.raw(arena)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_render(handle.raw, &raw, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return string(taking: made)
    }
}

private func tensors(_ inputs: [selvedge_tensor], _ outputs: [String], _ arena: Arena) -> selvedge_tensors {
    var request: selvedge_tensors = sized()
    request.inputs = arena.array(inputs)
    request.input_count = inputs.count
    request.outputs = arena.texts(outputs)
    request.output_count = outputs.count
    return request
}
