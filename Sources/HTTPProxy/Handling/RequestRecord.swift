package import HTTPTypes
package import NIOCore

/// What became of a request, for logs and metrics.
package struct RequestRecord: Sendable {
    /// `nil` if the request could not be read, or has a method that is not printable ASCII.
    package let method: String?
    /// As it was sent; `nil` if the request could not be read, or has a target that is not printable ASCII.
    package let target: String?
    /// The address of the client.
    package let client: String?
    package let start = NIODeadline.now()
    /// `nil` if there was no response.
    package internal(set) var status: Int?
    /// The head of the response, if it was made here and not by the upstream.
    package internal(set) var madeHead: HTTPResponse?
    /// How many bytes of the body were sent.
    package internal(set) var bodySize = 0
    /// When the head of the response was there.
    package internal(set) var end = NIODeadline.uptimeNanoseconds(0)

    /// The time until the head of the response, or until now if there was no response.
    package var duration: TimeAmount { (self.status == nil ? .now() : self.end) - self.start }

    init(method: String?, target: String?, client: String?) {
        self.method = method.flatMap(Self.printable)
        self.target = target.flatMap(Self.printable)
        self.client = client
    }

    /// Over HTTP/2, any byte can come, and a line break would make two lines of a log.
    private static func printable(_ text: String) -> String? {
        text.utf8.allSatisfy { (0x20...0x7E).contains($0) } ? text : nil
    }
}
