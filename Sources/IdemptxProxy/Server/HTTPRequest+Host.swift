import HTTPTypes
import Idemptx

extension HTTPRequest {
    /// Whether the host that is asked for consists of what can stand in a host and a port (RFC 3986, section 3.2).
    var hasProperHost: Bool {
        let hosts = self.headerFields[values: .hostField] + (self.authority.map { [$0] } ?? [])
        return hosts.allSatisfy { $0.utf8.allSatisfy(Self.isHostCharacter) }
    }

    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        byte.isTokenCharacter ? !"#^`|".utf8.contains(byte) : "[]():;=,".utf8.contains(byte)
    }
}
