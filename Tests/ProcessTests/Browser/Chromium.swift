import Foundation
import TestSupport

/// A headless Chromium with a profile of its own, and without a network but for this machine.
struct Chromium {
    private let process = Process()
    private let profile: CommandProcess.Directory
    private let devTools = DevToolsPipe()

    /// Opens an address in a new browser, which ends with the visit.
    static func visit(_ address: String, _ body: (BrowserPage) async throws -> Void) async throws {
        let browser = try Chromium()
        do {
            try await body(BrowserPage(address, over: browser.devTools))
        } catch {
            try await browser.end()
            throw error
        }
        try await browser.end()
    }

    private init() throws {
        self.profile = try CommandProcess.Directory()
        // Chromium expects the pipes as descriptors 3 and 4, which Process does not hand down.
        self.process.executableURL = URL(filePath: "/bin/sh")
        self.process.arguments = [
            "-c", #"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#, try Self.executable(),
            "--headless", "--remote-debugging-pipe", "--user-data-dir=\(self.profile.path)", "--no-first-run",
            // Tests may run as root, and in containers, where the sandbox does not. The page is our own.
            "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]
        self.process.standardInput = self.devTools.toBrowser
        self.process.standardOutput = self.devTools.fromBrowser
        self.process.standardError = FileHandle.nullDevice
        try self.process.run()
    }

    private func end() async throws {
        try? await self.devTools.tell("Browser.close")
        try await eventually("The end of the browser") { !self.process.isRunning }
    }

    private static func executable() throws -> String {
        #if os(macOS)
        let candidates = ["Google Chrome", "Chromium"].map { "/Applications/\($0).app/Contents/MacOS/\($0)" }
        #else
        let directories = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
        let candidates = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"].flatMap { name in
            directories.map { "\($0)/\(name)" }
        }
        #endif
        guard let found = candidates.first(where: FileManager.default.isExecutableFile(atPath:)) else {
            throw ChromiumMissing()
        }
        return found
    }
}
