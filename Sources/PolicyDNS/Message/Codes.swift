/// Record types and query types by number (IANA, DNS Parameters): those that answering treats specially.
public enum RecordType {
    public static let a: UInt16 = 1
    public static let ns: UInt16 = 2
    public static let soa: UInt16 = 6
    public static let hinfo: UInt16 = 13
    public static let txt: UInt16 = 16
    public static let aaaa: UInt16 = 28
    public static let opt: UInt16 = 41
    public static let ds: UInt16 = 43
    public static let tkey: UInt16 = 249
    public static let tsig: UInt16 = 250
    public static let ixfr: UInt16 = 251
    public static let axfr: UInt16 = 252
    public static let any: UInt16 = 255
}

/// Classes by number.
public enum RecordClass {
    public static let internet: UInt16 = 1
    public static let chaos: UInt16 = 3
    public static let any: UInt16 = 255
}

/// Response codes by number, EDNS and TSIG extensions included (RFC 6895 §2.3).
public enum ResponseCode {
    public static let noError: UInt16 = 0
    public static let formErr: UInt16 = 1
    public static let servFail: UInt16 = 2
    public static let nxDomain: UInt16 = 3
    public static let notImp: UInt16 = 4
    public static let refused: UInt16 = 5
    public static let notAuth: UInt16 = 9
    public static let badVers: UInt16 = 16
    /// In the error field of a TSIG record only: there it shares no space with BADVERS (RFC 8945 §3).
    public static let badKey: UInt16 = 17
    public static let badCookie: UInt16 = 23

    /// The code's mnemonic, or `RCODE` and the number.
    public static func name(_ code: UInt16) -> String {
        switch code {
        case noError: "NOERROR"
        case formErr: "FORMERR"
        case servFail: "SERVFAIL"
        case nxDomain: "NXDOMAIN"
        case notImp: "NOTIMP"
        case refused: "REFUSED"
        case notAuth: "NOTAUTH"
        case badVers: "BADVERS"
        case badCookie: "BADCOOKIE"
        default: "RCODE\(code)"
        }
    }
}

/// Codes of EDNS options.
public enum OptionCode {
    /// RFC 5001.
    public static let serverIdentifier: UInt16 = 3
    /// RFC 7871.
    public static let clientSubnet: UInt16 = 8
    /// RFC 7873.
    public static let cookie: UInt16 = 10
    /// RFC 7828.
    public static let keepalive: UInt16 = 11
    /// RFC 8914.
    public static let extendedError: UInt16 = 15
}

/// Extended error codes (RFC 8914 §4).
public enum ExtendedError {
    public static let notAuthoritative: UInt16 = 20
    public static let notSupported: UInt16 = 21
}

/// The fixed part of a message (RFC 1035 §4.1.1).
enum Header {
    static let size = 12
    /// Bits of the third byte.
    static let response: UInt8 = 0x80
    static let opcodeMask: UInt8 = 0x78
    static let authoritative: UInt8 = 0x04
    static let truncated: UInt8 = 0x02
    static let recursionDesired: UInt8 = 0x01
}
