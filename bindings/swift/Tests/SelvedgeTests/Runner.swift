import Foundation
import Selvedge

/// Why a step did not do as it should.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Alerts that a callback was told.
final class Told: @unchecked Sendable {
    private let lock = NSLock()
    private var alerts: [Monitor.Alert] = []

    func add(_ alert: Monitor.Alert) {
        lock.lock()
        defer { lock.unlock() }
        alerts.append(alert)
    }

    func take() -> [Monitor.Alert] {
        lock.lock()
        defer { lock.unlock() }
        let all = alerts
        alerts = []
        return all
    }
}

/// A case in progress: what its steps made, by name.
final class Runner {
    let tables: JSON
    let tmp: URL
    var answer = JSON.null
    var engines: [String: Engine] = [:]
    var cancels: [String: Cancel] = [:]
    var telemetries: [String: Telemetry] = [:]
    var profiles: [String: Profile] = [:]
    var monitors: [String: Monitor] = [:]
    var told: [String: Told] = [:]
    var outboxes: [String: Outbox] = [:]
    var batches: [String: Batch] = [:]
    var batchValues: [String: JSON] = [:]
    var weights: [String: Table] = [:]

    init(tables: JSON, tmp: URL) {
        self.tables = tables
        self.tmp = tmp
    }

    func step(_ step: JSON) throws {
        let got: JSON
        do {
            got = try ask(step)
        } catch let error as SelvedgeError {
            try refused(step, error)
            return
        }
        if let expected = step["error"].text { throw Failure("expected \(expected), got \(got.brief)") }
        for (name, value) in [("expect", got), ("answer", answer)] where step.has(name) {
            if let wrong = difference(step[name], value, tolerance: step["tolerance"].double, at: name) { throw Failure(wrong) }
        }
    }

    private func refused(_ step: JSON, _ error: SelvedgeError) throws {
        guard let expected = step["error"].text else { throw Failure("error \(error.code.rawValue): \(error.message)") }
        if Runner.codes[expected] != error.code {
            throw Failure("expected \(expected), got \(error.code.rawValue): \(error.message)")
        }
        if error.message.isEmpty { throw Failure("an error without a message") }
        for part in step["message"].texts where !error.message.contains(part) {
            throw Failure("expected a message with '\(part)', got: \(error.message)")
        }
    }

    static let codes: [String: SelvedgeError.Code] = [
        "INVALID_ARGUMENT": .invalidArgument, "NOT_FOUND": .notFound, "UNSUPPORTED": .unsupported,
        "OUT_OF_MEMORY": .outOfMemory, "CANCELLED": .cancelled, "BUSY": .busy, "IO": .io, "CORRUPT": .corrupt,
        "BACKEND": .backend, "DEADLINE_EXCEEDED": .deadlineExceeded, "CONTEXT_FULL": .contextFull,
        "MISSING_RUNTIME": .missingRuntime, "BAD_HANDLE": .badHandle, "INTERNAL": .defect, "QUARANTINED": .quarantined,
        "UNTRUSTED": .untrusted, "PANIC": .panic,
    ]

    private func ask(_ s: JSON) throws -> JSON {
        let op = s["op"].text ?? ""
        if let got = try askEngine(op, s) { return got }
        if let got = try askText(op, s) { return got }
        if let got = try askMonitor(op, s) { return got }
        if let got = try askOutbox(op, s) { return got }
        throw Failure("the runner does not know the op '\(op)'")
    }

    /// What is kept under the name that a step's key says.
    func find<T>(_ all: [String: T], _ s: JSON, _ key: String) throws -> T {
        guard let name = s[key].text, let found = all[name] else { throw Failure("nothing is named \(s[key].brief)") }
        return found
    }

    func path(_ s: JSON, _ key: String = "path") -> String {
        s[key].text ?? ""
    }

    func name(_ s: JSON) -> String {
        s["as"].text ?? ""
    }

    func close(_ s: JSON) throws -> JSON {
        let name = s["what"].text ?? ""
        if let engine = engines[name] { return twice { engine.close() } }
        if let cancel = cancels[name] { return twice { cancel.close() } }
        if let telemetry = telemetries[name] { return twice { telemetry.close() } }
        if let profile = profiles[name] { return twice { profile.close() } }
        if let monitor = monitors[name] { return twice { monitor.close() } }
        if let outbox = outboxes[name] { return twice { outbox.close() } }
        if let batch = batches[name] { return twice { batch.close() } }
        if let table = weights[name] { return twice { table.close() } }
        throw Failure("nothing is named \(name)")
    }

    private func twice(_ close: () -> Void) -> JSON {
        close()
        close()
        return .null
    }
}

/// What a command prints.
func printed(_ command: String) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let all = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    if process.terminationStatus != 0 { throw Failure("failed: \(command)") }
    return all
}
