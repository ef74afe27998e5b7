/// What must be undone if a creation fails: each step registers its own undoing, and they run newest first.
///
/// A creation that succeeds calls `keep()`.
struct UndoStack: ~Copyable {
    private var steps: [(name: String, step: () -> Void)] = []

    /// Registers the undoing of the step just made.
    mutating func push(_ name: String, _ step: @escaping () -> Void) { steps.append((name, step)) }

    /// Forgets everything: the creation stands.
    mutating func keep() { steps = [] }

    /// Undoes everything now, newest first.
    mutating func run() {
        while let last = steps.popLast() { last.step() }
    }
}
