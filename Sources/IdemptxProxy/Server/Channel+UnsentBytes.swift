import NIOCore

extension Channel {
    /// Lets the system tell soon what a client takes: it would keep some megabytes of an answer to itself, and report
    /// nothing until a third of them has gone.
    func keepLittleUnsent() {
        #if canImport(Darwin)
        let option = NIOBSDSocket.Option(rawValue: 0x201)
        #else
        let option = NIOBSDSocket.Option(rawValue: 25)
        #endif
        // TCP_NOTSENT_LOWAT. Where there is none, a slow client has to be a little faster.
        try? self.syncOptions?.setOption(.tcpOption(option), value: 128 * 1024)
    }
}
