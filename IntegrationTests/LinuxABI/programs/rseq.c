// rseq(2): registration and its errors, the numbers it keeps, and critical sections that are aborted.
#include "show.h"

#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/time.h>

#define SIGNATURE 0x53053053

static struct rseq *mine(void) { return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset); }
static long register_area(void *area, unsigned length, int flags, unsigned signature) {
    return syscall(SYS_rseq, area, length, flags, signature);
}

static void numbers(void) {
    topic("numbers");
    struct rseq *area = mine();
    note("size %u", __rseq_size);
    note("vector: features %s, alignment %lu", getauxval(27) >= 28 ? "known" : "unknown", getauxval(28));
    cpu_set_t all, one;
    SHOW(sched_getaffinity(0, sizeof all, &all));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0) note("no affinity");
        unsigned told = ~0u, node = ~0u;
        syscall(SYS_getcpu, &told, &node, NULL);
        if ((int)area->cpu_id != cpu || (int)area->cpu_id_start != cpu || sched_getcpu() != cpu || (int)told != cpu)
            note("processor %d: area %u %u, C library %d, kernel %u", cpu, area->cpu_id_start, area->cpu_id, sched_getcpu(), told);
    }
    SHOW(sched_setaffinity(0, sizeof all, &all));
}

static void errors(void) {
    topic("errors");
    static struct rseq other __attribute__((aligned(64)));
    struct rseq *area = mine();
    SHOW(register_area(area, 32, 0, SIGNATURE));
    SHOW(register_area(area, 32, 0, SIGNATURE + 1));
    SHOW(register_area(&other, 32, 0, SIGNATURE));
    SHOW(register_area(area, 64, 0, SIGNATURE));
    SHOW(register_area(area, 32, 2, SIGNATURE));
    SHOW(register_area(area, 32, 3, SIGNATURE));
    SHOW(register_area(&other, 32, 1, SIGNATURE));
    SHOW(register_area(area, 64, 1, SIGNATURE));
    SHOW(register_area(area, 32, 1, SIGNATURE + 1));
    SHOW(register_area(area, 32, 1, SIGNATURE));
    note("then: start %u, processor %d", area->cpu_id_start, (int)area->cpu_id);
    note("the C library still knows the processor: %d", sched_getcpu() >= 0);
    SHOW(register_area(area, 32, 1, SIGNATURE));
    SHOW(register_area(NULL, 32, 1, SIGNATURE));
    SHOW(register_area((char *)&other + 4, 32, 0, SIGNATURE));
    SHOW(register_area(&other, 16, 0, SIGNATURE));
    SHOW(register_area(&other, 31, 0, SIGNATURE));
    SHOW(register_area((void *)0xffff800000000000, 32, 0, SIGNATURE));
    SHOW(register_area((void *)0x7fffffffffe0, 64, 0, SIGNATURE));
    other.rseq_cs = 12345;
    SHOW(register_area(&other, 32, 0, SIGNATURE));
    note("processor told: %d, section %llu", (int)other.cpu_id >= 0, (unsigned long long)other.rseq_cs);
    SHOW(register_area(&other, 32, 1, SIGNATURE));
    SHOW(register_area(area, 32, 0, SIGNATURE));
}

// Spins inside a critical section until something aborts it.
static unsigned spin(struct rseq *area, unsigned long *section) {
    unsigned aborts = 0;
    __asm__ volatile(
        ".pushsection __rseq_cs, \"aw\"\n.balign 32\n3:\n.long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
        "leaq 3b(%%rip), %%rax\nmovq %%rax, 8(%[area])\n"
        "1:\npause\njmp 1b\n2:\n"
        ".byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n"
        "4:\nincl %[aborts]\n"
        : [aborts] "+r"(aborts)
        : [area] "r"(area)
        : "rax", "memory");
    *section = area->rseq_cs;
    return aborts;
}

static volatile sig_atomic_t handled, inside;
static void count(int signal) {
    handled++;
    inside = mine()->rseq_cs != 0;
}

static void sections(void) {
    topic("sections");
    struct sigaction action = {.sa_handler = count};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = {.it_value = {0, 5000}};
    setitimer(ITIMER_REAL, &soon, NULL);
    unsigned long section = 1;
    unsigned aborts = spin(mine(), &section);
    while (!handled) rest(1);
    note("aborted %u, section %lu, handled %d, section in the handler %d", aborts, section, handled, inside);

    struct rseq_cs outside __attribute__((aligned(32))) = {.start_ip = 4096, .post_commit_offset = 16, .abort_ip = (uintptr_t)count};
    pid_t child = fork();
    if (child == 0) {
        mine()->rseq_cs = (uintptr_t)&outside;
        raise(SIGALRM);
        _exit(3);
    }
    reap("abort address without signature", child);
    child = fork();
    if (child == 0) {
        outside.version = 1;
        mine()->rseq_cs = (uintptr_t)&outside;
        raise(SIGALRM);
        _exit(3);
    }
    reap("unknown version", child);
    child = fork();
    if (child == 0) {
        mine()->rseq_cs = 64;
        raise(SIGALRM);
        _exit(3);
    }
    reap("no section there", child);
    child = fork();
    if (child == 0) {
        mine()->rseq_cs = 0xffff800000000000;
        raise(SIGALRM);
        _exit(3);
    }
    reap("section outside user space", child);
}

// Counters without atomic instructions: right only because sections on one processor do not interleave.
static struct { unsigned long value; char padding[120]; } counters[CPU_SETSIZE];
enum { ROUNDS = 200000, THREADS = 12 };

static void *add(void *unused) {
    struct rseq *area = mine();
    for (int round = 0; round < ROUNDS; round++) {
        __asm__ volatile(
            ".pushsection __rseq_cs, \"aw\"\n.balign 32\n3:\n.long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
            "5:\nleaq 3b(%%rip), %%rax\nmovq %%rax, 8(%[area])\n"
            "1:\nmovl 4(%[area]), %%eax\nshlq $7, %%rax\n"
            "movq (%[counters], %%rax), %%rcx\nincq %%rcx\npause\nmovq %%rcx, (%[counters], %%rax)\n"
            "2:\njmp 6f\n"
            ".byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n"
            "4:\njmp 5b\n6:\n"
            :
            : [area] "r"(area), [counters] "r"(counters)
            : "rax", "rcx", "memory", "cc");
        if (round % 5000 == 0) sched_yield();
    }
    return NULL;
}

static void threads(void) {
    topic("threads");
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, add, NULL) != 0) note("no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    unsigned long sum = 0;
    for (int i = 0; i < CPU_SETSIZE; i++) sum += counters[i].value;
    note("sum %lu of %lu", sum, (unsigned long)ROUNDS * THREADS);
}

static void inheritance(char *self) {
    topic("inheritance");
    pid_t child = fork();
    if (child == 0) {
        SHOW(register_area(mine(), 32, 0, SIGNATURE));
        note("child: %d", (int)mine()->cpu_id == sched_getcpu());
        _exit(0);
    }
    reap("fork", child);
    child = fork();
    if (child == 0) {
        execl(self, self, "again", NULL);
        _exit(127);
    }
    reap("exec", child);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        note("after exec: %d", (int)mine()->cpu_id == sched_getcpu());
        SHOW(register_area(mine(), 32, 0, SIGNATURE));
        return 0;
    }
    numbers();
    errors();
    sections();
    threads();
    inheritance("/proc/self/exe");
    return 0;
}
