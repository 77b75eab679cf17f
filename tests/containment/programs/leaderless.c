/* A process that goes on although its first thread has ended: /proc/PID/ns and /proc/PID/fd show nothing then. */
#include <pthread.h>
#include <unistd.h>

static void *go_on(void *unused) {
  for (;;) pause();
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, go_on, 0);
  write(1, "ready\n", 6);
  pthread_exit(0);
}
