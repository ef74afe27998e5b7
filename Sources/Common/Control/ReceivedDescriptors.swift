public import Host

/// Descriptors that rode with a request, in the order in which they were sent. Those that nobody takes are closed with it.
public final class ReceivedDescriptors: Sendable {
    private let values: Lock<[Int32]>
    /// How many came.
    public let count: Int

    init(adopting values: [Int32]) {
        count = values.count
        self.values = Lock(values)
    }

    deinit {
        for value in values.withLock({ $0 }) where value >= 0 { _ = OwnedDescriptor(adopting: value) }
    }

    /// The descriptor at `index`, once; nil when there is none or it was taken.
    public func take(_ index: Int) -> OwnedDescriptor? {
        let value = values.withLock { values -> Int32 in
            guard values.indices.contains(index) else { return -1 }
            let value = values[index]
            values[index] = -1
            return value
        }
        return value < 0 ? nil : OwnedDescriptor(adopting: value)
    }
}
