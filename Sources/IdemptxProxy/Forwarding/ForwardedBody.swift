import AsyncHTTPClient
import NIOCore

/// The body of a request on its way to the upstream.
enum ForwardedBody: Sendable {
    case none
    /// It has been read for its fingerprint.
    case bytes(ByteBuffer)
    /// It is read as the upstream takes it.
    case upload(RequestUpload, length: Int?)

    /// Whether it can be sent as if for the first time.
    var isUntouched: Bool {
        guard case .upload(let upload, _) = self else { return true }
        return upload.isUntouched
    }

    /// Whether the upstream may still refuse it, before it is sent (RFC 9110, section 10.1.1).
    var isAwaited: Bool {
        guard case .upload = self else { return false }
        return true
    }

    var clientBody: HTTPClientRequest.Body? {
        switch self {
        case .none: nil
        case .bytes(let bytes): .bytes(bytes)
        case .upload(let upload, let length): .stream(upload, length: length.map { .known(Int64($0)) } ?? .unknown)
        }
    }
}
