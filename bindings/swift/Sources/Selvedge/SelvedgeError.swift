import CSelvedge

/// A failure: its code, and what failed, what was expected and what was got, in English.
public struct SelvedgeError: Error, Hashable, Sendable {
    /// Why a call failed. One that is not listed comes from a younger library.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int32

        public init(rawValue: Int32) {
            self.rawValue = rawValue
        }

        public static let invalidArgument = Code(rawValue: 1)
        public static let notFound = Code(rawValue: 2)
        public static let unsupported = Code(rawValue: 3)
        public static let outOfMemory = Code(rawValue: 4)
        public static let cancelled = Code(rawValue: 5)
        public static let busy = Code(rawValue: 6)
        public static let io = Code(rawValue: 7)
        public static let corrupt = Code(rawValue: 8)
        public static let backend = Code(rawValue: 9)
        public static let deadlineExceeded = Code(rawValue: 10)
        public static let contextFull = Code(rawValue: 11)
        public static let missingRuntime = Code(rawValue: 12)
        public static let badHandle = Code(rawValue: 13)
        /// Selvedge broke a promise of its own.
        public static let defect = Code(rawValue: 14)
        /// The model ended the process before, in every way that its crash record allows.
        public static let quarantined = Code(rawValue: 15)
        /// Nobody who is trusted vouches for it, or it is older than what was admitted before.
        public static let untrusted = Code(rawValue: 16)
        public static let panic = Code(rawValue: 255)
    }

    public let code: Code
    public let message: String

    public init(code: Code, message: String) {
        self.code = code
        self.message = message
    }
}

extension SelvedgeError: CustomStringConvertible {
    public var description: String { message }
}

/// Throws the error of a call that failed, and frees its object.
func check(_ status: selvedge_status, _ error: OpaquePointer?) throws(SelvedgeError) {
    let code = number(of: status)
    if code == 0 { return }
    var length = 0
    let text = selvedge_error_message(error, &length)
    let message = string(text, length)
    _ = selvedge_error_free(error)
    throw SelvedgeError(code: SelvedgeError.Code(rawValue: code), message: message)
}
