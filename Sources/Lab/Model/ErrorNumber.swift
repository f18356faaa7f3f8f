import Glibc

/// An errno, shown by its name: `EADDRINUSE`.
public struct ErrorNumber: Hashable, Sendable {
    public let rawValue: Int32

    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The calling thread's errno.
    public static var current: ErrorNumber { ErrorNumber(rawValue: errno) }

    public init?(name: String) {
        guard let found = ErrorNumber.names.first(where: { $0.value == name }) else { return nil }
        rawValue = found.key
    }

    public var name: String { ErrorNumber.names[rawValue] ?? "errno \(rawValue)" }

    // errno(3): those that socket, bpf and namespace calls return. A number that is not here is shown as such.
    private static let names: [Int32: String] = [
        EPERM: "EPERM", ENOENT: "ENOENT", ESRCH: "ESRCH", EINTR: "EINTR", EIO: "EIO", ENXIO: "ENXIO",
        E2BIG: "E2BIG", EBADF: "EBADF", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM", EACCES: "EACCES", EFAULT: "EFAULT",
        EBUSY: "EBUSY", EEXIST: "EEXIST", ENODEV: "ENODEV", EINVAL: "EINVAL", ENFILE: "ENFILE", EMFILE: "EMFILE",
        ENOSPC: "ENOSPC", EPIPE: "EPIPE", ERANGE: "ERANGE", ENOSYS: "ENOSYS", ENOLINK: "ENOLINK",
        EPROTO: "EPROTO", EBADFD: "EBADFD", ENOTSOCK: "ENOTSOCK", EDESTADDRREQ: "EDESTADDRREQ",
        EMSGSIZE: "EMSGSIZE", EPROTOTYPE: "EPROTOTYPE", ENOPROTOOPT: "ENOPROTOOPT",
        EPROTONOSUPPORT: "EPROTONOSUPPORT", ESOCKTNOSUPPORT: "ESOCKTNOSUPPORT", EOPNOTSUPP: "EOPNOTSUPP",
        EPFNOSUPPORT: "EPFNOSUPPORT", EAFNOSUPPORT: "EAFNOSUPPORT", EADDRINUSE: "EADDRINUSE",
        EADDRNOTAVAIL: "EADDRNOTAVAIL", ENETDOWN: "ENETDOWN", ENETUNREACH: "ENETUNREACH",
        ECONNABORTED: "ECONNABORTED", ECONNRESET: "ECONNRESET", ENOBUFS: "ENOBUFS", EISCONN: "EISCONN",
        ENOTCONN: "ENOTCONN", ETIMEDOUT: "ETIMEDOUT", ECONNREFUSED: "ECONNREFUSED",
        EHOSTUNREACH: "EHOSTUNREACH", EALREADY: "EALREADY", EINPROGRESS: "EINPROGRESS", ECANCELED: "ECANCELED",
        // The kernel's own, which no libc header names; libbpf passes it on.
        524: "ENOTSUPP",
    ]

    public static let connectionRefused = ErrorNumber(rawValue: ECONNREFUSED)
    public static let invalidArgument = ErrorNumber(rawValue: EINVAL)
    public static let addressInUse = ErrorNumber(rawValue: EADDRINUSE)
    public static let connectionReset = ErrorNumber(rawValue: ECONNRESET)
    public static let noEntry = ErrorNumber(rawValue: ENOENT)
    public static let notPermitted = ErrorNumber(rawValue: EPERM)
    public static let noLink = ErrorNumber(rawValue: ENOLINK)
    public static let tooBig = ErrorNumber(rawValue: E2BIG)
    public static let noSpace = ErrorNumber(rawValue: ENOSPC)
    public static let networkUnreachable = ErrorNumber(rawValue: ENETUNREACH)
}

extension ErrorNumber: CustomStringConvertible, Codable {
    public var description: String { name }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        if let number = ErrorNumber(name: text) {
            self = number
        } else if text.hasPrefix("errno "), let value = Int32(text.dropFirst(6)) {
            self.init(rawValue: value)
        } else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is not an errno: write its name, such as EADDRINUSE")
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(name)
    }
}
