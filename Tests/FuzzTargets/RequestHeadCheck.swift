import NIOHTTP1

@testable import HTTPProxy

/// What is true of a request that is forwarded is true of one that came over HTTP/1.
struct RequestHeadCheck {
    var forwarded = ForwardedRequestCheck()

    func check(_ input: [UInt8]) throws {
        guard let first = ForwardedRequestCheck.requests(in: input).first,
            let head = try? RequestScreen(pseudonym: "fuzzed").screen(first)
        else { return }
        try self.forwarded.check(head, method: ForwardedRequestCheck.name(of: first.method), target: first.uri)
    }
}
