/// A run of values that a ``Service`` makes once and every query reads.
///
/// An array would be retained and released by each worker for each query, all on one counter. This is no more
/// than an address and a number: whoever holds it sees to it that the service outlives it.
struct Table<Element> {
    private let elements: UnsafeMutableBufferPointer<Element>

    init(_ elements: some Collection<Element>) {
        self.elements = .allocate(capacity: elements.count)
        _ = self.elements.initialize(from: elements)
    }

    var count: Int { elements.count }

    @inline(__always)
    subscript(index: Int) -> Element {
        unsafeAddress {
            precondition(index >= 0 && index < elements.count)
            // The index is within the elements, so there is a base address and an element there.
            return UnsafePointer(elements.baseAddress.unsafelyUnwrapped + index)
        }
    }

    /// The memory of all elements.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(elements) }

    /// The memory of some of the elements, which must all exist.
    @inline(__always)
    func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        precondition(range.lowerBound >= 0 && range.upperBound <= elements.count)
        return UnsafeRawBufferPointer(UnsafeMutableBufferPointer(rebasing: elements[range]))
    }

    /// Ends the elements' lives: only once, and never followed by any use.
    func deallocate() {
        elements.deinitialize()
        elements.deallocate()
    }
}
