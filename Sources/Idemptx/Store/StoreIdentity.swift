/// Tells what a store keeps its records in from everything else.
///
/// Two handles on one file, or on one database of a server with one prefix, have one identity: a claim that was made
/// through one of them is held in the other, too.
public struct StoreIdentity: Hashable, Sendable {
    private enum Value: Hashable {
        case object(ObjectIdentifier)
        case name(String)
    }

    private let value: Value

    /// The identity of a store that shares its records with no other object.
    ///
    /// - Parameter store: The store.
    package init(of store: AnyObject) {
        self.value = .object(ObjectIdentifier(store))
    }

    /// The identity of everything that is reached under a name.
    ///
    /// - Parameter name: What the records are kept in, such as the path of a file. It is only compared.
    public init(name: String) {
        self.value = .name(name)
    }
}
