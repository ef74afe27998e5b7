import SentryPlatform

/// Mappings that the stub lacks so far, of places where it has nothing else: the first touch of one is soon enough to make them all. Programs map several things
/// in a row, and give some back untouched; a trip to the stub for each costs more than the one fault.
struct PostponedMappings: Sendable {
    /// More are not kept waiting.
    static let capacity = 64

    /// No two of the same place.
    private var operations: [MappingOperation] = []
    /// A fork has left them to the child.
    private(set) var areInherited = false

    init() {}
    init(inherited operations: [MappingOperation]) {
        self.operations = operations
        areInherited = true
    }

    var count: Int { operations.count }
    var isEmpty: Bool { operations.isEmpty }

    /// Whether `address` is in one.
    func contains(_ address: UInt64) -> Bool { operations.contains { $0.range.contains(address) } }

    mutating func append(_ mappings: [MappingOperation]) { operations += mappings }

    /// All of them, which are to be made now.
    mutating func take() -> [MappingOperation] {
        defer { self = PostponedMappings() }
        return operations
    }

    /// Forgets what is in [start, end): how many bytes of it were to be mapped.
    mutating func cut(_ start: UInt64, _ end: UInt64) -> UInt64 {
        replace(start, end) { _ in nil }
    }

    /// Changes the protection of [start, end): whether all of it was to be mapped, else nothing changes.
    mutating func protect(_ start: UInt64, _ end: UInt64, _ protection: Protection) -> Bool {
        let covered = operations.reduce(0 as UInt64) { sum, operation in
            let range = operation.range.clamped(to: start..<end)
            return sum &+ UInt64(range.count)
        }
        if covered != end - start { return false }
        _ = replace(start, end) { part in part.with(protection) }
        return true
    }

    /// Puts what `change` makes of it in the place of each part that lies in [start, end): how long these parts are together.
    private mutating func replace(_ start: UInt64, _ end: UInt64, _ change: (MappingOperation) -> MappingOperation?) -> UInt64 {
        guard operations.contains(where: { $0.range.overlaps(start..<end) }) else { return 0 }
        var result: [MappingOperation] = []
        var length: UInt64 = 0
        for operation in operations {
            let range = operation.range
            let part = range.clamped(to: start..<end)
            if part.isEmpty {
                result.append(operation)
                continue
            }
            length &+= part.upperBound - part.lowerBound
            if range.lowerBound < part.lowerBound { result.append(operation.part(range.lowerBound..<part.lowerBound)) }
            if let changed = change(operation.part(part)) { result.append(changed) }
            if part.upperBound < range.upperBound { result.append(operation.part(part.upperBound..<range.upperBound)) }
        }
        operations = result
        return length
    }
}

extension MappingOperation {
    /// The part of a mapping that lies in `range`, which is inside its own.
    fileprivate func part(_ range: Range<UInt64>) -> MappingOperation {
        guard case .map(let address, _, let protection, let file, let offset, let populate) = self else { return self }
        return .map(
            address: range.lowerBound, length: range.upperBound - range.lowerBound, protection: protection, file: file,
            offset: offset &+ (range.lowerBound - address), populate: populate)
    }

    fileprivate func with(_ protection: Protection) -> MappingOperation {
        guard case .map(let address, let length, _, let file, let offset, let populate) = self else { return self }
        return .map(address: address, length: length, protection: protection, file: file, offset: offset, populate: populate)
    }
}
