/// A value that holds for a range of addresses and can be cut.
protocol RangeValue {
    /// The value for the part that begins `distance` bytes into the range.
    func advanced(by distance: UInt64) -> Self
    /// Whether `self` after `length` bytes of `previous` says the same as one longer range of `previous`.
    func continues(_ previous: Self, after length: UInt64) -> Bool
}

/// Disjoint ranges with values, in address order. Lookup is a binary search.
struct RangeMap<Value: RangeValue> {
    struct Entry {
        var start: UInt64
        var end: UInt64
        var value: Value
        var length: UInt64 { end &- start }
    }
    private(set) var entries: [Entry] = []

    var count: Int { entries.count }
    subscript(index: Int) -> Entry {
        // Fields are read without a copy of the entry, which would count references.
        _read { yield entries[index] }
        _modify { yield &entries[index] }
    }

    /// The first entry that ends above `address`: it contains the address, or is the next one. `count` when there is none.
    func index(endingAbove address: UInt64) -> Int {
        var low = 0, high = entries.count
        while low < high {
            let middle = (low &+ high) / 2
            if entries[middle].end > address { high = middle } else { low = middle &+ 1 }
        }
        return low
    }

    /// The entry that contains `address`.
    func index(containing address: UInt64) -> Int? {
        let index = index(endingAbove: address)
        return index < entries.count && entries[index].start <= address ? index : nil
    }

    /// The first entry that starts at or above `address`.
    func index(startingAtOrAbove address: UInt64) -> Int {
        var low = 0, high = entries.count
        while low < high {
            let middle = (low &+ high) / 2
            if entries[middle].start >= address { high = middle } else { low = middle &+ 1 }
        }
        return low
    }

    func isEmpty(_ start: UInt64, _ end: UInt64) -> Bool {
        let index = index(endingAbove: start)
        return index == entries.count || entries[index].start >= end
    }

    /// Makes `address` a boundary between entries.
    mutating func split(at address: UInt64) {
        guard let index = index(containing: address), entries[index].start < address else { return }
        let entry = entries[index]
        entries[index].end = address
        entries.insert(Entry(start: address, end: entry.end, value: entry.value.advanced(by: address &- entry.start)), at: index + 1)
    }

    /// Cuts at both ends; the indices of the entries inside.
    mutating func isolate(_ start: UInt64, _ end: UInt64) -> Range<Int> {
        split(at: start)
        split(at: end)
        return index(endingAbove: start)..<index(startingAtOrAbove: end)
    }

    /// The entries inside, cut out of the map.
    mutating func remove(_ start: UInt64, _ end: UInt64) -> [Entry] {
        let range = isolate(start, end)
        if range.isEmpty { return [] }
        let removed = Array(entries[range])
        entries.removeSubrange(range)
        return removed
    }

    /// Adds a range where there is none, joined with its neighbours when they say the same.
    mutating func insert(_ start: UInt64, _ end: UInt64, _ value: Value) {
        let index = index(startingAtOrAbove: start)
        if index > 0, entries[index - 1].end == start, value.continues(entries[index - 1].value, after: entries[index - 1].length) {
            entries[index - 1].end = end
            join(index - 1)
            return
        }
        entries.insert(Entry(start: start, end: end, value: value), at: index)
        join(index)
    }

    /// Joins the entry at `index` with the next one when possible.
    @discardableResult private mutating func join(_ index: Int) -> Bool {
        guard index + 1 < entries.count, entries[index].end == entries[index + 1].start,
            entries[index + 1].value.continues(entries[index].value, after: entries[index].length)
        else { return false }
        entries[index].end = entries[index + 1].end
        entries.remove(at: index + 1)
        return true
    }

    /// Joins neighbours whose common boundary lies in [start, end], after values have changed.
    mutating func coalesce(_ start: UInt64, _ end: UInt64) {
        var index = start > 0 ? index(endingAbove: start - 1) : 0
        while index + 1 < entries.count, entries[index].end <= end {
            if !join(index) { index += 1 }
        }
    }

    /// Appends an entry above all others (building a copy in order).
    mutating func append(_ start: UInt64, _ end: UInt64, _ value: Value) {
        if let last = entries.last, last.end == start, value.continues(last.value, after: last.length) {
            entries[entries.count - 1].end = end
        } else {
            entries.append(Entry(start: start, end: end, value: value))
        }
    }

    mutating func removeAll() { entries = [] }
}

extension RangeMap: Sendable where Value: Sendable {}
extension RangeMap.Entry: Sendable where Value: Sendable {}
