import CSelvedge
import Foundation

/// A column of a table.
public struct Column: Sendable {
    public enum Source: Int32, Sendable {
        case input = 0
        case predictedClass = 1
        case confidence = 2
        case entropy = 3
        case latency = 4
        case length = 5
    }

    let tensor: Tensor
    let texts: [String?]?
    let source: Source
    let category: Bool

    /// Numbers; NaN is missing. `category`: they are names of categories, not amounts.
    public init<T: TensorElement>(_ name: String, _ elements: [T], category: Bool = false, source: Source = .input) {
        self.tensor = Tensor(name, elements)
        self.texts = nil
        self.source = source
        self.category = category
    }

    /// Categories; nil is missing.
    public init(_ name: String, categories: [String?], source: Source = .input) {
        self.tensor = Tensor(name, strings: [])
        self.texts = categories
        self.source = source
        self.category = true
    }

    var count: Int { texts?.count ?? tensor.shape[0] }
}

/// Columns of the same length, and what goes with each row.
public struct Rows: Sendable {
    public var columns: [Column]
    /// Vectors of `embeddingWidth`, one after the other.
    public var embeddings: [Float] = []
    public var embeddingWidth = 0
    /// Whether the model was right.
    public var right: [Bool] = []

    public init(_ columns: [Column] = []) {
        self.columns = columns
    }

    var count: Int {
        columns.first?.count ?? (embeddingWidth == 0 ? 0 : embeddings.count / embeddingWidth)
    }

    /// The C ABI cannot see how long an array is.
    func checkLengths() throws(SelvedgeError) {
        for column in columns where column.count != count {
            throw wrong("column '\(column.tensor.name)'", column.count)
        }
        let (numbers, overflow) = count.multipliedReportingOverflow(by: embeddingWidth)
        if !embeddings.isEmpty && (overflow || embeddings.count != numbers) { throw wrong("embeddings", embeddings.count) }
        if !right.isEmpty && right.count != count { throw wrong("right", right.count) }
    }

    private func wrong(_ what: String, _ got: Int) -> SelvedgeError {
        SelvedgeError(code: .invalidArgument, message: "\(what): expected \(count) rows, got \(got) elements")
    }

    /// Calls `body` with the rows as the C ABI takes them; numbers are not copied.
    func withRawRows<R>(_ arena: Arena, _ body: (selvedge_rows) -> R) -> R {
        withRawTensors(columns.map { $0.tensor }, arena) { (tensors: [selvedge_tensor]) -> R in
            var raw: [selvedge_column] = []
            for (column, tensor) in zip(columns, tensors) { raw.append(rawColumn(column, tensor, arena)) }
            var rows: selvedge_rows = sized()
            rows.columns = arena.array(raw)
            rows.column_count = raw.count
            rows.row_count = count
            rows.embeddings = arena.array(embeddings)
            rows.embedding_width = embeddingWidth
            rows.right = arena.array(right.map { $0 ? UInt8(1) : UInt8(0) })
            return body(rows)
        }
    }
}

private func rawColumn(_ column: Column, _ tensor: selvedge_tensor, _ arena: Arena) -> selvedge_column {
    var raw: selvedge_column = sized()
    raw.name = arena.text(column.tensor.name)
    raw.data = tensor.data
    raw.dtype = cEnum(column.tensor.dtype.rawValue)
    raw.source = cEnum(column.source.rawValue)
    if let texts = column.texts {
        raw.data = UnsafeRawPointer(arena.array(texts.map { arena.text(ifAny: $0) }))
    } else if column.category {
        raw.flags = 1
    }
    return raw
}

/// How a profile is fitted. 0 is the library's default.
public struct Fit: Sendable, Hashable, Codable {
    public var bins: UInt32 = 0
    public var categories: UInt32 = 0
    public var seed: UInt32 = 0
    /// Rows that depend on one another; 1: none do; 0: estimated.
    public var block: UInt32 = 0
    /// Of the model, in hexadecimal.
    public var sha256: String?

    public init() {}
}

/// The distributions that a model was made for. Monitors made with it go on after it.
public final class Profile: Sendable {
    let handle: Handle

    init(_ raw: OpaquePointer?) {
        handle = Handle(raw) { _ = selvedge_profile_free($0) }
    }

    /// From the rows that a model was made for, in their order.
    public static func fit(_ rows: Rows, _ fit: Fit = Fit()) throws(SelvedgeError) -> Profile {
        try rows.checkLengths()
        let arena = Arena()
        var how: selvedge_fit = sized()
        how.bins = fit.bins
        how.categories = fit.categories
        how.seed = fit.seed
        how.block = fit.block
        how.sha256 = arena.array(try digest(fit.sha256))
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = rows.withRawRows(arena) { (raw: selvedge_rows) -> selvedge_status in
            var all = raw
            return selvedge_profile_fit(&all, &how, &made, &error)
        }
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Profile(made)
    }

    /// From the bytes that `encode` gave, on any machine.
    public static func decode(_ bytes: Data) throws(SelvedgeError) -> Profile {
        let arena = Arena()
        let copy = arena.array([UInt8](bytes) + [0])!
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_profile_decode(copy, bytes.count, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Profile(made)
    }

    /// For a file beside the model.
    public func encode() throws(SelvedgeError) -> Data {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_profile_encode(handle.raw, &made, &error)
        try check(status, error)
        return data(taking: made)
    }

    public func json() throws(SelvedgeError) -> JSONText {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_profile_json(handle.raw, &made, &error)
        try check(status, error)
        return JSONText(text: string(taking: made))
    }

    /// Whether these rows come from the world of the profile.
    public func compare(_ rows: Rows) throws(SelvedgeError) -> JSONText {
        try rows.checkLengths()
        let arena = Arena()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = rows.withRawRows(arena) { (raw: selvedge_rows) -> selvedge_status in
            var all = raw
            return selvedge_profile_compare(handle.raw, &all, &made, &error)
        }
        withExtendedLifetime(arena) {}
        try check(status, error)
        return JSONText(text: string(taking: made))
    }

    public func close() { handle.close() }
}

/// What `compare` says. A number that is not known is nil.
public struct Comparison: Sendable, Codable {
    public struct Feature: Sendable, Codable {
        public let name: String
        public let drifted: Bool
        public let p: Double?
        public let psi: Double?
    }

    public let rows: UInt64
    public let drifted: Bool
    public let features: [Feature]
}
