/// The versions that this build speaks.
public enum ProtocolVersion {
    /// Of the release, as `--version` prints it.
    public static let release = "0.1.0"
    /// Of the control protocol; paths carry the major.
    public static let controlMajor: UInt16 = 1
    public static let controlMinor: UInt16 = 1
    /// "1.1"
    public static var control: String { "\(controlMajor).\(controlMinor)" }
}
