import CSelvedge

public enum Scheme: Int32, Sendable {
    case f16 = 1
    case int8 = 2
    case int4 = 3
}

/// How a model is packed. A pattern is a tensor's name in which * stands for any letters.
public struct PackOptions: Sendable {
    public var scheme: Scheme
    public var overwrite = false
    public var minElements: UInt64 = 0
    public var meanBits: Double = 0
    /// Patterns: only these are packed.
    public var only: [String] = []
    /// Patterns: these are kept as they are.
    public var keep: [String] = []
    /// Patterns: these get more bits.
    public var finer: [String] = []

    public init(_ scheme: Scheme) {
        self.scheme = scheme
    }
}

/// Packs an ONNX model into a smaller one at `path`, whole or not at all, and says what became of it.
public func pack(
    _ source: Source, to path: String, options: PackOptions, cancel: Cancel? = nil, onProgress: ProgressHandler? = nil
) throws(SelvedgeError) -> JSONText {
    let arena = Arena()
    var raw: selvedge_pack_options = sized()
    raw.scheme = cEnum(options.scheme.rawValue)
    raw.flags = options.overwrite ? 1 : 0
    raw.min_elements = options.minElements
    raw.mean_bits = options.meanBits
    raw.only = arena.texts(options.only)
    raw.only_count = options.only.count
    raw.keep = arena.texts(options.keep)
    raw.keep_count = options.keep.count
    raw.finer = arena.texts(options.finer)
    raw.finer_count = options.finer.count
    raw.cancel = cancel?.handle.raw
    let told = onProgress.map { Held<ProgressHandler>.retain($0) }
    if told != nil {
        raw.on_progress = { userData, done, total in tellProgress(userData, done, total) }
        raw.user_data = told
    }
    var from = source.raw(arena)
    let target = arena.text(path)
    var made: OpaquePointer?
    var error: OpaquePointer?
    let status = selvedge_pack(&from, target.data!, target.len, &raw, &made, &error)
    release(told)
    withExtendedLifetime(arena) {}
    try check(status, error)
    return JSONText(text: string(taking: made))
}
