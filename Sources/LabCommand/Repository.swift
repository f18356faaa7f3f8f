import Foundation

/// The working copy that the command belongs to: the kernel catalogue and the guest's sources are there.
enum Repository {
    static func root() throws -> String {
        let given = ProcessInfo.processInfo.environment["LAB_ROOT"] ?? ""
        if !given.isEmpty { return given }
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        for start in [FileManager.default.currentDirectoryPath, executable] {
            var place = URL(fileURLWithPath: start)
            while place.path != "/", !place.path.isEmpty {
                if FileManager.default.fileExists(atPath: place.appendingPathComponent("vm/kernels.yaml").path) {
                    return place.path
                }
                place.deleteLastPathComponent()
            }
        }
        throw Breakdown("vm/kernels.yaml is not found: run lab from its working copy")
    }
}
