// Attacks everything that guest code can reach of its stub process, case by case, beside a witness that must not notice.
//
// usage: hostile SEED COUNT [FIRST]
//
// Workers do the cases FIRST, FIRST+1, ... in batches; each case follows from SEED and its number alone (in a noisy batch also from what the other threads
// happen to do), so that `hostile SEED 1 NUMBER` repeats it. Most cases end with a signal, after which the worker goes on with the next; a worker
// that a case has killed is replaced. One that hangs is killed, and has to be gone soon.
#include "attacks.h"
#include "noise.h"
#include "witness.h"

#include <dirent.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

enum { WORKERS = 10, BATCH = 500 };
// A case that takes longer is reminded, then given up, in nanoseconds; and its process has so long to be gone.
#define REMIND_AFTER 50000000ul
#define STUCK_AFTER 200000000ul
#define GONE_WITHIN 30000000000ul

static const struct kind {
    const char *name;
    uint32_t weight;
    void (*attack)(struct worker *, struct dice *, uint64_t);
} kinds[] = {
    {"jump into the stub", 420, jump},
    {"jump to a trampoline", 80, jump_to_trampolines},
    {"single-step", 40, step},
    {"scribble over slots", 170, scribble},
    {"change segments", 60, segments},
    {"remap", 90, remap},
    {"other instructions", 60, instruct},
    {"forge a turn", 35, forge_turn},
    {"forge a frame", 15, forge_return},
    {"change a frame", 15, change_return},
    {"close everything", 5, close_everything},
    {"clone", 10, multiply},
    {"execute", 1, execute},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

// Each on a page of its own: attackers write to theirs.
static struct shared {
    struct {
        // The next case, taken from here, since an attack may take its thread back to an earlier place, or double it.
        uint64_t next;
        uint8_t rest[4088];
    } workers[WORKERS];
    struct testimony testimony;
} *shared;

static uint64_t seed;

static uint32_t kind_of(struct dice *d) {
    uint32_t total = 0;
    for (int i = 0; i < KINDS; i++) total += kinds[i].weight;
    uint32_t at = (uint32_t)below(d, total), kind = 0;
    while (at >= kinds[kind].weight) at -= kinds[kind++].weight;
    return kind;
}

// How many threads attack beside the worker that begins with case `first`.
static uint64_t noise_of(struct dice *d, uint64_t first) {
    *d = dice_of(seed ^ 0x6e6f6973, first);
    return has_slots && chance(d, 8) ? 1 + below(d, 3) : 0;
}

// ---- a worker ----

static void limit(int resource, rlim_t value) {
    struct rlimit limit = {value, value};
    setrlimit(resource, &limit);
}

// What cases undo.
static void renew(struct worker *w) {
    uint64_t none = 0;
    CALL(SYS_rt_sigprocmask, SIG_SETMASK, &none, 0, 8);
    adopt_block(w->block);
    for (int signal = 1; signal <= 40; signal++)
        if (signal != SIGKILL && signal != SIGSTOP && signal != SIGCHLD) handle(signal);
}

// A case that takes longer is ended.
static void set_timer(void) {
    struct itimerval once = {{0, 0}, {0, 2000}};
    CALL(SYS_setitimer, ITIMER_REAL, &once, 0);
}

static void work(int index, uint64_t first, uint64_t last, int noFSGSBase) {
    // It has no power over others that hostile code in a process of its own would not have.
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 1 << 20);
    limit(RLIMIT_AS, 1 << 30);
    limit(RLIMIT_NPROC, 60);
    gid_t nobody = 65534;
    if (setgroups(1, &nobody) != 0 || setresgid(65534, 65534, 65534) != 0 || setresuid(60000 + (uid_t)index, 60000 + (uid_t)index, 60000 + (uid_t)index) != 0) exit(96);
    prctl(PR_SET_DUMPABLE, 1);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(null, i);
    setpgid(0, 0);

    make_scratch();
    struct worker w = {.block = make_block(noFSGSBase)};
    main_block = w.block;
    w.code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (w.code == MAP_FAILED) w.code = 0;
    struct block *foreign = make_block(noFSGSBase);
    foreign->magic = FOREIGN_MAGIC;
    w.stack = (uint8_t *)foreign;
    int process = getpid();
    noisy_process = process;
    struct dice batch;
    uint64_t noises_wanted = noise_of(&batch, first);
    struct block *noise[3] = {0};
    for (uint64_t i = 0; i < noises_wanted; i++) {
        noise[i] = make_block(noFSGSBase);
        noise[i]->seed = roll(&batch);
    }
    renew(&w);
    w.slot = own_slot(w.block);
    for (int i = 0; i < 3 && noise[i]; i++) start_noise(noises[i], noise[i]);

    while (!w.isSpoiled) {
        uint64_t number = __atomic_fetch_add(&shared->workers[index].next, 1, __ATOMIC_RELAXED);
        if (number >= last) break;
        struct dice d = dice_of(seed, number);
        const struct kind *kind = &kinds[kind_of(&d)];
        for (int i = 0; i < 3 && noise[i]; i++) noise[i]->seed = roll(&batch);
        set_timer();
        kind->attack(&w, &d, number);
        // The call tells a copy of the process, unless an attack has made it lie.
        if (CALL(SYS_getpid) != process) CALL(SYS_exit_group, 0);
        if (CALL(SYS_gettid) != process) CALL(SYS_exit, 0);
        put_gs_back(&w);
        if (number % 32 == 0) renew(&w);
    }
    CALL(SYS_exit_group, 0);
}

// ---- the parent ----

struct job {
    pid_t process;
    // The cases that are left, and what was last seen of their progress.
    uint64_t first, last, seen, since;
};
static struct job jobs[WORKERS];
// Killed and not yet gone.
static struct {
    pid_t process;
    uint64_t since;
} dying[256];
static uint64_t begun[KINDS], fatal[KINDS], stuck[KINDS], noisy, slowest, begin;
static int is_verbose;
static double seconds(void) { return (double)(now() - begin) / 1e9; }
static pid_t witness_process;

static int is_known(pid_t process) {
    for (int i = 0; i < WORKERS; i++)
        if (jobs[i].process == process) return 1;
    return process == witness_process;
}

// Ends what attacks have left: their children come here when their parent ends.
static void sweep(void) {
    static DIR *folder;
    if (!folder && !(folder = opendir("/proc"))) return;
    rewinddir(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        pid_t process = atoi(entry->d_name), parent = 0;
        if (process <= 1 || is_known(process)) continue;
        char path[64], text[256];
        snprintf(path, sizeof path, "/proc/%d/stat", process);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ssize_t count = read(file, text, sizeof text - 1);
        close(file);
        text[count > 0 ? count : 0] = 0;
        const char *end = strrchr(text, ')');
        if (end && sscanf(end, ") %*c %d", &parent) == 1 && parent == getpid()) kill(process, SIGKILL);
    }
}

// Takes note of what worker `i` has done before it ended. `failures`: where its last case counts, if it was not to end.
static void close_account(int i, uint64_t *failures) {
    struct job *job = &jobs[i];
    uint64_t next = __atomic_load_n(&shared->workers[i].next, __ATOMIC_RELAXED);
    if (next > job->last && next <= job->last + WORKERS) next = job->last;
    // It may have written anything there. One that other threads have killed before its first case counts as that case.
    if (next < job->first || next > job->last) next = job->first;
    if (next == job->first && failures) next++;
    struct dice d;
    if (noise_of(&d, job->first)) noisy += next - job->first;
    for (uint64_t number = job->first; number < next; number++) {
        d = dice_of(seed, number);
        uint32_t kind = kind_of(&d);
        begun[kind]++;
        if (number == next - 1 && failures) failures[kind]++;
    }
    job->first = next;
    job->process = 0;
}

// Takes note of the processes that have ended.
static void reap(void) {
    int status;
    for (pid_t process; (process = waitpid(-1, &status, WNOHANG | 0x40000000 /* __WALL */)) > 0;) {
        for (int i = 0; i < WORKERS; i++) {
            if (jobs[i].process != process) continue;
            close_account(i, WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : fatal);
            if (is_verbose && status) fprintf(stderr, "%.1f s: case %llu ended %d with status 0x%x\n", seconds(), (unsigned long long)jobs[i].first - 1, process, status);
            if (WIFEXITED(status) && WEXITSTATUS(status) == 96) {
                fprintf(stderr, "a worker could not start\n");
                exit(2);
            }
        }
        for (size_t i = 0; i < sizeof dying / sizeof dying[0]; i++) {
            if (dying[i].process != process) continue;
            uint64_t took = now() - dying[i].since;
            if (took > slowest) slowest = took;
            if (is_verbose) fprintf(stderr, "%.1f s: process %d is gone after %.1f s\n", seconds(), process, (double)took / 1e9);
            dying[i].process = 0;
        }
        if (process == witness_process) witness_process = 0;
    }
}

// Kills worker `i`, which does not come back from its case. What it had left of its batch is another one's.
static void give_up(int i) {
    pid_t process = jobs[i].process;
    kill(process, SIGKILL);
    close_account(i, stuck);
    if (is_verbose) fprintf(stderr, "%.1f s: case %llu of process %d does not come back\n", seconds(), (unsigned long long)jobs[i].first - 1, process);
    for (size_t k = 0; k < sizeof dying / sizeof dying[0]; k++)
        if (dying[k].process == 0) {
            dying[k].process = process;
            dying[k].since = now();
            break;
        }
}

static int unkillable(void) {
    int count = 0;
    for (size_t k = 0; k < sizeof dying / sizeof dying[0]; k++) count += dying[k].process != 0 && now() - dying[k].since > GONE_WITHIN;
    return count;
}

static int are_dying(void) {
    for (size_t k = 0; k < sizeof dying / sizeof dying[0]; k++)
        if (dying[k].process) return 1;
    return 0;
}

static int tries_fsgsbase(void) {
    pid_t child = fork();
    if (child == 0) {
        uint64_t value;
        signal(SIGILL, SIG_DFL);
        __asm__ volatile("rdfsbase %0" : "=r"(value));
        _exit(0);
    }
    return status_of(child) == 0;
}

static int tries_slots(void) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        (void)*(volatile uint64_t *)STUB_SLOTS;
        _exit(0);
    }
    return status_of(child) == 0;
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "--answer") == 0) return 42;
    if (count > 1 && strcmp(arguments[1], "--check") == 0) {
        for (int i = 0; i < 20; i++) getppid();
        return 0;
    }
    if (count < 3) return 2;
    seed = strtoull(arguments[1], 0, 0);
    uint64_t total = strtoull(arguments[2], 0, 0), first = count > 3 ? strtoull(arguments[3], 0, 0) : 0, next = first, end = first + total;
    shared = mmap(0, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return 2;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setvbuf(stdout, 0, _IOLBF, 0);
    begin = now();
    is_verbose = getenv("HOSTILE_VERBOSE") != 0;

    witness_process = fork();
    if (witness_process == 0) witness(&shared->testimony);
    int noFSGSBase = !tries_fsgsbase();
    has_slots = tries_slots();
    if (tries_slots() || has_slots) find_places();
    // Workers inherit patched calls.
    warm_up();

    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ends, 0);
    uint64_t told = begin;
    while (1) {
        reap();
        int busy = 0;
        for (int i = 0; i < WORKERS; i++) {
            struct job *job = &jobs[i];
            if (job->process == 0) {
                if (job->first == job->last) {
                    sweep();
                    if (next >= end) continue;
                    job->first = next;
                    job->last = next = end - next < BATCH ? end : next + BATCH;
                }
                shared->workers[i].next = job->seen = job->first;
                job->since = now();
                fflush(stdout);
                job->process = fork();
                if (job->process == 0) {
                    sigprocmask(SIG_UNBLOCK, &ends, 0);
                    work(i, job->first, job->last, noFSGSBase);
                }
                if (job->process < 0) {
                    job->process = 0;
                    sweep();
                }
            } else if (shared->workers[i].next != job->seen) {
                job->seen = shared->workers[i].next;
                job->since = now();
            } else if (now() - job->since > STUCK_AFTER) {
                give_up(i);
                sweep();
            } else if (now() - job->since > REMIND_AFTER && job->seen != job->first) {
                // The attack may have taken the timer away.
                kill(job->process, SIGALRM);
            }
            busy = 1;
        }
        if (unkillable()) break;
        if (!busy && !are_dying()) break;
        if (shared->testimony.ended) break;
        if (now() - told > 30000000000ul) {
            told = now();
            printf("after %llu s: at case %llu\n", (unsigned long long)((told - begin) / 1000000000), (unsigned long long)next);
        }
        struct timespec while_ = {0, 20000000};
        sigtimedwait(&ends, 0, &while_);
    }
    sweep();
    shared->testimony.shall_stop = 1;
    if (witness_process > 0) status_of(witness_process);

    uint64_t all = 0, deaths = 0, hung = 0;
    for (int i = 0; i < KINDS; i++) {
        printf("%-22s %8llu cases, %6llu fatal, %4llu killed\n", kinds[i].name, (unsigned long long)begun[i], (unsigned long long)fatal[i], (unsigned long long)stuck[i]);
        all += begun[i];
        deaths += fatal[i];
        hung += stuck[i];
    }
    struct testimony *testimony = &shared->testimony;
    printf("seed %llu: %llu cases from %llu on, %llu of them noisy, %llu fatal, %llu killed (at most %.1f s later), in %.1f s\n", (unsigned long long)seed, (unsigned long long)all, (unsigned long long)first,
        (unsigned long long)noisy, (unsigned long long)deaths, (unsigned long long)hung, (double)slowest / 1e9, (double)(now() - begin) / 1e9);
    printf("witness: %llu rounds, the longest %.2f s, %s\n", (unsigned long long)testimony->rounds, (double)testimony->longest / 1e9, testimony->wrong[0] ? testimony->wrong : testimony->ended ? "nothing wrong" : "it is gone");
    int left = unkillable();
    if (left) printf("%d processes cannot be killed\n", left);
    return left || testimony->wrong[0] || !testimony->ended || all != total;
}
