import CSelvedge

public typealias AlertHandler = @Sendable (Monitor.Alert) -> Void

/// Watches an engine: ask its `engine` in the place of the other one.
public final class Monitor: Sendable {
    let handle: Handle
    /// The watched engine. Give each call an id of its own for feedback to come.
    public let engine: Engine

    /// Engine, telemetry and profile may end before it. Alerts may be told on any thread.
    public convenience init(
        _ engine: Engine, telemetry: Telemetry, profile: Profile? = nil, config: MonitorConfig,
        onAlert: AlertHandler? = nil
    ) throws(SelvedgeError) {
        let json = try config.json()
        try self.init(engine, telemetry: telemetry, profile: profile, configJSON: json.text, onAlert: onAlert)
    }

    /// With a configuration as selvedge/monitor.h describes it.
    public init(
        _ watched: Engine, telemetry: Telemetry, profile: Profile? = nil, configJSON: String,
        onAlert: AlertHandler? = nil
    ) throws(SelvedgeError) {
        let arena = Arena()
        var options: selvedge_monitor_options = sized()
        options.config = arena.text(configJSON)
        options.profile = profile?.handle.raw
        if let onAlert {
            options.on_alert = { userData, alert in tellAlert(userData, alert) }
            options.user_data = Held<AlertHandler>.retain(onAlert)
            options.release = { userData in release(userData) }
        }
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_monitor_new(watched.handle.raw, telemetry.handle.raw, &options, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        let monitor = Handle(made) { _ = selvedge_monitor_free($0) }
        var inner: OpaquePointer?
        let second = selvedge_monitor_engine(monitor.raw, &inner, &error)
        try check(second, error)
        handle = monitor
        engine = Engine(handle: Handle(inner) { _ = selvedge_engine_close($0) })
    }

    /// The next alert, oldest first; nil when none is waiting.
    public func nextAlert() throws(SelvedgeError) -> Alert? {
        var raw: selvedge_alert = sized()
        var error: OpaquePointer?
        let status = selvedge_monitor_next_alert(handle.raw, &raw, &error)
        try check(status, error)
        return Alert(raw)
    }

    /// All alerts that are waiting.
    public func alerts() throws(SelvedgeError) -> [Alert] {
        var all: [Alert] = []
        while let alert = try nextAlert() {
            all.append(alert)
        }
        return all
    }

    /// Says what was right for the answer of an id.
    @discardableResult
    public func feedback(id: UInt64, _ label: Label) throws(SelvedgeError) -> Verdict {
        let kind: Int32
        let value: UInt32
        switch label {
        case .rightClass(let index):
            kind = 1
            value = index
        case .correct(let right):
            kind = 2
            value = right ? 1 : 0
        }
        var verdict: selvedge_label_verdict = cEnum(0)
        var error: OpaquePointer?
        let status = selvedge_monitor_feedback(handle.raw, id, cEnum(kind), value, &verdict, &error)
        try check(status, error)
        switch number(of: verdict) {
        case 1: return .unknown
        case 2: return .steady
        case 3: return .suspect
        case 4: return .drifted
        default: return .other
        }
    }

    /// Takes in what was recorded, and judges windows; for a timer, or before an app is suspended.
    public func tick() throws(SelvedgeError) {
        var error: OpaquePointer?
        let status = selvedge_monitor_tick(handle.raw, &error)
        try check(status, error)
    }

    /// The same, and closes the window that is open.
    public func closeWindow() throws(SelvedgeError) {
        var error: OpaquePointer?
        let status = selvedge_monitor_close_window(handle.raw, &error)
        try check(status, error)
    }

    public func report() throws(SelvedgeError) -> MonitorReport {
        try reportJSON().decode(MonitorReport.self)
    }

    public func reportJSON() throws(SelvedgeError) -> JSONText {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_monitor_report_json(handle.raw, &made, &error)
        try check(status, error)
        return JSONText(text: string(taking: made))
    }

    /// The profile that rows are compared with.
    public func profile() throws(SelvedgeError) -> Profile {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_monitor_profile(handle.raw, &made, &error)
        try check(status, error)
        return Profile(made)
    }

    /// The engine goes on being watched.
    public func close() { handle.close() }
}

extension Monitor {
    /// An alert, raised or cleared.
    public struct Alert: Sendable, Hashable {
        public enum Change: Sendable, Hashable {
            case raised
            case cleared
        }

        public enum Severity: Sendable, Hashable {
            case warning
            case critical
        }

        public enum Action: Sendable, Hashable {
            /// What comes in is broken: look at sensors and preparation.
            case checkPipeline
            /// The world is another: make a new model.
            case retrain
            /// The model is worse than it was: go back to the one before.
            case rollBack
            case other
        }

        public let change: Change
        public let severity: Severity
        public let action: Action
        /// The number of the window in which it was raised,
        public let since: UInt64
        /// and of the one in which this happened.
        public let at: UInt64
        public let kind: String
        public let feature: String
        public let evidence: String

        /// nil where none is waiting.
        init?(_ raw: selvedge_alert) {
            let event = number(of: raw.event)
            if event == 0 { return nil }
            change = event == 1 ? .raised : .cleared
            severity = number(of: raw.severity) == 2 ? .critical : .warning
            switch number(of: raw.action) {
            case 1: action = .checkPipeline
            case 2: action = .retrain
            case 3: action = .rollBack
            default: action = .other
            }
            since = raw.since
            at = raw.at
            kind = string(raw.kind)
            feature = string(raw.feature)
            evidence = string(raw.evidence)
        }
    }

    /// What was right for an answer.
    public enum Label: Sendable, Hashable {
        /// The right class.
        case rightClass(UInt32)
        /// Whether the answer was right.
        case correct(Bool)
    }

    /// What a label means.
    public enum Verdict: Sendable, Hashable {
        /// No answer of this id is waiting for feedback.
        case unknown
        case steady
        case suspect
        case drifted
        case other
    }
}

private func tellAlert(_ userData: UnsafeMutableRawPointer?, _ alert: UnsafePointer<selvedge_alert>?) {
    guard let raw = alert?.pointee, let told = Monitor.Alert(raw) else { return }
    Held<AlertHandler>.value(userData)?(told)
}
