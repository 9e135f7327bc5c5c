import CSelvedge

public enum DType: Int32, Sendable, CaseIterable {
    case f32 = 1
    case f16 = 2
    case bf16 = 3
    case i8 = 4
    case u8 = 5
    case i32 = 6
    case i64 = 7
    case bool = 8
    case f64 = 9
    case i16 = 10
    case u16 = 11
    case u32 = 12
    case u64 = 13
    case string = 14
}

/// What a tensor's elements can be, beside texts.
public protocol TensorElement: Sendable {
    static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .f32 } }
extension Double: TensorElement { public static var dtype: DType { .f64 } }
extension Int8: TensorElement { public static var dtype: DType { .i8 } }
extension UInt8: TensorElement { public static var dtype: DType { .u8 } }
extension Int16: TensorElement { public static var dtype: DType { .i16 } }
extension UInt16: TensorElement { public static var dtype: DType { .u16 } }
extension Int32: TensorElement { public static var dtype: DType { .i32 } }
extension UInt32: TensorElement { public static var dtype: DType { .u32 } }
extension Int64: TensorElement { public static var dtype: DType { .i64 } }
extension UInt64: TensorElement { public static var dtype: DType { .u64 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }

/// A named tensor, row-major. One that came out of an answer lies in that, uncopied, and can go into the next call.
public struct Tensor: Sendable {
    public let name: String
    public let dtype: DType
    /// The dimensions, outermost first.
    public let shape: [Int]
    let storage: any TensorStorage

    /// Without a shape: one dimension.
    public init<T: TensorElement>(_ name: String, _ elements: [T], shape: [Int]? = nil) {
        self.init(name, T.dtype, shape ?? [elements.count], ArrayStorage(elements: elements))
    }

    public init(_ name: String, strings: [String], shape: [Int]? = nil) {
        self.init(name, .string, shape ?? [strings.count], StringStorage(strings: strings))
    }

    /// The same tensor under another name.
    public init(_ name: String, _ tensor: Tensor) {
        self.init(name, tensor.dtype, tensor.shape, tensor.storage)
    }

    init(_ name: String, _ dtype: DType, _ shape: [Int], _ storage: any TensorStorage) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.storage = storage
    }

    /// A copy of the elements, of the type that the dtype says.
    public func elements<T: TensorElement>(_ type: T.Type = T.self) throws(SelvedgeError) -> [T] {
        if dtype != T.dtype { throw mismatch(T.dtype) }
        return withUnsafeBytes { bytes in Array(bytes.bindMemory(to: T.self)) }
    }

    public func strings() throws(SelvedgeError) -> [String] {
        if dtype != .string { throw mismatch(.string) }
        return storage.strings
    }

    /// The elements where they lie. Those of a string tensor are of no use here.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        storage.withBytes(body)
    }

    private func mismatch(_ expected: DType) -> SelvedgeError {
        SelvedgeError(code: .invalidArgument, message: "tensor '\(name)': expected \(expected), got \(dtype)")
    }
}

/// Where the elements of a tensor lie.
protocol TensorStorage: Sendable {
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R
    var strings: [String] { get }
}

struct ArrayStorage<T: TensorElement>: TensorStorage {
    let elements: [T]
    var strings: [String] { [] }

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        elements.withUnsafeBytes { bytes in body(bytes) }
    }
}

struct StringStorage: TensorStorage {
    let strings: [String]

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
}

/// Memory of an answer, which lives as long as its handle.
struct AnswerStorage: TensorStorage {
    let answer: Handle
    let start: UInt
    let count: Int

    func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        withExtendedLifetime(answer) {
            body(UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: start), count: count))
        }
    }

    var strings: [String] {
        withBytes { bytes in bytes.bindMemory(to: selvedge_text.self).map { string($0) } }
    }
}

/// Calls `body` with the tensors as the C ABI takes them. Their elements are not copied, but for texts.
func withRawTensors<R>(_ tensors: [Tensor], _ arena: Arena, _ body: ([selvedge_tensor]) -> R) -> R {
    pinned(tensors, [], arena, body)
}

private func pinned<R>(
    _ tensors: [Tensor], _ done: [selvedge_tensor], _ arena: Arena, _ body: ([selvedge_tensor]) -> R
) -> R {
    if done.count == tensors.count { return body(done) }
    let tensor = tensors[done.count]
    let name = arena.text(tensor.name)
    var raw: selvedge_tensor = sized()
    raw.name = name.data
    raw.name_len = name.len
    raw.dims = arena.array(tensor.shape.map { Int64($0) })
    raw.rank = tensor.shape.count
    raw.dtype = cEnum(tensor.dtype.rawValue)
    if tensor.dtype == .string {
        let texts = tensor.storage.strings
        raw.data = UnsafeRawPointer(arena.texts(texts))
        raw.byte_len = texts.count * MemoryLayout<selvedge_text>.stride
        return pinned(tensors, done + [raw], arena, body)
    }
    let described = raw
    return tensor.storage.withBytes { (bytes: UnsafeRawBufferPointer) -> R in
        var whole = described
        whole.data = bytes.baseAddress
        whole.byte_len = bytes.count
        return pinned(tensors, done + [whole], arena, body)
    }
}
