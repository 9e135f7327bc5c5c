import CSelvedge
import Foundation

/// A function of the app's that the model may call. The app runs what is called, and gives the result back in a message.
public struct Tool: Sendable, Hashable, Codable {
    public var name: String
    public var description: String
    /// A JSON Schema of the arguments, an object.
    public var parameters: String

    public init(_ name: String, description: String = "", parameters: String = "{}") {
        self.name = name
        self.description = description
        self.parameters = parameters
    }
}

/// A call of a tool; its arguments are a JSON object, as its text.
public struct ToolCall: Sendable, Hashable, Codable {
    /// What the result refers to.
    public var id: String
    public var name: String
    public var arguments: String

    public init(id: String, name: String, arguments: String) {
        self.id = id
        self.name = name
        self.arguments = arguments
    }
}

/// Whether the model calls tools. All but the first two hold its calls to their schemas.
public enum ToolChoice: Sendable, Hashable, Codable {
    case automatic
    case none
    case required
    case named(String)

    var raw: (choice: Int32, name: String?) {
        switch self {
        case .automatic: return (0, nil)
        case .none: return (1, nil)
        case .required: return (2, nil)
        case .named(let name): return (3, name)
        }
    }
}

/// A document that the model may draw on, where its template has a place for it.
public struct Document: Sendable, Hashable, Codable {
    public var title: String
    public var text: String

    public init(title: String, text: String) {
        self.title = title
        self.text = text
    }
}

public struct Message: Sendable, Hashable, Codable {
    public var role: String
    public var content: String
    /// What the model thought before it.
    public var reasoning: String?
    /// Of "assistant": the calls that it made.
    public var toolCalls: [ToolCall]?
    /// Of "tool": the call of which it is the result.
    public var toolCallId: String?

    public init(
        role: String, content: String, reasoning: String? = nil, toolCalls: [ToolCall]? = nil, toolCallId: String? = nil
    ) {
        self.role = role
        self.content = content
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.toolCallId = toolCallId
    }

    /// The result of a call.
    public static func result(of call: ToolCall, _ content: String) -> Message {
        Message(role: "tool", content: content, toolCallId: call.id)
    }

    func raw(_ arena: Arena) -> selvedge_message {
        var raw: selvedge_message = sized()
        raw.role = arena.text(role)
        raw.content = arena.text(content)
        raw.reasoning = arena.text(ifAny: reasoning)
        raw.tool_call_id = arena.text(ifAny: toolCallId)
        let calls = (toolCalls ?? []).map { (call: ToolCall) -> selvedge_tool_call in
            var one: selvedge_tool_call = sized()
            one.id = arena.text(call.id)
            one.name = arena.text(call.name)
            one.arguments = arena.text(call.arguments)
            return one
        }
        raw.tool_calls = arena.array(calls)
        raw.tool_call_count = calls.count
        return raw
    }
}

/// What only a conversation has: tools, and what its template takes.
func addChat(_ request: Generate, to raw: inout selvedge_generate, _ arena: Arena) {
    let tools = request.tools.map { (tool: Tool) -> selvedge_tool in
        var one: selvedge_tool = sized()
        one.name = arena.text(tool.name)
        one.description = arena.text(tool.description)
        one.parameters = arena.text(tool.parameters)
        return one
    }
    let documents = request.documents.map { (document: Document) -> selvedge_document in
        var one: selvedge_document = sized()
        one.title = arena.text(document.title)
        one.text = arena.text(document.text)
        return one
    }
    let (choice, name) = request.toolChoice.raw
    raw.tools = arena.array(tools)
    raw.tool_count = tools.count
    raw.tool_choice = cEnum(choice)
    raw.tool_name = arena.text(ifAny: name)
    raw.documents = arena.array(documents)
    raw.document_count = documents.count
    raw.variables = arena.pairs(request.variables)
    raw.variable_count = request.variables.count
    if let thinking = request.thinking { raw.thinking = cEnum(thinking ? 1 : 2) }
}

/// Adapters by name, with the scales of their changes.
func rawAdapters(_ adapters: [String: Float], _ arena: Arena) -> [selvedge_adapter] {
    adapters.sorted { $0.key < $1.key }.map { (name, scale) -> selvedge_adapter in
        var one: selvedge_adapter = sized()
        one.name = arena.text(name)
        one.scale = scale
        return one
    }
}
