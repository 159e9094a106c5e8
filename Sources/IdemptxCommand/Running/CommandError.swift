/// A command cannot do what it was asked.
///
/// The message is all that a person gets to see.
struct CommandError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
