import Control
import Diagnostics
import SentryKernel

/// Binds the control server's paths to the sandbox. What each does is said in Control/README.md.
enum SentryEndpoints {
    static func register(on server: ControlServer, _ sandbox: Sandbox) {
        server.command("/v1/create", CreateRequest.self) { message, request, reply throws(SandboxError) in
            let descriptors = try DescriptorSet(message.container.descriptors, request.descriptors)
            reply.succeed(try sandbox.create(message, descriptors))
        }
        server.command("/v1/start", ContainerReference.self) { message, _, reply throws(SandboxError) in
            reply.succeed(try sandbox.start(message.container))
        }
        server.command("/v1/exec", ExecSpecification.self) { message, request, reply throws(SandboxError) in
            let descriptors = try DescriptorSet(message.descriptors, request.descriptors)
            reply.succeed(try sandbox.exec(message, descriptors))
        }
        server.command("/v1/signal", SignalRequest.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).signal(message)
            reply.succeed()
        }
        server.command("/v1/wait", TaskReference.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).wait(message.pid, reply)
        }
        server.command("/v1/pause", ContainerReference.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).pause()
            reply.succeed()
        }
        server.command("/v1/resume", ContainerReference.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).resume()
            reply.succeed()
        }
        server.command("/v1/destroy", ContainerReference.self) { message, _, reply throws(SandboxError) in
            reply.succeed(try sandbox.destroy(message.container))
        }
        server.command("/v1/update", UpdateRequest.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).update(message.resources)
            reply.succeed()
        }
        server.command("/v1/resize", ResizeRequest.self) { message, _, reply throws(SandboxError) in
            try sandbox.container(message.container).resize(message)
            reply.succeed()
        }
        server.on(.get, "/v1/timeline/complete") { _, reply in
            Timeline.startup.whenComplete { reply.succeed(TimelineReport(component: "sentry")) }
        }
        server.report("/v1/tasks") { () throws(SandboxError) in TaskListing.make(sandbox) }
        server.report("/v1/containers") { () throws(SandboxError) in
            var list = ContainerList()
            list.containers = sandbox.all.map(\.entry)
            return list
        }
        server.on(.get, "/v1/events") { _, reply throws(SandboxError) in sandbox.addEventStream(reply) }
        server.on(.get, "/v1/stacks") { _, reply throws(SandboxError) in
            reply.succeed(text: TaskListing.stacks(sandbox))
        }
    }
}
