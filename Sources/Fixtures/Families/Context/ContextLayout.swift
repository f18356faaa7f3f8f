/// Where the fields of struct bpf_sk_lookup are, and how a program may load them (linux/bpf.h).
enum ContextLayout {
    /// A field and the widths by which it may be loaded, in bytes.
    struct Field {
        var name: String
        var offset: Int
        var size: Int
        var widths: [Int]
    }

    static let fields: [Field] =
        // The pointer is loaded whole or not at all.
        [Field(name: "sk", offset: 0, size: 8, widths: [8])]
        + [("family", 8), ("protocol", 12), ("remote_ip4", 16)].map(word)
        + (0..<4).map { word("remote_ip6[\($0)]", 20 + 4 * $0) }
        // A field of 16 bits that was one of 32: the two bytes after it are 0, and all four may be loaded at once.
        + [word("remote_port", 36), word("local_ip4", 40)]
        + (0..<4).map { word("local_ip6[\($0)]", 44 + 4 * $0) }
        + [word("local_port", 60)]

    /// Since Linux 5.17; nothing was in its place before, and nothing is behind it.
    static let ingressIndex = word("ingress_ifindex", 64)

    private static func word(_ name: String, _ offset: Int) -> Field {
        Field(name: name, offset: offset, size: 4, widths: [1, 2, 4])
    }

    /// The offsets at which a load of a width lies within a field that allows it. The kernel wants it aligned.
    static func loads(width: Int, of fields: [Field]) -> [Int] {
        fields.filter { $0.widths.contains(width) }
            .flatMap { field in stride(from: field.offset, to: field.offset + field.size, by: width) }
    }
}
