import Lab

/// The built-in fixtures, by family.
public enum Catalogue {
    public static let all: [Fixture] =
        Wildcard.fixtures + Ranges.fixtures + Ports.fixtures + Isolation.fixtures + Rebind.fixtures
        + Order.fixtures + Packets.fixtures + Assign.fixtures + Programs.fixtures + Links.fixtures + Privileges.fixtures
        + Position.fixtures + PositionDelivery.fixtures + PositionHandshake.fixtures + Sockmap.fixtures
        + Reuseport.fixtures + ReuseportPrograms.fixtures + ReuseportMembers.fixtures + ReuseportMigration.fixtures
        + ReuseportSelections.fixtures
        + Context.fixtures + Verifier.fixtures + TestRuns.fixtures
        + DispatcherLifecycle.fixtures + DispatcherUpgrades.fixtures + DispatcherBindings.fixtures
        + DispatcherReplacements.fixtures + DispatcherSocketFamily.fixtures + DispatcherCounters.fixtures
        + DispatcherModels.fixtures + DispatcherInterruptions.fixtures
        + Figure4c.fixtures + Scale.fixtures
        + History.fixtures + BindFamily.fixtures
        + NameAnswers.fixtures + NamesAndSites.fixtures + NameDelivery.fixtures + Recursion.fixtures
}
