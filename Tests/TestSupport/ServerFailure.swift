/// A server of a test did not do what it should.
package struct ServerFailure: Error, CustomStringConvertible {
    /// One sentence, and what the server has logged.
    package let description: String

    /// Creates a failure that says so.
    package init(_ description: String) {
        self.description = description
    }
}
