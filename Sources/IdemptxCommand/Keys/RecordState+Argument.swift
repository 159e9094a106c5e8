import ArgumentParser
import Idemptx

extension RecordState: ExpressibleByArgument, Encodable {}
