import Host
import Testing

@Suite struct IdentityMapTests {
    @Test func mapsBothWays() {
        let map = IdentityMap([.init(container: 0, host: 100_000, count: 1000), .init(container: 5000, host: 7, count: 1)])
        for (container, host) in [(0, 100_000), (999, 100_999), (5000, 7)] as [(UInt32, UInt32)] {
            #expect(map.host(container) == host && map.container(host) == container && map.contains(container))
        }
        for missing in [1000, 4999, 5001, .max] as [UInt32] { #expect(map.host(missing) == nil && !map.contains(missing)) }
        for missing in [0, 6, 8, 99_999, 101_000, .max] as [UInt32] { #expect(map.container(missing) == nil) }
        #expect(map.text == "         0     100000       1000\n      5000          7          1\n")
    }

    @Test func reachesTheEdges() {
        let map = IdentityMap([.init(container: 4_294_967_290, host: 0, count: 5), .init(container: 0, host: 4_294_967_290, count: 5)])
        #expect(map.host(4_294_967_294) == 4 && map.host(.max) == nil && map.host(4) == 4_294_967_294)
        #expect(map.container(4_294_967_294) == 4 && map.container(.max) == nil)
    }

    @Test func identityLeavesEverything() {
        #expect(IdentityMap.identity.host(0) == 0 && IdentityMap.identity.container(65534) == 65534)
        #expect(IdentityMap.identity.host(.max) == nil && IdentityMap.identity.container(.max) == nil)
        #expect(IdentityMap.identity.text == "         0          0 4294967295\n")
    }
}
