// Threads: clone with CLONE_THREAD, futexes of every kind, thread-local storage, exit of one and of all, exec from a thread.
#include "show.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counter;
static __thread int local = 5;

static long futex(int *word, int operation, int value, void *time, int *other, int last) {
    return syscall(SYS_futex, word, operation, value, time, other, last);
}

static void *adder(void *value) {
    local += (long)value;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    pthread_barrier_wait(&barrier);
    return (void *)(long)local;
}

static int turn;
static void *alternating(void *mine) {
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != (long)mine) pthread_cond_wait(&condition, &mutex);
        turn = !turn;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return 0;
}

static void many(void) {
    topic("many threads");
    enum { threads = 16 };
    pthread_t thread[threads];
    pthread_barrier_init(&barrier, 0, threads);
    for (long i = 0; i < threads; i++) pthread_create(&thread[i], 0, adder, (void *)i);
    long sum = 0;
    for (int i = 0; i < threads; i++) {
        void *value;
        pthread_join(thread[i], &value);
        sum += (long)value;
    }
    note("counter %ld sum %ld local %d", counter, sum, local);
    pthread_create(&thread[0], 0, alternating, (void *)0);
    pthread_create(&thread[1], 0, alternating, (void *)1);
    pthread_join(thread[0], 0);
    pthread_join(thread[1], 0);
    note("turns taken, turn %d", turn);
    for (int round = 0; round < 200; round++) {
        pthread_t one;
        if (pthread_create(&one, 0, alternating, (void *)9) != 0) { note("create failed"); break; }
        pthread_detach(one);
        pthread_cancel(one);
    }
    note("created and cancelled");
}

static int word;
static void *waker(void *unused) {
    rest(50);
    word = 1;
    // Told by the one who joins: this thread may be overtaken by the one it wakes.
    return (void *)futex(&word, FUTEX_WAKE, 1, 0, 0, 0);
}
static void *sleeper(void *unused) {
    while (futex(&word, FUTEX_WAIT, 2, 0, 0, 0) == -1 && errno == EINTR) {}
    return 0;
}

static void futexes(void) {
    topic("futex");
    int other = 0;
    struct timespec brief = {0, 10000000}, bad = {0, 2000000000};
    SHOW(futex(&word, FUTEX_WAIT, 1, 0, 0, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &brief, 0, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &bad, 0, 0));
    SHOW(futex((int *)2, FUTEX_WAIT, 0, 0, 0, 0));
    SHOW(futex((int *)4096, FUTEX_WAIT, 0, 0, 0, 0));
    SHOW(futex(&word, FUTEX_WAKE, 10, 0, 0, 0));
    SHOW(futex(&word, 77, 10, 0, 0, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, 0, 0, 0));
    pthread_t thread, sleepers[4];
    pthread_create(&thread, 0, waker, 0);
    SHOW(futex(&word, FUTEX_WAIT, 0, 0, 0, 0));
    void *woken;
    pthread_join(thread, &woken);
    note("woken %ld", (long)woken);
    word = 2;
    for (int i = 0; i < 4; i++) pthread_create(&sleepers[i], 0, sleeper, 0);
    rest(200);
    other = 7;
    SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 3));
    SHOW(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 2));
    SHOW(futex(&other, FUTEX_WAKE, 10, 0, 0, 0));
    SHOW(futex(&word, FUTEX_WAKE, 10, 0, 0, 0));
    for (int i = 0; i < 4; i++) pthread_join(sleepers[i], 0);
    int first = 0, second = 5;
    SHOW(futex(&first, FUTEX_WAKE_OP, 1, (void *)1, &second, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 5)));
    SHOW(second);
    topic("shared between processes");
    int *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child = fork();
    if (child == 0) {
        while (__atomic_load_n(shared, __ATOMIC_SEQ_CST) == 0) futex(shared, FUTEX_WAIT, 0, 0, 0, 0);
        _exit(*shared);
    }
    rest(50);
    __atomic_store_n(shared, 9, __ATOMIC_SEQ_CST);
    SHOW(futex(shared, FUTEX_WAKE, 1, 0, 0, 0) >= 0);
    reap("waiter", child);
    topic("robust and priority-inheriting mutexes");
    pthread_mutex_t *robust = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attribute;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setpshared(&attribute, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attribute, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(robust, &attribute);
    child = fork();
    if (child == 0) { pthread_mutex_lock(robust); _exit(0); }
    reap("owner", child);
    note("lock %s", strerrorname_np(pthread_mutex_lock(robust)));
    note("consistent %d", pthread_mutex_consistent(robust));
    note("unlock %d", pthread_mutex_unlock(robust));
    pthread_mutex_t inheriting;
    pthread_mutexattr_init(&attribute);
    pthread_mutexattr_setprotocol(&attribute, PTHREAD_PRIO_INHERIT);
    note("PI mutex %d", pthread_mutex_init(&inheriting, &attribute));
    note("lock %d unlock %d", pthread_mutex_lock(&inheriting), pthread_mutex_unlock(&inheriting));
    int pi = 0;
    SHOW(futex(&pi, FUTEX_LOCK_PI, 0, 0, 0, 0));
    note("owned %d", pi == syscall(SYS_gettid));
    SHOW(futex(&pi, FUTEX_LOCK_PI, 0, 0, 0, 0));
    SHOW(futex(&pi, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
    SHOW(futex(&pi, FUTEX_UNLOCK_PI, 0, 0, 0, 0));
}

static void *idle(void *unused) { for (;;) pause(); return 0; }
static void *exiting(void *unused) { exit(17); }
static void *killed(void *unused) { *(volatile int *)16 = 1; return 0; }
static void *execing(void *path) {
    char *arguments[] = {"sh", "-c", "exit 33", 0};
    execv(path, arguments);
    return 0;
}

static volatile sig_atomic_t handled_by;
static void handler(int signal) { handled_by = syscall(SYS_gettid); }
static volatile int target;
static void *directed(void *unused) {
    target = syscall(SYS_gettid);
    while (!handled_by) rest(1);
    return 0;
}

static void groups(void) {
    topic("groups of threads");
    void *(*bodies[])(void *) = {exiting, killed, execing};
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread;
            for (int j = 0; j < 3; j++) pthread_create(&thread, 0, idle, 0);
            pthread_create(&thread, 0, bodies[i], "/bin/sh");
            for (;;) pause();
        }
        reap("group", child);
    }
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, 0, exiting, 0);
        pthread_exit(0);
    }
    reap("leaderless", child);
    topic("identity");
    note("main thread %d", syscall(SYS_gettid) == getpid());
    pthread_t thread;
    signal(SIGUSR1, handler);
    pthread_create(&thread, 0, directed, 0);
    while (!target) rest(1);
    SHOW(syscall(SYS_tgkill, getpid(), target, SIGUSR1));
    pthread_join(thread, 0);
    note("handled by the target %d", handled_by == target);
    SHOW(syscall(SYS_tgkill, getpid(), 1 << 30, SIGUSR1));
    SHOW(syscall(SYS_tgkill, 1, syscall(SYS_gettid), SIGUSR1));
    char name[20] = {0};
    SHOW(prctl(PR_SET_NAME, "a name that is too long"));
    SHOW(prctl(PR_GET_NAME, name));
    note("%s", name);
    cpu_set_t set;
    SHOW(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    SHOW(sched_yield());
    SHOW(sched_getscheduler(0));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
}

int main(void) {
    workplace("threads");
    many();
    futexes();
    groups();
    return 0;
}
