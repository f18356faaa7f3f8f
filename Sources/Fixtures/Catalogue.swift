import Lab

/// The built-in fixtures, by family.
public enum Catalogue {
    public static let all: [Fixture] =
        Wildcard.fixtures + Ranges.fixtures + Ports.fixtures + Isolation.fixtures + Rebind.fixtures
        + Order.fixtures + Assign.fixtures + Programs.fixtures + Figure4c.fixtures + Scale.fixtures
        + History.fixtures
}
