import Foundation
import Selvedge

/// The steps of a case that ask for text, and for what models say of text.
extension Runner {
    /// nil: not an op of this.
    func askText(_ op: String, _ s: JSON) throws -> JSON? {
        switch op {
        case "generate": return try generate(s)
        case "tokenize":
            let ids = try find(engines, s, "engine").tokenize(request(s))
            return JSON.array(ids.map { JSON.number(Double($0)) })
        case "render": return JSON.string(try find(engines, s, "engine").render(request(s)))
        case "detokenize":
            let ids = s["tokens"].doubles.map { UInt32($0) }
            return JSON.string(try find(engines, s, "engine").detokenize(ids))
        case "score": return try score(s)
        case "rerank": return try rerank(s)
        case "save_prefixes": return counts(try find(engines, s, "engine").savePrefixes(path(s)))
        case "restore_prefixes": return counts(try find(engines, s, "engine").restorePrefixes(path(s)))
        default: return nil
        }
    }

    private func request(_ s: JSON) -> Generate {
        var made = Generate(s["prompt"].text, maxTokens: UInt32(s["max_tokens"].int ?? 0))
        made.messages = s["messages"].items.map { message($0) }
        made.tokens = s["tokens"].doubles.map { UInt32($0) }
        made.stop = s["stop"].texts
        if let seed = s["seed"].int { made.seed = UInt32(seed) }
        made.temperature = Float(s["temperature"].double ?? 0)
        made.topK = UInt32(s["top_k"].int ?? 0)
        made.topP = Float(s["top_p"].double ?? 0)
        made.minP = Float(s["min_p"].double ?? 0)
        let form = s["grammar"]
        if let text = form["json_schema"].text { made.grammar = .jsonSchema(text) }
        if let text = form["regex"].text { made.grammar = .regex(text) }
        if let text = form["lark"].text { made.grammar = .lark(text) }
        if let text = form["gbnf"].text { made.grammar = .gbnf(text) }
        addTerms(s, &made)
        return made
    }

    private func message(_ said: JSON) -> Message {
        var made = Message(role: said["role"].text ?? "", content: said["content"].text ?? "")
        made.reasoning = said["reasoning"].text
        made.toolCallId = said["tool_call_id"].text
        var calls: [ToolCall] = []
        for one in said["tool_calls"].items {
            let id: String = one["id"].text ?? ""
            let name: String = one["name"].text ?? ""
            calls.append(ToolCall(id: id, name: name, arguments: one["arguments"].text ?? ""))
        }
        if !calls.isEmpty { made.toolCalls = calls }
        return made
    }

    /// Tools, and what else stands beside a prompt.
    private func addTerms(_ s: JSON, _ made: inout Generate) {
        for tool in s["tools"].items {
            let name: String = tool["name"].text ?? ""
            let description: String = tool["description"].text ?? ""
            made.tools.append(Tool(name, description: description, parameters: tool["parameters"].text ?? "{}"))
        }
        switch s["tool_choice"].text ?? "" {
        case "none": made.toolChoice = ToolChoice.none
        case "required": made.toolChoice = ToolChoice.required
        case "named": made.toolChoice = ToolChoice.named(s["tool_name"].text ?? "")
        default: made.toolChoice = ToolChoice.automatic
        }
        for one in s["documents"].items {
            made.documents.append(Document(title: one["title"].text ?? "", text: one["text"].text ?? ""))
        }
        if s.has("thinking") { made.thinking = s["thinking"].flag }
        for (name, value) in s["variables"].members { made.variables[name] = value.written }
        made.continueLast = s["continue_last"].flag
        made.separateReasoning = s["separate_reasoning"].flag
        made.logprobs = s["logprobs"].flag
        made.topLogprobs = UInt32(s["top_logprobs"].int ?? 0)
        for name in s["adapters"].texts { made.adapters[name] = 1 }
        for pair in s["bias"].items {
            let numbers = pair.doubles
            made.bias[UInt32(numbers[0])] = Float(numbers[1])
        }
        for token in s["ban"].doubles { made.bias[UInt32(token)] = -Float.infinity }
    }

    private func generate(_ s: JSON) throws -> JSON {
        let engine = try find(engines, s, "engine")
        let cancel = try Cancel()
        var terms = try call(s)
        if terms.cancel == nil { terms.cancel = cancel }
        let run = try engine.generate(request(s), call: terms)
        var text = ""
        var tokens: [JSON] = []
        var calls: [JSON] = []
        var texts = 0
        var last: Event?
        while last == nil {
            let event = try run.next()
            text += event.text
            for token in event.tokens { tokens.append(JSON.number(Double(token.id))) }
            if event.kind == .text { texts += 1 }
            if let one = event.toolCall { calls.append(called(one)) }
            if texts == s["take"].int { return JSON.null }
            if texts == s["cancel_after_texts"].int { cancel.set() }
            if event.kind == .done { last = event }
        }
        guard let done = last else { throw Failure("a run without an end") }
        answer = try JSON.parse(run.answer().json().text)
        try same(answer, text, tokens, calls)
        let again = try engine.generate(request(s), call: terms)
        let whole = try again.text()
        if whole != text { throw Failure("pieces: \(text), whole: \(whole)") }
        try same(JSON.parse(again.answer().json().text), text, tokens, calls)
        let finishes: [Finish: String] = [
            .complete: "complete", .endOfText: "end_of_text", .stop: "stop", .length: "length",
            .contextFull: "context_full",
        ]
        let finish: String = finishes[done.finish] ?? "other"
        var stop = JSON.null
        if let text = done.stop { stop = JSON.string(text) }
        return JSON.object([
            "text": JSON.string(text), "tool_calls": JSON.array(calls), "finish": JSON.string(finish), "stop": stop,
            "output_tokens": JSON.number(Double(done.outputTokens)),
        ])
    }

    /// Whether an answer is what the events of its run brought, put together.
    private func same(_ whole: JSON, _ text: String, _ tokens: [JSON], _ calls: [JSON]) throws {
        let brought: [(String, JSON)] = [
            ("text", JSON.string(text)), ("tokens", JSON.array(tokens)), ("tool_calls", JSON.array(calls)),
        ]
        for (name, value) in brought where whole[name] != value {
            throw Failure("\(name): events: \(value.brief), answer: \(whole[name].brief)")
        }
    }

    private func called(_ one: ToolCall) -> JSON {
        JSON.object([
            "id": JSON.string(one.id), "name": JSON.string(one.name), "arguments": JSON.string(one.arguments),
        ])
    }

    private func score(_ s: JSON) throws -> JSON {
        let engine = try find(engines, s, "engine")
        let made = try engine.score(request(s), s["continuations"].texts, call: call(s))
        let logprobs = try elements(made, "logprob")
        let tokens = try elements(made, "tokens")
        let greedy = try elements(made, "greedy")
        return JSON.object(["logprobs": logprobs, "tokens": tokens, "greedy": greedy])
    }

    private func rerank(_ s: JSON) throws -> JSON {
        let engine = try find(engines, s, "engine")
        let made = try engine.rerank(s["query"].text ?? "", s["documents"].texts, call: call(s))
        let scores = try elements(made, "score")
        let order = try elements(made, "order")
        return JSON.object(["scores": scores, "order": order])
    }

    private func elements(_ made: Answer, _ output: String) throws -> JSON {
        let tensor = try made.output(output)
        return try json(tensor)["data"]
    }

    private func counts(_ prefixes: Prefixes) -> JSON {
        JSON.object([
            "prefixes": JSON.number(Double(prefixes.prefixes)), "tokens": JSON.number(Double(prefixes.tokens)),
            "bytes": JSON.number(Double(prefixes.bytes)),
        ])
    }
}
