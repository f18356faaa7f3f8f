/// The name asked for, in lower case and cut into labels: scratch memory that one query after the other uses.
struct QueryName: ~Copyable {
    // 255 and 128 bytes, from init to deinit. `length` and `labelCount` never exceed what was written there.
    private let bytes: UnsafeMutablePointer<UInt8>
    private let starts: UnsafeMutablePointer<UInt8>
    /// Bytes of the wire form, its root label included.
    private(set) var length = 1
    /// Labels, without the root's.
    private(set) var labelCount = 0

    init() {
        bytes = .allocate(capacity: DomainName.maximumLength)
        bytes.initialize(repeating: 0, count: DomainName.maximumLength)
        // A label takes two bytes or more, so 255 bytes hold at most 127.
        starts = .allocate(capacity: 128)
        starts.initialize(repeating: 0, count: 128)
    }

    init(_ name: DomainName) {
        self.init()
        name.wire.withUnsafeBytes { wire in
            var reader = MessageReader(wire)
            // A domain name is well-formed.
            _ = read(&reader)
        }
    }

    deinit {
        bytes.deallocate()
        starts.deallocate()
    }

    var wire: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes, count: length) }

    /// Reads an uncompressed name; false if it is malformed, and then the value is of no use.
    ///
    /// Nothing but the header is before a QNAME, so a pointer in one leads nowhere.
    @inline(__always)
    mutating func read(_ reader: inout MessageReader) -> Bool {
        length = 0
        labelCount = 0
        while let size = reader.byte() {
            bytes[length] = size
            if size == 0 {
                length += 1
                return true
            }
            let count = Int(size)
            // The bound leaves room for the root label.
            guard size <= 63, length + 1 + count < DomainName.maximumLength, let label = reader.bytes(count) else {
                return false
            }
            starts[labelCount] = UInt8(truncatingIfNeeded: length)
            labelCount += 1
            for index in 0..<count { bytes[length + 1 + index] = DomainName.lowerCased(label[index]) }
            length += 1 + count
        }
        return false
    }

    /// Where the suffix of the last `labels` labels begins in the wire form.
    @inline(__always)
    func start(ofLast labels: Int) -> Int {
        precondition(labels >= 0 && labels <= labelCount)
        return labels == 0 ? length - 1 : Int(starts[labelCount - labels])
    }

    /// Whether the last `labels` labels are `name`, an uncompressed name in lower case of so many labels.
    @inline(__always)
    func ends(in name: UnsafeRawBufferPointer, labels: Int) -> Bool {
        guard labels <= labelCount else { return false }
        let start = start(ofLast: labels)
        guard length - start == name.count else { return false }
        for index in 0..<name.count where bytes[start + index] != name[index] { return false }
        return true
    }

    /// The hash of the suffix of the last `labels` labels, from that of one label less.
    @inline(__always)
    func hash(ofLast labels: Int, onto parent: UInt64) -> UInt64 {
        let start = start(ofLast: labels)
        return NameTable.hash(
            UnsafeRawBufferPointer(start: bytes + start, count: 1 + Int(bytes[start])), onto: parent)
    }
}
