import Foundation
import FuzzTargets

/// What libFuzzer calls with each of its inputs.
///
/// - Parameters:
///   - start: Where the input is.
///   - count: How many bytes it has.
/// - Returns: 0, as libFuzzer wants it.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // Safe: the bytes are copied before the call returns.
    let input = unsafe Array(UnsafeBufferPointer(start: start, count: count))
    do {
        try target.check(input)
    } catch {
        say("\(target.name): \(error)")
        // How libFuzzer is told to keep the input.
        abort()
    }
    return 0
}

/// What is fuzzed, as `FUZZ_TARGET` says it.
private let target: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
        say("FUZZ_TARGET has to be one of \(FuzzTarget.all.map(\.name).joined(separator: ", ")).")
        exit(2)
    }
    return target
}()

/// Unlike `print`, not lost in a buffer when the process ends.
private func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
}
