import CSelvedge

/// How much telemetry may take. 0 is the library's default.
public struct Limits: Sendable, Hashable, Codable {
    /// Of segments in the folder; the oldest go first.
    public var bytes: UInt64 = 0
    public var historyBytes: UInt64 = 0
    public var segmentBytes: UInt64 = 0
    public var lanes: UInt32 = 0
    public var slots: UInt32 = 0
    /// Outlive a loss of power, too.
    public var power = false

    public init() {}

    func raw() -> selvedge_limits {
        var raw: selvedge_limits = sized()
        raw.bytes = bytes
        raw.history_bytes = historyBytes
        raw.segment_bytes = segmentBytes
        raw.lanes = lanes
        raw.slots = slots
        raw.durability = cEnum(power ? 1 : 0)
        return raw
    }
}

/// An open telemetry folder. Monitors and outboxes made with it go on after it.
public final class Telemetry: Sendable {
    let handle: Handle

    /// A folder that cannot be used is no failure: `status` says why, and telemetry only counts.
    public init(folder: String, limits: Limits = Limits()) throws(SelvedgeError) {
        let arena = Arena()
        var raw = limits.raw()
        let path = arena.text(folder)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_telemetry_open(path.data!, path.len, &raw, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        handle = Handle(made) { _ = selvedge_telemetry_free($0) }
    }

    public func close() { handle.close() }

    public func status() throws(SelvedgeError) -> JSONText {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_telemetry_status_json(handle.raw, &made, &error)
        try check(status, error)
        return JSONText(text: string(taking: made))
    }
}

/// What happened on this device: a page of HTML that needs nothing else.
public func reportHTML(folder: String) throws(SelvedgeError) -> String {
    let arena = Arena()
    let path = arena.text(folder)
    var made: OpaquePointer?
    var error: OpaquePointer?
    let status = selvedge_report_html(path.data!, path.len, &made, &error)
    withExtendedLifetime(arena) {}
    try check(status, error)
    return string(taking: made)
}
