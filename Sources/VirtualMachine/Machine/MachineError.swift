/// What keeps the lab from having a machine: never the kernel's fault, always with what to do about it.
public enum MachineError: Error, Hashable, Sendable, CustomStringConvertible {
    case noPackage(searched: [String])
    case noTool(String, package: String)
    case notStatic(String)
    case toolFailed(tool: String, on: String, status: String, output: String)
    case cannot(String, on: String, reason: String)
    case badModule(String, reason: String)
    case badSetting(name: String, value: String, allowed: [String])

    public var description: String {
        switch self {
        case .noPackage(let searched):
            "no binding-lab package at or above \(searched.joined(separator: " or ")): set LAB_ROOT to its directory"
        case .noTool(let tool, let package): "no \(tool) in PATH: install \(package), or run scripts/setup"
        case .notStatic(let path):
            "\(path) is not statically linked: it cannot run in a guest; check the toolchain's static libraries"
        case .toolFailed(let tool, let on, let status, let output):
            "\(tool) failed (\(status)) on \(on):\n\(output)"
        case .cannot(let what, let on, let reason): "cannot \(what) \(on): \(reason)"
        case .badModule(let path, let reason): "the kernel module \(path) is unusable: \(reason)"
        case .badSetting(let name, let value, let allowed):
            "\(name)=\(value) is not possible: use \(allowed.joined(separator: " or "))"
        }
    }
}
