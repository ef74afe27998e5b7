public import Diagnostics

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
