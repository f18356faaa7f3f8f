import Glibc

/// The steps of each change to a pinned state, in order, by what has just been done.
///
/// Of each change one step takes effect, and is marked; killed before it the old state is left, and after it the new
/// one. What a killed change leaves besides is removed by the next.
package enum ControlStep: String, CaseIterable, Sendable {
    // Loading. A program without bindings passes everything, so attaching it shows nothing.
    case loadMadeDirectory = "load-made-directory"
    case loadPinnedMaps = "load-pinned-maps"
    case loadPinnedLink = "load-pinned-link"
    /// Takes effect.
    case loadRenamedDirectory = "load-renamed-directory"

    /// Takes effect: a detached link is no dispatcher.
    case unloadDetachedLink = "unload-detached-link"
    case unloadRenamedDirectory = "unload-renamed-directory"
    case unloadRemovedDirectory = "unload-removed-directory"

    // Replacing the bindings, be it by one more or one fewer.
    case replaceNamedLabels = "replace-named-labels"
    case replaceMadeCounters = "replace-made-counters"
    case replacePinnedRecords = "replace-pinned-records"
    case replacePutTable = "replace-put-table"
    /// Takes effect: the other generation is in force.
    case replaceChangedGeneration = "replace-changed-generation"
    case replaceRetiredTable = "replace-retired-table"
    case replaceRemovedRecords = "replace-removed-records"

    // Registering, unregistering and draining.
    case registerNamedLabel = "register-named-label"
    case registerPutSockets = "register-put-sockets"
    /// Takes effect: a label's flows are shared anew.
    case registerSharedFlows = "register-shared-flows"
    case registerRemovedSockets = "register-removed-sockets"

    case upgradePinnedProgram = "upgrade-pinned-program"
    /// Takes effect: the link has the new program.
    case upgradeUpdatedLink = "upgrade-updated-link"
    case upgradeRenamedProgram = "upgrade-renamed-program"

    /// The variable that names a step after which the process kills itself, for the tests of all this.
    package static let variable = "BINDING_LAB_KILL_AFTER"

    /// Tells that the step has been done.
    func done() {
        guard let name = getenv(ControlStep.variable), strcmp(name, rawValue) == 0 else { return }
        kill(getpid(), SIGKILL)
    }
}
