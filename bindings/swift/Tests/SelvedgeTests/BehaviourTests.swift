import Dispatch
import Foundation
import Selvedge
import XCTest

/// A number that threads count up together.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var counted = 0

    func add() {
        lock.lock()
        defer { lock.unlock() }
        counted += 1
    }

    var count: Int {
        lock.lock()
        defer { lock.unlock() }
        return counted
    }
}

/// What an app may do wrong, or early, or often.
final class BehaviourTests: XCTestCase {
    private var rainPath: String { repo.appendingPathComponent("examples/quickstart/rain.onnx").path }

    private func rain() throws -> Engine {
        try Engine(path: rainPath)
    }

    private let day = Tensor("weather", [2.5, 4.4, 2.2, 2.2] as [Float], shape: [1, 4])

    private func code(_ work: () throws -> Void) -> SelvedgeError.Code? {
        do {
            try work()
            return nil
        } catch let error as SelvedgeError {
            XCTAssertFalse(error.message.isEmpty)
            return error.code
        } catch {
            XCTFail("\(error)")
            return nil
        }
    }

    func testFirstAnswer() throws {
        let answer = try rain().run([day])
        let numbers: [Float] = try answer.output(0).elements()
        XCTAssertEqual(numbers.count, 1)
        XCTAssertEqual(numbers[0], 0.585324, accuracy: 1e-5)
    }

    func testClosedEngineIsABadHandle() throws {
        let engine = try rain()
        let answer = try engine.run([day])
        engine.close()
        engine.close()
        XCTAssertEqual(code { _ = try engine.run([day]) }, .badHandle)
        let kept: [Float] = try answer.output("rain_tomorrow").elements()
        XCTAssertEqual(kept.count, 1)
        XCTAssertEqual(code { let _: [Double] = try answer.output(0).elements() }, .invalidArgument)
        XCTAssertEqual(code { _ = try answer.output(7) }, .notFound)
        XCTAssertEqual(code { _ = try answer.output(-1) }, .notFound)
        XCTAssertEqual(code { _ = try answer.output("snow") }, .notFound)
    }

    func testOutputOutlivesAnswerAndEngine() throws {
        let output = try rain().run([day]).output(0)
        for _ in 0..<100 { _ = try rain().run([day]) }
        let numbers: [Float] = try output.elements()
        XCTAssertEqual(numbers.count, 1)
        XCTAssertEqual(numbers[0], 0.585324, accuracy: 1e-5)
    }

    func testProgressAndLog() throws {
        let told = Counter()
        _ = try Engine(.path(rainPath), onProgress: { _, _ in told.add() })
        XCTAssertGreaterThan(told.count, 0)
        let lines = Counter()
        try Log.set(.trace) { _ in lines.add() }
        _ = try Telemetry(folder: rainPath)  // no folder: it only counts, and says so
        try Log.stop()
        XCTAssertGreaterThan(lines.count, 0)
    }

    func testLentBytesAreReleasedOnce() throws {
        let released = Counter()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: rainPath))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        defer { memory.deallocate() }
        memory.copyBytes(from: bytes)
        do {
            let engine = try Engine(.memory(UnsafeRawBufferPointer(memory), release: { released.add() }))
            _ = try engine.run([day])
            engine.close()
        }
        XCTAssertEqual(released.count, 1)
    }

    func testThreadsShareAnEngine() throws {
        let engine = try rain()
        let day = self.day
        let answered = Counter()
        DispatchQueue.concurrentPerform(iterations: 400) { _ in
            if (try? engine.run([day])) != nil { answered.add() }
        }
        XCTAssertEqual(answered.count, 400)
    }

    func testTenThousandRounds() throws {
        let engine = try rain()
        for _ in 0..<2000 { try round(engine) }
        let before = resident()
        for _ in 0..<10_000 { try round(engine) }
        let grown = resident() - before
        print("10,000 rounds grew by \(grown) bytes")
        XCTAssertLessThan(grown, 3 << 19)
    }

    private func round(_ engine: Engine) throws {
        _ = try engine.run([day]).json()
        _ = try engine.start([day]).next()
        _ = code { _ = try engine.run([Tensor("wheather", [0] as [Float])]) }
    }

    /// Bytes of memory that are in use; 0 where the system does not say.
    private func resident() -> Int {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
    }

    private func story() throws -> (Engine, Generate) {
        guard let corpus, Library.features.contains("llama") else {
            throw XCTSkip("no language model: SELVEDGE_CORPUS is not set, or the library is without llama")
        }
        let engine = try Engine(path: corpus + "/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
        return (engine, Generate("Once upon a time", maxTokens: 2000))
    }

    func testTakeThreeThenDrop() async throws {
        let (engine, request) = try story()
        var pieces = 0
        for try await event in engine.events(request) {
            if event.kind == .text { pieces += 1 }
            if pieces == 3 { break }
        }
        XCTAssertEqual(pieces, 3)
        let after = try engine.generate(Generate("The capital of France is", maxTokens: 4)).text()
        XCTAssertTrue(after.hasPrefix(" Paris"))
    }

    func testTheStreamIsTheWhole() async throws {
        let (engine, _) = try story()
        let request = Generate("The capital of France is", maxTokens: 16)
        var text = ""
        var finish = Finish.none
        for try await event in engine.events(request) {
            text += event.text
            if event.kind == .done { finish = event.finish }
        }
        XCTAssertEqual(text, try engine.generate(request).text())
        XCTAssertEqual(finish, .length)
    }

    func testCancelledTaskEndsTheStream() async throws {
        let (engine, request) = try story()
        let first = Counter()
        let task = Task {
            for try await event in engine.events(request) where event.kind == .text { first.add() }
        }
        while first.count == 0 { try await Task.sleep(nanoseconds: 1_000_000) }
        task.cancel()
        _ = await task.result
        XCTAssertLessThan(first.count, 2000)
        let after = try engine.generate(Generate("The capital of France is", maxTokens: 2)).text()
        XCTAssertTrue(after.hasPrefix(" Paris"))
    }

    func testCancelSwitchEndsTheStream() async throws {
        let (engine, request) = try story()
        let cancel = try Cancel()
        var ended: SelvedgeError.Code?
        do {
            for try await event in engine.events(request, call: Call(cancel: cancel)) where event.kind == .text { cancel.set() }
        } catch let error as SelvedgeError {
            ended = error.code
        }
        XCTAssertEqual(ended, .cancelled)
    }

    func testErrorInMidStream() async throws {
        let (engine, request) = try story()
        var ended: SelvedgeError.Code?
        do {
            for try await _ in engine.events(request, call: Call(timeout: 0.3)) {}
        } catch let error as SelvedgeError {
            ended = error.code
        }
        XCTAssertEqual(ended, .deadlineExceeded)
    }

    func testErrorBeforeTheStream() async throws {
        let engine = try rain()
        var ended: SelvedgeError.Code?
        do {
            for try await _ in engine.events(Generate("Will it rain?")) {}
        } catch let error as SelvedgeError {
            ended = error.code
        }
        XCTAssertEqual(ended, .unsupported)
    }

    func testEngineClosedDuringAStream() throws {
        let (engine, _) = try story()
        let run = try engine.generate(Generate("The capital of France is", maxTokens: 8))
        _ = try run.next()
        engine.close()
        XCTAssertFalse(try run.text().isEmpty)
    }
}
