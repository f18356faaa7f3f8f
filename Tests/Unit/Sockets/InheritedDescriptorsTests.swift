import Sockets
import Testing

@Suite("Descriptors of socket activation")
struct InheritedDescriptorsTests {
    private func announced(_ environment: [String: String]) throws -> [String] {
        try InheritedDescriptors.announced(in: environment, process: 42).map {
            "\($0.descriptor.rawValue) \($0.name ?? "-")"
        }
    }

    @Test("begin at 3, and have the names that they were given")
    func names() throws {
        #expect(try announced(["LISTEN_PID": "42", "LISTEN_FDS": "2"]) == ["3 -", "4 -"])
        #expect(
            try announced(["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "dns:web"]) == ["3 dns", "4 web"])
        #expect(
            try announced(["LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "ams:unknown:"])
                == ["3 ams", "4 -", "5 -"])
        #expect(try announced(["LISTEN_PID": "42", "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""]) == [])
    }

    @Test("are none where they are meant for another process, or nothing is said")
    func none() throws {
        #expect(try announced(["LISTEN_PID": "43", "LISTEN_FDS": "2"]) == [])
        #expect(try announced(["LISTEN_FDS": "2"]) == [])
        #expect(try announced(["LISTEN_PID": "42"]) == [])
    }

    @Test(
        "are refused where a variable makes no sense, by its name",
        arguments: [
            (["LISTEN_PID": "x", "LISTEN_FDS": "1"], "LISTEN_PID='x': it is not a process number"),
            (["LISTEN_PID": "0"], "LISTEN_PID='0': it is not a process number"),
            (
                ["LISTEN_PID": "42", "LISTEN_FDS": "-1"],
                "LISTEN_FDS='-1': it is not a number of descriptors, 0 to 4096"
            ),
            (
                ["LISTEN_PID": "42", "LISTEN_FDS": "4097"],
                "LISTEN_FDS='4097': it is not a number of descriptors, 0 to 4096"
            ),
            (
                ["LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "one"],
                "LISTEN_FDNAMES='one': it names 1 descriptors, and LISTEN_FDS says 2"
            ),
        ])
    func refused(environment: [String: String], message: String) {
        let error = #expect(throws: InheritanceError.self) {
            try InheritedDescriptors.announced(in: environment, process: 42)
        }
        #expect(error?.description == message)
    }
}
