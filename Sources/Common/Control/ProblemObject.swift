public import Diagnostics
public import Wire

/// Errors as JSON problem objects: `{"code":...,"message":...,"hint":...}`.
public enum ProblemObject {
    /// The bytes of the object, without a newline.
    public static func json(_ error: SandboxError) -> [UInt8] {
        var output = Array("{\"code\":".utf8)
        JSONText.appendQuoted(error.code.rawValue, to: &output)
        output += Array(",\"message\":".utf8)
        JSONText.appendQuoted(error.message, to: &output)
        output += Array(",\"hint\":".utf8)
        JSONText.appendQuoted(error.hint, to: &output)
        output.append(0x7d)
        return output
    }

    /// The HTTP status that goes with a code.
    public static func status(_ code: SandboxError.Code) -> Int {
        switch code {
        case .invalidArgument, .protocolViolation: 400
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .wrongState: 409
        case .exhausted: 429
        case .unsupported, .incompatibleVersion: 501
        case .unavailable: 503
        case .hostFailure, .internalError: 500
        }
    }
}

/// The same in the wire codec, for clients that ask for it.
public struct ProblemReport: WireStructure, Equatable {
    public var code = ""
    public var message = ""
    public var hint = ""

    public init() {}
    public init(_ error: SandboxError) {
        code = error.code.rawValue
        message = Self.clipped(error.message)
        hint = Self.clipped(error.hint)
    }

    /// The error that it describes; a code this build does not know is an internal error of the peer.
    public var error: SandboxError { SandboxError(SandboxError.Code(rawValue: code) ?? .internalError, message, hint: hint) }

    private static func clipped(_ text: String) -> String {
        text.utf8.count <= 8192 ? text : String(decoding: text.utf8.prefix(8000), as: UTF8.self) + "..."
    }

    public static var summary: String { "An error, as clients that ask for the wire codec get it." }
    public mutating func visit<V: WireVisitor & ~Copyable & ~Escapable>(_ v: inout V) throws(WireError) {
        try v.text("code", &code, maximum: 64)
        try v.text("message", &message, maximum: 32_768)
        try v.text("hint", &hint, maximum: 32_768)
    }
}
