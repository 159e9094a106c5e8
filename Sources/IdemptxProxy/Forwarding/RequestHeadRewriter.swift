import HTTPTypes
import NIOCore
import NIOHTTP1

/// Makes the head that the upstream gets of the one that the client sent.
struct RequestHeadRewriter: Sendable {
    let hostField: ProxyConfiguration.HostField
    let forwardedFields: ProxyConfiguration.ForwardedFields
    /// The upstream's own name.
    let authority: String

    /// The head for the upstream: the same method and target, the same fields in the same order, but for those that belong
    /// to a connection or are the proxy's to say.
    ///
    /// - Parameters:
    ///   - request: The head that the client sent.
    ///   - client: Who sent it.
    ///   - body: What follows the head.
    ///   - attempt: The number of the attempt, if the request is guarded.
    /// - Returns: The head to send.
    func head(
        for request: HTTPRequest,
        from client: ClientConnection,
        body: ForwardedBody,
        attempt: Int?
    ) -> HTTPRequestHead {
        var fields = HopByHop.removed(from: request.headerFields)
        fields.removeAll { $0.name.imitatesProxy }
        self.setHost(&fields, request)
        self.setForwarded(&fields, request, client)
        fields.extendList(.via, by: "\(client.isHTTP2 ? "2.0" : "1.1") idemptx")
        fields.set(.idempotencyAttempt, to: attempt.map(String.init))
        // There is no way to pass trailers of a request on.
        fields.set(.trailer, to: nil)
        Self.setFraming(&fields, of: body, method: request.method)
        return HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method.rawValue), uri: request.path ?? "/",
            headers: HTTPHeaders(fields))
    }

    private func setHost(_ fields: inout [HTTPField], _ request: HTTPRequest) {
        let isMissing = !fields.contains { $0.name == .hostField }
        switch self.hostField {
        case .preserved where !isMissing: return
        case .preserved:
            fields.insert(HTTPField(name: .hostField, value: request.authority ?? self.authority), at: 0)
        case .upstream where isMissing:
            fields.insert(HTTPField(name: .hostField, value: self.authority), at: 0)
        case .upstream: fields.set(.hostField, to: self.authority)
        }
    }

    private func setForwarded(_ fields: inout [HTTPField], _ request: HTTPRequest, _ client: ClientConnection) {
        let names = [HTTPField.Name.forwarded, .forwardedFor, .forwardedHost, .forwardedProto]
        if self.forwardedFields == .replaced { fields.removeAll { names.contains($0.name) } }
        let scheme = request.scheme ?? "http"
        let element = ForwardedElement(client: client.address, host: request.authority, scheme: scheme)
        if let address = element.client { fields.extendList(.forwardedFor, by: address) }
        if let host = element.host { fields.setIfMissing(.forwardedHost, to: host) }
        fields.setIfMissing(.forwardedProto, to: scheme)
        fields.extendList(.forwarded, by: element.text)
    }

    private static func setFraming(_ fields: inout [HTTPField], of body: ForwardedBody, method: HTTPRequest.Method) {
        switch body {
        case .none:
            let isExpected = [.post, .put, .patch].contains(method) || fields.contains { $0.name == .contentLength }
            fields.set(.contentLength, to: isExpected ? "0" : nil)
        case .bytes(let bytes): fields.set(.contentLength, to: "\(bytes.readableBytes)")
        case .upload(_, let length?): fields.set(.contentLength, to: "\(length)")
        case .upload(_, nil):
            fields.set(.contentLength, to: nil)
            fields.append(HTTPField(name: .transferEncoding, value: "chunked"))
        }
        if !body.isAwaited { fields.set(.expect, to: nil) }
    }
}

extension [HTTPField] {
    /// Leaves one field of this name, where the first one stood, or at the end; none for `nil`.
    fileprivate mutating func set(_ name: HTTPField.Name, to value: String?) {
        let index = self.firstIndex { $0.name == name }
        let spelling = index.map { self[$0].name } ?? name
        self.removeAll { $0.name == name }
        guard let value else { return }
        self.insert(HTTPField(name: spelling, value: value), at: index ?? self.endIndex)
    }

    fileprivate mutating func setIfMissing(_ name: HTTPField.Name, to value: String) {
        guard !self.contains(where: { $0.name == name }) else { return }
        self.append(HTTPField(name: name, value: value))
    }

    /// Adds an element to a list that may stand on several lines, and joins them into one, since not every reader looks
    /// beyond the first.
    fileprivate mutating func extendList(_ name: HTTPField.Name, by element: String) {
        let elements = self.filter { $0.name == name }.map(\.value) + [element]
        self.set(name, to: elements.joined(separator: ", "))
    }
}
