// Tries messages on the codec and on the whole answer path. As it is, it replays the files given; built by
// scripts/fuzz-dns, it is a libFuzzer target that takes libFuzzer's options.
import Glibc

// One thread runs all of this: libFuzzer calls back on the thread that started it.
nonisolated(unsafe) let subject = Subject()

#if FUZZ
    /// libFuzzer's entry for programs that have a main of their own.
    @_silgen_name("LLVMFuzzerRunDriver")
    func runFuzzer(
        _ count: UnsafeMutablePointer<Int32>,
        _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
        _ run: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
    ) -> Int32

    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    exit(
        runFuzzer(&count, &arguments) { data, size in
            // libFuzzer's data are of that size for as long as the call lasts.
            subject.run(UnsafeRawBufferPointer(start: data, count: size))
            return 0
        })
#else
    var replayed = 0
    for path in CommandLine.arguments.dropFirst() {
        guard let file = fopen(path, "r") else {
            perror(path)
            exit(2)
        }
        var bytes = [UInt8](repeating: 0, count: 1 << 17)
        let size = fread(&bytes, 1, bytes.count, file)
        fclose(file)
        bytes[..<size].withUnsafeBytes { subject.run($0) }
        replayed += 1
    }
    print("\(replayed) files replayed")
#endif
