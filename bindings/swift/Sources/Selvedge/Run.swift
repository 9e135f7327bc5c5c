import CSelvedge
import Foundation

/// What came back.
public final class Answer: Sendable {
    let handle: Handle

    init(_ raw: OpaquePointer?) {
        handle = Handle(raw) { _ = selvedge_answer_free($0) }
    }

    /// All outputs. They lie in the answer, which lives as long as one of them.
    public func outputs() throws(SelvedgeError) -> [Tensor] {
        var count = 0
        var error: OpaquePointer?
        let status = selvedge_answer_output_count(handle.raw, &count, &error)
        try check(status, error)
        var all: [Tensor] = []
        for index in 0..<count {
            all.append(try output(index))
        }
        return all
    }

    public func output(_ index: Int) throws(SelvedgeError) -> Tensor {
        if index < 0 { throw SelvedgeError(code: .notFound, message: "output \(index): expected an index from 0") }
        var raw: selvedge_tensor = sized()
        var error: OpaquePointer?
        let status = selvedge_answer_output(handle.raw, index, &raw, &error)
        try check(status, error)
        let code = number(of: raw.dtype)
        guard let dtype = DType(rawValue: code) else {
            throw SelvedgeError(code: .unsupported, message: "output \(index): dtype \(code) is not known here")
        }
        var shape: [Int] = []
        if let dims = raw.dims {
            for i in 0..<raw.rank { shape.append(Int(dims[i])) }
        }
        let storage = AnswerStorage(answer: handle, start: UInt(bitPattern: raw.data), count: raw.byte_len)
        return Tensor(string(raw.name, raw.name_len), dtype, shape, storage)
    }

    public func output(_ name: String) throws(SelvedgeError) -> Tensor {
        for tensor in try outputs() where tensor.name == name {
            return tensor
        }
        throw SelvedgeError(code: .notFound, message: "output '\(name)': the answer has none of this name")
    }

    /// Text, tokens, finish, usage, provenance.
    public func json() throws(SelvedgeError) -> JSONText {
        var json: UnsafePointer<CChar>?
        var length = 0
        var error: OpaquePointer?
        let status = selvedge_answer_json(handle.raw, &json, &length, &error)
        try check(status, error)
        return JSONText(text: string(json, length))
    }
}

public struct Token: Sendable, Hashable {
    public let id: UInt32
    /// NaN unless the request asks for it.
    public let logprob: Float
}

public enum Finish: Sendable, Hashable {
    case none
    case complete
    case endOfText
    case stop
    case length
    case contextFull
    case other

    init(_ number: Int32) {
        switch number {
        case 0: self = .none
        case 1: self = .complete
        case 2: self = .endOfText
        case 3: self = .stop
        case 4: self = .length
        case 5: self = .contextFull
        default: self = .other
        }
    }
}

/// What a step of a run brought.
public struct Event: Sendable {
    public enum Kind: Sendable, Hashable {
        /// Nothing to be seen yet: `done` of `total`.
        case working
        /// A piece of the answer: `text`, `tokens`.
        case text
        /// The answer is complete: `finish`, `stop` and the counts.
        case done
        /// A piece of what the model thinks: `reasoning`, `tokens`.
        case reasoning
        /// A piece of a call that is being written: `index`, `name`, `arguments`, `tokens`.
        case callPiece
        /// A call that is whole: `toolCall`.
        case toolCall
        /// What began like a call and is none: `index`, `malformed`, `reason`.
        case malformedCall

        init(_ number: Int32) {
            switch number {
            case 2: self = .text
            case 3: self = .done
            case 4: self = .reasoning
            case 5: self = .callPiece
            case 6: self = .toolCall
            case 7: self = .malformedCall
            default: self = .working
            }
        }
    }

    public let kind: Kind
    public let text: String
    public let tokens: [Token]
    public let done: UInt64
    public let total: UInt64
    public let finish: Finish
    /// The stop text that came up.
    public let stop: String?
    public let inputTokens: UInt64
    public let cachedTokens: UInt64
    public let outputTokens: UInt64
    public let reasoning: String
    public let index: UInt64
    public let name: String
    /// Of a piece of a call, or of a whole one.
    public let arguments: String
    public let toolCall: ToolCall?
    public let malformed: String
    public let reason: String

    init(_ raw: selvedge_event) {
        let told = string(raw.text, raw.text_len)
        let brought = Kind(number(of: raw.kind))
        kind = brought
        text = brought == .text ? told : ""
        stop = brought == .done && raw.text_len > 0 ? told : nil
        reasoning = brought == .reasoning ? told : ""
        arguments = brought == .callPiece || brought == .toolCall ? told : ""
        malformed = brought == .malformedCall ? told : ""
        index = raw.index
        let tool = string(raw.name, raw.name_len)
        name = tool
        reason = string(raw.reason, raw.reason_len)
        toolCall = brought == .toolCall ? ToolCall(id: string(raw.id, raw.id_len), name: tool, arguments: told) : nil
        var sampled: [Token] = []
        if let first = raw.tokens {
            for i in 0..<raw.token_count { sampled.append(Token(id: first[i].id, logprob: first[i].logprob)) }
        }
        tokens = sampled
        done = raw.done
        total = raw.total
        finish = Finish(number(of: raw.finish))
        inputTokens = raw.input_tokens
        cachedTokens = raw.cached_tokens
        outputTokens = raw.output_tokens
    }
}

/// A request in flight. One thread pulls it; any may close it, which ends the pull with `cancelled`.
public final class Run: Sendable {
    let handle: Handle

    init(_ raw: OpaquePointer?) {
        handle = Handle(raw) { _ = selvedge_run_free($0) }
    }

    /// One step. After `done`, or an error, there is none.
    public func next() throws(SelvedgeError) -> Event {
        var raw: selvedge_event = sized()
        var error: OpaquePointer?
        let status = selvedge_run_next(handle.raw, &raw, &error)
        try check(status, error)
        return Event(raw)
    }

    /// Pulls to the end, and gives the text that came.
    public func text() throws(SelvedgeError) -> String {
        var whole = ""
        while true {
            let event = try next()
            whole += event.text
            if event.kind == .done { return whole }
        }
    }

    /// The whole answer of a run that is done.
    public func answer() throws(SelvedgeError) -> Answer {
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_run_answer(handle.raw, &made, &error)
        try check(status, error)
        return Answer(made)
    }

    public func close() { handle.close() }

    func tell(_ continuation: AsyncThrowingStream<Event, any Error>.Continuation) {
        do {
            while true {
                let event = try next()
                continuation.yield(event)
                if event.kind == .done { break }
            }
            continuation.finish()
        } catch {
            continuation.finish(throwing: error)
        }
    }
}
