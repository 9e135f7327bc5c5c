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

    init(_ raw: selvedge_event) {
        let told = string(raw.text, raw.text_len)
        let code = number(of: raw.kind)
        kind = code == 2 ? .text : code == 3 ? .done : .working
        text = code == 2 ? told : ""
        stop = code == 3 && raw.text_len > 0 ? told : nil
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

public struct Message: Sendable, Hashable, Codable {
    public var role: String
    public var content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }
}

/// The form that a generated text must have. An answer that ends by itself is of the form, the whole of it.
public enum Grammar: Sendable, Hashable, Codable {
    /// JSON that a JSON Schema allows, given as its text.
    case jsonSchema(String)
    /// The whole text matches, in the syntax of Rust's crate regex.
    case regex(String)
    /// Lark, as llguidance reads it.
    case lark(String)
    /// The notation of llama.cpp.
    case gbnf(String)

    var raw: (kind: selvedge_grammar_kind, text: String) {
        switch self {
        case .jsonSchema(let text): (1, text)
        case .regex(let text): (2, text)
        case .lark(let text): (3, text)
        case .gbnf(let text): (4, text)
        }
    }
}

/// A prompt in, text out: a plain prompt, a conversation, or tokens. The defaults are greedy.
public struct Generate: Sendable, Hashable, Codable {
    public var prompt: String?
    public var messages: [Message] = []
    public var tokens: [UInt32] = []
    public var stop: [String] = []
    /// 0: the library's default; UInt32.max: no limit but the context.
    public var maxTokens: UInt32 = 0
    public var seed: UInt32?
    public var logprobs = false
    public var temperature: Float = 0
    public var topK: UInt32 = 0
    public var topP: Float = 0
    public var minP: Float = 0
    public var repeatPenalty: Float = 0
    public var frequencyPenalty: Float = 0
    public var presencePenalty: Float = 0
    public var penaltyLastN: UInt32 = 0
    public var grammar: Grammar?

    public init(_ prompt: String? = nil, maxTokens: UInt32 = 0) {
        self.prompt = prompt
        self.maxTokens = maxTokens
    }

    public init(messages: [Message], maxTokens: UInt32 = 0) {
        self.messages = messages
        self.maxTokens = maxTokens
    }

    func raw(_ arena: Arena) -> selvedge_generate {
        var raw: selvedge_generate = sized()
        raw.prompt = arena.text(ifAny: prompt)
        var said: [selvedge_message] = []
        for message in messages {
            var one: selvedge_message = sized()
            one.role = arena.text(message.role)
            one.content = arena.text(message.content)
            said.append(one)
        }
        raw.messages = arena.array(said)
        raw.message_count = said.count
        raw.tokens = arena.array(tokens)
        raw.token_count = tokens.count
        raw.stop = arena.texts(stop)
        raw.stop_count = stop.count
        raw.flags = (seed == nil ? 0 : 1) | (logprobs ? 2 : 0)
        raw.max_tokens = maxTokens
        raw.seed = seed ?? 0
        raw.temperature = temperature
        raw.top_k = topK
        raw.top_p = topP
        raw.min_p = minP
        raw.repeat_penalty = repeatPenalty
        raw.frequency_penalty = frequencyPenalty
        raw.presence_penalty = presencePenalty
        raw.penalty_last_n = penaltyLastN
        if let (kind, text) = grammar?.raw {
            raw.grammar = arena.text(text)
            raw.grammar_kind = kind
        }
        return raw
    }
}
