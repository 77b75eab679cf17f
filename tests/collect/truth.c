/* A known-truth program: each thing that an investigator must find, made once, then it sleeps.
 * Prints READY when everything stands. Static; needs no file of the container but its own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void sleep_for_ever(void) { for (;;) pause(); }

static void die(const char *what) { perror(what); exit(1); }

static void *thread(void *name) { prctl(PR_SET_NAME, name); sleep_for_ever(); return NULL; }

static void copy_self(int to, const char *tail) { /* the tail gives each copy its own digest */
    char block[65536];
    ssize_t got;
    int from = open("/proc/self/exe", O_RDONLY);
    while ((got = read(from, block, sizeof block)) > 0)
        if (write(to, block, got) != got) die("write");
    if (write(to, tail, 6) != 6) die("write");
    close(from);
}

static int bind_inet(int family, int type, const char *address, int port) {
    int s = socket(family, type, 0), one = 1;
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (family == AF_INET) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
        inet_pton(AF_INET, address, &at.sin_addr);
        if (bind(s, (void *)&at, sizeof at)) die("bind");
    } else {
        struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        inet_pton(AF_INET6, address, &at.sin6_addr);
        setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        if (bind(s, (void *)&at, sizeof at)) return -1; /* no IPv6 here */
    }
    if (type == SOCK_STREAM) listen(s, 5);
    return s;
}

static void bind_unix(const char *path, int abstract) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(at.sun_path + abstract, path);
    if (bind(s, (void *)&at, offsetof(struct sockaddr_un, sun_path) + abstract + strlen(path))) die("bind unix");
    listen(s, 1);
}

static void make_sockets(void) {
    bind_inet(AF_INET, SOCK_STREAM, "0.0.0.0", 7001);
    bind_inet(AF_INET6, SOCK_STREAM, "::1", 7002);
    bind_inet(AF_INET, SOCK_DGRAM, "127.0.0.1", 7003);
    bind_unix("/tmp/truth.sock", 0);
    bind_unix("truth-abstract", 1);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(7001)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&at, sizeof at)) die("connect");
    socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    socket(AF_PACKET, SOCK_RAW, 0);
}

static void make_files(void) {
    int f = open("/tmp/open-deleted", O_CREAT | O_RDWR, 0600);
    if (write(f, "deleted but open", 16) != 16) die("write");
    unlink("/tmp/open-deleted");
    f = open("/dev/shm/truth-shm", O_CREAT | O_RDWR, 0600);
    if (write(f, "in shared memory", 16) != 16) die("write");
    f = open("/data/in-volume", O_CREAT | O_RDWR, 0600);
    if (f >= 0 && write(f, "in the volume", 13) != 13) die("write");
    f = open("/dropped", O_CREAT | O_RDWR, 0755);
    if (write(f, "a changed file", 14) != 14) die("write");
    if (symlink("/etc/shadow", "/tmp/link-out") || mkfifo("/tmp/fifo", 0600)) die("link");
    if (symlink("/", "/dev/shm/link-out") || mkfifo("/dev/shm/fifo", 0600)) die("link in shm");
}

static void make_nameless(void) {
    int f = memfd_create("truth-data", 0);
    if (write(f, "a memory file", 13) != 13) die("write");
    char *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(shared, "shared without a name");
    if (mkdir("/tmp/gone", 0700) || open("/tmp/gone", O_RDONLY | O_DIRECTORY) < 0 || rmdir("/tmp/gone")) die("gone");
}

static void start_deleted(void) {
    int f = open("/tmp/.hidden", O_CREAT | O_WRONLY, 0700);
    copy_self(f, "HIDDEN");
    close(f);
    if (!fork()) execl("/tmp/.hidden", "[kworker/u8:3]", "sleep", NULL);
    while (access("/tmp/.hidden-up", F_OK)) usleep(1000);
    unlink("/tmp/.hidden");
}

static void start_memfd(void) {
    int f = memfd_create("truth-memfd", 0);
    copy_self(f, "MEMORY");
    if (!fork()) fexecve(f, (char *[]){"truth-memfd-argv", "sleep", NULL}, (char *[]){"SECRET_TOKEN=hunter2", NULL});
}

static void start_own_namespace(void) {
    if (unshare(CLONE_NEWPID)) return; /* not granted in this container */
    if (!fork()) { prctl(PR_SET_NAME, "own-pid-ns"); sleep_for_ever(); }
}

static void make_foreign_socket(void) {
    int home = open("/proc/self/ns/net", O_RDONLY);
    if (unshare(CLONE_NEWNET)) die("unshare net");
    bind_inet(AF_INET, SOCK_STREAM, "0.0.0.0", 7009); /* listens in a namespace that no process lives in */
    if (setns(home, CLONE_NEWNET)) die("setns");
    close(home);
}

static char *heap_marker(void) {
    char *marker = malloc(64);
    const char *hidden = "USVUI.NFNPSZ.NBSLFS"; /* every letter is one too high: the text is in memory only */
    size_t at = 0;
    for (; hidden[at]; at++) marker[at] = hidden[at] - 1;
    marker[at] = 0;
    return marker;
}

int main(int argc, char **argv) {
    static char *marker;
    pthread_t id;
    if (argc > 1 && !strcmp(argv[1], "sleep")) {
        close(open("/tmp/.hidden-up", O_CREAT, 0600));
        sleep_for_ever();
    }
    signal(SIGCHLD, SIG_DFL);
    make_sockets();
    make_files();
    make_nameless();
    start_deleted();
    start_memfd();
    for (int count = 0; count < 3; count++) pthread_create(&id, NULL, thread, "truth-thread");
    start_own_namespace();
    make_foreign_socket();
    marker = heap_marker();
    usleep(50000);
    printf("READY %zu\n", strlen(marker));
    fflush(stdout);
    sleep_for_ever();
}
