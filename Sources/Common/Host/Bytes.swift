extension [UInt8] {
    /// A copy of the bytes of `span`, made at once.
    public init(copying span: Span<UInt8>) {
        // SAFETY: the source pointer is used only while the span is borrowed.
        self = unsafe span.withUnsafeBufferPointer { source in unsafe [UInt8](source) }
    }
}
