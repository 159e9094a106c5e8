extension [String] {
    /// The values of a flag that was repeated, as one setting; `nil` if there are none.
    var commaSeparated: String? { self.isEmpty ? nil : self.joined(separator: ",") }
}
