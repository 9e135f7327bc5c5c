import CSelvedge
import Foundation

/// What was saved of a prefix cache, or restored.
public struct Prefixes: Sendable, Hashable {
    /// Beginnings of prompts.
    public let prefixes: UInt64
    /// Their tokens, all together.
    public let tokens: UInt64
    /// Bytes of the file.
    public let bytes: UInt64
}

extension Engine {
    /// How likely each continuation is: three outputs with an element for each, "logprob", f32, "tokens", i64, and "greedy",
    /// bool. Of the request, prompt and adapters count.
    public func score(
        _ request: Generate, _ continuations: [String], call: Call = Call()
    ) throws(SelvedgeError) -> Answer {
        let arena = Arena()
        let prompt = request.raw(arena)
        var raw: selvedge_score = sized()
        raw.prompt = prompt.prompt
        raw.messages = prompt.messages
        raw.message_count = prompt.message_count
        raw.tokens = prompt.tokens
        raw.token_count = prompt.token_count
        raw.continuations = arena.texts(continuations)
        raw.continuation_count = continuations.count
        raw.adapters = prompt.adapters
        raw.adapter_count = prompt.adapter_count
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_score(handle.raw, &raw, &terms, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Answer(made)
    }

    /// How well each document answers the query: two outputs with an element for each, "score", f32, and "order", i64: their
    /// places, the most relevant first.
    public func rerank(_ query: String, _ documents: [String], call: Call = Call()) throws(SelvedgeError) -> Answer {
        let arena = Arena()
        var raw: selvedge_rerank = sized()
        raw.query = arena.text(query)
        raw.documents = arena.texts(documents)
        raw.document_count = documents.count
        var terms = call.raw()
        var made: OpaquePointer?
        var error: OpaquePointer?
        let status = selvedge_engine_rerank(handle.raw, &raw, &terms, &made, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Answer(made)
    }

    /// Writes what the engine has computed of prompts to a file.
    @discardableResult
    public func savePrefixes(_ path: String) throws(SelvedgeError) -> Prefixes {
        let arena = Arena()
        let at = arena.text(path)
        var told: selvedge_prefixes = sized()
        var error: OpaquePointer?
        let status = selvedge_engine_save_prefixes(handle.raw, at.data!, at.len, &told, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Prefixes(prefixes: told.prefixes, tokens: told.tokens, bytes: told.bytes)
    }

    /// Takes the prefixes of a file; what finds no place is left out.
    @discardableResult
    public func restorePrefixes(_ path: String) throws(SelvedgeError) -> Prefixes {
        let arena = Arena()
        let at = arena.text(path)
        var told: selvedge_prefixes = sized()
        var error: OpaquePointer?
        let status = selvedge_engine_restore_prefixes(handle.raw, at.data!, at.len, &told, &error)
        withExtendedLifetime(arena) {}
        try check(status, error)
        return Prefixes(prefixes: told.prefixes, tokens: told.tokens, bytes: told.bytes)
    }
}
