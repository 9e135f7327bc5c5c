import Foundation
import Selvedge

extension Runner {
    /// nil: not an op of this.
    func askMonitor(_ op: String, _ s: JSON) throws -> JSON? {
        switch op {
        case "telemetry": telemetries[name(s)] = try Telemetry(folder: path(s))
        case "telemetry_status": return try JSON.parse(find(telemetries, s, "telemetry").status().text)
        case "story": return .string(try reportHTML(folder: path(s)))
        case "fit":
            var how = Fit()
            how.bins = UInt32(s["bins"].int ?? 0)
            how.block = UInt32(s["block"].int ?? 0)
            how.seed = UInt32(s["seed"].int ?? 0)
            how.sha256 = s["sha256"].text
            profiles[name(s)] = try Profile.fit(rows(s), how)
        case "encode":
            let bytes = try find(profiles, s, "profile").encode()
            try bytes.write(to: URL(fileURLWithPath: path(s)))
            let sum = try printed("sha256sum < '\(path(s))' || shasum -a 256 < '\(path(s))'")
            let digest = String(String(decoding: sum, as: UTF8.self).prefix(64))
            return .object(["bytes": .number(Double(bytes.count)), "sha256": .string(digest)])
        case "decode":
            profiles[name(s)] = try Profile.decode(Data(contentsOf: URL(fileURLWithPath: path(s))))
        case "profile_json": return try JSON.parse(find(profiles, s, "profile").json().text)
        case "compare":
            let said = try find(profiles, s, "profile").compare(rows(s))
            let _: Comparison = try said.decode()
            return try JSON.parse(said.text)
        case "monitor": try monitor(s)
        case "run_rows": try runRows(s)
        case "feedback": return try feedback(s)
        case "tick": try find(monitors, s, "monitor").tick()
        case "close_window": try find(monitors, s, "monitor").closeWindow()
        case "alerts": return try alerts(s)
        case "report":
            let watched = try find(monitors, s, "monitor")
            _ = try watched.report()
            return try JSON.parse(watched.reportJSON().text)
        case "monitor_profile": profiles[name(s)] = try find(monitors, s, "monitor").profile()
        default: return nil
        }
        return .null
    }

    /// Rows of rows.json, and the names of their columns.
    private func table(_ s: JSON) -> (names: [String], rows: [[Float]]) {
        let all = tables[s["rows"].text ?? ""].items
        let part = all[(s["from"].int ?? 0)..<(s["to"].int ?? all.count)]
        return (tables["columns"].texts, part.map { row in row.doubles.map { Float($0) } })
    }

    private func rows(_ s: JSON) -> Rows {
        let (names, rows) = table(s)
        let wanted = s.has("columns") ? s["columns"].texts : names
        let categories = s["categories"].texts
        var columns: [Column] = []
        for (index, name) in names.enumerated() where wanted.contains(name) {
            columns.append(Column(name, rows.map { $0[index] }, category: categories.contains(name)))
        }
        return Rows(columns)
    }

    private func monitor(_ s: JSON) throws {
        let heard = Told()
        let profile = s.has("profile") ? try find(profiles, s, "profile") : nil
        let made = try Monitor(
            find(engines, s, "engine"), telemetry: find(telemetries, s, "telemetry"), profile: profile,
            configJSON: s["config"].written, onAlert: { alert in heard.add(alert) })
        if let name = s["engine_as"].text { engines[name] = made.engine }
        monitors[name(s)] = made
        told[name(s)] = heard
    }

    private func runRows(_ s: JSON) throws {
        let engine = try find(engines, s, "engine")
        let first = UInt64(s["first_id"].int ?? 0)
        for (index, row) in table(s).rows.enumerated() {
            let input = Tensor(s["input"].text ?? "", row, shape: [1, row.count])
            _ = try engine.run([input], call: Call(id: first + UInt64(index)))
        }
    }

    private func feedback(_ s: JSON) throws -> JSON {
        let watched = try find(monitors, s, "monitor")
        let names: [Monitor.Verdict: String] = [
            .unknown: "unknown", .steady: "steady", .suspect: "suspect", .drifted: "drifted",
        ]
        var id = UInt64(s["first_id"].int ?? 0)
        var verdicts: [(String, Int)] = []
        for pair in s["values"].items {
            let value = UInt32(pair.items[0].int ?? 0)
            for _ in 0..<(pair.items[1].int ?? 0) {
                let label: Monitor.Label = s["label"].text == "class" ? .rightClass(value) : .correct(value == 1)
                let verdict = names[try watched.feedback(id: id, label)] ?? "other"
                id += 1
                if let last = verdicts.last, last.0 == verdict {
                    verdicts[verdicts.count - 1].1 += 1
                } else {
                    verdicts.append((verdict, 1))
                }
            }
        }
        return JSON.array(verdicts.map { JSON.array([JSON.string($0.0), JSON.number(Double($0.1))]) })
    }

    private func alerts(_ s: JSON) throws -> JSON {
        let waiting = try find(monitors, s, "monitor").alerts()
        let heard = try find(told, s, "monitor").take()
        if waiting != heard { throw Failure("waiting: \(waiting), told: \(heard)") }
        return .array(waiting.filter { $0.feature != "latency" }.map { alertJSON($0) })
    }

    private func alertJSON(_ alert: Monitor.Alert) -> JSON {
        let actions: [Monitor.Alert.Action: String] = [
            .checkPipeline: "check_pipeline", .retrain: "retrain", .rollBack: "roll_back",
        ]
        let event = alert.change == .raised ? "raised" : "cleared"
        let severity = alert.severity == .critical ? "critical" : "warning"
        let action: String = actions[alert.action] ?? "other"
        return JSON.object([
            "event": JSON.string(event), "kind": JSON.string(alert.kind), "feature": JSON.string(alert.feature),
            "severity": JSON.string(severity), "action": JSON.string(action),
            "since": JSON.number(Double(alert.since)), "at": JSON.number(Double(alert.at)),
        ])
    }
}
