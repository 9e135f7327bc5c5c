import CSelvedge
import Foundation

/// Owns a handle of the C ABI, which is a number, so that it may go from thread to thread. To free one twice is harmless.
final class Handle: Sendable {
    private let bits: UInt
    private let free: @Sendable (OpaquePointer?) -> Void

    init(_ raw: OpaquePointer?, _ free: @escaping @Sendable (OpaquePointer?) -> Void) {
        self.bits = UInt(bitPattern: raw)
        self.free = free
    }

    deinit { close() }

    func close() { free(OpaquePointer(bitPattern: bits)) }

    /// For a call. A handle is never NULL: it comes from a call that went well.
    var raw: OpaquePointer { OpaquePointer(bitPattern: bits)! }
}

/// Memory of a request as the C ABI takes it; it lives until this goes.
final class Arena {
    private var blocks: [UnsafeMutableRawPointer] = []

    deinit {
        for block in blocks { block.deallocate() }
    }

    func text(_ string: String) -> selvedge_text {
        let bytes = Array(string.utf8)
        let block = allocate(bytes.count + 1, alignment: 1)
        bytes.withUnsafeBytes { from in
            if let start = from.baseAddress { block.copyMemory(from: start, byteCount: from.count) }
        }
        return selvedge_text(data: UnsafePointer(block.assumingMemoryBound(to: CChar.self)), len: bytes.count)
    }

    func text(ifAny string: String?) -> selvedge_text {
        guard let string else { return selvedge_text(data: nil, len: 0) }
        return text(string)
    }

    func texts(_ strings: [String]) -> UnsafePointer<selvedge_text>? {
        array(strings.map { text($0) })
    }

    func pairs(_ pairs: [String: String]) -> UnsafePointer<selvedge_pair>? {
        let names = pairs.keys.sorted()
        return array(names.map { selvedge_pair(name: text($0), value: text(pairs[$0] ?? "")) })
    }

    /// A copy of plain values; NULL for none.
    func array<T>(_ items: [T]) -> UnsafePointer<T>? {
        if items.isEmpty { return nil }
        let block = allocate(items.count * MemoryLayout<T>.stride, alignment: MemoryLayout<T>.alignment)
        let first = block.bindMemory(to: T.self, capacity: items.count)
        items.withUnsafeBufferPointer { from in
            if let start = from.baseAddress { first.initialize(from: start, count: from.count) }
        }
        return UnsafePointer(first)
    }

    private func allocate(_ bytes: Int, alignment: Int) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: alignment)
        blocks.append(block)
        return block
    }
}

/// A struct of the C ABI that begins with its size, all else of it zero.
func sized<T>(_ type: T.Type = T.self) -> T {
    let size = MemoryLayout<T>.stride
    let raw = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<T>.alignment)
    defer { raw.deallocate() }
    raw.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    raw.storeBytes(of: size, as: Int.self)
    return raw.load(as: T.self)
}

/// The number of a C enum. All of them are 32 bits, also where the library knows more of them than its header.
func number<T>(of value: T) -> Int32 {
    unsafeBitCast(value, to: Int32.self)
}

func cEnum<T>(_ number: Int32) -> T {
    unsafeBitCast(number, to: T.self)
}

func string(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
    guard let start, length > 0 else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}

func string(_ text: selvedge_text) -> String {
    string(text.data, text.len)
}

/// What is in a buffer, which is freed.
func data(taking buffer: OpaquePointer?) -> Data {
    var length = 0
    let start = selvedge_buffer_data(buffer, &length)
    let made = Data(bytes: start, count: length)
    _ = selvedge_buffer_free(buffer)
    return made
}

func string(taking buffer: OpaquePointer?) -> String {
    String(decoding: data(taking: buffer), as: UTF8.self)
}

/// Something of the app's that the C ABI holds as its `user_data`.
final class Held<Value: Sendable>: Sendable {
    let value: Value

    init(_ value: Value) {
        self.value = value
    }

    /// For `user_data`, until `release` is called with it.
    static func retain(_ value: Value) -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(Held(value)).toOpaque()
    }

    static func value(_ userData: UnsafeMutableRawPointer?) -> Value? {
        guard let userData else { return nil }
        return Unmanaged<Held<Value>>.fromOpaque(userData).takeUnretainedValue().value
    }
}

func release(_ userData: UnsafeMutableRawPointer?) {
    guard let userData else { return }
    Unmanaged<AnyObject>.fromOpaque(userData).release()
}

/// A JSON text of the library: as it is, or as a type of its own.
public struct JSONText: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    public var description: String { text }

    /// Names such as `time_cap_s` become `timeCapS`.
    public func decode<T: Decodable>(_ type: T.Type = T.self) throws(SelvedgeError) -> T {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(text.utf8))
        } catch {
            throw SelvedgeError(code: .defect, message: "\(type): \(error)")
        }
    }
}
