import Foundation
import Selvedge

extension Runner {
    /// nil: not an op of this.
    func askOutbox(_ op: String, _ s: JSON) throws -> JSON? {
        switch op {
        case "outbox": try outbox(s)
        case "begin":
            var network: NetworkState = []
            if s["network"].texts.contains("offline") { network.insert(.offline) }
            if s["network"].texts.contains("metered") { network.insert(.metered) }
            return judged(try find(outboxes, s, "outbox").begin(network, retry: retry(s)))
        case "judge":
            let came = s["response"]
            let response = HTTPResponse(
                status: UInt32(came["status"].int ?? 0), contentType: came["content_type"].text,
                retryAfter: came["retry_after"].text, body: Data((came["body"].text ?? "").utf8))
            let judgement = try find(outboxes, s, "outbox").judge(
                find(batches, s, "batch"), index: s["index"].int ?? 0, attempt: UInt32(s["attempt"].int ?? 0), response,
                retry: retry(s))
            return judged(judgement)
        case "batch": return try batch(s)
        case "ack": try find(outboxes, s, "outbox").acknowledge(find(batches, s, "batch"))
        case "refuse":
            try find(outboxes, s, "outbox").acknowledge(find(batches, s, "batch"), refused: UInt64(s["refused"].int ?? 0))
        case "split": return .bool(try find(outboxes, s, "outbox").split(find(batches, s, "batch")))
        case "bisect": return .bool(try find(outboxes, s, "outbox").bisect(find(batches, s, "batch")))
        case "outbox_status": return try JSON.parse(find(outboxes, s, "outbox").status().text)
        case "reset_install_id": return .string(try find(outboxes, s, "outbox").resetInstallID())
        default: return nil
        }
        return .null
    }

    private func outbox(_ s: JSON) throws {
        let given = s["options"]
        let encodings: [String: Selvedge.Encoding] = ["identity": .identity, "gzip": .gzip, "zstd": .zstd]
        var options = OutboxOptions(app: given["app"].text ?? "", appVersion: given["app_version"].text)
        for (name, value) in given["attributes"].members { options.attributes[name] = value.text ?? "" }
        options.encoding = encodings[given["encoding"].text ?? ""] ?? .automatic
        if let time = given["interval_ms"].double { options.interval = time / 1000 }
        options.minCount = UInt64(given["min_count"].int ?? 0)
        options.epsilon = given["epsilon"].double ?? 0
        options.exactCounts = given["exact_counts"].flag
        options.anyCount = given["any_count"].flag
        outboxes[name(s)] = try Outbox(find(telemetries, s, "telemetry"), folder: path(s), options: options)
    }

    private func retry(_ s: JSON) -> Retry {
        var made = Retry()
        made.attempts = UInt32(s["retry"]["attempts"].int ?? 0)
        made.onMetered = s["retry"]["on_metered"].flag
        if let time = s["retry"]["base_ms"].double { made.base = time / 1000 }
        if let time = s["retry"]["cap_ms"].double { made.cap = time / 1000 }
        return made
    }

    private func judged(_ judgement: Judgement) -> JSON {
        var decision = "later"
        var wait = 0.0
        switch judgement.decision {
        case .accepted: decision = "accepted"
        case .wait(let seconds):
            decision = "wait"
            wait = (seconds * 1000).rounded()
        case .later: decision = "later"
        case .split: decision = "split"
        case .drop: decision = "drop"
        }
        return .object([
            "decision": .string(decision), "wait_ms": .number(wait), "refused": .number(Double(judgement.refused)),
            "reason": .string(judgement.reason),
        ])
    }

    private func batch(_ s: JSON) throws -> JSON {
        let most = s["max_bytes"].int ?? 1_048_576
        guard let next = try find(outboxes, s, "outbox").nextBatch(maxBytes: most) else { return .null }
        let requests = try next.requests().map { try request($0) }
        let got = JSON.object(["requests": .array(requests), "json": try JSON.parse(next.json().text)])
        if let other = s["same_as"].text, batchValues[other] != got {
            throw Failure("a batch that was not acknowledged came again as another one")
        }
        batches[name(s)] = next
        batchValues[name(s)] = got
        return got
    }

    /// Bytes as a text of one character each.
    private func request(_ request: HTTPRequest) throws -> JSON {
        var body = request.body
        if request.contentEncoding == "gzip" {
            let file = tmp.appendingPathComponent("body.gz")
            try body.write(to: file)
            body = try printed("gzip -dc '\(file.path)'")
        }
        return .object([
            "path": .string(request.path), "content_type": .string(request.contentType),
            "content_encoding": .string(request.contentEncoding ?? ""),
            "body": .string(String(data: body, encoding: .isoLatin1) ?? ""),
        ])
    }
}
