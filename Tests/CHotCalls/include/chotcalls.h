// Counts what a thread executes, by stepping through it with ptrace(2): the same figures on every machine, unlike times.
#pragma once

#include <stdint.h>

struct chotcalls_counts {
    // Repetitions of a string instruction count as one.
    uint64_t instructions;
    // Those with a lock prefix.
    uint64_t atomics;
    uint64_t host_calls;
    // Entries into malloc and its kin.
    uint64_t allocations;
    // Entries into swift_retain and swift_release.
    uint64_t references;
};

// Forks. The child returns; the parent counts for it and ends as the child does. Once, while there is one thread.
void chotcalls_supervise(void);

// The calling thread is the one that is counted. 0, or a negated errno.
int chotcalls_attach(void);

// What runs between the two is counted. Only by the attached thread.
void chotcalls_begin(void);
void chotcalls_end(void);

// What the last pair counted.
struct chotcalls_counts chotcalls_result(void);

// With 1 standard error gets where each allocation and reference count came from, then every address with how often it was met and, to make
// sense of them, the address of `chotcalls_begin`.
void chotcalls_profile(int wanted);
