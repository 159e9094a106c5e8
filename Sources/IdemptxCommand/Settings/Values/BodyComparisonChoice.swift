import Idemptx

/// How two bodies are compared.
enum BodyComparisonChoice: String, Choice {
    case structure
    case bytes

    var comparison: FingerprintRecipe.BodyComparison {
        switch self {
        case .structure: .structure
        case .bytes: .bytes
        }
    }
}
