import Foundation

/// What an engine takes, gives, can do and costs.
public struct Spec: Sendable, Codable {
    public let provenance: Provenance
    public let inputs: [Port]
    public let outputs: [Port]
    public let abilities: Abilities
    public let contextTokens: UInt64?
    public let embeddingSize: UInt64?
    public let memory: Memory

    public struct Abilities: Sendable, Codable {
        public let tensors: Bool
        public let generate: Bool
        public let chat: Bool
        public let embed: Bool
        public let score: Bool
        public let rerank: Bool
        public let interrupt: Bool
    }

    /// Bytes.
    public struct Memory: Sendable, Codable {
        public let weights: UInt64?
        public let context: UInt64?
        public let scratch: UInt64?
        public let total: UInt64?
    }

    public struct Port: Sendable, Codable {
        public let name: String
        public let dtype: String?
        /// nil: of unknown rank.
        public let shape: [Dimension]?
        public let optional: Bool
        /// What it is, if it is no tensor.
        public let other: String?
    }

    public enum Dimension: Sendable, Codable, Hashable {
        case fixed(Int)
        case symbol(String)
        case unknown

        public init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .unknown
            } else if let size = try? value.decode(Int.self) {
                self = .fixed(size)
            } else {
                self = .symbol(try value.decode(String.self))
            }
        }

        public func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .fixed(let size): try value.encode(size)
            case .symbol(let name): try value.encode(name)
            case .unknown: try value.encodeNil()
            }
        }
    }
}

/// Which model and runtime gave an answer, and what it passed on the way.
public struct Provenance: Sendable, Codable, Hashable {
    public let model: String
    public let version: String?
    public let digest: String
    public let backend: String
    public let runtime: String
    public let route: [String]
}
