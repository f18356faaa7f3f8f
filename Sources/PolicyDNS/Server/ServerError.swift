import CLinux
import Glibc
import Sockets

/// What a server cannot do, and with what.
public enum ServerError: Error, Hashable, Sendable {
    /// The kernel refused a call.
    case call(String, errno: Int32, doing: String)
    /// A socket that was given cannot be served.
    case unsuitableSocket(descriptor: Int32, because: String)
    /// What the service manager says of the sockets that it gives makes no sense.
    case inheritance(InheritanceError)
    /// A setting that a running server cannot change.
    case needsRestart(setting: String, from: String, to: String)
    /// There is no socket to serve.
    case nothingToServe
    case outOfMemory(doing: String)
    /// The server has ended.
    case ended
}

extension ServerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .call(let name, let number, let doing):
            "\(name) failed while \(doing): \(ServerError.text(number))" + ServerError.advice(name, number)
        case .unsuitableSocket(let descriptor, let because):
            "descriptor \(descriptor) cannot be served: \(because)"
        case .inheritance(let error): error.description
        case .needsRestart(let setting, let from, let to):
            "'\(setting)' cannot change from \(from) to \(to) while the server runs: restart it"
        case .nothingToServe: "there is no socket to serve: configure a listener, or hand over sockets"
        case .outOfMemory(let doing): "out of memory while \(doing)"
        case .ended: "the server has ended"
        }
    }

    static func text(_ number: Int32) -> String {
        // The name is what one searches for; the sentence is strerror's.
        let name = clinux_error_name(number).map { String(cString: $0) } ?? "errno \(number)"
        return "\(name) (\(strerror(number).map { String(cString: $0) } ?? "unknown"))"
    }

    private static func advice(_ call: String, _ number: Int32) -> String {
        switch (call, number) {
        case ("bind", EACCES): "; a port below 1024 takes CAP_NET_BIND_SERVICE, which is gone after dropping privileges"
        case ("bind", EADDRINUSE): "; another socket holds the port without SO_REUSEPORT, or as another user"
        case ("bind", EADDRNOTAVAIL): "; the address is not one of this host's"
        default: ""
        }
    }
}
