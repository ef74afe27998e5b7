// The same kernel through another C library: musl, linked statically. Threads, stdio, processes, signals, directories, time.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int counter, ready;
static volatile sig_atomic_t handled;
static void handler(int signal) { handled += signal; }

static void *worker(void *value) {
    pthread_mutex_lock(&mutex);
    while (!ready) pthread_cond_wait(&condition, &mutex);
    counter += *(int *)value;
    pthread_mutex_unlock(&mutex);
    char *block = malloc(100000);
    memset(block, 1, 100000);
    free(block);
    return value;
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(void) {
    pthread_t threads[20];
    int values[20];
    for (int i = 0; i < 20; i++) { values[i] = i; pthread_create(&threads[i], 0, worker, &values[i]); }
    pthread_mutex_lock(&mutex);
    ready = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (int i = 0; i < 20; i++) pthread_join(threads[i], 0);
    printf("counter %d\n", counter);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    printf("handled %d\n", handled == SIGUSR1);
    fflush(stdout);
    FILE *pipe = popen("echo from a shell; exit 5", "r");
    char line[100] = "";
    if (pipe && fgets(line, sizeof line, pipe)) printf("%s", line);
    int status = pipe ? pclose(pipe) : -1;
    printf("status %d\n", WEXITSTATUS(status));
    FILE *file = tmpfile();
    for (int i = 0; i < 10000; i++) fprintf(file, "%d\n", (i * 7919) % 10007);
    rewind(file);
    int *numbers = calloc(10000, sizeof *numbers);
    for (int i = 0; i < 10000; i++) if (fscanf(file, "%d", &numbers[i]) != 1) printf("short at %d\n", i);
    qsort(numbers, 10000, sizeof *numbers, compare);
    printf("%d %d\n", numbers[0], numbers[9999]);
    DIR *directory = opendir("/etc/init.d");
    printf("directory %d\n", directory != 0);
    struct timespec time = {0, 10000000};
    printf("sleep %d\n", nanosleep(&time, 0));
    void *area = mmap(0, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("mmap %d\n", area != MAP_FAILED);
    pid_t child = fork();
    if (!child) { execl("/bin/sh", "sh", "-c", "kill -9 $$", (char *)0); _exit(1); }
    waitpid(child, &status, 0);
    printf("signal %d\n", WTERMSIG(status));
    int missing = access("/no/such/file", F_OK);
    printf("%d %s\n", missing, strerror(errno));
    return 11;
}
