/* An attacker who makes many or enormous things, only to keep an investigator busy: evil WHAT COUNT. Then it sleeps.
 * Prints READY when everything stands. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sys/prctl.h>
int main(int argc, char **argv) {
    char *what = argv[1]; int n = atoi(argv[2]);
    if (!strcmp(what, "procs")) for (int i = 0; i < n; i++) { int p = fork(); if (p < 0) {perror("fork"); break;} if (!p) { prctl(PR_SET_NAME, "e\x1b[31m\n"); for (;;) pause(); } }
    if (!strcmp(what, "fds")) { struct rlimit r = {n + 100, n + 100}; if (setrlimit(RLIMIT_NOFILE, &r)) perror("rlimit"); for (int i = 0; i < n; i++) { char b[64]; sprintf(b, "/tmp/d%d", i); int f = open(b, O_CREAT | O_RDWR, 0600); if (f < 0) { perror("open"); break; } if (write(f, b, 8) < 0) {} unlink(b); } }
    if (!strcmp(what, "mounts")) { mkdir("/m", 0700); for (int i = 0; i < n; i++) { char b[64]; sprintf(b, "/m/%d", i); mkdir(b, 0700); if (mount("none", b, "tmpfs", 0, "size=4k")) { perror("mount"); break; } } }
    if (!strcmp(what, "deep")) { mkdir("/deep", 0700); if (chdir("/deep")) {} for (int i = 0; i < n; i++) { mkdir("d", 0700); if (chdir("d")) break; } close(open("bottom", O_CREAT | O_RDWR, 0600)); }
    if (!strcmp(what, "files")) { mkdir("/files", 0700); for (int i = 0; i < n; i++) { char b[64]; sprintf(b, "/files/f%d\x1b]0;x\x07", i); int f = open(b, O_CREAT | O_RDWR, 0600); if (write(f, b, 8) < 0) {} close(f); } }
    if (!strcmp(what, "sparse")) { int f = open("/sparse", O_CREAT | O_RDWR, 0600); if (ftruncate(f, 17592186040320LL)) perror("trunc"); f = open("/dev/shm/sparse", O_CREAT | O_RDWR, 0600); if (ftruncate(f, 0x7ffffffffffff000LL)) perror("trunc shm"); int g = open("/dev/shm/del", O_CREAT | O_RDWR, 0600); if (ftruncate(g, 0x7ffffffffffff000LL)) perror("t"); unlink("/dev/shm/del"); }
    if (!strcmp(what, "comb")) { int f = open("/dev/shm/comb", O_CREAT | O_RDWR, 0600); for (long i = 0; i < n; i++) if (pwrite(f, "x", 1, i << 13) != 1) break; }
    if (!strcmp(what, "maps")) { for (int i = 0; i < n; i++) mmap(NULL, 4096, i & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
    if (!strcmp(what, "env")) { char *big = malloc(n + 1); memset(big, 'A', n); big[n] = 0; char *many[17]; for (int i = 0; i < 16; i++) many[i] = big; many[16] = 0; int begun[2]; if (pipe2(begun, O_CLOEXEC)) perror("pipe"); for (int i = 0; i < 100; i++) if (!fork()) { execve(argv[0], (char *[]){argv[0], "child", "0", NULL}, many); perror("exec"); exit(1);} close(begun[1]); char none; while (read(begun[0], &none, 1) > 0) {} }
    if (!strcmp(what, "memory")) { char *block = malloc((size_t)n << 20); memset(block, 'M', (size_t)n << 20); int f = open("/dev/shm/big", O_CREAT | O_RDWR, 0600); for (int i = 0; i < n; i++) if (write(f, block, 1 << 20) < 0) break; }
    if (!strcmp(what, "gone")) { mkdir("/gone", 0700); if (chdir("/gone") || rmdir("/gone")) perror("gone"); int f = open("/secret", O_CREAT | O_RDWR, 0); if (write(f, "hidden", 6) < 0) {} fchmod(f, 0); }
    if (strcmp(what, "child")) printf("READY\n");
    fflush(stdout);
    for (;;) pause();
}
