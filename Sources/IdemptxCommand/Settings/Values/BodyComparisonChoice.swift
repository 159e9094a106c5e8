/// How two bodies are compared.
enum BodyComparisonChoice: String, Choice {
    case structure
    case bytes
}
