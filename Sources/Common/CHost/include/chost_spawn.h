// Starting a process in namespaces of its own: everything between clone and exec, where no Swift may run.
#ifndef CHOST_SPAWN_H
#define CHOST_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What to start; addresses travel as integers, which keeps the structure a safe one for Swift. The child gets `descriptors[i]` as number i (-1 leaves i closed) and nothing else.
struct chost_spawn_request {
    int executable;                 // descriptor of the program file
    uintptr_t arguments;            // argument_count NUL-terminated strings, one after the other
    size_t argument_count;
    uintptr_t environment;          // as above
    size_t environment_count;
    uintptr_t descriptors;          // const int *
    size_t descriptor_count;
    uint64_t clone_namespaces;      // CLONE_NEW* made by clone itself, owned by the caller's user namespace (CLONE_NEWPID)
    uint64_t unshare_namespaces;    // CLONE_NEW* made after the user namespace, owned by it
    int new_user;                   // make a user namespace; the caller writes its maps while the child is at the gate
    int network_namespace;          // descriptor of the namespace to join, -1 none
    int set_identity;               // become uid:gid (in the new user namespace) and drop the supplementary groups
    uint32_t uid, gid;
    uint64_t ambient_capabilities;  // kept through exec by a uid other than 0; bit n is capability n
    int new_session;                // setsid
};

struct chost_spawned {
    pid_t pid;
    int gate;    // write end: one byte lets the child go on, closing it ends the child
    int report;  // read end: {step, errno} pairs
};

// Steps that a report may name.
enum chost_spawn_step {
    CHOST_SPAWN_AT_GATE = 1,
    CHOST_SPAWN_PIPE,
    CHOST_SPAWN_CLONE,
    CHOST_SPAWN_GROUPS,
    CHOST_SPAWN_JOIN_NETWORK,
    CHOST_SPAWN_NEW_USER,
    CHOST_SPAWN_IDENTITY,
    CHOST_SPAWN_UNSHARE,
    CHOST_SPAWN_SESSION,
    CHOST_SPAWN_CAPABILITIES,
    CHOST_SPAWN_DESCRIPTORS,
    CHOST_SPAWN_EXEC,
};

// Starts the child and waits until it stands at the gate. 0, or -errno with the step that failed in *step; then nothing is left.
int chost_spawn(const struct chost_spawn_request *request, struct chost_spawned *spawned, int *step);

// Lets the child go on to its program: 0, or -errno with the child reaped. The gate is closed either way.
int chost_spawn_open_gate(struct chost_spawned *spawned);

// Waits until the program of a child runs: 0, or -errno and the step that failed, with the child reaped. The report is closed either way.
int chost_spawn_confirm(const struct chost_spawned *spawned, int *step);

// Ends a child that stands at the gate, reaps it and closes both descriptors.
void chost_spawn_abandon(struct chost_spawned *spawned);

#endif
