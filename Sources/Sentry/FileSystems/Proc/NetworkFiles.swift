import LinuxABI
import SentryVFS

/// /proc/PID/net: Unix sockets, and the tables of a machine that has only a loopback interface without addresses.
enum NetworkFiles {
    private static let tables: [(String, String)] = [
        (
            "dev",
            "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n"
        ),
        (
            "tcp",
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n"
        ),
        (
            "tcp6",
            "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        ),
        (
            "udp",
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops            \n"
        ),
        (
            "udp6",
            "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
        ),
        ("raw", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"),
        (
            "raw6",
            "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
        ),
        ("packet", "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
        ("netlink", "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"),
        (
            "route",
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n"
        ),
        ("ipv6_route", ""), ("if_inet6", ""), ("arp", "IP address       HW type     Flags       HW address            Mask     Device\n"),
        ("fib_trie", ""),
        ("igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"), ("dev_mcast", ""), ("wireless", ""),
        ("softnet_stat", ""),
        (
            "sockstat",
            "sockets: used 0\nTCP: inuse 0 orphan 0 tw 0 alloc 0 mem 0\nUDP: inuse 0 mem 0\nUDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"
        ),
        ("sockstat6", "TCP6: inuse 0\nUDP6: inuse 0\nUDPLITE6: inuse 0\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n"),
        (
            "protocols",
            "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\nUNIX-STREAM 1024      0      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  y  n  n  n\nUNIX      1024      0      -1   NI       0   yes  kernel      y  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n  n\n"
        ), ("netstat", "TcpExt: SyncookiesSent\nTcpExt: 0\nIpExt: InNoRoutes\nIpExt: 0\n"), ("snmp", snmp),
        ("psched", "000003e8 00000040 000f4240 3b9aca00\n"),
        ("ptype", "Type Device      Function\n"), ("xfrm_stat", ""), ("rt_cache", ""), ("connector", ""),
    ]

    private static let snmp = """
        Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates
        Ip: 2 64 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
        Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks OutAddrMaskReps
        Icmp: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
        Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors
        Tcp: 1 200 120000 -1 0 0 0 0 0 0 0 0 0 0 0
        Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
        Udp: 0 0 0 0 0 0 0 0 0

        """

    static func fill(_ directory: StaticDirectory, _ proc: ProcFileSystem) {
        let table = proc.unixSockets
        directory.add("unix", SyntheticFile(proc, unwritable: .EIO, content: { _ throws(Errno) in table() }))
        for (name, text) in tables { directory.add(name, SyntheticFile(proc, unwritable: .EIO, text: text)) }
        directory.directory("stat")
    }
}
