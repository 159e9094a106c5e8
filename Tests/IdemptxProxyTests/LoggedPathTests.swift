import Testing

@testable import IdemptxProxy

@Suite("The path of a request, as the log has it")
struct LoggedPathTests {
    @Test(
        "holds neither a query nor an authority",
        arguments: [
            ("/a/b?secret=1", "/a/b"), ("/a#secret", "/a"), ("/a?\u{301}secret", "/a"), ("*", "*"), ("secret:443", "-"),
            ("http://me:secret@host/a?b", "/a"), ("http://me:secret@host", ""),
        ])
    func path(target: String, path: String) {
        #expect(ProxyHandler.path(of: target) == path)
    }
}
