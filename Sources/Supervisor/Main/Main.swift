internal import SupervisorCommandLine

@main struct Main {
    static func main() { Nestbox.runThisProcess() }
}
