/// A small option parser for the Sentry and the Gofer, whose start-up must not pay for a big one: `--name value`, `--name=value`
/// and `--flag`; the list of options is also the text of `--help`.
struct OptionParser<Options> {
    /// What an option does with its value.
    enum Action {
        case flag((inout Options) -> Void)
        /// The value's name in the help text, and what to do with it; a thrown string says what would have been right.
        case value(String, (inout Options, String) throws(OptionError) -> Void)
    }

    struct Option {
        let name: String
        let action: Action
        let help: String
    }

    let program: String
    let summary: String
    let notes: String
    let options: [Option]

    /// The text of `--help`.
    var help: String {
        var text = "\(program): \(summary)\n\nUSAGE\n    \(program) [OPTIONS]\n\nOPTIONS\n"
        for option in options + [
            Option(name: "--version", action: .flag { _ in }, help: "print the version"),
            Option(name: "--help", action: .flag { _ in }, help: "print this text"),
        ] {
            var head = "    " + option.name
            if case .value(let placeholder, _) = option.action { head += " " + placeholder }
            let padding =
                head.utf8.count < 32 ? String(repeating: " ", count: 32 - head.utf8.count) : "\n" + String(repeating: " ", count: 32)
            text += head + padding + option.help + "\n"
        }
        return text + "\n" + notes + "\n"
    }

    /// Fills `options` from the arguments after the program's name.
    func parse(_ arguments: some Sequence<String>, into result: inout Options) throws(OptionError) {
        var iterator = arguments.makeIterator()
        while let argument = iterator.next() {
            let name: String
            var attached: String?
            if let equals = argument.firstIndex(of: "=") {
                name = String(argument[..<equals])
                attached = String(argument[argument.index(after: equals)...])
            } else {
                name = argument
            }
            guard let option = options.first(where: { $0.name == name }) else {
                throw OptionError("unknown option '\(argument)'")
            }
            switch option.action {
            case .flag(let apply):
                if attached != nil { throw OptionError("\(name) takes no value") }
                apply(&result)
            case .value(let placeholder, let apply):
                guard let value = attached ?? iterator.next() else { throw OptionError("\(name) needs a value: \(placeholder)") }
                do { try apply(&result, value) } catch { throw OptionError("\(name) '\(value)': \(error.message)") }
            }
        }
    }
}

/// What is wrong with the command line.
public struct OptionError: Error, Sendable {
    public let message: String
    init(_ message: String) { self.message = message }
}
