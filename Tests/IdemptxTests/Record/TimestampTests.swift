import Idemptx
import Testing

@Suite("Timestamps")
struct TimestampTests {
    @Test("Arithmetic saturates instead of trapping")
    func saturates() {
        let end = Timestamp(milliseconds: .max)
        let beginning = Timestamp(milliseconds: .min)
        #expect(end.advanced(by: .seconds(1)) == end)
        #expect(beginning.advanced(by: .seconds(-1)) == beginning)
        #expect(Timestamp(milliseconds: 0).advanced(by: .seconds(Int64.max)) == end)
        #expect(Timestamp(milliseconds: 0).advanced(by: .seconds(Int64.min)) == beginning)
        #expect(beginning.duration(to: end) == .milliseconds(Int64.max))
        #expect(end.duration(to: beginning) == .milliseconds(Int64.min))
    }

    @Test(
        "Parts of a millisecond are rounded up, so that no lease is shorter than asked for",
        arguments: [
            (.nanoseconds(1), 1), (.microseconds(1001), 2), (.milliseconds(5), 5), (.zero, 0), (.seconds(2), 2000),
            (.microseconds(-1500), -1),
        ] as [(Duration, Int64)])
    func rounds(duration: Duration, milliseconds: Int64) {
        #expect(duration.wholeMilliseconds == milliseconds)
    }
}
