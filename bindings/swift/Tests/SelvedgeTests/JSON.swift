import Foundation

/// A JSON value of bindings/conformance/cases.json, or of an answer.
enum JSON: Decodable, Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let number = try? value.decode(Double.self) {
            self = .number(number)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else if let array = try? value.decode([JSON].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    static func parse(_ data: Data) throws -> JSON {
        try JSONDecoder().decode(JSON.self, from: data)
    }

    static func parse(_ text: String) throws -> JSON {
        try parse(Data(text.utf8))
    }

    subscript(key: String) -> JSON {
        if case .object(let members) = self { return members[key] ?? .null }
        return .null
    }

    func has(_ key: String) -> Bool {
        if case .object(let members) = self { return members[key] != nil }
        return false
    }

    var items: [JSON] {
        if case .array(let items) = self { return items }
        return []
    }

    var members: [String: JSON] {
        if case .object(let members) = self { return members }
        return [:]
    }

    var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    var double: Double? {
        if case .number(let number) = self { return number }
        return nil
    }

    var int: Int? { double.map { Int($0) } }
    var flag: Bool { self == .bool(true) }
    var texts: [String] { items.compactMap { $0.text } }
    var doubles: [Double] { items.compactMap { $0.double } }

    /// The same, with `replace` applied to each text in it.
    func mapTexts(_ replace: (String) -> String) -> JSON {
        switch self {
        case .string(let text): return .string(replace(text))
        case .array(let items): return .array(items.map { $0.mapTexts(replace) })
        case .object(let members): return .object(members.mapValues { $0.mapTexts(replace) })
        default: return self
        }
    }

    /// As JSON, with the keys in order.
    var written: String {
        switch self {
        case .null: return "null"
        case .bool(let bool): return bool ? "true" : "false"
        case .number(let number):
            if number == number.rounded() && abs(number) < 1e15 { return String(Int(number)) }
            return String(number)
        case .string(let text): return JSON.quoted(text)
        case .array(let items): return "[" + items.map { $0.written }.joined(separator: ",") + "]"
        case .object(let members):
            let pairs = members.keys.sorted().map { JSON.quoted($0) + ":" + (members[$0] ?? .null).written }
            return "{" + pairs.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var made = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": made += "\\\""
            case "\\": made += "\\\\"
            case "\n": made += "\\n"
            default: made.unicodeScalars.append(scalar)
            }
        }
        return made + "\""
    }

    var brief: String {
        let all = written
        return all.count > 300 ? String(all.prefix(300)) + "..." : all
    }
}

/// Where and how `got` is not what is expected; nil if it is.
func difference(_ expected: JSON, _ got: JSON, tolerance: Double?, at place: String) -> String? {
    let failed = "\(place): expected \(expected.brief), got \(got.brief)"
    switch expected {
    case .object(let members):
        if expected.has("$any") { return got == .null ? failed : nil }
        if let least = expected["$min"].double {
            let value: Double = got.double ?? -Double.infinity
            return value >= least ? nil : failed
        }
        if let start = expected["$start"].text { return (got.text ?? "").hasPrefix(start) ? nil : failed }
        if expected.has("$has") {
            let whole = got.text ?? ""
            return expected["$has"].texts.allSatisfy { whole.contains($0) } ? nil : failed
        }
        if expected.has("$first") {
            let first = expected["$first"].items
            let begun = JSON.array(Array(got.items.prefix(first.count)))
            return difference(.array(first), begun, tolerance: tolerance, at: place)
        }
        for name in members.keys.sorted() {
            if !got.has(name) { return "\(place).\(name): is not there" }
            if let inner = difference(expected[name], got[name], tolerance: tolerance, at: "\(place).\(name)") { return inner }
        }
        return nil
    case .array(let items):
        guard case .array(let others) = got, others.count == items.count else { return failed }
        for (index, pair) in zip(items, others).enumerated() {
            if let inner = difference(pair.0, pair.1, tolerance: tolerance, at: "\(place)[\(index)]") { return inner }
        }
        return nil
    case .number(let number):
        guard let other = got.double else { return failed }
        return abs(number - other) <= (tolerance ?? abs(number) * 1e-9) ? nil : failed
    default:
        return expected == got ? nil : failed
    }
}
