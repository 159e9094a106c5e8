import Testing

@Suite("The simulation")
struct SimulationTests {}
