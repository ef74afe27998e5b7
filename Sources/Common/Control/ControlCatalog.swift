public import Wire

/// Every structure of the control protocol, for documentation, golden vectors and fuzzers.
public enum ControlCatalog {
    /// Every message of the protocol, in reading order.
    public static let messages: [any WireStructure.Type] = [
        CreateRequest.self, ExecSpecification.self, ContainerReference.self, TaskReference.self, SignalRequest.self, ExitReport.self,
        UpdateRequest.self, ResizeRequest.self, VersionReport.self, TaskList.self, ContainerList.self, EventRecord.self,
        GoferConfiguration.self, GoferExit.self, ProblemReport.self, TimelineReport.self,
    ]

    /// Every structure that travels, those inside messages too; for golden vectors and fuzzers.
    public static let structures: [any WireStructure.Type] =
        messages + [
            SandboxConfiguration.self, ContainerSpecification.self, ProcessSpecification.self, CapabilitySets.self, ResourceLimit.self,
            SeccompProgram.self, SeccompRule.self, SeccompAction.self, SeccompArgument.self, NamedValue.self, MountSpecification.self,
            DeviceSpecification.self, ResourceSpecification.self, IdentityMapping.self, SharedNamespace.self, DescriptorAssignment.self,
            ResourceUsage.self, TaskEntry.self, ContainerEntry.self, TreeSpecification.self, TimelineStep.self,
        ]
}
