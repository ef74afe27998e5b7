public import LinuxABI

/// Discretionary access control (path_resolution(7), capabilities(7)).
public enum Permissions {
    /// Throws EACCES unless the mode bits or a capability grant all of `access`.
    public static func check(_ attributes: FileAttributes, _ access: Access, _ credentials: Credentials) throws(Errno) {
        var bits = attributes.permissions
        if credentials.user.fileSystem == attributes.user {
            bits >>= 6
        } else if credentials.isMember(ofGroup: attributes.group) {
            bits >>= 3
        }
        if bits & access.rawValue == access.rawValue { return }
        if attributes.type == .directory {
            if credentials.has(.CAP_DAC_OVERRIDE) { return }
            if !access.contains(.write), credentials.has(.CAP_DAC_READ_SEARCH) { return }
        } else {
            // Execution needs at least one execute bit, whoever asks.
            if credentials.has(.CAP_DAC_OVERRIDE), !access.contains(.execute) || attributes.permissions & 0o111 != 0 { return }
            if access == .read, credentials.has(.CAP_DAC_READ_SEARCH) { return }
        }
        throw .EACCES
    }
}
