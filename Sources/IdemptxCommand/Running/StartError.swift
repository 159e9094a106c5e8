/// A command cannot start.
///
/// The message is all that a person gets to see.
struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
