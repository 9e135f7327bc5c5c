import Foundation
import Selvedge
import XCTest

/// The top folder: that of SELVEDGE_REPO, or the one that this package lies in.
let repo: URL = {
    if let given = ProcessInfo.processInfo.environment["SELVEDGE_REPO"] { return URL(fileURLWithPath: given) }
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<5 { folder.deleteLastPathComponent() }
    return folder
}()

let corpus: String? = ProcessInfo.processInfo.environment["SELVEDGE_CORPUS"]

/// Makes an empty folder, gives it to `use`, and removes it.
func withFolder(_ use: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("selvedge-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try use(folder)
}

/// Runs bindings/conformance/cases.json.
final class ConformanceTests: XCTestCase {
    func testCases() throws {
        let here = repo.appendingPathComponent("bindings/conformance")
        let cases = try JSON.parse(Data(contentsOf: here.appendingPathComponent("cases.json")))
        let tables = try JSON.parse(Data(contentsOf: here.appendingPathComponent("rows.json")))
        var ran = 0
        for one in cases["cases"].items {
            let name = one["name"].text ?? ""
            if let lack = lacking(one) {
                print("skipped, for there is no \(lack): \(name)")
                continue
            }
            ran += 1
            try withFolder { folder in runCase(name, one, tables, folder) }
        }
        print("conformance: \(ran) cases ran")
        XCTAssertGreaterThan(ran, 0)
    }

    private func lacking(_ one: JSON) -> String? {
        let environment = ProcessInfo.processInfo.environment
        for need in one["needs"].texts {
            if need == "corpus" && environment["SELVEDGE_CORPUS"] != nil { continue }
            if need == "onnxruntime" && environment["SELVEDGE_ONNXRUNTIME"] != nil { continue }
            if !Library.features.contains(need) { return need }
        }
        return nil
    }

    private func runCase(_ name: String, _ one: JSON, _ tables: JSON, _ folder: URL) {
        let runner = Runner(tables: tables, tmp: folder)
        let placed = one.mapTexts { text in
            text.replacingOccurrences(of: "${REPO}", with: repo.path)
                .replacingOccurrences(of: "${TMP}", with: folder.path)
                .replacingOccurrences(of: "${SELVEDGE_CORPUS}", with: corpus ?? "")
        }
        for (index, step) in placed["steps"].items.enumerated() {
            do {
                try runner.step(step)
            } catch {
                XCTFail("\(name), step \(index + 1) (\(step["op"].text ?? "")): \(error)")
                return
            }
        }
    }
}
