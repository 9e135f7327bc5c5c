import CSelvedge
import Foundation

typealias Gone = @Sendable () -> Void

/// Where a model is.
public enum Source: @unchecked Sendable {
    case path(String)
    /// An open file, or `length` bytes of it from `offset` on; 0 is all that is left. It stays the caller's.
    case file(descriptor: Int32, offset: UInt64 = 0, length: UInt64 = 0)
    /// Bytes, which are copied once.
    case bytes(Data)
    /// Bytes of the app's, which must not change until `release` is called: once, by any thread, when a call with them has
    /// failed, or what it made uses them no more.
    case memory(UnsafeRawBufferPointer, release: @Sendable () -> Void)

    func raw(_ arena: Arena) -> selvedge_source {
        var raw: selvedge_source = sized()
        switch self {
        case .path(let path):
            raw.path = arena.text(path)
        case .file(let descriptor, let offset, let length):
            raw.kind = cEnum(1)
            raw.file = Int64(descriptor)
            raw.offset = offset
            raw.length = length
        case .bytes(let data):
            let block = UnsafeMutableRawPointer.allocate(byteCount: max(data.count, 1), alignment: 64)
            data.copyBytes(to: block.bindMemory(to: UInt8.self, capacity: max(data.count, 1)), count: data.count)
            let address = UInt(bitPattern: block)
            lend(&raw, UnsafeRawBufferPointer(start: block, count: data.count)) {
                UnsafeMutableRawPointer(bitPattern: address)?.deallocate()
            }
        case .memory(let bytes, let release):
            lend(&raw, bytes, release)
        }
        return raw
    }

    private func lend(
        _ raw: inout selvedge_source, _ bytes: UnsafeRawBufferPointer, _ gone: @escaping Gone
    ) {
        raw.kind = cEnum(2)
        raw.data = bytes.baseAddress
        raw.data_len = bytes.count
        raw.user_data = Held<Gone>.retain(gone)
        raw.release = { userData in
            Held<Gone>.value(userData)?()
            release(userData)
        }
    }
}

public enum Backend: String, Sendable, Codable, CaseIterable {
    /// By the file's content.
    case automatic
    case llama
    case ort
    case tract
    case table
    case rten

    var number: Int32 {
        switch self {
        case .automatic: return 0
        case .llama: return 1
        case .ort: return 2
        case .tract: return 3
        case .table: return 4
        case .rten: return 5
        }
    }
}

public enum Loading: String, Sendable, Codable {
    /// Pages come as they are touched.
    case mapped
    case read

    var number: Int32 { self == .mapped ? 0 : 1 }
}

/// How to open a model. What is not set is the library's choice.
public struct Options: Sendable, Codable, Hashable {
    public var backend: Backend = .automatic
    public var loading: Loading = .mapped
    public var threads: UInt32 = 0
    public var contextTokens: UInt32 = 0
    /// Runs side by side, for text.
    public var parallel: UInt32 = 0
    /// Bytes; more by estimate is an error before loading.
    public var memoryLimit: UInt64 = 0
    /// 64 hexadecimal digits: another model is an error.
    public var sha256: String?
    /// The path of the ONNX Runtime library.
    public var onnxruntime: String?
    public var sessionEntries: [String: String] = [:]
    public var noSymlinks = false
    public var searchPython = false
    /// LoRA adapters: paths of GGUF files by the names that requests use.
    public var adapters: [String: String] = [:]
    /// Of one computation of a prompt, where not `threads`.
    public var promptThreads: UInt32 = 0
    /// llama computes prompts and texts to embed with this library's products, for about the memory of its weights again.
    public var ownProducts = false
    /// The folder of what was measured: an ONNX model goes to the runtime that is fastest at it here.
    public var measurements: String?
    /// So many of the last layers of a GGUF model are computed on a GPU; `UInt32.max`: all.
    public var acceleratorLayers: UInt32 = 0
    /// The GPU's name, as llama.cpp has it, such as "Metal"; the first if not given.
    public var acceleratorDevice: String?

    public init() {}

    func raw(_ arena: Arena, _ cancel: Cancel?) throws(SelvedgeError) -> selvedge_options {
        var raw: selvedge_options = sized()
        raw.backend = cEnum(backend.number)
        raw.loading = cEnum(loading.number)
        raw.threads = threads
        raw.context_tokens = contextTokens
        raw.parallel = parallel
        raw.flags = noSymlinks ? 1 : 0
        if searchPython { raw.flags |= 2 }
        if ownProducts { raw.flags |= 4 }
        raw.memory_limit = memoryLimit
        raw.sha256 = arena.array(try digest(sha256))
        raw.onnxruntime = arena.text(ifAny: onnxruntime)
        raw.session_entries = arena.pairs(sessionEntries)
        raw.session_entry_count = sessionEntries.count
        raw.cancel = cancel?.handle.raw
        raw.adapters = arena.pairs(adapters)
        raw.adapter_count = adapters.count
        raw.prompt_threads = promptThreads
        raw.measurements = arena.text(ifAny: measurements)
        raw.accelerator_layers = acceleratorLayers
        raw.accelerator_device = arena.text(ifAny: acceleratorDevice)
        return raw
    }
}

/// The 32 bytes of a digest in hexadecimal; none of none.
func digest(_ hexadecimal: String?) throws(SelvedgeError) -> [UInt8] {
    guard let hexadecimal else { return [] }
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in hexadecimal {
        guard let digit = character.hexDigitValue else { break }
        if let before = high {
            bytes.append(before << 4 | UInt8(digit))
            high = nil
        } else {
            high = UInt8(digit)
        }
    }
    if bytes.count != 32 || hexadecimal.count != 64 {
        throw SelvedgeError(code: .invalidArgument, message: "sha256: expected 64 hexadecimal digits, got '\(hexadecimal)'")
    }
    return bytes
}

public enum Priority: Int32, Sendable, Codable {
    case background = -1
    case normal = 0
    case interactive = 1
}

/// The terms of one call.
public struct Call: Sendable {
    public var cancel: Cancel?
    /// Seconds.
    public var timeout: TimeInterval?
    /// The app's own number, for feedback.
    public var id: UInt64
    public var priority: Priority

    public init(id: UInt64 = 0, timeout: TimeInterval? = nil, cancel: Cancel? = nil, priority: Priority = .normal) {
        self.id = id
        self.timeout = timeout
        self.cancel = cancel
        self.priority = priority
    }

    func raw() -> selvedge_call {
        var raw: selvedge_call = sized()
        raw.cancel = cancel?.handle.raw
        raw.timeout_ms = milliseconds(timeout)
        raw.id = id
        raw.priority = cEnum(priority.rawValue)
        return raw
    }
}

/// At least one, where a time is given: 0 stands for none.
func milliseconds(_ seconds: TimeInterval?) -> UInt64 {
    guard let seconds, seconds.isFinite else { return 0 }
    return UInt64(min(max((seconds * 1000).rounded(), 1), 1e15))
}

/// What a model file holds, without opening it.
public func inspect(_ source: Source, options: Options = Options()) throws(SelvedgeError) -> JSONText {
    let arena = Arena()
    var how = try options.raw(arena, nil)
    var from = source.raw(arena)
    var made: OpaquePointer?
    var error: OpaquePointer?
    let status = selvedge_inspect(&from, &how, &made, &error)
    withExtendedLifetime(arena) {}
    try check(status, error)
    return JSONText(text: string(taking: made))
}

/// Whether all of the file is well formed and a backend takes it, without loading it.
public func validate(_ source: Source, options: Options = Options()) throws(SelvedgeError) {
    let arena = Arena()
    var how = try options.raw(arena, nil)
    var from = source.raw(arena)
    var error: OpaquePointer?
    let status = selvedge_validate(&from, &how, &error)
    withExtendedLifetime(arena) {}
    try check(status, error)
}
