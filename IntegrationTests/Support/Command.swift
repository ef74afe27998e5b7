import Foundation
import Testing

/// What a program did.
struct Outcome: Sendable {
    var command: [String]
    var standardOutput: [UInt8]
    var standardError: [UInt8]
    /// The exit status, or 128 and the signal's number, as a shell says it.
    var status: Int32
    /// Whether it was killed for taking too long.
    var timedOut: Bool
    var seconds: Double

    var output: String { String(decoding: standardOutput, as: UTF8.self) }
    var errors: String { String(decoding: standardError, as: UTF8.self) }

    /// All of it, for the comment of a failed expectation.
    var report: Comment {
        """
        \(command.joined(separator: " "))
        \(timedOut ? "killed after" : "status \(status) after") \(String(format: "%.2f", seconds)) s
        --- standard output
        \(output.suffix(4000))
        --- standard error
        \(errors.suffix(6000))
        """
    }
}

/// A program that runs beside the test.
final class RunningCommand: @unchecked Sendable {  // its state changes in `wait` only, which the test's own thread calls
    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)
    private let folder: String
    private let command: [String]
    private let began = DispatchTime.now()
    private var outcome: Outcome?

    var identifier: Int32 { process.processIdentifier }

    /// Starts `command`. Its output goes to files, so that no pipe of the test's stays open in what it leaves running.
    init(
        _ command: [String], input: [UInt8]? = nil, environment: [String: String]? = nil, directory: String? = nil,
        standardOutput: FileHandle? = nil
    ) throws {
        folder = try Workspace.makeFolder("command")
        self.command = command
        let manager = FileManager.default
        process.executableURL = URL(fileURLWithPath: command[0].contains("/") ? command[0] : "/usr/bin/env")
        process.arguments = command[0].contains("/") ? Array(command.dropFirst()) : command
        if let environment { process.environment = environment }
        if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
        // The program has its own copies; these would stay open as long as Foundation keeps the process in mind, by the thousand.
        var files: [FileHandle?] = []
        defer { for file in files { try? file?.close() } }
        if let input {
            let path = folder + "/input"
            _ = manager.createFile(atPath: path, contents: Data(input))
            let file = FileHandle(forReadingAtPath: path)
            files.append(file)
            process.standardInput = file
        } else {
            process.standardInput = FileHandle.nullDevice
        }
        _ = manager.createFile(atPath: folder + "/output", contents: nil)
        _ = manager.createFile(atPath: folder + "/errors", contents: nil)
        let output = FileHandle(forWritingAtPath: folder + "/output"), errors = FileHandle(forWritingAtPath: folder + "/errors")
        files += [output, errors]
        process.standardOutput = standardOutput ?? output
        process.standardError = errors
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
        Orphans.leave(process.processIdentifier)
    }

    /// Whether it runs still.
    var isRunning: Bool { process.isRunning }

    /// What it has printed so far.
    var outputSoFar: String { String(decoding: contents("output"), as: UTF8.self) }

    /// Whether it prints `text` within `seconds`.
    func prints(_ text: String, within seconds: Double) throws -> Bool {
        try Wait.changes(in: [folder + "/output"], within: seconds) { outputSoFar.contains(text) }
    }

    /// Waits at most `timeout` seconds, kills the whole process group then, and tells what happened.
    @discardableResult
    func wait(timeout: Double) -> Outcome {
        if let outcome { return outcome }
        let timedOut = ended.wait(timeout: .now() + timeout) == .timedOut
        if timedOut {
            kill(-process.processIdentifier, SIGKILL)
            kill(process.processIdentifier, SIGKILL)
            _ = ended.wait(timeout: .now() + 10)
        }
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - began.uptimeNanoseconds) / 1e9
        let status = process.isRunning ? -1 : process.terminationStatus + (process.terminationReason == .uncaughtSignal ? 128 : 0)
        let result = Outcome(
            command: command, standardOutput: contents("output"), standardError: contents("errors"), status: status, timedOut: timedOut,
            seconds: seconds)
        outcome = result
        try? FileManager.default.removeItem(atPath: folder)
        return result
    }

    private func contents(_ name: String) -> [UInt8] { [UInt8](FileManager.default.contents(atPath: folder + "/" + name) ?? Data()) }
}

/// Runs `command` to its end.
@discardableResult
func execute(
    _ command: [String], input: [UInt8]? = nil, environment: [String: String]? = nil, directory: String? = nil, timeout: Double = 60
) throws -> Outcome {
    try RunningCommand(command, input: input, environment: environment, directory: directory).wait(timeout: timeout)
}
