import Foundation

/// What a monitor looks at.
public struct Probe: Sendable, Hashable, Codable {
    public var kind: String
    public var input: String?
    public var output: String?
    public var names: [String]?
    public var categories: [String]?
    public var softmax: Bool?
    public var binary: Bool?
    public var layout: String?
    public var sampleRate: UInt32?

    init(kind: String) {
        self.kind = kind
    }

    /// The columns of a tensor [rows, columns] of the request.
    public static func columns(input: String, names: [String], categories: [String]? = nil) -> Probe {
        var probe = Probe(kind: "columns")
        probe.input = input
        probe.names = names
        probe.categories = categories
        return probe
    }

    /// The same, of the answer.
    public static func columns(output: String, names: [String], categories: [String]? = nil) -> Probe {
        var probe = Probe(kind: "columns")
        probe.output = output
        probe.names = names
        probe.categories = categories
        return probe
    }

    /// Class, confidence and entropy of a tensor [rows, classes]. `softmax`: of logits; `binary`: of one probability a row.
    public static func classes(output: String, softmax: Bool? = nil, binary: Bool? = nil) -> Probe {
        var probe = Probe(kind: "classes")
        probe.output = output
        probe.softmax = softmax
        probe.binary = binary
        return probe
    }

    /// `layout`: "chw" or "hwc".
    public static func image(input: String, layout: String? = nil) -> Probe {
        var probe = Probe(kind: "image")
        probe.input = input
        probe.layout = layout
        return probe
    }

    public static func audio(input: String, sampleRate: UInt32) -> Probe {
        var probe = Probe(kind: "audio")
        probe.input = input
        probe.sampleRate = sampleRate
        return probe
    }

    public static func embeddings(output: String) -> Probe {
        var probe = Probe(kind: "embeddings")
        probe.output = output
        return probe
    }

    public static func tokens() -> Probe {
        Probe(kind: "tokens")
    }
}

/// How an engine is watched. What is nil is the library's choice.
public struct MonitorConfig: Sendable, Hashable, Codable {
    public struct FalseAlarm: Sendable, Hashable, Codable {
        public var windows: Double?
        public var everyS: Double?
        public var rowsPerS: Double?

        /// One in so many windows.
        public static func windows(_ windows: Double) -> FalseAlarm {
            FalseAlarm(windows: windows, everyS: nil, rowsPerS: nil)
        }

        /// One in so many seconds.
        public static func every(seconds: Double, rowsPerSecond: Double) -> FalseAlarm {
            FalseAlarm(windows: nil, everyS: seconds, rowsPerS: rowsPerSecond)
        }
    }

    /// What watches a stream: "latency", "errors" or "confidence"; of each stream one.
    public struct Detector: Sendable, Hashable, Codable {
        public var stream: String
        /// "adwin", "page_hinkley", "kswin" or "ddm".
        public var kind: String?
        public var delta: Double?
        public var clock: UInt32?
        public var threshold: Double?
        public var forgetting: Double?
        public var alpha: Double?
        public var window: UInt32?
        public var latest: UInt32?

        public init(stream: String, kind: String? = nil) {
            self.stream = stream
            self.kind = kind
        }
    }

    public var probe: [Probe]
    public var window: UInt64?
    public var timeCapS: Double?
    public var learn: UInt64?
    public var falseAlarm: FalseAlarm?
    /// Windows that must show it, of so many.
    public var persistence: [UInt32]?
    public var calm: UInt32?
    public var unlabelled: UInt64?
    /// Bounds by name: "p95_ms", "errors", "min_cases" and others.
    public var slo: [String: Double]?
    public var detectors: [Detector]?

    public init(_ probe: [Probe]) {
        self.probe = probe
    }

    /// The configuration as the library takes it.
    public func json() throws(SelvedgeError) -> JSONText {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        do {
            return JSONText(text: String(decoding: try encoder.encode(self), as: UTF8.self))
        } catch {
            throw SelvedgeError(code: .invalidArgument, message: "the configuration: \(error)")
        }
    }
}

/// The state of a model, of the parts that an app shows.
public struct MonitorReport: Sendable, Codable {
    public struct Totals: Sendable, Codable {
        public let requests: UInt64
        public let rows: UInt64
        public let windows: UInt64
    }

    public struct StandingAlert: Sendable, Codable {
        public let kind: String
        public let feature: String
        public let severity: String
        public let action: String
        public let since: UInt64
        public let evidence: String
    }

    public struct Estimate: Sendable, Codable {
        public let value: Double
        public let low: Double?
        public let high: Double?
    }

    public let model: String
    public let reference: String
    public let totals: Totals
    public let alerts: [StandingAlert]
    public let accuracy: Estimate?
    public let estimatedAccuracy: Estimate?
}
