import CSelvedge

/// A row that was found, and its inner product with the query.
public struct Hit: Sendable, Hashable {
    public let row: UInt32
    public let score: Float
}

public enum Pooling: Int32, Sendable {
    case mean = 0
    case sum = 1
}

/// Rows of numbers in a safetensors or GGUF file, read as they are asked for.
public final class Table: Sendable {
    let handle: Handle
    public let rows: Int
    /// Numbers of a row.
    public let width: Int

    public init(_ source: Source, tensor: String, loading: Loading = .mapped) throws(SelvedgeError) {
        let arena = Arena()
        var from = source.raw(arena)
        let name = arena.text(tensor)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_table_open(&from, name.data!, name.len, cEnum(loading.number), &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        let table = Handle(made) { _ = selvedge_table_free($0) }
        var height: UInt64 = 0
        var breadth: UInt64 = 0
        let shape = selvedge_table_shape(table.raw, &height, &breadth, &error)
        try check(shape, error)
        handle = table
        rows = Int(height)
        width = Int(breadth)
    }

    /// The rows of `ids`, one after the other.
    public func gather(_ ids: [UInt32]) throws(SelvedgeError) -> [Float] {
        var out = [Float](repeating: 0, count: ids.count * width)
        let length = out.count
        var error: OpaquePointer?
        let status = selvedge_table_gather(handle.raw, ids, ids.count, &out, length, &error)
        try check(status, error)
        return out
    }

    /// The mean or sum of the rows of `ids`; weights go with a sum.
    public func pool(
        _ ids: [UInt32], _ pooling: Pooling = .mean, weights: [Float]? = nil, normalize: Bool = false
    ) throws(SelvedgeError) -> [Float] {
        if let weights, weights.count != ids.count {
            throw SelvedgeError(
                code: .invalidArgument, message: "weights: expected \(ids.count), one for each id, got \(weights.count)")
        }
        let arena = Arena()
        var out = [Float](repeating: 0, count: width)
        let length = out.count
        var error: OpaquePointer?
        let status = selvedge_table_pool(
            handle.raw, ids, ids.count, cEnum(pooling.rawValue), arena.array(weights ?? []), normalize ? 1 : 0, &out,
            length, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return out
    }

    /// The `k` rows whose inner product with the query is greatest, best first.
    public func search(_ query: [Float], k: Int) throws(SelvedgeError) -> [Hit] {
        let most = min(max(k, 0), rows)
        var hits = [selvedge_hit](repeating: selvedge_hit(row: 0, score: 0), count: most)
        var found = 0
        var error: OpaquePointer?
        let status = selvedge_table_search(handle.raw, query, query.count, most, &hits, &found, &error)
        try check(status, error)
        return hits.prefix(found).map { Hit(row: $0.row, score: $0.score) }
    }

    public func close() { handle.close() }
}
