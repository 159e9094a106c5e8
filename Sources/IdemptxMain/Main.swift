import IdemptxCommand

/// Where the program starts.
@main
enum Main {
    static func main() async {
        await Program.run()
    }
}
