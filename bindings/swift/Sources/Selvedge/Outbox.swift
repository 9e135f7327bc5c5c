import CSelvedge
import Foundation

public enum Encoding: Int32, Sendable, Codable {
    case automatic = 0
    case identity = 1
    case gzip = 2
    case zstd = 3
}

/// How telemetry is posted.
public struct OutboxOptions: Sendable, Hashable, Codable {
    public var app: String
    public var appVersion: String?
    public var attributes: [String: String] = [:]
    /// Seconds that a point of a metric spans, at least.
    public var interval: Double?
    /// Rows below which a count does not leave the device.
    public var minCount: UInt64 = 0
    public var epsilon: Double = 0
    public var encoding: Encoding = .automatic
    public var exactCounts = false
    public var anyCount = false

    public init(app: String, appVersion: String? = nil) {
        self.app = app
        self.appVersion = appVersion
    }
}

/// How often it is tried again.
public struct Retry: Sendable, Hashable, Codable {
    public var attempts: UInt32 = 0
    public var onMetered = false
    /// Seconds.
    public var base: Double?
    public var cap: Double?

    public init() {}

    func raw() -> selvedge_retry {
        var raw: selvedge_retry = sized()
        raw.attempts = attempts
        raw.flags = onMetered ? 1 : 0
        raw.base_ms = milliseconds(base)
        raw.cap_ms = milliseconds(cap)
        return raw
    }
}

/// What the app knows of its network; empty: there is one, and it costs nothing.
public struct NetworkState: OptionSet, Sendable, Hashable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    public static let offline = NetworkState(rawValue: 1)
    public static let metered = NetworkState(rawValue: 2)
}

/// A request to post: Content-Type and Content-Encoding are to be sent as they stand here.
public struct HTTPRequest: Sendable, Hashable {
    public let path: String
    public let contentType: String
    /// nil: no such header.
    public let contentEncoding: String?
    public let body: Data
}

/// What came back. Status 0: nothing came.
public struct HTTPResponse: Sendable, Hashable {
    public var status: UInt32
    public var contentType: String?
    public var retryAfter: String?
    public var body: Data

    public init(status: UInt32, contentType: String? = nil, retryAfter: String? = nil, body: Data = Data()) {
        self.status = status
        self.contentType = contentType
        self.retryAfter = retryAfter
        self.body = body
    }
}

/// What to do after an answer.
public struct Judgement: Sendable, Hashable {
    public enum Decision: Sendable, Hashable {
        /// Post the next request; after the last of the batch: acknowledge it, with the sum of `refused`.
        case accepted
        /// Post the same request again after so many seconds.
        case wait(Double)
        /// Keep the batch and stop.
        case later
        /// Too large: split, and take the next batch.
        case split
        /// Refused for what it holds: bisect, and take the next batch.
        case drop
    }

    public let decision: Decision
    /// Records or points that the receiver did not take.
    public let refused: UInt64
    public let reason: String

    init(_ raw: selvedge_judgement) {
        switch number(of: raw.decision) {
        case 1: decision = .accepted
        case 2: decision = .wait(Double(raw.wait_ms) / 1000)
        case 4: decision = .split
        case 5: decision = .drop
        default: decision = .later
        }
        refused = raw.refused
        reason = string(raw.reason)
    }
}

/// What is posted at once. It outlives its outbox.
public final class Batch: Sendable {
    let handle: Handle

    init(_ raw: OpaquePointer?) {
        handle = Handle(raw) { _ = selvedge_batch_free($0) }
    }

    public func requests() throws(SelvedgeError) -> [HTTPRequest] {
        var count = 0
        var error: OpaquePointer?
        let status = selvedge_batch_request_count(handle.raw, &count, &error)
        try check(status, error)
        var all: [HTTPRequest] = []
        for index in 0..<count {
            var raw: selvedge_http_request = sized()
            let described = selvedge_batch_request(handle.raw, index, &raw, &error)
            try check(described, error)
            let encoding = string(raw.content_encoding)
            var body = Data()
            if let start = raw.body { body = Data(bytes: start, count: raw.body_len) }
            let request = HTTPRequest(
                path: string(raw.path), contentType: string(raw.content_type),
                contentEncoding: encoding.isEmpty ? nil : encoding, body: body)
            all.append(request)
        }
        return all
    }

    public func json() throws(SelvedgeError) -> JSONText {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_batch_json(handle.raw, &made, &error)
        try check(status, error)
        return JSONText(text: string(taking: made))
    }

    public func close() { handle.close() }
}

/// What is to be posted of a telemetry folder. A batch that is not acknowledged comes again.
public final class Outbox: Sendable {
    let handle: Handle

    /// `folder` holds the outbox's state: for the most part the telemetry's own.
    public init(_ telemetry: Telemetry, folder: String, options: OutboxOptions) throws(SelvedgeError) {
        let arena = Arena()
        let path = arena.text(folder)
        var raw: selvedge_outbox_options = sized()
        raw.app = arena.text(options.app)
        raw.app_version = arena.text(ifAny: options.appVersion)
        raw.attributes = arena.pairs(options.attributes)
        raw.attribute_count = options.attributes.count
        raw.interval_ms = milliseconds(options.interval)
        raw.min_count = options.minCount
        raw.epsilon = options.epsilon
        raw.encoding = cEnum(options.encoding.rawValue)
        raw.flags = (options.exactCounts ? 1 : 0) | (options.anyCount ? 2 : 0)
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_outbox_open(telemetry.handle.raw, path.data!, path.len, &raw, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        handle = Handle(made) { _ = selvedge_outbox_free($0) }
    }

    /// The next batch, of at most about `maxBytes` before it is encoded; nil when all was posted.
    public func nextBatch(maxBytes: Int = 1 << 20) throws(SelvedgeError) -> Batch? {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_outbox_next_batch(handle.raw, max(maxBytes, 0), &made, &error)
        try check(status, error)
        return made == nil ? nil : Batch(made)
    }

    /// Whether to begin to post now: accepted, or later.
    public func begin(_ network: NetworkState = [], retry: Retry = Retry()) throws(SelvedgeError) -> Judgement {
        var how = retry.raw()
        var raw: selvedge_judgement = sized()
        var error: OpaquePointer?
        let status = selvedge_outbox_begin(handle.raw, &how, network.rawValue, &raw, &error)
        try check(status, error)
        return Judgement(raw)
    }

    /// What to do after the answer to request `index`, tried for the `attempt`th time, from 1.
    public func judge(
        _ batch: Batch, index: Int, attempt: UInt32, _ response: HTTPResponse, retry: Retry = Retry()
    ) throws(SelvedgeError) -> Judgement {
        let arena = Arena()
        var how = retry.raw()
        var came: selvedge_http_response = sized()
        came.status = response.status
        came.content_type = arena.text(ifAny: response.contentType)
        came.retry_after = arena.text(ifAny: response.retryAfter)
        came.body = UnsafeRawPointer(arena.array([UInt8](response.body)))
        came.body_len = response.body.count
        var raw: selvedge_judgement = sized()
        var error: OpaquePointer?
        let status = selvedge_outbox_judge(
            handle.raw, batch.handle.raw, max(index, 0), attempt, &how, &came, &raw, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Judgement(raw)
    }

    /// Notes that a batch has arrived, durably.
    public func acknowledge(_ batch: Batch) throws(SelvedgeError) {
        var error: OpaquePointer?
        let status = selvedge_outbox_ack(handle.raw, batch.handle.raw, &error)
        try check(status, error)
    }

    /// The same, but `refused` points or log records were not taken, for good; UInt64.max is all of it.
    public func acknowledge(_ batch: Batch, refused: UInt64) throws(SelvedgeError) {
        var error: OpaquePointer?
        let status = selvedge_outbox_refuse(handle.raw, batch.handle.raw, refused, &error)
        try check(status, error)
    }

    /// Puts two smaller batches in the place of this one. False: it is one record, and stays; acknowledge it as refused.
    @discardableResult
    public func split(_ batch: Batch) throws(SelvedgeError) -> Bool {
        var halved: Int32 = 0
        var error: OpaquePointer?
        let status = selvedge_outbox_split(handle.raw, batch.handle.raw, &halved, &error)
        try check(status, error)
        return halved != 0
    }

    /// The same for a batch that was refused for what it holds, so that only what is at fault is lost. False also when the
    /// receiver takes nothing at all.
    @discardableResult
    public func bisect(_ batch: Batch) throws(SelvedgeError) -> Bool {
        var halved: Int32 = 0
        var error: OpaquePointer?
        let status = selvedge_outbox_bisect(handle.raw, batch.handle.raw, &halved, &error)
        try check(status, error)
        return halved != 0
    }

    public func status() throws(SelvedgeError) -> JSONText {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_outbox_status_json(handle.raw, &made, &error)
        try check(status, error)
        return JSONText(text: string(taking: made))
    }

    /// Draws another random install id, and gives it.
    @discardableResult
    public func resetInstallID() throws(SelvedgeError) -> String {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_outbox_reset_install_id(handle.raw, &made, &error)
        try check(status, error)
        return string(taking: made)
    }

    public func close() { handle.close() }
}
