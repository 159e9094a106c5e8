/// What a ``CommandConnection`` has to do after an event.
struct CommandConnectionStep<Waiter> {
    /// Who is to be told what.
    private(set) var outcomes: [(waiter: Waiter, result: Result<[RESPValue], RedisError>)] = []
    /// Whether the connection is to be closed, before anything else is done.
    var closesConnection = false
    var next = NextStep.nothing

    init(next: NextStep = .nothing) {
        self.next = next
    }

    static func failing(_ waiter: Waiter?, _ error: RedisError) -> CommandConnectionStep {
        var step = CommandConnectionStep()
        step.tell(waiter, .failure(error))
        return step
    }

    mutating func tell(_ waiter: Waiter?, _ result: Result<[RESPValue], RedisError>) {
        guard let waiter else { return }
        self.outcomes.append((waiter, result))
    }
}
