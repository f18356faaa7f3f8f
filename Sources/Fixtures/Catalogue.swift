import Lab

/// The built-in fixtures, by family.
public enum Catalogue {
    public static let all: [Fixture] =
        Wildcard.fixtures + Ranges.fixtures + Ports.fixtures + Isolation.fixtures + Rebind.fixtures
        + Order.fixtures + Figure4c.fixtures + Scale.fixtures
        + BindFamily.fixtures
}
