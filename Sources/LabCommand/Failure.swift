import ArgumentParser
import Fixtures
import Glibc
import PolicyDNS
import Report
import SocketLookup
import Sockets
import YAMLReading

/// An error that knows which exit status it means.
protocol StatusCarrying: Error {
    var status: ExitStatus { get }
}

/// What the user asked for does not exist or makes no sense.
struct Misuse: StatusCarrying, CustomStringConvertible {
    let description: String
    var status: ExitStatus { .usage }

    init(_ description: String) { self.description = description }
}

/// The lab cannot do what it was asked.
struct Breakdown: StatusCarrying, CustomStringConvertible {
    let description: String
    var status: ExitStatus { .broken }

    init(_ description: String) { self.description = description }
}

/// The status of an error of another module; nil for the argument parser's.
func knownStatus(of error: any Error) -> ExitStatus? {
    switch error {
    case is SelectionError, is YAMLFileError, is InheritanceError: .usage
    case let error as ServerError:
        switch error {
        case .unsuitableSocket, .inheritance, .needsRestart, .nothingToServe: .usage
        // An address that this host has not, a port that is taken or takes privileges.
        case .call("bind", _, _): .usage
        case .call, .outOfMemory, .ended: .broken
        }
    case let error as SocketLookupError: status(of: error)
    case is ValidationError, is CleanExit: nil
    // The parser's errors are internal to it, but all of them come wrapped in one type.
    case let error where String(reflecting: type(of: error)).hasPrefix("ArgumentParser."): nil
    default: .broken
    }
}

private func status(of error: SocketLookupError) -> ExitStatus {
    switch error {
    case .noSuchProgram, .programNotNamed, .notADispatcher, .notScripted, .scriptTooLong, .familiesDiffer,
        .mappedPrefix, .tie, .notBound, .boundElsewhere, .duplicate, .tooManyRanges, .tooManyBindings, .tooManyLabels,
        .unsuitableLabel, .unsuitableSocket, .tooManySockets, .noSuchSocket, .notRegistered, .notLoaded,
        .alreadyLoaded:
        .usage
    // A file that is no object: libbpf's own numbers begin at 4000.
    case .call("bpf_object__load", 4000..., _, _): .usage
    case .call, .noFileSystem, .busy, .incompatible: .broken
    }
}
