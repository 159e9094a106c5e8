public import ArgumentParser
public import Idemptx

extension RecordState: ExpressibleByArgument, Encodable {}
