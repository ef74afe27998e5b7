public import LinuxABI

/// Code of a guest as the platform sees it, to shorten its system calls. `SentryMemory.AddressSpace` implements it.
public protocol GuestCode: AnyObject, Sendable {
    /// Bytes of code that nothing may write: private mappings of files, executable and not writable. nil when any of it is something else.
    func constantCode(at address: UInt64, count: Int) -> [UInt8]?
    /// Bytes of code as they are now, whatever they are. nil when any of them cannot be read.
    func currentCode(at address: UInt64, count: Int) -> [UInt8]?
    /// Replaces bytes of such code within one page: a new page takes the old one's place in the stub when it is complete, so that no thread sees half of it.
    func replaceCode(at address: UInt64, with bytes: [UInt8]) throws(Errno)
    /// Makes private memory for the platform's own use at a fixed place, readable and executable. EEXIST: something is there, or might grow there.
    func mapTrampolines(at address: UInt64, length: UInt64) throws(Errno)
    /// Writes such memory.
    func writeTrampolines(at address: UInt64, _ bytes: [UInt8]) throws(Errno)
}
