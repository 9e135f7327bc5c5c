import CSelvedge

/// A switch that ends the calls that carry it; it stays set.
public final class Cancel: Sendable {
    let handle: Handle

    public init() throws(SelvedgeError) {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_cancel_new(&made, &error)
        try check(status, error)
        handle = Handle(made) { _ = selvedge_cancel_free($0) }
    }

    public func set() {
        _ = selvedge_cancel_set(handle.raw)
    }

    public func close() { handle.close() }
}

/// How far a long call is: `done` of `total` units; `total` is 0 while it is not known. On any thread.
public typealias ProgressHandler = @Sendable (_ done: UInt64, _ total: UInt64) -> Void

func tellProgress(_ userData: UnsafeMutableRawPointer?, _ done: UInt64, _ total: UInt64) {
    Held<ProgressHandler>.value(userData)?(done, total)
}

public enum LogLevel: Int32, Sendable, Codable {
    case off = 0
    case error = 1
    case warn = 2
    case info = 3
    case debug = 4
    case trace = 5
}

public struct LogLine: Sendable, Hashable {
    public let level: LogLevel
    public let target: String
    public let message: String
}

typealias LogHandler = @Sendable (LogLine) -> Void

/// The library's log. One for the process.
public enum Log {
    /// Tells the lines up to a level, in the place of an earlier handler. They come from any thread.
    public static func set(_ level: LogLevel, _ tell: @escaping @Sendable (LogLine) -> Void) throws(SelvedgeError) {
        let held = Held<LogHandler>.retain(tell)
        var error: OpaquePointer?
        let status = selvedge_log_set(
            { userData, line in tellLog(userData, line) }, held, { userData in release(userData) }, cEnum(level.rawValue), &error)
        try check(status, error)
    }

    public static func stop() throws(SelvedgeError) {
        var error: OpaquePointer?
        let status = selvedge_log_set(nil, nil, nil, cEnum(LogLevel.off.rawValue), &error)
        try check(status, error)
    }
}

private func tellLog(_ userData: UnsafeMutableRawPointer?, _ line: UnsafePointer<selvedge_log_line>?) {
    guard let raw = line?.pointee else { return }
    let level = LogLevel(rawValue: number(of: raw.level)) ?? .trace
    let told = LogLine(level: level, target: string(raw.target), message: string(raw.message))
    Held<LogHandler>.value(userData)?(told)
}

/// What library this is.
public enum Library {
    public static var version: String { String(cString: selvedge_version()) }
    /// The features of this build, sorted.
    public static var features: [String] { String(cString: selvedge_features()).split(separator: ",").map(String.init) }
    public static var kernelName: String { String(cString: selvedge_kernel_name()) }
    /// Whether the library that was loaded has all that this package asks of it.
    public static var isCompatible: Bool { selvedge_abi_version() >> 16 == 1 }
}
