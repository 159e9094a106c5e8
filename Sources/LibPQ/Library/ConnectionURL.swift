/// Checks that the separators in the URL of a database are where libpq looks for them.
///
/// If one was mistyped, or stands in a password without being percent-encoded, libpq takes a piece of that password for a
/// host, a port or the name of a database, and its messages and the server's quote those.
enum ConnectionURL {
    /// The fault of a URL for libpq, in words that quote none of it; `nil` if there is none.
    static func flaw(in conninfo: String) -> String? {
        guard conninfo.utf8.starts(with: "postgres://".utf8) || conninfo.utf8.starts(with: "postgresql://".utf8) else {
            return nil
        }
        // `user:password@`, hosts with ports, the name of the database, and options; by scalars, since a combining mark
        // would hide a separator.
        let url =
            #/
            [a-z]+:// (?: (?<user> [^@/:]* ) (?: : [^@/]* )? @ )? (?<servers> [^@/?\#]* )
            (?: / [A-Za-z0-9._~+%\-]* )? (?: \? [^\#]* )?
            /#.matchingSemantics(.unicodeScalar)
        let server = /(?:[A-Za-z0-9._~%\-]*|\[[A-Za-z0-9:.%]+\])(?::[0-9]*)?/.matchingSemantics(.unicodeScalar)
        let parts = conninfo.wholeMatch(of: url)
        let servers = parts?.servers.unicodeScalars.split(separator: ",", omittingEmptySubsequences: false)
        // libpq would take the password for a part of the user or the host. The name of an abstract socket begins with @.
        let encodedColon = /%3a/.ignoresCase().matchingSemantics(.unicodeScalar)
        let encodedSeparator = /%3a|.%40/.ignoresCase().matchingSemantics(.unicodeScalar)
        if parts?.user?.contains(encodedColon) == true
            || servers?.contains(where: { Substring($0).contains(encodedSeparator) }) == true
        {
            return "what separates user, password and host is : and @, not %3A and %40; "
                + "where one is a part of a name, use the options user and host"
        }
        guard let servers, servers.allSatisfy({ Substring($0).wholeMatch(of: server) != nil }) else {
            return "behind user and password, it has to have hosts, and the name of a database; "
                + "percent-encode what is special in any of them, such as @ by %40, and / by %2F"
        }
        return nil
    }
}
