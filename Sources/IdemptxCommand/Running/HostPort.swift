/// Where a server listens, as it stands in a URL.
struct HostPort: CustomStringConvertible {
    let host: String
    let port: Int

    var description: String { "\(self.host.contains(":") ? "[\(self.host)]" : self.host):\(self.port)" }
}
