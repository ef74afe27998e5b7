/// /etc/passwd of a container (passwd(5)), read only for the home directory of a program that was given none.
enum AccountFile {
    /// The home directory of `user`, or nil when the file does not list it.
    static func home(of user: UInt32, in passwd: [UInt8]) -> [UInt8]? {
        for line in passwd.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count >= 6, UInt32(String(decoding: fields[2], as: UTF8.self)) == user, !fields[5].isEmpty else { continue }
            return Array(fields[5])
        }
        return nil
    }
}
