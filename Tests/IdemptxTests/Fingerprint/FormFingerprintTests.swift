import Idemptx
import IdemptxTesting
import Testing

@Suite("Fingerprints of forms")
struct FormFingerprintTests {
    private let form = "application/x-www-form-urlencoded"

    @Test(
        "Forms with the same fields agree",
        arguments: [
            ("a=1&b=2", "b=2&a=1"), ("a=%41", "a=A"), ("a=x+y", "a=x%20y"), ("a=%c3%a9", "a=%C3%A9"),
            ("a=1&&b=2&", "a=1&b=2"), ("a", "a="), ("b=1&a=1&a=2", "a=1&a=2&b=1"),
        ])
    func forms(lhs: String, rhs: String) {
        #expect(fingerprint(lhs, type: self.form) == fingerprint(rhs, type: self.form))
    }

    @Test(
        "Forms with other fields disagree",
        arguments: [
            ("a=1", "a=2"), ("a=1&a=2", "a=2&a=1"), ("a=1&b=2", "a=1%26b=2"), ("a=b=c", "a%3Db=c"), ("a=%2B", "a=+"),
            ("a=%zz", "a=%25zz"), ("a=%4", "a=%254"),
        ])
    func differentForms(lhs: String, rhs: String) {
        #expect(fingerprint(lhs, type: self.form).disagrees(with: fingerprint(rhs, type: self.form)))
    }

    @Test("A raw body does not pass for a canonical one")
    func domains() {
        // The second body is compared byte for byte, being no form, and is what the first one becomes.
        let canonical = "\0\0\0\0\0\0\0\u{1}a\0\0\0\0\0\0\0\u{1}%"
        let lhs = fingerprint("a=%25", type: self.form)
        #expect(lhs.disagrees(with: fingerprint(canonical, type: self.form)))
    }

    @Test("A form with more fields than can be sorted at little cost is compared byte for byte")
    func manyFields() {
        let few = (0..<10_000).map { "a\($0)=1" }
        #expect(
            fingerprint(few.joined(separator: "&"), type: self.form)
                == fingerprint(few.reversed().joined(separator: "&"), type: self.form))
        let many = few + ["b=1"]
        #expect(
            fingerprint(many.joined(separator: "&"), type: self.form)
                != fingerprint(many.reversed().joined(separator: "&"), type: self.form))
    }

    // MARK: Multipart

    private func multipart(
        _ boundary: String, amount: String = "5", name: String = "amount", tail: String = ""
    ) -> String {
        """
        --\(boundary)\r
        Content-Disposition: form-data; name="\(name)"\r
        \r
        \(amount)\r
        --\(boundary)\r
        content-type: application/pdf\r
        Content-Disposition: form-data; name="file"; filename="a.pdf"\r
        \r
        %PDF\r\n--\r
        --\(boundary)--\r
        \(tail)
        """
    }

    private func multipartFingerprint(_ body: String, boundary: String) -> Fingerprint {
        fingerprint(body, type: "multipart/form-data; boundary=\(boundary)")
    }

    @Test("The boundary of a multipart body does not count")
    func boundary() {
        let first = self.multipartFingerprint(self.multipart("AaB03x"), boundary: "AaB03x")
        #expect(first == self.multipartFingerprint(self.multipart("other"), boundary: "other"))
        #expect(first == self.multipartFingerprint(self.multipart("q q"), boundary: "\"q q\""))
        let surrounded = "preamble\r\n" + self.multipart("x", tail: "epilogue")
        #expect(first == self.multipartFingerprint(surrounded, boundary: "x"))
    }

    @Test("The parts of a multipart body count")
    func parts() {
        let first = self.multipartFingerprint(self.multipart("x"), boundary: "x")
        for other in [self.multipart("x", amount: "6"), self.multipart("x", name: "sum")] {
            #expect(first.disagrees(with: self.multipartFingerprint(other, boundary: "x")))
        }
    }

    @Test("The headers of a part count, in any order and case of their names")
    func partHeaders() {
        func part(_ headers: String) -> Fingerprint {
            self.multipartFingerprint("--x\r\n\(headers)\r\n\r\nbody\r\n--x--", boundary: "x")
        }
        #expect(part("A: 1\r\nB: 2") == part("b:2\r\na:1"))
        #expect(part("A: 1\r\nB: 2").disagrees(with: part("A: 2\r\nB: 1")))
        #expect(part("A: 1").disagrees(with: part("A: 1\r\nB: 2")))
    }

    @Test(
        "A body that is not multipart is compared byte for byte",
        arguments: [
            "", "--x", "--x\r\n\r\nbody", "--x\r\nbody\r\n--y--", "--x garbage\r\n\r\nbody\r\n--x--",
            "--x\r\nno colon\r\n\r\nbody\r\n--x--",
        ])
    func notMultipart(body: String) {
        let fingerprint = self.multipartFingerprint(body, boundary: "x")
        #expect(fingerprint.disagrees(with: self.multipartFingerprint("ignored\r\n" + body, boundary: "x")))
    }

    @Test("A multipart body without a boundary is compared byte for byte")
    func noBoundary() {
        let (lhs, rhs) = (self.multipart("x"), self.multipart("y"))
        let type = "multipart/form-data"
        #expect(fingerprint(lhs, type: type).disagrees(with: fingerprint(rhs, type: type)))
    }

    @Test("A multipart body with too many parts, or too many or long header lines, is compared byte for byte")
    func multipartLimits() {
        func body(_ parts: [String], _ boundary: String) -> Fingerprint {
            self.multipartFingerprint(
                parts.map { "--\(boundary)\r\n\($0)\r\n" }.joined() + "--\(boundary)--", boundary: boundary)
        }
        func areEqual(_ parts: [String]) -> Bool { body(parts, "x") == body(parts, "y") }
        let part = "a: b\r\n\r\nbody"
        #expect(areEqual(Array(repeating: part, count: 1_000)))
        #expect(!areEqual(Array(repeating: part, count: 1_001)))
        #expect(areEqual([String(repeating: "a: b\r\n", count: 32) + "\r\nbody"]))
        #expect(!areEqual([String(repeating: "a: b\r\n", count: 33) + "\r\nbody"]))
        #expect(!areEqual(["a: " + String(repeating: "b", count: 8 * 1024) + "\r\n\r\nbody"]))
    }

    @Test(
        "Parts of a multipart body whose headers do not end are not taken for others",
        arguments: [("A: b", "\r\nA: b"), ("A: b\r\nC: d", "A: b\r\n\r\nC: d")])
    func openHeaders(lhs: String, rhs: String) {
        func body(_ part: String) -> Fingerprint {
            fingerprint("--x\r\n\(part)\r\n--x--", type: "multipart/form-data; boundary=x")
        }
        #expect(body(lhs) != body(rhs))
    }

    // MARK: Any text

    @Test("No random text traps", arguments: 0..<20)
    func fuzz(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let alphabet = Array(#"{}[]",:\u0d8"# + "\r\n-x e1.=&%+;\u{1}é")
        for _ in 0..<1_000 {
            let text = String(
                (0..<Int.random(in: 0...30, using: &generator)).map { _ in
                    alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                })
            for type in ["application/json", self.form, "multipart/form-data; boundary=x", text] {
                #expect(fingerprint(text, type: type) == fingerprint(text, type: type, chunk: 2))
            }
        }
    }
}
