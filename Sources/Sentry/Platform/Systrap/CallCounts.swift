/// How many calls have come from the addresses that most come from. Addresses share places in sets of four: in each set, whoever makes more than a fifth of the calls
/// stays, however many others come and go (the algorithm of Misra and Gries), so that no two can keep each other out.
struct CallCounts {
    private struct Place {
        var address: UInt64 = 0
        var count: UInt32 = 0
    }
    private static let setSize = 4
    private static let setCount = 16
    private var places = [Place](repeating: Place(), count: CallCounts.setSize * CallCounts.setCount)

    /// Counts a call from `address`: how many there have been, fewer by as many as others took from it; 0 when there is no place for it yet.
    mutating func count(_ address: UInt64) -> UInt32 {
        let first = Int(truncatingIfNeeded: (address ^ address >> 4 ^ address >> 8 ^ address >> 12) % UInt64(Self.setCount)) * Self.setSize
        let set = first..<first + Self.setSize
        if let index = set.first(where: { places[$0].address == address }) ?? set.first(where: { places[$0].count == 0 }) {
            places[index].address = address
            // Hours of calls from one address are more than the word holds.
            places[index].count &+= 1
            return places[index].count
        }
        for index in set { places[index].count -= 1 }
        return 0
    }
}
