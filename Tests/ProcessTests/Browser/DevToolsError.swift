/// The browser could not do what it was told.
struct DevToolsError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
