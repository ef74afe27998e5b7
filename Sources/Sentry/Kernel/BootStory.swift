import Host

extension Kernel {
    /// Writes the messages that dmesg(1) shows: what a kernel says while it starts, as this one would have it. Called once, by the initialiser.
    func tellBootStory() {
        let openings = [
            "Hanging the nest box under the eaves, well out of reach of cats...",
            "Nailing the nest box to a sunny wall...",
        ]
        let middles = [
            "Weaving straw into page tables...",
            "Measuring the entrance hole: 32 mm, no magpie will fit",
            "Posting a swift at every system call...",
            "Asking the gofer for worms, one file at a time...",
            "Teaching the fledglings to fork without falling out...",
            "Lining the address space with down...",
            "Counting eggs: all present, none cracked",
            "Polishing the perch of PID 1...",
            "Waiting for the early bird to release the lock...",
            "Sweeping last year's zombies out of the nest...",
            "Sealing the draughty syscalls...",
            "Checking that nobody can see the garden from in here...",
        ]
        let noise = (try? HostCall.randomBytes(32)) ?? [UInt8](repeating: 7, count: 32)
        var byte = 0
        func draw(_ limit: Int) -> Int {
            byte = (byte + 1) % noise.count
            return limit > 0 ? Int(noise[byte]) % limit : 0
        }
        var time: UInt64 = 0
        func say(_ text: String) {
            log.append(text, time: time)
            time += 20_000_000 + UInt64(draw(256)) * 1_700_000
        }
        say("\(SystemIdentity.name) version \(SystemIdentity.release) \(SystemIdentity.version)")
        say(openings[draw(openings.count)])
        var rest = middles
        for _ in 0..<6 where !rest.isEmpty { say(rest.remove(at: draw(rest.count))) }
        say("Ready!")
    }
}
