import CSelvedge

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

    /// The number of its kind, and its text.
    var raw: (kind: Int32, text: String) {
        switch self {
        case .jsonSchema(let text): return (1, text)
        case .regex(let text): return (2, text)
        case .lark(let text): return (3, text)
        case .gbnf(let text): return (4, text)
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
    /// What the model may call; this, and all up to `separateReasoning`, of a conversation.
    public var tools: [Tool] = []
    public var toolChoice: ToolChoice = .automatic
    public var documents: [Document] = []
    /// Of a model that can do either.
    public var thinking: Bool?
    /// Of the chat template, each a JSON value as its text.
    public var variables: [String: String] = [:]
    /// Go on with the last message, the assistant's.
    public var continueLast = false
    /// Part what the model thinks from its answer.
    public var separateReasoning = false
    /// Names of adapters, with the scales of their changes.
    public var adapters: [String: Float] = [:]
    /// Added to the logits of tokens; minus infinity: the token never comes.
    public var bias: [UInt32: Float] = [:]
    /// The likeliest tokens at each place, so many, in the answer's JSON.
    public var topLogprobs: UInt32 = 0

    public init(_ prompt: String? = nil, maxTokens: UInt32 = 0) {
        self.prompt = prompt
        self.maxTokens = maxTokens
    }

    public init(messages: [Message], maxTokens: UInt32 = 0) {
        self.messages = messages
        self.maxTokens = maxTokens
    }

    private var flags: UInt32 {
        var set: UInt32 = 0
        if seed != nil { set |= 1 }
        if logprobs { set |= 2 }
        if continueLast { set |= 4 }
        if separateReasoning { set |= 8 }
        return set
    }

    func raw(_ arena: Arena) -> selvedge_generate {
        var raw: selvedge_generate = sized()
        raw.prompt = arena.text(ifAny: prompt)
        let said = messages.map { $0.raw(arena) }
        raw.messages = arena.array(said)
        raw.message_count = said.count
        raw.tokens = arena.array(tokens)
        raw.token_count = tokens.count
        raw.stop = arena.texts(stop)
        raw.stop_count = stop.count
        raw.flags = flags
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
        if let form = grammar?.raw {
            raw.grammar = arena.text(form.text)
            raw.grammar_kind = cEnum(form.kind)
        }
        addChat(self, to: &raw, arena)
        let applied = rawAdapters(adapters, arena)
        raw.adapters = arena.array(applied)
        raw.adapter_count = applied.count
        let biases = bias.sorted { $0.key < $1.key }.map { selvedge_bias(token: $0.key, bias: $0.value) }
        raw.biases = arena.array(biases)
        raw.bias_count = biases.count
        raw.top_logprobs = topLogprobs
        return raw
    }
}
