/// The URL of a database, as far as its separators are where libpq looks for them.
///
/// One that was mistyped, or is part of a password without being percent-encoded, would make a piece of that password a
/// host, a port or the name of a database, which messages of libpq and of the server quote.
enum ConnectionURL {
    /// What is wrong with a connection string, if it is a URL; without a quotation.
    static func flaw(in conninfo: String) -> String? {
        guard conninfo.utf8.starts(with: "postgres://".utf8) || conninfo.utf8.starts(with: "postgresql://".utf8) else {
            return nil
        }
        // `user:password@`, hosts with ports, the name of the database, and options; by scalars, since a combining mark
        // would hide a separator.
        let url = /[a-z]+:\/\/(?:[^@\/]*@)?(?<servers>[^@\/?#]*)(?:\/(?<database>[A-Za-z0-9._~+%\-]*))?(?:\?[^#]*)?/
            .matchingSemantics(.unicodeScalar)
        let server = /(?:[A-Za-z0-9._~%\-]*|\[[A-Za-z0-9:.%]+\])(?::[0-9]*)?/.matchingSemantics(.unicodeScalar)
        let servers = conninfo.wholeMatch(of: url)?.servers.unicodeScalars.split(
            separator: ",", omittingEmptySubsequences: false)
        guard let servers, servers.allSatisfy({ Substring($0).wholeMatch(of: server) != nil }) else {
            return "behind user and password, it has to have hosts, and the name of a database; "
                + "percent-encode what is special in any of them, such as @ by %40, and / by %2F"
        }
        return nil
    }
}
