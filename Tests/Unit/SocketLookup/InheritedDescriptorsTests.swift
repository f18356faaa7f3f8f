import Testing

@testable import SocketLookup

@Suite("Descriptors of socket activation")
struct InheritedDescriptorsTests {
    private func announced(_ environment: [String: String]) throws -> [String] {
        try InheritedDescriptors.announced(in: environment, process: 42).map { "\($0.descriptor.rawValue) \($0.name)" }
    }

    @Test("begin at 3, and have the names that they were given")
    func names() throws {
        #expect(try announced(["LISTEN_PID": "42", "LISTEN_FDS": "2"]) == ["3 unknown", "4 unknown"])
        #expect(
            try announced(["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "dns:web"]) == ["3 dns", "4 web"])
        #expect(try announced(["LISTEN_PID": "42", "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""]) == [])
    }

    @Test("are none where they are meant for another process, or nothing is said")
    func none() throws {
        #expect(try announced(["LISTEN_PID": "43", "LISTEN_FDS": "2"]) == [])
        #expect(try announced(["LISTEN_FDS": "2"]) == [])
        #expect(try announced(["LISTEN_PID": "42"]) == [])
    }

    @Test(
        "are refused where the variables make no sense",
        arguments: [
            ("LISTEN_PID", ["LISTEN_PID": "x", "LISTEN_FDS": "1"]), ("LISTEN_PID", ["LISTEN_PID": "0"]),
            ("LISTEN_FDS", ["LISTEN_PID": "42", "LISTEN_FDS": "-1"]),
            ("LISTEN_FDS", ["LISTEN_PID": "42", "LISTEN_FDS": "4097"]),
            ("LISTEN_FDNAMES", ["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "one"]),
        ])
    func refused(variable: String, environment: [String: String]) {
        let error = #expect(throws: SocketLookupError.self) {
            try InheritedDescriptors.announced(in: environment, process: 42)
        }
        guard case .inheritance(variable, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
