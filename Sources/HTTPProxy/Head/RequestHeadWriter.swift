import NIOCore
import NIOHTTP1

/// Writes the head that the upstream gets: the same method and target, the same fields in the same order, but for those
/// that belong to a connection or are the proxy's to say.
///
/// A class, because all requests of an event loop share one, and each would copy a struct.
final class RequestHeadWriter: Sendable {
    let rewriting: HeadRewriting
    /// The upstream's own name.
    let upstreamAuthority: String

    init(rewriting: HeadRewriting, upstreamAuthority: String) {
        self.rewriting = rewriting
        self.upstreamAuthority = upstreamAuthority
    }

    /// - Parameters:
    ///   - head: The head that the client sent.
    ///   - client: Who sent it.
    ///   - framing: What follows the head.
    ///   - awaitsContinue: Whether the body waits for the upstream's leave.
    ///   - upgrade: The protocol to ask for.
    ///   - changes: What else differs.
    ///   - buffer: Where to write.
    func write(
        _ head: RequestHead,
        from client: ClientAddress,
        framing: BodyFraming,
        awaitsContinue: Bool,
        upgrade: String?,
        changes: FieldChanges = FieldChanges(),
        to buffer: inout ByteBuffer
    ) {
        buffer.writeString(head.method)
        buffer.writeStaticString(" ")
        buffer.writeString(head.target)
        buffer.writeStaticString(" HTTP/1.1\r\n")
        var lists = Lists()
        let hasHost = head.version == .http11 || (head.version == .http10 && head.fields.contains(name: "host"))
        if !hasHost { buffer.writeField("Host", self.host(of: head)) }
        for (name, value) in head.fields {
            switch FieldKind(name.utf8) {
            case .other, .date, .cookie:
                guard !self.isDropped(name, head.connectionOptions), changes.passes(name.utf8) else { continue }
                buffer.writeField(name, value)
            case .host: buffer.writeField(name, self.host(of: head))
            case .contentLength: self.writeLength(name, framing, of: head, to: &buffer, &lists)
            case .expect: if awaitsContinue { buffer.writeField(name, value) }
            case .maxForwards: buffer.writeField(name, head.maxForwards.map { "\($0 - 1)" } ?? value)
            case .via: lists.via = Lists.joined(lists.via, value)
            case .forwarded: lists.forwarded = Lists.joined(lists.forwarded, value)
            case .forwardedFor: lists.forwardedFor = Lists.joined(lists.forwardedFor, value)
            case .forwardedHost: lists.forwardedHost = lists.forwardedHost ?? value
            case .forwardedProto: lists.forwardedProto = lists.forwardedProto ?? value
            case .connection, .keepAlive, .proxyConnection, .te, .upgrade, .transferEncoding: continue
            }
        }
        self.writeOwn(head, client, &lists, to: &buffer)
        for (name, value) in changes.added { buffer.writeField(name, value) }
        self.writeFraming(framing, of: head, lists, to: &buffer)
        if let upgrade {
            buffer.writeField("Connection", "upgrade")
            buffer.writeField("Upgrade", upgrade)
        }
        buffer.writeStaticString("\r\n")
    }

    private func host(of head: RequestHead) -> String {
        self.rewriting.host == .upstream ? self.upstreamAuthority : head.authority ?? self.upstreamAuthority
    }

    /// Lists that may stand on several lines become one, since not every reader looks beyond the first.
    private struct Lists {
        var via: String?
        var forwarded: String?
        var forwardedFor: String?
        var forwardedHost: String?
        var forwardedProto: String?
        var hasLength = false

        static func joined(_ list: String?, _ element: String) -> String {
            list.map { "\($0), \(element)" } ?? element
        }
    }

    /// The trailers to forward to the upstream.
    func passed(_ trailers: Trailers) -> Trailers {
        trailers.forwardable.filter { !self.rewriting.isOwned($0.name.utf8) }
    }

    /// Whether a field is one that only the proxy may set, or belongs to the client's connection.
    private func isDropped(_ name: String, _ options: [String]) -> Bool {
        if !options.isEmpty, options.contains(name.lowercased()) { return true }
        return self.rewriting.isOwned(name.utf8)
    }

    private func writeOwn(
        _ head: RequestHead, _ client: ClientAddress, _ lists: inout Lists, to buffer: inout ByteBuffer
    ) {
        buffer.writeStaticString("Via: ")
        if let via = lists.via {
            buffer.writeString(via)
            buffer.writeStaticString(", ")
        }
        buffer.writeString(head.version.text)
        buffer.writeStaticString(" ")
        buffer.writeString(self.rewriting.pseudonym)
        buffer.writeStaticString("\r\n")
        guard self.rewriting.forwarded == .extended else {
            buffer.writeString(client.fields(forHost: head.authority))
            return
        }
        let element = client.element(forHost: head.authority)
        if let address = client.text {
            buffer.writeField("X-Forwarded-For", Lists.joined(lists.forwardedFor, address))
        } else if let addresses = lists.forwardedFor {
            buffer.writeField("X-Forwarded-For", addresses)
        }
        if let host = lists.forwardedHost ?? head.authority { buffer.writeField("X-Forwarded-Host", host) }
        buffer.writeField("X-Forwarded-Proto", lists.forwardedProto ?? client.scheme)
        buffer.writeField("Forwarded", Lists.joined(lists.forwarded, element))
    }

    private func writeLength(
        _ name: String, _ framing: BodyFraming, of head: RequestHead, to buffer: inout ByteBuffer, _ lists: inout Lists
    ) {
        guard !lists.hasLength else { return }
        switch framing {
        case .none: buffer.writeField(name, "0")
        case .length(let length): buffer.writeField(name, "\(length)")
        case .chunked, .untilClose: return
        }
        lists.hasLength = true
    }

    private func writeFraming(_ framing: BodyFraming, of head: RequestHead, _ lists: Lists, to buffer: inout ByteBuffer)
    {
        switch framing {
        case .length(let length): if !lists.hasLength { buffer.writeField("Content-Length", "\(length)") }
        case .chunked, .untilClose: buffer.writeField("Transfer-Encoding", "chunked")
        case .none:
            let isExpected = head.method == "POST" || head.method == "PUT" || head.method == "PATCH"
            if isExpected, !lists.hasLength { buffer.writeField("Content-Length", "0") }
        }
    }
}

extension ByteBuffer {
    @inline(__always)
    mutating func writeField(_ name: String, _ value: String) {
        self.writeString(name)
        self.writeStaticString(": ")
        self.writeString(value)
        self.writeStaticString("\r\n")
    }
}
