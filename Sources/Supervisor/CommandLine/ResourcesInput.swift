internal import Host
internal import LinuxABI
internal import SupervisorOCI

/// The document that `update --resources` names.
enum ResourcesInput {
    /// The bytes of a file, or of standard input for `-`.
    static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
        do throws(Errno) {
            if path == "-" { return try HostEnvironment.readAll(0, maximum: ConfigurationLimit.documentBytes) }
            let file = try HostCall.open(Array(HostEnvironment.absolute(path).utf8), flags: OpenFlag.O_RDONLY)
            return try HostEnvironment.readAll(file.rawValue, maximum: ConfigurationLimit.documentBytes)
        } catch {
            throw ConfigurationError("", "cannot be read: \(error)")
        }
    }
}
