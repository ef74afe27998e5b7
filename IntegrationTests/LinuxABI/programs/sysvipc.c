// System V interprocess communication: shared memory, semaphores and message queues (sysvipc(7)).
#include "show.h"

#include <grp.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union argument {
    int value;
    struct semid_ds *status;
    unsigned short *array;
    struct seminfo *limits;
};

static void permissions(const struct ipc_perm *p, key_t key) {
    note("  owner %u %u, maker %u %u, mode %o, key as given %d", p->uid, p->gid, p->cuid, p->cgid, p->mode, p->__key == key);
}

// MARK: shared memory

static void status_of(int id, key_t key) {
    struct shmid_ds status;
    if (SHOW(shmctl(id, IPC_STAT, &status)) != 0) return;
    note("  size %zu, attached %lu, made by us %d, last used by us %d", status.shm_segsz, status.shm_nattch, status.shm_cpid == getpid(),
         status.shm_lpid == getpid());
    note("  attached once %d, detached once %d, changed %d", status.shm_atime != 0, status.shm_dtime != 0, status.shm_ctime != 0);
    permissions(&status.shm_perm, key);
}

static void memory(void) {
    topic("shared memory");
    key_t key = 0x4e455354;
    SHOW(shmget(key, 4096, 0600));
    SHOW(shmget(IPC_PRIVATE, 0, 0600));
    SHOW(shmget(IPC_PRIVATE, ~0UL, 0600));
    int id = (int)OK(shmget(key, 10000, IPC_CREAT | 0640));
    SHOW(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600));
    SHOW(shmget(key, 20000, 0600));
    note("the same: %d", shmget(key, 0, 0) == id);
    status_of(id, key);
    SHOW(shmctl(12345678, IPC_STAT, NULL));
    SHOW(shmctl(-1, IPC_STAT, NULL));
    SHOW(shmctl(id, 99, NULL));
    SHOW(shmctl(id, IPC_STAT, (void *)8));

    char *first = shmat(id, NULL, 0);
    note("attached %d", first != (void *)-1);
    SHOW(shmat(id, (char *)12345, 0));
    SHOW(shmat(id, first, 0));
    SHOW(shmat(id, NULL, SHM_REMAP));
    SHOW(shmat(98765432, NULL, 0));
    char *second = shmat(id, NULL, SHM_RDONLY);
    strcpy(first, "hello");
    note("seen %s", second);
    status_of(id, key);
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    int lines = 0;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/SYSV4e455354 (deleted)") && strstr(line, "s 00000000")) lines++;
    fclose(maps);
    note("lines of maps %d", lines);

    // A child has both, and loses them with execve or its end.
    pid_t child = fork();
    if (child == 0) {
        struct shmid_ds status;
        shmctl(id, IPC_STAT, &status);
        note("child: attached %lu, says %s", status.shm_nattch, second);
        strcpy(first, "from the child");
        SHOW(shmdt(first));
        SHOW(shmdt(first));
        _exit(0);
    }
    reap("child", child);
    note("seen %s", second);
    child = fork();
    if (child == 0) {
        second[0] = 'x';
        _exit(0);
    }
    reap("writer of a read-only one", child);
    // A part of an attachment goes by munmap; shmdt takes the rest.
    SHOW(munmap(first, 4096));
    SHOW(shmdt(first + 4096));
    SHOW(shmdt(first));
    status_of(id, key);
    char *place = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    note("at a place %d", shmat(id, place + 8191, SHM_RND | SHM_REMAP) == place + 4096);
    SHOW(shmdt(place + 4096));

    SHOW(shmctl(id, SHM_LOCK, NULL));
    struct shmid_ds status;
    shmctl(id, IPC_STAT, &status);
    note("mode %o", status.shm_perm.mode);
    SHOW(shmctl(id, SHM_UNLOCK, NULL));
    status.shm_perm.uid = 1000;
    status.shm_perm.mode = 0604;
    SHOW(shmctl(id, IPC_SET, &status));
    status_of(id, key);
    // Removed, it stays while it is attached, without its key.
    SHOW(shmctl(id, IPC_RMID, NULL));
    status_of(id, IPC_PRIVATE);
    SHOW(shmget(key, 0, 0));
    char *third = shmat(id, NULL, 0);
    note("attached again %d, %s", third != (void *)-1, second);
    SHOW(shmdt(third));
    SHOW(shmdt(second));
    SHOW(shmctl(id, IPC_STAT, &status));
    struct shminfo limits;
    int highest = shmctl(0, IPC_INFO, (void *)&limits);
    note("limits: %d, %lu %lu %lu", highest >= 0, limits.shmmax, limits.shmmin, limits.shmmni);
}

// MARK: semaphores

static int operate(int id, int number, int change, int flags) {
    struct sembuf operation = {(unsigned short)number, (short)change, (short)flags};
    return semop(id, &operation, 1);
}

// Until a count of waiters (GETNCNT or GETZCNT) is `wanted`.
static void until(int id, int command, int wanted) {
    while (semctl(id, 0, command) != wanted) rest(1);
}

static void nothing(int signal) {}

static void semaphores(void) {
    topic("semaphores");
    key_t key = 0x4e455355;
    union argument argument;
    SHOW(semget(key, 1, 0600));
    SHOW(semget(IPC_PRIVATE, 0, 0600));
    SHOW(semget(IPC_PRIVATE, 100000, 0600));
    SHOW(semget(IPC_PRIVATE, -1, 0600));
    int id = (int)OK(semget(key, 3, IPC_CREAT | 0600));
    SHOW(semget(key, 4, 0));
    SHOW(semget(key, 1, IPC_CREAT | IPC_EXCL));
    struct semid_ds status;
    argument.status = &status;
    SHOW(semctl(id, 0, IPC_STAT, argument));
    note("  semaphores %lu, operated %d", status.sem_nsems, status.sem_otime != 0);
    permissions(&status.sem_perm, key);
    unsigned short values[3] = {1, 2, 3};
    argument.array = values;
    SHOW(semctl(id, 0, SETALL, argument));
    argument.value = 40000;
    SHOW(semctl(id, 0, SETVAL, argument));
    argument.value = 7;
    SHOW(semctl(id, 3, SETVAL, argument));
    SHOW(semctl(id, 2, SETVAL, argument));
    SHOW(semctl(id, 2, GETVAL));
    note("set by us %d, others by nobody %d", semctl(id, 2, GETPID) == getpid(), semctl(id, 1, GETPID) == getpid());
    SHOW(semctl(id, -1, GETVAL));
    SHOW(semctl(id, 0, 77));

    SHOW(operate(id, 3, 1, 0));
    SHOW(operate(id, 0, -2, IPC_NOWAIT));
    SHOW(operate(id, 0, 0, IPC_NOWAIT));
    SHOW(operate(id, 0, 32767, IPC_NOWAIT));
    SHOW(semop(id, NULL, 0));
    struct sembuf many[501] = {{0}};
    SHOW(semop(id, many, 501));
    SHOW(semop(id, (struct sembuf *)8, 1));
    SHOW(operate(123456, 0, 1, 0));
    SHOW(operate(-1, 0, 1, 0));
    // All or nothing, and each sees what those before it did.
    struct sembuf both[2] = {{0, 5, 0}, {1, -3, IPC_NOWAIT}};
    SHOW(semop(id, both, 2));
    SHOW(semctl(id, 0, GETVAL));
    struct sembuf same[2] = {{0, 5, 0}, {0, -6, IPC_NOWAIT}};
    SHOW(semop(id, same, 2));
    SHOW(semctl(id, 0, GETVAL));

    // Waiting: for an increase, for zero, for a signal, for a time, for the end of the set.
    pid_t child = fork();
    if (child == 0) _exit(operate(id, 0, -1, 0) == 0 ? 1 : 2);
    until(id, GETNCNT, 1);
    SHOW(operate(id, 0, 1, 0));
    reap("decreaser", child);
    operate(id, 0, 1, 0);
    child = fork();
    if (child == 0) _exit(operate(id, 0, 0, 0) == 0 ? 3 : 4);
    until(id, GETZCNT, 1);
    SHOW(operate(id, 0, -1, 0));
    reap("waiter for zero", child);
    struct timespec time = {0, 20000000};
    struct sembuf down = {0, -1, 0};
    SHOW(semtimedop(id, &down, 1, &time));
    time.tv_nsec = 2000000000;
    SHOW(semtimedop(id, &down, 1, &time));
    child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
        sigaction(SIGUSR1, &action, NULL);
        _exit(operate(id, 0, -1, 0) == -1 && errno == EINTR ? 5 : 6);
    }
    until(id, GETNCNT, 1);
    kill(child, SIGUSR1);
    reap("interrupted", child);
    SHOW(semctl(id, 0, GETNCNT));

    // Undone at the end of a process.
    argument.value = 5;
    semctl(id, 0, SETVAL, argument);
    child = fork();
    if (child == 0) {
        operate(id, 0, -3, SEM_UNDO);
        operate(id, 0, 1, SEM_UNDO);
        operate(id, 0, 10, 0);
        note("meanwhile %d", semctl(id, 0, GETVAL));
        _exit(0);
    }
    reap("undoer", child);
    SHOW(semctl(id, 0, GETVAL));
    child = fork();
    if (child == 0) {
        operate(id, 0, 10, SEM_UNDO);
        argument.value = 1;
        semctl(id, 0, SETVAL, argument);
        _exit(0);
    }
    reap("set after undo", child);
    SHOW(semctl(id, 0, GETVAL));
    child = fork();
    if (child == 0) {
        operate(id, 0, 3, SEM_UNDO);
        pid_t inner = fork();
        if (inner == 0) {
            operate(id, 0, -4, 0);
            _exit(0);
        }
        waitpid(inner, NULL, 0);
        _exit(0);
    }
    reap("undo below zero", child);
    SHOW(semctl(id, 0, GETVAL));
    child = fork();
    if (child == 0) _exit(operate(id, 0, -1, 0) == -1 && errno == EIDRM ? 7 : 8);
    until(id, GETNCNT, 1);
    argument.status = &status;
    semctl(id, 0, IPC_STAT, argument);
    status.sem_perm.mode = 0444;
    SHOW(semctl(id, 0, IPC_SET, argument));
    SHOW(semctl(id, 0, IPC_RMID));
    reap("waiter of a removed set", child);
    SHOW(semctl(id, 0, GETVAL));
    struct seminfo limits;
    argument.limits = &limits;
    int highest = semctl(0, 0, IPC_INFO, argument);
    note("limits: %d, %d %d %d %d %d", highest >= 0, limits.semmsl, limits.semmns, limits.semopm, limits.semmni,
         limits.semvmx);
}

// MARK: messages

struct message { long type; char text[9000]; };

static void send_text(int id, long type, const char *text) {
    struct message message = {.type = type};
    strcpy(message.text, text);
    if (msgsnd(id, &message, strlen(text), IPC_NOWAIT) != 0) note("not sent: %s", strerrorname_np(errno));
}

static void receive(int id, size_t size, long type, int flags) {
    struct message message;
    memset(&message, 0, sizeof message);
    ssize_t count = msgrcv(id, &message, size, type, flags);
    if (count == -1) note("type %ld: %s", type, strerrorname_np(errno));
    else note("type %ld: %zd bytes, type %ld, %s", type, count, message.type, message.text);
}

static void queue_status(int id, key_t key) {
    struct msqid_ds status;
    if (SHOW(msgctl(id, IPC_STAT, &status)) != 0) return;
    note("  messages %lu, bytes %lu, at most %lu, sent by us %d, received by us %d", status.msg_qnum, status.__msg_cbytes, status.msg_qbytes,
         status.msg_lspid == getpid(), status.msg_lrpid == getpid());
    permissions(&status.msg_perm, key);
}

static void messages(void) {
    topic("messages");
    key_t key = 0x4e455356;
    SHOW(msgget(key, 0600));
    int id = (int)OK(msgget(key, IPC_CREAT | 0600));
    SHOW(msgget(key, IPC_CREAT | IPC_EXCL));
    queue_status(id, key);
    static struct message message = {.type = 0};
    SHOW(msgsnd(id, &message, 1, IPC_NOWAIT));
    message.type = 1;
    SHOW(msgsnd(id, &message, 8193, IPC_NOWAIT));
    SHOW(msgsnd(id, &message, (size_t)-1, IPC_NOWAIT));
    SHOW(msgsnd(-1, &message, 1, IPC_NOWAIT));
    SHOW(msgsnd(id, (void *)8, 1, IPC_NOWAIT));
    SHOW(msgsnd(id, &message, 8192, IPC_NOWAIT));
    SHOW(msgsnd(id, &message, 8192, IPC_NOWAIT));
    SHOW(msgsnd(id, &message, 1, IPC_NOWAIT));
    queue_status(id, key);
    SHOW(msgrcv(id, &message, 100, 0, IPC_NOWAIT));
    SHOW(msgrcv(id, &message, 100, 0, IPC_NOWAIT | MSG_NOERROR));
    SHOW(msgrcv(id, &message, 8192, 0, 0));
    SHOW(msgrcv(id, &message, 8192, 0, IPC_NOWAIT));
    SHOW(msgrcv(id, &message, (size_t)-1, 0, IPC_NOWAIT));
    SHOW(msgrcv(id, &message, 10, 0, MSG_COPY));
    SHOW(msgrcv(id, &message, 10, 0, MSG_COPY | MSG_EXCEPT | IPC_NOWAIT));
    send_text(id, 3, "three");
    send_text(id, 1, "one");
    send_text(id, 2, "two");
    send_text(id, 2, "two again");
    send_text(id, 5, "");
    queue_status(id, key);
    receive(id, 100, 1, MSG_COPY | IPC_NOWAIT);
    receive(id, 100, 9, MSG_COPY | IPC_NOWAIT);
    receive(id, 100, 4, IPC_NOWAIT);
    receive(id, 100, -2, IPC_NOWAIT);
    receive(id, 100, -2, IPC_NOWAIT);
    receive(id, 100, 3, IPC_NOWAIT | MSG_EXCEPT);
    receive(id, 100, 5, IPC_NOWAIT);
    receive(id, 2, 0, IPC_NOWAIT | MSG_NOERROR);
    receive(id, 100, 0, IPC_NOWAIT);

    // Waiting.
    pid_t child = fork();
    if (child == 0) {
        receive(id, 100, 7, 0);
        _exit(0);
    }
    send_text(id, 8, "not this");
    rest(10);
    send_text(id, 7, "this");
    reap("receiver", child);
    receive(id, 100, 0, IPC_NOWAIT);
    struct msqid_ds status;
    msgctl(id, IPC_STAT, &status);
    status.msg_qbytes = 10;
    SHOW(msgctl(id, IPC_SET, &status));
    send_text(id, 1, "0123456789");
    send_text(id, 1, "x");
    child = fork();
    if (child == 0) {
        message.type = 2;
        strcpy(message.text, "later");
        _exit(msgsnd(id, &message, 5, 0) == 0 ? 9 : 10);
    }
    rest(10);
    receive(id, 100, 0, IPC_NOWAIT);
    reap("sender", child);
    receive(id, 100, 0, IPC_NOWAIT);
    sigset_t block;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, NULL);
    child = fork();
    if (child == 0) {
        struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
        sigaction(SIGALRM, &action, NULL);
        alarm(1);
        long interrupted = msgrcv(id, &message, 100, 0, 0);
        int error = errno;
        kill(getppid(), SIGUSR2);
        long removed = msgrcv(id, &message, 100, 0, 0);
        _exit(interrupted == -1 && error == EINTR && removed == -1 && errno == EIDRM ? 11 : 12);
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigwaitinfo(&set, NULL);
    rest(20);
    SHOW(msgctl(id, IPC_RMID, NULL));
    reap("receiver of a removed queue", child);
    SHOW(msgctl(id, IPC_STAT, &status));
    struct msginfo limits;
    int highest = msgctl(0, IPC_INFO, (void *)&limits);
    note("limits: %d, %d %d %d", highest >= 0, limits.msgmax, limits.msgmnb, limits.msgmni);
}

// MARK: rights and files

static int count_lines(const char *path, const char *wanted) {
    char line[512];
    int count = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) return -1;
    while (fgets(line, sizeof line, file)) count += strstr(line, wanted) != NULL;
    fclose(file);
    return count;
}

static void rights(void) {
    topic("rights and files");
    int segment = shmget(0x4e455357, 4096, IPC_CREAT | 0640), set = semget(0x4e455357, 1, IPC_CREAT | 0604), queue = msgget(0x4e455357, IPC_CREAT | 0600);
    char key[32];
    snprintf(key, sizeof key, "%d", 0x4e455357);
    note("lines %d %d %d", count_lines("/proc/sysvipc/shm", key), count_lines("/proc/sysvipc/sem", key), count_lines("/proc/sysvipc/msg", key));
    pid_t child = fork();
    if (child == 0) {
        setgroups(0, NULL);
        if (setgid(1000) != 0 || setuid(1000) != 0) _exit(1);
        struct shmid_ds status;
        union argument argument = {.value = 1};
        OK(shmget(0x4e455357, 0, 0));
        SHOW(shmget(0x4e455357, 0, 0400));
        SHOW(shmat(segment, NULL, SHM_RDONLY));
        SHOW(shmctl(segment, IPC_STAT, &status));
        SHOW(shmctl(segment, IPC_RMID, NULL));
        SHOW(shmctl(segment, SHM_LOCK, NULL));
        SHOW(semctl(set, 0, GETVAL));
        SHOW(semctl(set, 0, SETVAL, argument));
        SHOW(operate(set, 0, 1, 0));
        SHOW(semctl(set, 0, IPC_RMID));
        SHOW(msgrcv(queue, &status, 1, 0, IPC_NOWAIT));
        SHOW(msgctl(queue, IPC_RMID, NULL));
        _exit(0);
    }
    reap("other user", child);
    SHOW(shmctl(segment, IPC_RMID, NULL));
    SHOW(semctl(set, 0, IPC_RMID));
    SHOW(msgctl(queue, IPC_RMID, NULL));
}

int main(void) {
    // What a run that was killed has left.
    for (key_t key = 0x4e455354; key <= 0x4e455357; key++) {
        shmctl(shmget(key, 0, 0), IPC_RMID, NULL);
        semctl(semget(key, 0, 0), 0, IPC_RMID);
        msgctl(msgget(key, 0), IPC_RMID, NULL);
    }
    memory();
    semaphores();
    messages();
    rights();
    return 0;
}
