/// Where a server listens.
package enum NodeAddress: Hashable, Sendable {
    /// A host name or IP address, and a port.
    case tcp(host: String, port: Int)
    /// A socket in the file system.
    case unixSocket(path: String)
}

extension NodeAddress: CustomStringConvertible {
    /// `host:port`, with an IPv6 address in brackets, or the path.
    package var description: String {
        switch self {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unixSocket(let path): path
        }
    }
}
